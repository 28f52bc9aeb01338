"""Working days of Vietnam: Monday to Friday, minus public holidays, plus or minus what the Government swaps.

The holidays and the swapped working Saturdays come from the `holidays` library; rows of
`CalendarException` overrule it, because swaps are decreed later than libraries are released.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache

import holidays

from apps.legal.models import CalendarException

_ONE_DAY = datetime.timedelta(days=1)
_SPAN = datetime.timedelta(days=731)


@dataclass(frozen=True)
class Skipped:
    """A day that does not count, and why: `reason` is a holiday's or exception's name, or "" for a weekend."""

    day: datetime.date
    reason: str


@lru_cache(maxsize=64)
def _holidays(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays("VN", years=year, language="vi")


@lru_cache(maxsize=64)
def _swapped_in(year: int) -> frozenset[datetime.date]:
    """Weekend days of `year` that are worked in exchange for a day off."""
    return frozenset(day for day in getattr(_holidays(year), "weekend_workdays", ()) if day.year == year)


class WorkCalendar:
    """The calendar as it stands now; reads the exceptions once, two years each way from `around`, and more when asked further."""

    def __init__(self, around: datetime.date) -> None:
        self._first = self._last = around
        self._exceptions: dict[datetime.date, CalendarException] = {}
        self._know(around)

    def _know(self, day: datetime.date) -> None:
        """Widen what was read so that it reaches two years around `day`."""
        self._first, self._last = min(self._first, day - _SPAN), max(self._last, day + _SPAN)
        rows = CalendarException.objects.filter(day__range=(self._first, self._last))
        self._exceptions = {row.day: row for row in rows}

    def why_off(self, day: datetime.date) -> str | None:
        """None for a working day; otherwise the reason ("" for an ordinary weekend)."""
        if not self._first <= day <= self._last:
            self._know(day)
        exception = self._exceptions.get(day)
        if exception is not None:
            return None if exception.is_working else exception.reason
        if day in _holidays(day.year):
            return _holidays(day.year).get(day)
        if day.weekday() >= 5 and day not in _swapped_in(day.year):
            return ""
        return None

    def is_working(self, day: datetime.date) -> bool:
        return self.why_off(day) is None

    def add(self, start: datetime.date, days: int) -> tuple[datetime.date, list[Skipped]]:
        """The `days`-th working day after `start` (which itself does not count), and each day skipped on the way."""
        day, left, skipped = start, days, []
        while left > 0:
            day += _ONE_DAY
            reason = self.why_off(day)
            if reason is None:
                left -= 1
            else:
                skipped.append(Skipped(day, reason))
        return day, skipped

    def between(self, first: datetime.date, last: datetime.date) -> int:
        """Working days after `first` up to and including `last`; 0 when `last` is not later."""
        count, day = 0, first
        while day < last:
            day += _ONE_DAY
            count += self.is_working(day)
        return count
