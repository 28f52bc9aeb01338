"""An upstream made ready to be called: its address taken apart, its credential opened."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from apps.core import egress, upstream_auth
from apps.core.errors import DomainError
from apps.core.fields import decrypt
from apps.gateway.breaker import Breaker
from apps.gateway.policy_kinds import Upstream
from apps.gateway.provider_connections import Pool, ProviderFailed

LONGEST_SECONDS = 25.0
"""No call to a provider takes longer, whatever the registry says: the sweeper and the drain rely on it."""


@dataclass
class Endpoint:
    """An upstream made ready to be called: its address taken apart, its credential opened. Made once an Upstream row.

    One for each service version and environment, also where several share a host: what one of them takes (`running`) or
    breaks (`breaker`) is not the others'.
    """

    row: Upstream
    base: egress.Target
    prefix: str
    auth: upstream_auth.UpstreamAuth = field(repr=False)
    timeout: float
    static: list[tuple[str, str]] = field(repr=False)
    pool: Pool = field(repr=False)
    running: int = 0
    breaker: Breaker = field(default_factory=Breaker)

    @property
    def is_steady(self) -> bool:
        """Whether what the platform shows the provider is the same with every call."""
        return not self.auth.needs_token and not self.auth.call_headers(0.0)

    def own_headers(self) -> list[tuple[str, str]]:
        """What the platform shows the provider with this call, where no token is needed."""
        varying = self.auth.call_headers(time.time())
        return [*self.static, *varying.items()] if varying else self.static


def open_endpoint(row: Upstream, pool_of: Callable[[egress.Target], Pool]) -> Endpoint:
    """Raises ProviderFailed when the address or credential cannot be used."""
    try:
        base = egress.parse(row.base_url)
    except egress.EgressRefused:
        raise ProviderFailed("provider_address_refused", contacted=False) from None
    try:
        auth = auth_of(row)
    except (DomainError, ValueError):
        raise ProviderFailed("provider_auth_failed", contacted=False) from None
    prefix = "" if base.path == "/" else base.path.rstrip("/")
    timeout = min(row.timeout_ms / 1000, LONGEST_SECONDS)
    return Endpoint(row, base, prefix, auth, timeout, list(auth.static_headers().items()), pool_of(base))


def auth_of(row: Upstream) -> upstream_auth.UpstreamAuth:
    """The authentication of an upstream: what is not secret from its settings, the secret from the encrypted column.

    The column holds either a JSON object or the bare secret (password, token, consumer secret). Raises DomainError.
    """
    public = orjson.loads(row.auth_settings or "{}")
    secret = decrypt(row.secret) if row.secret else ""
    given = _json_object(secret)
    if given is None:
        bare = {"basic": "password", "bearer": "token", "ngsp": "consumer_secret"}.get(row.auth_kind)
        given = {bare: secret} if bare and secret else {}
    if row.auth_kind == "headers" and "headers" not in given:
        given = {"headers": given}
    merged = {**{key: value for key, value in public.items() if key != "token_url"}, **given}
    return upstream_auth.read_auth(row.auth_kind, orjson.dumps(merged).decode(), str(public.get("token_url", "")))


def _json_object(text: str) -> dict | None:
    try:
        content = orjson.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
