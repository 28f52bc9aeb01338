"""Calls to providers: a small pool of our own on asyncio.Protocol and httptools.

It promises: the address that was judged is the address connected to; no redirects, no proxies of the environment, no
decompression; caps on headers and body; one deadline over everything (name, connect, TLS, send, read); a connection that
said anything unexpected is never used again; only safe methods are sent a second time, and only when a kept connection
turned out to be closed before the first byte of an answer.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable
from functools import lru_cache

from django.conf import settings

from apps.core import egress, upstream_auth
from apps.gateway.endpoints import LONGEST_SECONDS, Endpoint, open_endpoint
from apps.gateway.policy_kinds import Upstream
from apps.gateway.provider_connections import Answer, Deadlines, Pool, ProviderFailed, Stale

TOKEN_BYTES = 65_536


class Upstreams:
    """All providers of this process."""

    def __init__(self) -> None:
        self._pools: dict[tuple[str, str, int], Pool] = {}
        self._deadlines = Deadlines()
        self._tokens = upstream_auth.TokenStore()
        self._asking: dict[tuple[str, str], asyncio.Future] = {}
        self._endpoints: dict[int, Endpoint] = {}

    def endpoint(self, row: Upstream) -> Endpoint:
        """The endpoint of an upstream row. Raises ProviderFailed when its address or credential cannot be used."""
        found = self._endpoints.get(row.id)
        if found is None or found.row is not row:
            if found is not None and found.row == row:
                found.row = row
            else:
                found = self._endpoints[row.id] = open_endpoint(row, self._pool)
        return found

    def known(self) -> list[Endpoint]:
        """The endpoints that were called since the process began."""
        return list(self._endpoints.values())

    async def call(
        self, endpoint: Endpoint, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> Answer:
        """Send one call within the endpoint's deadline. `path` is canonical, with its query. Raises ProviderFailed."""
        if endpoint.auth.needs_token:
            ends = time.monotonic() + endpoint.timeout
            return await _within(ends, self._call_with_token(endpoint, method, path, headers, body, ends))
        own = endpoint.own_headers()
        return await self.send(endpoint, method, head_of(method, endpoint, path, [*headers, *own], body) + body)

    async def send(self, endpoint: Endpoint, method: str, request: bytes) -> Answer:
        """Send a whole request, made with `head_of`, within the endpoint's deadline. Raises ProviderFailed."""
        pool, cap, now = endpoint.pool, endpoint.row.max_response_bytes, time.monotonic()
        ends = now + endpoint.timeout
        connection = pool.take(now)
        if connection is not None:
            # The common case, without a timeout's machinery: the connection has its deadline.
            try:
                return await connection.send(request, cap, ends)
            except Stale:
                if method not in ("GET", "HEAD"):
                    raise ProviderFailed("provider_protocol_error") from None
            finally:
                pool.give_back(connection)
        # One deadline, also for the second try.
        return await _within(ends, _send_anew(pool, request, cap, ends))

    async def _call_with_token(self, endpoint: Endpoint, method: str, path: str, headers, body: bytes, ends: float) -> Answer:
        token = await self._token(endpoint.auth)
        for _attempt in range(2):
            request = head_of(method, endpoint, path, [*headers, *token.headers.items()], body) + body
            answer = await _send(endpoint.pool, method, request, endpoint.row.max_response_bytes, ends)
            if answer.status != 401:
                break
            # The provider forgot our token: one new token, one more try; a 401 means the call was not carried out.
            self._tokens.drop(endpoint.auth, token)
            token = await self._token(endpoint.auth)
        return answer

    def _pool(self, target: egress.Target) -> Pool:
        key = target.scheme, target.host, target.port
        found = self._pools.get(key)
        if found is None:
            found = self._pools[key] = Pool(egress.Target(*key, "/"), self._deadlines)
        return found

    async def _token(self, auth: upstream_auth.UpstreamAuth) -> upstream_auth.Token:
        """The provider's token for us; callers that need it at the same instant share one request."""
        if (token := self._tokens.get(auth)) is not None:
            return token
        asking = self._asking.get(auth.cache_key)
        if asking is None:
            asking = self._asking[auth.cache_key] = asyncio.ensure_future(self._ask_for_token(auth))
            asking.add_done_callback(lambda _task: self._asking.pop(auth.cache_key, None))
        # One impatient caller must not cancel the request the others wait for.
        return await asyncio.shield(asking)

    async def _ask_for_token(self, auth: upstream_auth.UpstreamAuth) -> upstream_auth.Token:
        ask = upstream_auth.token_request(auth)
        try:
            target = egress.parse(ask.url)
        except egress.EgressRefused:
            raise ProviderFailed("provider_address_refused", contacted=False) from None
        request = _head("POST", target.path, target.netloc, list(ask.headers.items()), ask.body) + ask.body
        ends = time.monotonic() + LONGEST_SECONDS / 2
        try:
            answer = await _within(ends, _send(self._pool(target), "POST", request, TOKEN_BYTES, ends))
            return self._tokens.put(auth, upstream_auth.read_token(answer.status, answer.body, self._tokens.clock()))
        except upstream_auth.UpstreamAuthRefused:
            raise ProviderFailed("provider_auth_failed", contacted=False) from None
        except upstream_auth.UpstreamAuthUnreadable:
            raise ProviderFailed("provider_unreachable", contacted=False) from None
        except ProviderFailed as error:
            raise ProviderFailed(error.code, contacted=False) from None

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


async def _send(pool: Pool, method: str, request: bytes, cap: int, ends: float) -> Answer:
    """On a kept connection, or a new one. Only a safe request is sent a second time."""
    connection = pool.take(time.monotonic())
    if connection is not None:
        try:
            return await connection.send(request, cap, ends)
        except Stale:
            if method not in ("GET", "HEAD"):
                raise ProviderFailed("provider_protocol_error") from None
        finally:
            pool.give_back(connection)
    return await _send_anew(pool, request, cap, ends)


async def _send_anew(pool: Pool, request: bytes, cap: int, ends: float) -> Answer:
    """On a connection of its own."""
    connection = await pool.connect(_tls() if pool.target.scheme == "https" else None)
    try:
        return await connection.send(request, cap, ends)
    finally:
        pool.give_back(connection)


async def _within(ends: float, work: Awaitable[Answer]) -> Answer:
    """The answer of `work`, or ProviderFailed when it is not there at `ends` (of the monotonic clock)."""
    try:
        async with asyncio.timeout(ends - time.monotonic()):
            return await work
    except TimeoutError:
        raise ProviderFailed("provider_timeout") from None


def head_of(method: str, endpoint: Endpoint, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> bytes:
    """The head of a request to `endpoint`, ended by its blank line. Raises ProviderFailed."""
    return _head(method, endpoint.prefix + path, endpoint.base.netloc, headers, body)


def _head(method: str, path: str, host: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    lines = [f"{method} {path or '/'} HTTP/1.1", f"Host: {host}", "Accept-Encoding: identity", "User-Agent: lgsp-gateway"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method not in ("GET", "HEAD", "DELETE"):
        lines.append(f"Content-Length: {len(body)}")
    text = "\r\n".join(lines) + "\r\n\r\n"
    # Values are codes, canonical texts and checked secrets; a line break inside one would be a header of its own.
    if text.count("\n") != len(lines) + 1 or text.count("\r") != len(lines) + 1:
        raise ProviderFailed("provider_protocol_error", contacted=False)
    return text.encode("latin-1")


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.OUTBOUND_CA_FILE or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
