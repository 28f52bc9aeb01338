"""The shortcut for ready-made bytes: a plain request for a published catalog is answered before anything is parsed twice.

Only between two messages of a connection, only for one whole head without a body (the reader looks), only while the peer reads.
Everything else goes through `StrictProtocol` and the ASGI application, which answer with the same bytes.
"""

from __future__ import annotations

import os

from apps.catalogs.reader import PREFIX, Answer, CatalogReader
from apps.gateway.plain import PlainProtocol

_CATALOGS = b"GET " + PREFIX


class ReadyProtocol(PlainProtocol):
    reader: CatalogReader | None = None
    """Set once a process, by `lgsp/gateway.py`."""

    def data_received(self, data: bytes) -> None:
        found = self._ready(data) if data.startswith(_CATALOGS) else None
        if found is None:
            super().data_received(data)
            return
        self._timer.cancel()
        self._answer(*found)
        self.server_state.total_requests += 1
        self.idle_since = self.loop.time()

    def _ready(self, data: bytes) -> tuple[bytes, Answer | None] | None:
        if self.reader is None or not self.is_between_messages():
            return None
        return self.reader.ready(data, self.client[0])

    def _answer(self, head: bytes, answer: Answer | None) -> None:
        if answer is None:
            self.transport.write(head)
        elif answer.sheet is None or self.scheme != "http" or self.transport.get_write_buffer_size():
            self.transport.write(head + answer.body)
        else:
            self._send_sheet(head, answer)

    def _send_sheet(self, head: bytes, answer: Answer) -> None:
        """As much as the socket takes at once goes from file to socket, without a copy; the transport sends the rest."""
        socket = self.transport.get_extra_info("socket").fileno()
        try:
            written = _at_once(os.write, socket, head)
            if written < len(head):
                self.transport.write(head[written:] + answer.body)
                return
            sent = 0
            while part := _at_once(os.sendfile, socket, answer.sheet.fd, sent, answer.sheet.size - sent):
                sent += part
            if sent < answer.sheet.size:
                self.transport.write(memoryview(answer.body)[sent:])
        except OSError:
            self.transport.abort()


def _at_once(call, *args) -> int:
    """What a call on a non-blocking socket wrote; 0 when the socket takes nothing now."""
    try:
        return call(*args)
    except BlockingIOError:
        return 0
