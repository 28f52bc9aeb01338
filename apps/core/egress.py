"""Which addresses the platform may call. Default deny: what the allow-list does not name is refused.

An address is judged twice: as text when somebody saves it (`check_url`, no network) and as the resolved IP
right before the connect (`resolve`, `resolve_async`). The IP that was judged is handed back and is the one to
connect to, so a name that answers differently a second later gains nothing (GW-06).

The allow-list (`settings.EGRESS_ALLOW`) holds `host:port` and `CIDR:port` (IPv6 in brackets: `[fd00::/8]:443`):

- `api.ngsp.gov.vn:443`: this name, where it resolves to a public address;
- `14.225.0.0/16:443`, `0.0.0.0/0:443`: public addresses of the network, under any name;
- `10.20.0.0/16:443`: a private network (RFC 1918, CGNAT, ULA), only when the entry lies inside private space;
- `127.0.0.1:8002`: loopback, link-local and metadata addresses only when exactly the address and port are named.

Never, whatever the list says: multicast, reserved and unspecified addresses, addresses that embed another one
(IPv4-mapped, 6to4, NAT64, Teredo), ports of databases, mail and shells, and plain http to a public address.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from apps.core.errors import InvalidFact

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Iterable[str]]

_PORTS = {"http": 80, "https": 443}
_LABEL = re.compile(r"^(?!-)[a-z0-9_-]{1,63}(?<!-)$")
_CLEAN = re.compile(r"^[\x21-\x7e]+$")
_NEVER_PORTS = frozenset(
    {1, 7, 9, 19, 20, 21, 22, 23, 25, 53, 69, 79, 110, 111, 119, 123, 135, 137, 139, 143, 161, 179, 389, 445, 465, 512, 513,
     514, 587, 636, 873, 993, 995, 1433, 1521, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 5432, 5433, 5672, 5900, 5984, 6379,
     6380, 6443, 9042, 9200, 9300, 10250, 11211, 15672, 25672, 27017, 50070}
)  # fmt: skip


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


# Tables of our own rather than `is_private`: its meaning changed between Python releases. Of IPv6 only 2000::/3 is
# public and only fc00::/7 private; everything else (mapped and translated IPv4, NAT64, multicast) is refused as a block.
_NEVER = _networks(
    "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "::/3", "4000::/2", "8000::/2", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/7",
    "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)  # fmt: skip
_EXACT = _networks(
    "127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10",
    "100.100.100.200/32", "fd00:ec2::/64", "168.63.129.16/32", "192.0.0.192/32",
)  # fmt: skip
_PRIVATE = _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
_LOCAL_NAMES = ("localhost", "local", "internal", "localdomain", "home.arpa")


class EgressRefused(InvalidFact):
    """The address may not be called. `extra["reason"]` is a stable word that says why."""

    code = "egress_refused"
    title = _("This address may not be called.")

    def __init__(self, reason: str, address: str = "") -> None:
        super().__init__(_REASONS.get(reason, ""), reason=reason, address=address[:300])
        self.reason = reason


_REASONS = {
    "malformed": _("The address is not well formed."),
    "scheme": _("Only http and https addresses may be called."),
    "userinfo": _("An address must not carry a user name or a password."),
    "fragment": _("An address must not carry a fragment (#)."),
    "host": _("The host must be a plain DNS name or an ordinary IP address."),
    "port": _("This port may never be called."),
    "never": _("This kind of network address may never be called."),
    "not_allowed": _("The address is not on the list of allowed outbound addresses."),
    "plain_http": _("A public address may be called by https only."),
    "unresolved": _("The host name could not be resolved."),
}


@dataclass(frozen=True)
class Target:
    """An address as text, taken apart once. `host` is lower case; `path` holds path and query as written."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def netloc(self) -> str:
        """What belongs in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}"


@dataclass(frozen=True)
class Checked:
    """A target together with the IP that was judged: connect to `ip`, keep `target.host` for SNI and Host."""

    target: Target
    ip: str

    @property
    def family(self) -> int:
        return socket.AF_INET6 if ":" in self.ip else socket.AF_INET


def parse(url: str) -> Target:
    """Take an absolute URL apart. Raises EgressRefused for every form two parsers could read differently."""
    if not isinstance(url, str) or not _CLEAN.match(url) or "\\" in url or len(url) > 4000:
        raise EgressRefused("malformed", str(url))
    if "#" in url:
        raise EgressRefused("fragment", url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise EgressRefused("malformed", url) from None
    if parts.scheme not in _PORTS:
        raise EgressRefused("scheme", url)
    if "@" in parts.netloc:
        raise EgressRefused("userinfo", "")
    if not parts.netloc or parts.netloc.endswith(":") or "%" in parts.netloc:
        raise EgressRefused("host", url)
    path = parts.path or "/"
    if not path.startswith("/"):
        raise EgressRefused("malformed", url)
    port = _PORTS[parts.scheme] if port is None else port
    if not 0 < port < 65536 or port in _NEVER_PORTS:
        raise EgressRefused("port", url)
    return Target(parts.scheme, _host(parts.hostname or "", url), port, path + (f"?{parts.query}" if parts.query else ""))


def _host(host: str, url: str) -> str:
    """The one canonical spelling of a host. Octal, decimal, hexadecimal and short IPv4 forms do not pass."""
    if literal(host) is not None:
        return str(literal(host))
    labels = host.split(".")
    # A last label of digits (or 0x…) is what inet_aton and browsers read as an IPv4 number.
    looks_numeric = re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]) is not None
    if looks_numeric or ":" in host or len(host) > 253 or not all(_LABEL.match(label) for label in labels):
        raise EgressRefused("host", url)
    return host


def literal(host: str) -> Address | None:
    """The address when `host` is one (strict dotted quad or IPv6 without a zone); otherwise None."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return None if getattr(address, "scope_id", None) else address


