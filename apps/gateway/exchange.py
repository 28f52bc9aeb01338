"""One HTTP exchange with a consumer: the headers that mean something, the body within its cap, the answer."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import signal
from collections.abc import Callable, Collection
from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from apps.gateway.kill_points import NAME, is_due
from apps.gateway.problems import language_of
from apps.gateway.refusals import Refused
from apps.gateway.server import MARK, answer, written
from apps.gateway.tokens import hash_token

_READ = frozenset(
    {b"authorization", b"x-purpose-code", b"idempotency-key", b"traceparent", b"tracestate", b"accept-language",
     b"content-type", b"content-length", b"transfer-encoding", b"content-encoding", b"x-lgsp-client-ip",
     b"x-lgsp-client-cert-sha256", b"x-lgsp-client-cert"}
)  # fmt: skip
"""Everything else a consumer sends is never looked at and goes nowhere."""
_BEARER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/=-]{20,200})")
_PURPOSE = re.compile(r"[A-Za-z0-9._-]{1,40}")


@lru_cache(maxsize=4096)
def hash_of_certificate(escaped: str) -> str:
    """SHA-256 of the DER form of a percent-encoded PEM certificate; "" when it is none."""
    try:
        return x509.load_pem_x509_certificate(unquote(escaped, errors="strict").encode()).fingerprint(SHA256()).hex()
    except ValueError:
        return ""


class Exchange:
    """Reads by name from an allow-list; a name given twice is refused, because two parsers would take different ones."""

    __slots__ = ("_send", "answered", "headers", "receive", "scope")

    def __init__(self, scope: dict, receive: Callable, send: Callable) -> None:
        self.scope, self.receive, self._send = scope, receive, send
        self.headers: dict[bytes, bytes] | None = None
        self.answered = False

    @property
    def method(self) -> str:
        return self.scope["method"]

    @property
    def query(self) -> bytes:
        return self.scope["query_string"]

    @property
    def peer(self) -> str:
        """The address that connected to us; "" when it is not known."""
        client = self.scope.get("client")
        return client[0] if client else ""

    def read_headers(self) -> None:
        """Raises Refused("header_invalid")."""
        found: dict[bytes, bytes] = {}
        twice = False
        for name, value in self.scope["headers"]:
            if name in _READ:
                twice = twice or name in found
                found[name] = value
        self.headers = found
        if twice:
            raise Refused("header_invalid")

    def header(self, name: bytes) -> str:
        if self.headers is None:
            self.read_headers()
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def declares_body(self) -> bool:
        found = self.headers or {}
        return found.get(b"content-length", b"0") not in (b"", b"0") or b"transfer-encoding" in found

    @property
    def language(self) -> str:
        return language_of((self.headers or {}).get(b"accept-language", b"").decode("latin-1"))

    def token_digest(self) -> bytes:
        """The hash of the access token. Raises Refused when none is given, or none that could be one."""
        given = self.header(b"authorization")
        match = _BEARER.fullmatch(given)
        if match is None:
            raise Refused("token_invalid" if given else "credential_missing")
        return hash_token(match[1])

    def purpose(self) -> str:
        """The code of the purpose; "" when none is given. Raises Refused."""
        given = self.header(b"x-purpose-code").strip()
        if given and not _PURPOSE.fullmatch(given):
            raise Refused("header_invalid")
        return given

    def source(self, trusted_proxies: Collection[str]) -> str | None:
        """The consumer's address: the peer's, or what a trusted proxy says. None when it is no address."""
        peer = self.peer
        given = self.header(b"x-lgsp-client-ip") if peer in trusted_proxies else ""
        try:
            return str(ipaddress.ip_address(given or peer)) if given else (peer or None)
        except ValueError:
            return None

    def certificate_hash(self, trusted_proxies: Collection[str]) -> str:
        """SHA-256 of the client certificate in lower-case hex, believed from a trusted proxy only.

        A proxy passes on the hash itself, or (nginx, which knows only SHA-1) the certificate. Both at once are none.
        """
        if self.peer not in trusted_proxies:
            return ""
        given, whole = self.header(b"x-lgsp-client-cert-sha256").lower(), self.header(b"x-lgsp-client-cert")
        if given and whole:
            return ""
        return hash_of_certificate(whole) if whole else given

    def rendered(self, body: bytes, content_type: bytes, operation: str) -> tuple[bytes, bytes]:
        """The cut body of `operation` as this consumer gets it, with its type: as it is."""
        return body, content_type

    def done(self) -> None:
        """The call is over, answered or not."""

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Send the one answer. Header values are codes, checked texts and numbers: nothing with a control character."""
        self.answered = True
        cycle = self.scope.get("extensions", {}).get(MARK)
        if cycle is not None:
            if cycle.flow.write_paused and not cycle.disconnected:
                await written(cycle.transport, cycle.flow)
            if NAME and status == 200 and headers[0][0] == b"x-call-id" and is_due("answering"):
                await die_half_way(cycle.transport, status, headers, body)
            answer(cycle, status, headers, body)
            return
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


async def die_half_way(transport: asyncio.Transport, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """For a kill point: the head and half of the body leave, then the process dies."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    transport.write(b"HTTP/1.1 %d OK\r\n%bcontent-length: %d\r\n\r\n%b" % (status, lines, len(body), body[: len(body) // 2]))
    await asyncio.sleep(0.1)
    os.kill(os.getpid(), signal.SIGKILL)


BODY_SECONDS = 15.0


async def read_body(exchange: Exchange, cap: int) -> bytes:
    """The whole body. Raises Refused when it is longer than `cap`, not here in time, or when the consumer went away."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_body(exchange, cap)
    except TimeoutError:
        raise Refused("body_too_slow") from None


async def _read_body(exchange: Exchange, cap: int) -> bytes:
    declared = exchange.header(b"content-length")
    if declared.isdigit() and int(declared) > cap:
        raise Refused("body_too_large", limit=cap)
    parts, size = [], 0
    while True:
        message = await exchange.receive()
        if message["type"] != "http.request":
            raise Refused("body_invalid")
        part = message.get("body", b"")
        size += len(part)
        if size > cap:
            raise Refused("body_too_large", limit=cap)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
