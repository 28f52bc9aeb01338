"""Connections to providers: a small pool of our own on asyncio.Protocol and httptools.

It promises: the address that was judged is the address connected to; no decompression; caps on headers and body; a
connection that said anything unexpected is never used again. llhttp alone says where an answer ends, at least the first time its
head is seen (`answer_heads`); the few headers that anybody here looks at are read from the head's bytes once it said that the
head is well-formed.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections import deque

import httptools

from apps.core import egress
from apps.gateway import descriptors
from apps.gateway.answer_heads import Head, Heads
from apps.gateway.breaker import COUNTED_CODES
from apps.gateway.kill_points import reached

HEADER_BYTES = 32 * 1024
KEEP_SECONDS = 55.0
TICK_SECONDS = 0.05
"""So late at most a call's deadline is seen."""

_READ = {
    spelling.encode(): name
    for name in ("content-type", "content-length", "transfer-encoding", "content-encoding", "cache-control", "expires",
                 "last-modified", "content-language")
    for spelling in (name, name.title())
} | dict.fromkeys((b"Connection", b"ETag", b"Etag", b"Trailer"), "")  # fmt: skip
"""The headers of an answer that anybody here looks at; usual ones nobody does are known as such ("")."""
_LINES = re.compile(rb"\n([CcTtEeLl][A-Za-z-]+):[ \t]*([^\r]*)")
"""Lines that may be one of them."""


