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


class _Noise:
    """Random digits of the system, taken many at once: a system call for each id costs more than the id."""

    def __init__(self) -> None:
        self._digits, self._at = "", 0

    def __call__(self) -> str:
        """Twenty fresh hexadecimal digits."""
        if self._at >= len(self._digits):
            self._digits, self._at = os.urandom(_NOISE_BYTES).hex(), 0
        at = self._at
        self._at = at + 20
        return self._digits[at : at + 20]


_noise = _Noise()
# A child of a fork must not go on with its parent's digits.
os.register_at_fork(after_in_child=_noise.__init__)


def make_text(milliseconds: int) -> str:
    """`make` as text, without the detour over an object (the way of every call)."""
    time, noise = f"{milliseconds & _MAX:012x}", _noise()
    return f"{time[:8]}-{time[8:]}-7{noise[:3]}-{_VARIANT[noise[3]]}{noise[4:7]}-{noise[7:19]}"


def floor(moment: datetime) -> uuid.UUID:
    """The smallest id of `moment`: ids made before it are smaller, ids made after it are not."""
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=max(0, min(milliseconds, _MAX)) << 80)


def moment(call_id: uuid.UUID) -> datetime:
    """The instant an id was made (to the millisecond, UTC)."""
    return datetime.fromtimestamp((call_id.int >> 80) / 1000, timezone.utc)
