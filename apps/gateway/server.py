"""uvicorn's HTTP/1.1 protocol, made strict: what a proxy in front and we could read differently is refused before any app.

Parsing stays httptools' (llhttp in its strict mode). Added here: only origin-form targets without a fragment; HTTP/1.0 and
1.1 only; exactly one Host (RFC 9112); caps on the head, counted as it comes in, because the parser keeps an unfinished header
whole; the same cap on what is neither head nor body (chunk extensions, trailers); a head must be complete in time; what comes
after a body is never a header; no upgrade; a refused request that had a body is the last of its connection.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES = 32 * 1024
HEAD_LINES = 100
_FRAMING = {
    name: name.replace(b"_", b"-")
    for name in (b"host", b"content-length", b"transfer-encoding", b"content_length", b"transfer_encoding")
}
"""Headers that say where a message ends; spelled with an underscore they are refused, since some proxies read the two as one."""
HEAD_SECONDS = 15.0
"""From the connect, or from the end of the last answer's keep-alive, to the end of a head (slow-loris)."""
LINGER_SECONDS, LINGER_BYTES = 5.0, 32 * 1024 * 1024
"""How long, and how much of, the rest of a request is read and dropped after an answer that came before its end. A socket that is
closed over bytes nobody read is reset, and a reset takes the answer with it: the sender, or the proxy it came through, sees a
broken connection and tries again what will never be taken (RFC 9112, 9.6)."""
MARK = "lgsp.strict"
"""In the scope of every request that came this way; the application serves no others."""
SWEEP_SECONDS = 5.0
"""So often all connections are looked at for those that have been idle for too long."""
STALLED_SECONDS = 30.0
"""Of an answer that waits to be read, something must have left in this time; who reads nothing keeps neither a place nor the bytes."""


class _Refused(Exception):
    """Raised inside a parser callback; uvicorn answers 400 and closes."""


