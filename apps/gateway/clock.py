"""The database's clock as this process knows it: steps of the machine's own clock change nothing."""

from __future__ import annotations

import time


class Clock:
    """An estimate within the time of one statement. It only proposes; the database judges."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self.heard_at = 0.0

    def now(self) -> float:
        """Seconds since 1970."""
        return time.monotonic() + self._offset

    def hear(self, database_now: float) -> None:
        """Take over what the database said its time was when the statement began."""
        if database_now:
            self.heard_at = time.monotonic()
            self._offset = database_now - self.heard_at