@dataclass(frozen=True)
class Policy:
    """The compiled allow-list."""

    names: frozenset[tuple[str, int]]
    networks: tuple[tuple[Network, int], ...]

    def allows(self, target: Target, address: Address) -> str:
        """Empty when `address` may be called for `target`; otherwise the reason why not."""
        if _within(address, _NEVER) and not _within(address, _EXACT):
            return "never"
        exact, private = _within(address, _EXACT), _within(address, _PRIVATE)
        for network, port in self.networks:
            if port != target.port or network.version != address.version or address not in network:
                continue
            if exact and network.num_addresses > 1:
                continue
            if private and not exact and not any(_inside(network, space) for space in _PRIVATE):
                continue
            return self._plain_http(target, public=not (exact or private))
        if not exact and not private and (target.host, target.port) in self.names:
            return self._plain_http(target, public=True)
        return "not_allowed"

    @staticmethod
    def _plain_http(target: Target, *, public: bool) -> str:
        return "plain_http" if public and target.scheme == "http" else ""

    def might_allow(self, target: Target) -> str:
        """The verdict on a name before it is resolved: empty when some address behind it could be allowed."""
        if (target.host, target.port) in self.names:
            return "" if target.scheme == "https" or self._has_private(target.port) else "plain_http"
        local = any(target.host == name or target.host.endswith("." + name) for name in _LOCAL_NAMES)
        if local or "." not in target.host:
            return "not_allowed"
        return "" if any(port == target.port for _network, port in self.networks) else "not_allowed"

    def _has_private(self, port: int) -> bool:
        return any(p == port and any(_inside(n, space) for space in _PRIVATE + _EXACT) for n, p in self.networks)


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _inside(network: Network, space: Network) -> bool:
    return network.version == space.version and network.subnet_of(space)  # type: ignore[arg-type]


@lru_cache(maxsize=64)
def compile_policy(entries: tuple[str, ...]) -> Policy:
    """Compile allow-list entries. Raises ImproperlyConfigured naming the entry that cannot be read."""
    names, networks = set(), []
    for entry in entries:
        host, separator, port = entry.strip().rpartition(":")
        host = host.strip("[]").lower()
        if not separator or not port.isdigit() or not 0 < int(port) < 65536 or not host:
            raise ImproperlyConfigured(f"LGSP_EGRESS_ALLOW: {entry!r} is not host:port or CIDR:port.")
        try:
            networks.append((ipaddress.ip_network(host), int(port)))
        except ValueError:
            if "/" in host or not all(_LABEL.match(label) for label in host.split(".")):
                raise ImproperlyConfigured(f"LGSP_EGRESS_ALLOW: {entry!r} is not host:port or CIDR:port.") from None
            names.add((host, int(port)))
    return Policy(frozenset(names), tuple(networks))


def policy() -> Policy:
    return compile_policy(tuple(settings.EGRESS_ALLOW))


def check_url(url: str) -> Target:
    """Judge an address as text, when it is saved: no network is touched. Raises EgressRefused."""
    target = parse(url)
    address = literal(target.host)
    reason = policy().might_allow(target) if address is None else policy().allows(target, address)
    if reason:
        raise EgressRefused(reason, url)
    return target


def resolve(target: Target | str, *, resolver: Resolver | None = None) -> Checked:
    """Resolve and judge right before the connect. Raises EgressRefused; blocks for DNS."""
    target = check_url(target) if isinstance(target, str) else target
    if literal(target.host) is not None:
        return _choose(target, [target.host])
    return _choose(target, (resolver or _system_resolver)(target.host, target.port))


def resolve_own(url: str) -> Checked:
    """An address of the platform's own, from its settings and nobody's input: no allow-list. Raises EgressRefused."""
    target = parse(url)
    answers = [target.host] if literal(target.host) is not None else _system_resolver(target.host, target.port)
    if not answers:
        raise EgressRefused("unresolved", target.url)
    return Checked(target, answers[0])


async def resolve_async(target: Target | str, *, resolver: Resolver | None = None) -> Checked:
    """`resolve` for the event loop."""
    target = check_url(target) if isinstance(target, str) else target
    if literal(target.host) is not None:
        return _choose(target, [target.host])
    if resolver is not None:
        return _choose(target, resolver(target.host, target.port))
    try:
        loop = asyncio.get_running_loop()
        rows = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        raise EgressRefused("unresolved", target.url) from None
    return _choose(target, [row[4][0] for row in rows])


def _system_resolver(host: str, port: int) -> list[str]:
    try:
        return [str(row[4][0]) for row in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except OSError:
        raise EgressRefused("unresolved", host) from None


def _choose(target: Target, answers: Iterable[str]) -> Checked:
    """The first answer that may be called; when none may, the reason of the first."""
    reason = ""
    rules = policy()
    for answer in answers:
        address = literal(answer.partition("%")[0])
        verdict = "never" if address is None else rules.allows(target, address)
        if not verdict:
            return Checked(target, str(address))
        reason = reason or verdict
    raise EgressRefused(reason or "unresolved", target.url)
