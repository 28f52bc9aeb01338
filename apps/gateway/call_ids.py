"""Call ids: UUID version 7 (RFC 9562), so that their order is their time and a month of them is a range."""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timezone

_NOISE_BYTES = 10 * 400
_MAX = (1 << 48) - 1
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""A digit of noise as the digit that holds the variant: two of its bits stay random."""


def make(milliseconds: int) -> uuid.UUID:
    """A fresh id of the instant `milliseconds` since 1970 (74 random bits)."""
    noise = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & _MAX) << 80 | 0x7 << 76 | (noise & 0xFFF) << 64 | 0x2 << 62 | (noise >> 12) & ((1 << 62) - 1)
    return uuid.UUID(int=value)


class _Texts:
    """`make` as text, without the detour over an object (the way of every call).

    Random digits of the system are taken many at once: a system call for each id costs more than the id.
    """

    def __init__(self) -> None:
        self._digits, self._at = "", 0
        self._milliseconds, self._time = -1, ""

    def __call__(self, milliseconds: int) -> str:
        if milliseconds != self._milliseconds:
            time = f"{milliseconds & _MAX:012x}"
            self._milliseconds, self._time = milliseconds, f"{time[:8]}-{time[8:]}-7"
        if self._at >= len(self._digits):
            self._digits, self._at = os.urandom(_NOISE_BYTES).hex(), 0
        at, digits = self._at, self._digits
        self._at = at + 20
        return (
            f"{self._time}{digits[at : at + 3]}-{_VARIANT[digits[at + 3]]}{digits[at + 4 : at + 7]}-{digits[at + 7 : at + 19]}"
        )


make_text = _Texts()
# A child of a fork must not go on with its parent's digits.
os.register_at_fork(after_in_child=make_text.__init__)


def floor(moment: datetime) -> uuid.UUID:
    """The smallest id of `moment`: ids made before it are smaller, ids made after it are not."""
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=max(0, min(milliseconds, _MAX)) << 80)


def moment(call_id: uuid.UUID) -> datetime:
    """The instant an id was made (to the millisecond, UTC)."""
    return datetime.fromtimestamp((call_id.int >> 80) / 1000, timezone.utc)
