"""Deadlines in working days, from rules that are rows.

The day something is received does not count and the term ends with its last day (Bộ luật Dân sự 2015, Điều
147(1) and 148(5)); the hour at which that day ends is the rule `day_end_hour`. A case keeps the rule it
began under: callers store the `LegalRule` that `start` returns.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.core.errors import InvalidFact
from apps.legal.calendar import Skipped, WorkCalendar
from apps.legal.choices import Unit
from apps.legal.models import LegalRule

DAY_END = "day_end_hour"
ANNOUNCED = "calendar.announced_to"
"""The last year whose public holidays and swapped days the Government has announced; later ones follow the general law."""


@dataclass(frozen=True)
class Deadline:
    """When something is due (`due_at`, aware), by which `rule` (None when days were given by hand), what was skipped."""

    due_at: datetime.datetime
    rule: LegalRule | None
    skipped: tuple[Skipped, ...]

    @property
    def provisional_year(self) -> int | None:
        """The first year counted in whose holidays are not announced yet: the answer may change with the announcement."""
        announced = LegalRule.objects.in_force(timezone.localdate()).filter(code=ANNOUNCED).order_by("-effective_from").first()
        year = timezone.localdate(self.due_at).year
        return None if announced is None or year <= announced.value else int(announced.value) + 1


def start(code: str, at: datetime.datetime) -> Deadline:
    """The deadline of the rule `code` for something received `at` (aware).

    Raises InvalidFact (`no_legal_rule`) when no such rule is in force that day.
    """
    return under(LegalRule.objects.rule(code, timezone.localdate(at)), at)


def under(rule: LegalRule, at: datetime.datetime) -> Deadline:
    """The same by `rule` itself, for what goes on under the rule it began under, also when another is in force by now."""
    if rule.unit == Unit.HOURS:
        return Deadline(at + datetime.timedelta(hours=float(rule.value)), rule, ())
    if rule.unit == Unit.DAYS:
        return Deadline(_end_of(timezone.localdate(at) + datetime.timedelta(days=int(rule.value))), rule, ())
    if rule.unit != Unit.WORKING_DAYS:
        raise InvalidFact(_("The rule %(code)s is not a deadline.") % {"code": rule.code}, code="not_a_deadline")
    return working_days(int(rule.value), at, rule=rule)


def working_days(days: int, at: datetime.datetime, *, rule: LegalRule | None = None) -> Deadline:
    """The end of the `days`-th working day after `at`."""
    first = timezone.localdate(at)
    day, skipped = WorkCalendar(first).add(first, days)
    return Deadline(_end_of(day), rule, tuple(skipped))


def halfway(at: datetime.datetime, due_at: datetime.datetime) -> datetime.datetime:
    """When half of the term from `at` to `due_at` has passed: the end of the working day in its middle.

    A term without a whole working day before that is halved by the clock.
    """
    first, last = timezone.localdate(at), timezone.localdate(due_at)
    half = working_days(WorkCalendar(first).between(first, last) // 2, at).due_at
    return half if half < due_at else at + (due_at - at) / 2


def resume(due_at: datetime.datetime, paused_at: datetime.datetime, at: datetime.datetime) -> datetime.datetime:
    """The new due moment of a clock that stood still from `paused_at` until `at`: as many working days remain as did then.

    A clock paused on its last day runs until the end of the day on which it goes on, or of the next working day where that
    one is a day off or over: no term ends on a day off (Điều 148(5)). A clock paused after it was already late stays late.
    """
    due_day, paused_day = timezone.localdate(due_at), timezone.localdate(paused_at)
    if paused_at >= due_at:
        return due_at
    remaining = WorkCalendar(paused_day).between(paused_day, due_day)
    if remaining == 0:
        today = timezone.localdate(at)
        goes_on = WorkCalendar(today).is_working(today) and at < _end_of(today)
        return max(due_at, _end_of(today) if goes_on else working_days(1, at).due_at)
    return working_days(remaining, at).due_at


def remaining_working_days(due_at: datetime.datetime, at: datetime.datetime | None = None) -> int:
    """Working days left after today; negative when late."""
    today, due_day = timezone.localdate(at or timezone.now()), timezone.localdate(due_at)
    calendar = WorkCalendar(today)
    return calendar.between(today, due_day) if due_day >= today else -calendar.between(due_day, today)


def _end_of(day: datetime.date) -> datetime.datetime:
    hour = int(LegalRule.objects.rule(DAY_END, day).value)
    zone = timezone.get_default_timezone()
    if hour >= 24:
        return datetime.datetime.combine(day, datetime.time(23, 59, 59), tzinfo=zone)
    return datetime.datetime.combine(day, datetime.time(hour), tzinfo=zone)
