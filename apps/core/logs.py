"""Log lines: one line an event, control characters escaped, with the request id."""

from __future__ import annotations

import logging

from apps.core.middleware import request_id


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get() or "-"
        return True


class LineFormatter(logging.Formatter):
    """`time level logger [request id] message`, with CR, LF, ESC and other control characters escaped."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return "".join(ch if ch.isprintable() else repr(ch)[1:-1] for ch in super().formatMessage(record))
