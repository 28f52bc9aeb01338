"""The shortcut for ready-made bytes: a plain request for a published catalog is answered before anything is parsed twice.

Only between two messages of a connection, only for one whole head without a body (the reader looks), only while the peer reads.
Everything else goes through `StrictProtocol` and the ASGI application, which answer with the same bytes.
"""

from __future__ import annotations

from apps.catalogs.reader import CatalogReader
from apps.gateway.server import StrictProtocol


class ReadyProtocol(StrictProtocol):
    reader: CatalogReader | None = None
    """Set once a process, by `lgsp/gateway.py`."""

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._in_message = False

    def on_message_begin(self) -> None:
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        parts = self._ready(data)
        if parts is None:
            super().data_received(data)
            return
        self._timer.cancel()
        self._unset_keepalive_if_required()
        self.transport.write(b"".join(parts))
        self.server_state.total_requests += 1
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _ready(self, data: bytes) -> tuple[bytes, ...] | None:
        if self.reader is None or self._in_message or self.flow.write_paused or self.pipeline or not self.client:
            return None
        cycle = self.cycle
        if cycle is not None and not (cycle.response_complete and cycle.keep_alive):
            return None
        return self.reader.ready(data, self.client[0])
