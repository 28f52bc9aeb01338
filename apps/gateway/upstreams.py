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
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache

import httptools
import orjson
from django.conf import settings

from apps.core import egress, upstream_auth
from apps.core.errors import DomainError
from apps.core.fields import decrypt
from apps.gateway.breaker import COUNTED_CODES, Breaker
from apps.gateway.kill_points import reached
from apps.gateway.policy import Upstream

HEADER_BYTES = 32 * 1024
KEEP_SECONDS = 55.0
TOKEN_BYTES = 65_536
LONGEST_SECONDS = 25.0
"""No call to a provider takes longer, whatever the registry says: the sweeper and the drain of 30 s rely on it."""


_READ = {
    spelling.encode(): name
    for name in ("content-type", "content-length", "transfer-encoding", "content-encoding", "cache-control", "expires",
                 "last-modified", "content-language", "retry-after")
    for spelling in (name, name.title())
} | dict.fromkeys((b"Server", b"Date", b"Connection", b"ETag", b"Vary", b"Keep-Alive", b"Accept-Ranges", b"X-Request-Id"), "")  # fmt: skip
"""The headers of an answer that anybody here looks at; the usual ones nobody does are known as such ("")."""


class ProviderFailed(Exception):
    """The provider gave nothing usable. `code` is a row of `refusals.FAILURES`; `contacted` is False when no byte was sent,
    `silent` is True when nobody answered a word."""

    def __init__(self, code: str, *, contacted: bool = True, silent: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.contacted = contacted
        self.silent = silent or code in COUNTED_CODES


class _Stale(Exception):
    """A kept connection was closed by the provider before it answered anything."""


@dataclass(slots=True)
class Answer:
    """A provider's whole answer. Header names are lower case; of a repeated header the values are in order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


class _Connection(asyncio.Protocol):
    """One connection, one call at a time."""

    __slots__ = ("body", "cap", "closed", "future", "header_bytes", "headers", "idle_since", "informational", "keep", "parser", "poisoned",
                 "pool", "reused", "size", "started", "status", "transport")  # fmt: skip

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.transport: asyncio.Transport | None = None
        self.future: asyncio.Future | None = None
        self.closed = self.poisoned = self.reused = False
        self.idle_since = 0.0
        self.cap = 0
        self.parser = httptools.HttpResponseParser(self)
        self._begin()

    def _begin(self) -> None:
        self.started = self.keep = False
        self.status = self.size = self.header_bytes = self.informational = 0
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []

    def send(self, head: bytes, body: bytes, cap: int) -> asyncio.Future:
        self.cap = cap
        self.future = asyncio.get_running_loop().create_future()
        self.transport.write(head + body if body else head)
        return self.future

    # --- transport
    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.future is None or self.future.done():
            # Bytes nobody asked for: the next answer on this connection could not be trusted.
            self.close()
            return
        if not self.started:
            reached("sent")
            self.started = True
        in_body, size = bool(self.status), self.size
        if not in_body:
            self.header_bytes += len(data)
            if self.header_bytes > HEADER_BYTES and self._head_too_long(data):
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(getattr(error.__context__, "code", "") or "provider_protocol_error")
        except httptools.HttpParserUpgrade:
            self._fail("provider_protocol_error")
        if in_body and self.size == size:
            # Of a trailer or a chunk's extension: the parser keeps what is not complete.
            self.header_bytes += len(data)
            if self.header_bytes > HEADER_BYTES:
                self._fail("provider_protocol_error")

    def _head_too_long(self, data: bytes) -> bool:
        """True (and the connection is given up) when the head alone, without the body's first bytes, is over the cap."""
        end = data.find(b"\r\n\r\n")
        if self.header_bytes - (len(data) - end if end >= 0 else 0) <= HEADER_BYTES:
            return False
        self._fail("provider_protocol_error")
        return True

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self.pool.forget(self)
        future = self.future
        if future is None or future.done():
            return
        if not self.started:
            future.set_exception(_Stale() if self.reused else ProviderFailed("provider_protocol_error", silent=True))
        elif self._ends_with_connection() and error is None:
            self._finish()
        else:
            future.set_exception(ProviderFailed("provider_protocol_error"))

    def _ends_with_connection(self) -> bool:
        """An HTTP/1.0 style answer: no length, no chunks; its end is the end of the connection."""
        names = {name for name, _value in self.headers}
        return bool(self.status) and not names & {"content-length", "transfer-encoding"}

    # --- parser
    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return
        known = _READ.get(name)
        if known is None:
            known = _READ.get(name.lower())
        if known:
            self.headers.append((known, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self.status = self.parser.get_status_code()
        if 100 <= self.status < 200:
            self.informational += 1
            if self.status == 101 or self.informational > 4:
                raise ProviderFailed("provider_protocol_error")
            return
        length, framings = "", 0
        for name, value in self.headers:
            if name == "content-length":
                length, framings = value, framings + 1
            elif name == "transfer-encoding":
                framings += 1
        if framings > 1 and length:
            raise ProviderFailed("provider_protocol_error")
        if length.isdigit() and int(length) > self.cap:
            raise ProviderFailed("provider_too_large")

    def on_body(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.cap:
            raise ProviderFailed("provider_too_large")
        self.body.append(data)

    def on_message_complete(self) -> None:
        if self.status < 200:
            self.status, self.headers = 0, []
            return
        # Asked now: after this callback the parser has forgotten what the message said.
        self.keep = self.parser.should_keep_alive()
        self._finish()

    def _finish(self) -> None:
        if self.future.done():
            self.poisoned = True
            return
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        self.future.set_result(Answer(self.status, self.headers, body))

    def _fail(self, code: str) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_exception(ProviderFailed(code))
        self.close()

    def expire(self) -> None:
        """The deadline passed, whatever the provider is doing."""
        self._fail("provider_timeout")

    # --- reuse
    def may_be_kept(self) -> bool:
        return self.keep and not self.closed and not self.poisoned

    def rest(self, now: float) -> None:
        self.future = None
        self.reused, self.idle_since = True, now
        self._begin()

    def close(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.abort()


class Pool:
    """Kept connections to one (scheme, host, port)."""

    def __init__(self, target: egress.Target) -> None:
        self.target = target
        self._idle: deque[_Connection] = deque()
        self.open = 0

    def take(self) -> _Connection | None:
        """The most recently used connection that still looks alive."""
        oldest = asyncio.get_running_loop().time() - KEEP_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since > oldest and not connection.transport.is_closing():
                return connection
            connection.close()
        return None

    async def connect(self, ssl_context: ssl.SSLContext | None) -> _Connection:
        """A new connection to an address that was judged this instant. Raises ProviderFailed (nothing was sent)."""
        loop = asyncio.get_running_loop()
        try:
            checked = await egress.resolve_async(self.target)
        except egress.EgressRefused as refused:
            code = "provider_unreachable" if refused.reason == "unresolved" else "provider_address_refused"
            raise ProviderFailed(code, contacted=False) from None
        tls = {"ssl": ssl_context, "server_hostname": self.target.host} if self.target.scheme == "https" else {}
        try:
            _transport, connection = await loop.create_connection(
                lambda: _Connection(self), checked.ip, self.target.port, **tls
            )
        except ssl.SSLError:
            raise ProviderFailed("provider_tls_failed", contacted=False) from None
        except OSError:
            raise ProviderFailed("provider_unreachable", contacted=False) from None
        self.open += 1
        return connection

    def give_back(self, connection: _Connection) -> None:
        if connection.may_be_kept():
            connection.rest(asyncio.get_running_loop().time())
            self._idle.append(connection)
        else:
            connection.close()

    def forget(self, connection: _Connection) -> None:
        self.open -= 1

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


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
    host: str = ""
    running: int = 0
    breaker: Breaker = field(default_factory=Breaker)

    def own_headers(self) -> list[tuple[str, str]]:
        """What the platform shows the provider with this call, where no token is needed."""
        varying = self.auth.call_headers(time.time())
        return [*self.static, *varying.items()] if varying else self.static


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


class Upstreams:
    """All providers of this process."""

    def __init__(self) -> None:
        self._pools: dict[tuple[str, str, int], Pool] = {}
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
                found = self._endpoints[row.id] = self._open(row)
        return found

    def known(self) -> list[Endpoint]:
        """The endpoints that were called since the process began."""
        return list(self._endpoints.values())

    @staticmethod
    def _open(row: Upstream) -> Endpoint:
        try:
            base = egress.parse(row.base_url)
        except egress.EgressRefused:
            raise ProviderFailed("provider_address_refused", contacted=False) from None
        try:
            auth = auth_of(row)
        except (DomainError, ValueError):
            raise ProviderFailed("provider_auth_failed", contacted=False) from None
        prefix = "" if base.path == "/" else base.path.rstrip("/")
        return Endpoint(row, base, prefix, auth, min(row.timeout_ms / 1000, LONGEST_SECONDS), list(auth.static_headers().items()),
                        base.netloc)  # fmt: skip

    async def call(
        self, endpoint: Endpoint, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b""
    ) -> Answer:
        """Send one call within the endpoint's deadline. `path` is canonical, with its query. Raises ProviderFailed."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + endpoint.timeout
        if not endpoint.auth.needs_token:
            # The common case, without a timeout's machinery: a kept connection that gets a timer of its own.
            pool = self._pool(endpoint.base)
            connection = pool.take()
            if connection is not None:
                head = _head(method, endpoint.prefix + path, endpoint.host, headers + endpoint.own_headers(), body)
                timer = loop.call_at(ends, connection.expire)
                try:
                    return await self._exchange(pool, connection, head, body, endpoint.row.max_response_bytes)
                except _Stale:
                    if method not in ("GET", "HEAD"):
                        raise ProviderFailed("provider_protocol_error") from None
                finally:
                    timer.cancel()
        try:
            async with asyncio.timeout_at(ends):  # one deadline, also for the second try
                return await self._call(endpoint, method, path, headers, body)
        except TimeoutError:
            raise ProviderFailed("provider_timeout") from None

    async def _call(self, endpoint: Endpoint, method: str, path: str, headers, body: bytes) -> Answer:
        token = await self._token(endpoint.auth) if endpoint.auth.needs_token else None
        for _attempt in range(2):
            own = list(token.headers.items()) if token is not None else endpoint.own_headers()
            head = _head(method, endpoint.prefix + path, endpoint.host, headers + own, body)
            answer = await self._send(endpoint.base, method, head, body, endpoint.row.max_response_bytes)
            if answer.status != 401 or token is None:
                break
            # The provider forgot our token: one new token, one more try; a 401 means the call was not carried out.
            self._tokens.drop(endpoint.auth, token)
            token = await self._token(endpoint.auth)
        return answer

    async def _send(self, target: egress.Target, method: str, head: bytes, body: bytes, cap: int) -> Answer:
        pool = self._pool(target)
        connection = pool.take()
        if connection is not None:
            try:
                return await self._exchange(pool, connection, head, body, cap)
            except _Stale:
                if method not in ("GET", "HEAD"):
                    raise ProviderFailed("provider_protocol_error") from None
        connection = await pool.connect(_tls() if target.scheme == "https" else None)
        return await self._exchange(pool, connection, head, body, cap)

    @staticmethod
    async def _exchange(pool: Pool, connection: _Connection, head: bytes, body: bytes, cap: int) -> Answer:
        try:
            answer = await connection.send(head, body, cap)
        except BaseException:
            connection.close()
            raise
        pool.give_back(connection)
        return answer

    def _pool(self, target: egress.Target) -> Pool:
        key = target.scheme, target.host, target.port
        found = self._pools.get(key)
        if found is None:
            found = self._pools[key] = Pool(egress.Target(*key, "/"))
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
        head = _head("POST", target.path, target.netloc, list(ask.headers.items()), ask.body)
        try:
            async with asyncio.timeout(LONGEST_SECONDS / 2):
                answer = await self._send(target, "POST", head, ask.body, TOKEN_BYTES)
            return self._tokens.put(auth, upstream_auth.read_token(answer.status, answer.body, self._tokens.clock()))
        except TimeoutError:
            raise ProviderFailed("provider_timeout", contacted=False) from None
        except upstream_auth.UpstreamAuthRefused:
            raise ProviderFailed("provider_auth_failed", contacted=False) from None
        except upstream_auth.UpstreamAuthUnreadable:
            raise ProviderFailed("provider_unreachable", contacted=False) from None
        except ProviderFailed as error:
            raise ProviderFailed(error.code, contacted=False) from None

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


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
