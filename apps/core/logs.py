"""Log lines: one line an event, control characters escaped, with the request id."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

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


class JsonFormatter(logging.Formatter):
    """One JSON object a line (LOG_FORMAT=json), for collectors: time (UTC), level, logger, request, process, message, error.

    The same words as the plain line: messages name codes, kinds and call ids, never a secret or a payload.
    """

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "time": moment.isoformat(timespec="milliseconds"), "level": record.levelname, "logger": record.name,
            "request": getattr(record, "request_id", "-"), "process": record.process, "message": record.getMessage(),
        }  # fmt: skip
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