class ProviderFailed(Exception):
    """The provider gave nothing usable. `code` is a row of `refusals.FAILURES`; `contacted` is False when no byte was sent,
    `silent` is True when nobody answered a word."""

    def __init__(self, code: str, *, contacted: bool = True, silent: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.contacted = contacted
        self.silent = silent or code in COUNTED_CODES


class Stale(Exception):
    """A kept connection was closed by the provider before it answered anything."""


class Answer:
    """A provider's whole answer."""

    __slots__ = ("body", "head", "status")

    def __init__(self, head: Head, body: bytes) -> None:
        self.head, self.status, self.body = head, head.status, body


class Connection(asyncio.Protocol):
    """One connection, one call at a time."""

    __slots__ = ("begins", "body", "cap", "closed", "deadlines", "future", "head", "headers", "idle_since", "informational", "keep",
                 "loop", "parser", "poisoned", "pool", "reused", "size", "started", "status", "transport", "unread", "whole")  # fmt: skip

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self.future: asyncio.Future | None = None
        self.closed = self.poisoned = self.reused = False
        self.idle_since = 0.0
        self.cap = 0
        self.parser = httptools.HttpResponseParser(self)
        self._begin()

    def _begin(self) -> None:
        self.started = self.keep = False
        self.status = self.size = self.informational = self.begins = self.unread = 0
        self.head = self.whole = b""
        self.headers: list[tuple[str, str]] = []
        self.body: list[bytes] = []

    def send(self, request: bytes, cap: int, ends: float) -> asyncio.Future:
        """Send a whole request; then the connection is given back to its pool, whatever comes of it.

        The future gives an Answer, or raises ProviderFailed (from `ends` on, of the monotonic clock) or Stale.
        """
        self.cap = cap
        self.future = future = self.loop.create_future()
        self.pool.deadlines.watch(self, ends)
        self.transport.write(request)
        return future

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
            if (known := self.pool.heads.find(data, self.cap)) is not None:
                self.keep = True
                self.future.set_result(Answer(*known))
                return
            self.whole = data
        in_body, size = bool(self.status), self.size
        if not in_body:
            self.head = self.head + data if self.head else data
            if len(self.head) > HEADER_BYTES and self._is_head_too_long():
                self._fail("provider_protocol_error")
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(_code_of(error.__context__))
        except httptools.HttpParserUpgrade:
            self._fail("provider_protocol_error")
        if in_body and self.size == size:
            # Of a trailer or a chunk's extension: the parser keeps what is not complete.
            self.unread += len(data)
            if self.unread > HEADER_BYTES:
                self._fail("provider_protocol_error")

    def _is_head_too_long(self) -> bool:
        """Whether the head alone, without the body's first bytes, is over the cap."""
        return self.head.find(b"\r\n\r\n", self.begins, HEADER_BYTES) < 0

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self.pool.forget(self)
        future = self.future
        if future is None or future.done():
            return
        if isinstance(error, MemoryError):
            future.set_exception(ProviderFailed(_code_of(error)))
        elif not self.started:
            future.set_exception(Stale() if self.reused else ProviderFailed("provider_protocol_error", silent=True))
        elif self._ends_with_connection() and error is None:
            self._finish()
        else:
            future.set_exception(ProviderFailed("provider_protocol_error"))

    def _ends_with_connection(self) -> bool:
        """An HTTP/1.0 style answer: no length, no chunks; its end is the end of the connection."""
        names = {name for name, _value in self.headers}
        return bool(self.status) and not names & {"content-length", "transfer-encoding"}

    # --- parser
    def on_message_begin(self) -> None:
        if self.future.done():
            self.poisoned = True  # the beginning of an answer nobody asked for: the parser would put it before the next one

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if not 100 <= status <= 599:
            raise ProviderFailed(
                "provider_protocol_error"
            )  # no status of HTTP (RFC 9110 section 15): nobody knows what it means
        if 100 <= status < 200:
            self.informational += 1
            if status == 101 or self.informational > 4:
                raise ProviderFailed("provider_protocol_error")
            return
        self.status = status
        self._read_head()
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

    def _read_head(self) -> None:
        """The headers that matter. Lines end in CR LF and names in a colon: llhttp (strict) took no other head."""
        head, self.head, found = self.head, b"", self.headers
        end = head.find(b"\r\n\r\n", self.begins)
        if end < 0:
            raise ProviderFailed("provider_protocol_error")
        for name, value in _LINES.findall(head, self.begins, end):
            known = _READ.get(name)
            if known is None:
                known = _READ.get(name.lower())
            if known:
                found.append((known, value.rstrip(b" \t").decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self.cap:
            raise ProviderFailed("provider_too_large")
        self.body.append(data)

    def on_message_complete(self) -> None:
        if not self.status:
            self.begins = self.head.find(b"\r\n\r\n", self.begins) + 4  # only a word in between (1xx)
            return
        # Asked now: after this callback the parser has forgotten what the message said.
        self.keep = self.parser.should_keep_alive()
        self._finish()

    def _finish(self) -> None:
        if self.future.done():
            self.poisoned = True
            return
        body = self.body[0] if len(self.body) == 1 else b"".join(self.body)
        head = Head(self.status, self.headers)
        if self.keep and not self.informational:  # else the first head that came was not this one's (1xx)
            self.pool.heads.remember(self.whole, head, self.size)
        self.future.set_result(Answer(head, body))

    def _fail(self, code: str) -> None:
        if self.future is not None and not self.future.done():
            self.future.set_exception(ProviderFailed(code))
        self.close()

    def expire(self) -> None:
        """The deadline passed, whatever the provider is doing."""
        self._fail("provider_timeout")

    # --- reuse
    def rest(self, now: float) -> None:
        self.future = None
        self.reused, self.idle_since = True, now
        if self.status:
            self._begin()
        else:
            self.started = self.keep = False  # an answer with a known head left nothing else behind

    def close(self) -> None:
        self.closed = True
        if self.transport is not None:
            self.transport.abort()


def _code_of(error: BaseException | None) -> str:
    """Of what went wrong while an answer was read: our own want of memory is not the provider's fault."""
    if isinstance(error, MemoryError):
        return "gateway_exhausted"
    return error.code if isinstance(error, ProviderFailed) else "provider_protocol_error"


def _heard(looking: asyncio.Future) -> None:
    """An error that nobody waits for any more is no news."""
    if not looking.cancelled():
        looking.exception()


class Deadlines:
    """The deadlines of all calls on their way, looked at together: a timer of its own for each call costs more than the look."""

    def __init__(self) -> None:
        self._ends: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: Connection, ends: float) -> None:
        self._ends[connection] = ends
        if self._timer is None:
            self._timer = connection.loop.call_later(TICK_SECONDS, self._look, connection.loop)

    def release(self, connection: Connection) -> None:
        self._ends.pop(connection, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        late = [connection for connection, ends in self._ends.items() if ends <= now]
        for connection in late:
            del self._ends[connection]
            connection.expire()
        self._timer = loop.call_later(TICK_SECONDS, self._look, loop) if self._ends else None


class Pool:
    """Kept connections to one (scheme, host, port)."""

    def __init__(self, target: egress.Target, deadlines: Deadlines) -> None:
        self.target, self.deadlines = target, deadlines
        self.heads = Heads()
        self._idle: deque[Connection] = deque()
        self._looking: asyncio.Future | None = None
        self.open = 0

    def take(self, now: float) -> Connection | None:
        """The most recently used connection that still looks alive. `now` is of the monotonic clock."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since > now - KEEP_SECONDS and not connection.transport.is_closing():
                return connection
            connection.close()
        return None

    async def connect(self, ssl_context: ssl.SSLContext | None) -> Connection:
        """A new connection to an address that was judged this instant. Raises ProviderFailed (nothing was sent)."""
        loop = asyncio.get_running_loop()
        try:
            checked = await self._looked_up()
        except egress.EgressRefused as refused:
            code = "provider_unreachable" if refused.reason == "unresolved" else "provider_address_refused"
            if refused.reason == "unresolved" and descriptors.none_left():
                code = "gateway_exhausted"
            raise ProviderFailed(code, contacted=False) from None
        tls = {"ssl": ssl_context, "server_hostname": self.target.host} if self.target.scheme == "https" else {}
        try:
            _transport, connection = await loop.create_connection(lambda: Connection(self), checked.ip, self.target.port, **tls)
        except ssl.SSLError:
            raise ProviderFailed("provider_tls_failed", contacted=False) from None
        except OSError as error:
            code = "gateway_exhausted" if descriptors.is_ours(error) else "provider_unreachable"
            raise ProviderFailed(code, contacted=False) from None
        self.open += 1
        return connection

    async def _looked_up(self) -> egress.Checked:
        """The address, judged as it is answered. Callers at the same instant share one look-up: it holds one of the few threads that
        look up everybody's names, also when its callers have given up, so a name nobody answers for must not take them all."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(egress.resolve_async(self.target))
            self._looking.add_done_callback(_heard)
        return await asyncio.shield(self._looking)

    def give_back(self, connection: Connection) -> None:
        """After a call, however it ended. What was not answered whole, or said more than was asked, is not used again."""
        self.deadlines.release(connection)
        if connection.keep and not connection.closed and not connection.poisoned:
            connection.rest(time.monotonic())
            self._idle.append(connection)
        else:
            connection.close()

    def forget(self, connection: Connection) -> None:
        self.open -= 1

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
