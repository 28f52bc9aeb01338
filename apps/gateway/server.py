"""uvicorn's HTTP/1.1 protocol, made strict: what a proxy in front and we could read differently is refused before any app.

Parsing stays httptools' (llhttp in its strict mode). Added here: only origin-form targets without a fragment; HTTP/1.0 and
1.1 only; exactly one Host (RFC 9112); caps on the head, counted as it comes in, because the parser keeps an unfinished header
whole; the same cap on what is neither head nor body (chunk extensions, trailers); a head must be complete in time; what comes
after a body is never a header; no upgrade; a refused request that had a body is the last of its connection.
"""

from __future__ import annotations

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
MARK = "lgsp.strict"
"""In the scope of every request that came this way; the application serves no others."""


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
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def connection_lost(self, exc) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._in_head = self._progress = True

    def on_body(self, body: bytes) -> None:
        self._progress = True
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
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
        if self._in_head and self._timer.cancelled() and self._head_bytes and self.parser is not None:
            # A head that did not come in one piece: its time runs from here.
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


def answer(cycle: RequestResponseCycle, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Write a whole answer at once: what uvicorn does in two messages, without looking at each header again.

    The caller vouches that names and values hold no control characters and that there is no length among them.
    """
    if cycle.disconnected:
        return
    if cycle.more_body or (status >= 400 and _had_body(cycle.scope)):
        cycle.keep_alive = False  # what is left of the request, or another reader takes for the next, is read by nobody
    parts = [STATUS_LINE[status]]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts.append(
        b"content-length: %d\r\n\r\n" % len(body)
        if cycle.keep_alive
        else b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    )
    if cycle.scope["method"] != "HEAD":
        parts.append(body)
    cycle.response_started, cycle.waiting_for_100_continue = True, False
    cycle.transport.write(b"".join(parts))
    cycle.response_complete = True
    cycle.message_event.set()
    # Scope and cycle hold each other; without this each call would wait for the garbage collector with all it holds.
    cycle.scope["extensions"].pop(MARK, None)
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()


def _had_body(scope: dict) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")) for name, value in scope["headers"]
    )