class StrictProtocol(HttpToolsProtocol):
    draining = False
    """Set on the class when the process begins to stop: each further answer closes its connection."""

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._head_bytes = self._unread = 0
        self._in_head = True
        self._progress = False
        self._in_message = self._lingers = False
        self.idle_since: float | None = None
        self.left: tuple[int, float] = (0, 0.0)
        """How many bytes waited to be read when it was last looked at and fewer than before, and when that was."""
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)
        _Sweep.of(self)

    def is_between_messages(self) -> bool:
        """Whether nothing is on its way on this connection, in either direction, and more may be taken."""
        cycle = self.cycle
        if self.draining or self._in_message or self.flow.write_paused or self.pipeline or not self.client:
            return False
        return cycle is None or (cycle.response_complete and cycle.keep_alive)

    def connection_lost(self, exc) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def message_begins(self) -> None:
        self.idle_since = None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.message_begins()
        self._head_bytes = 0
        self._in_head = self._in_message = self._progress = True

    def on_body(self, body: bytes) -> None:
        self._progress = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """uvicorn's, but for the timer: a sweep over all connections ends those that stay idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing() or self._lingers:
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.idle_since = self.loop.time()

    def linger(self) -> None:
        """Nothing more is said on this connection; what still comes is read for a while, by nobody."""
        self._lingers, self._unread = True, 0
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._lingers:
            self._unread += len(data)
            if self._unread > LINGER_BYTES:
                self.transport.abort()
            return
        self._progress = False
        super().data_received(data)
        # Bytes that came to nothing yet: of a header that goes on, a chunk's extension, a trailer. The parser keeps them.
        self._unread = 0 if self._progress else self._unread + len(data)
        if self._unread > HEAD_BYTES and not self.transport.is_closing():
            if self._in_head:
                self.send_400_response("Head too long.")
            else:
                self.transport.abort()
            return
        if self._in_head and self._timer.cancelled() and self.parser is not None:
            # A head that did not come in one piece, were it only its first letter: its time runs from here.
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._head_bytes += len(url)
        if self._head_bytes > HEAD_BYTES:
            raise _Refused

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: not part of what was authenticated and decided
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > HEAD_BYTES or len(self.headers) >= HEAD_LINES:
            raise _Refused
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._in_head, self._progress = False, True
        self._timer.cancel()
        target = self.url
        if not target.startswith(b"/") or b"#" in target or self.parser.get_http_version() not in ("1.1", "1.0"):
            raise _Refused
        hosts = encodings = lengths = 0
        for name, value in self.headers:
            if (framing := _FRAMING.get(name)) is None:
                continue
            if framing != name:
                raise _Refused
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                lengths += 1
                if not value.isdigit() or len(value) > 12:
                    raise _Refused
            else:
                encodings += 1
                if value.lower() != b"chunked":
                    raise _Refused
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            raise _Refused
        if lengths > 1 or encodings > 1 or (lengths and encodings):
            raise _Refused
        if self.parser.should_upgrade():
            raise _Refused
        extensions = self.scope["extensions"] = {MARK: None}
        super().on_headers_complete()
        # The task that will read it has been made but has not run yet.
        extensions[MARK] = self.cycle
        if self.draining:
            self.cycle.keep_alive = False

    def _should_upgrade(self) -> bool:
        return False


class _Sweep:
    """Ends the connections of a server that have been idle for longer than it keeps them. One timer for all of them."""

    def __init__(self, state, loop, keep_seconds: float) -> None:
        self._state, self._loop, self._keep_seconds = state, loop, keep_seconds
        self._again()

    @classmethod
    def of(cls, protocol: StrictProtocol) -> None:
        state = protocol.server_state
        if getattr(state, "lgsp_sweep", None) is None:
            state.lgsp_sweep = cls(state, protocol.loop, protocol.timeout_keep_alive)

    def _again(self) -> None:
        self._loop.call_later(min(SWEEP_SECONDS, self._keep_seconds / 4), self._look)

    def _look(self) -> None:
        before = self._loop.time() - self._keep_seconds
        for protocol in list(self._state.connections):
            if protocol.idle_since is not None and protocol.idle_since < before:
                protocol.timeout_keep_alive_handler()
            if protocol.transport.is_closing():
                self._end_if_nothing_leaves(protocol)
        if self._state.connections:
            self._again()
        else:
            self._state.lgsp_sweep = None

    def _end_if_nothing_leaves(self, protocol: StrictProtocol) -> None:
        """A connection that is closed waits until the rest of its answer was taken: not for ever."""
        now, size = self._loop.time(), protocol.transport.get_write_buffer_size()
        if not protocol.left[1] or size < protocol.left[0]:
            protocol.left = size, now
        elif now - protocol.left[1] >= STALLED_SECONDS:
            protocol.transport.abort()


async def written(transport, flow) -> None:
    """Until the answers before this one have left; a connection from which nobody reads is ended."""
    while flow.write_paused:
        left = transport.get_write_buffer_size()
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await flow.drain()
        except TimeoutError:
            if transport.get_write_buffer_size() >= left:
                transport.abort()
                return


_date: tuple[list, bytes] = ([], b"")


def _default_lines(default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """uvicorn makes a new list each second."""
    global _date  # noqa: PLW0603
    if _date[0] is not default_headers:
        _date = default_headers, b"".join([b"%b: %b\r\n" % pair for pair in default_headers])
    return _date[1]


def whole_answer(
    status: int, default_headers: list, headers: list[tuple[bytes, bytes]], body: bytes, *, keep_alive: bool
) -> bytes:
    """The bytes of an answer. The caller vouches that names and values hold no control characters and that no length is among them."""
    (name, value), *others = headers
    end = b"\r\n\r\n" if keep_alive else b"\r\nconnection: close\r\n\r\n"
    return b"%b%b%b: %b\r\n%bcontent-length: %d%b%b" % (
        STATUS_LINE[status], _default_lines(default_headers), name, value, _lines(tuple(others)), len(body), end, body
    )  # fmt: skip


@lru_cache(maxsize=512)
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Those after the first, which names the call: of one consumer and provider they are mostly the same."""
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def answer(cycle: RequestResponseCycle, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Write a whole answer at once: what uvicorn does in two messages, without looking at each header again (`whole_answer`)."""
    if cycle.disconnected:
        return
    if cycle.more_body or (status >= 400 and _had_body(cycle.scope)):
        cycle.keep_alive = False  # what is left of the request, or another reader takes for the next, is read by nobody
    cycle.response_started, cycle.waiting_for_100_continue = True, False
    whole = whole_answer(status, cycle.default_headers, headers, body, keep_alive=cycle.keep_alive)
    cycle.transport.write(whole if cycle.scope["method"] != "HEAD" else whole[: len(whole) - len(body)])
    cycle.response_complete = True
    cycle.message_event.set()
    # Scope and cycle hold each other; without this each call would wait for the garbage collector with all it holds.
    cycle.scope["extensions"].pop(MARK, None)
    if cycle.more_body and not cycle.transport.is_closing():
        cycle.transport.get_protocol().linger()
    elif not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def _had_body(scope: dict) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")) for name, value in scope["headers"]
    )
