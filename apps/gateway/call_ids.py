"""Call ids: UUID version 7 (RFC 9562), so that their order is their time and a month of them is a range."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone

_AT_ONCE = 400
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

    Random digits of the system are taken many at once, and their part of the text made of them: a system call for each id costs
    more than the id. Threads may share it: each takes its digits in one step, and the time goes with the text made of it.
    """

    def __init__(self) -> None:
        self._tails: Iterator[str] = iter(())
        self._time = -1, ""

    def __call__(self, milliseconds: int) -> str:
        known, time = self._time
        if known != milliseconds:
            digits = f"{milliseconds & _MAX:012x}"
            time = f"{digits[:8]}-{digits[8:]}-7"
            self._time = milliseconds, time
        tail = next(self._tails, None)
        if tail is None:
            self._tails = fresh = iter(_tails(os.urandom(10 * _AT_ONCE).hex()))
            tail = next(fresh)
        return time + tail


def _tails(noise: str) -> list[str]:
    """What follows the time and the version, of 20 digits of noise each."""
    return [
        f"{noise[at : at + 3]}-{_VARIANT[noise[at + 3]]}{noise[at + 4 : at + 7]}-{noise[at + 7 : at + 19]}"
        for at in range(0, len(noise), 20)
    ]


make_text = _Texts()
# A child of a fork must not go on with its parent's digits.
os.register_at_fork(after_in_child=make_text.__init__)


def made_at(call_id: str) -> float:
    """The instant an id was made, of its text: seconds since 1970, to the millisecond."""
    return int(call_id[:8] + call_id[9:13], 16) / 1000


def floor(moment: datetime) -> uuid.UUID:
    """The smallest id of `moment`: ids made before it are smaller, ids made after it are not."""
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=max(0, min(milliseconds, _MAX)) << 80)


def moment(call_id: uuid.UUID) -> datetime:
    """The instant an id was made (to the millisecond, UTC)."""
    return datetime.fromtimestamp((call_id.int >> 80) / 1000, timezone.utc)
