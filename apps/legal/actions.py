"""Verbs of the legal officer: a rule is changed by ending the old one and opening the next, never by editing."""

from __future__ import annotations

import datetime
from decimal import Decimal

from django.db import transaction

from apps.audit import actions as audit
from apps.core.errors import InvalidFact, NotPermitted
from apps.legal.models import CalendarException, LegalRule


@transaction.atomic
def change_rule(code: str, *, by, value: Decimal, citation: str, effective_from: datetime.date, evidence: str) -> LegalRule:
    """From `effective_from` the rule `code` is `value`; until then, and for running cases, the old one holds.

    Raises InvalidFact when there is no such rule or the day is not later than the present rule's first.
    """
    _require(by, "legal.change_rule")
    old = LegalRule.objects.select_for_update().filter(code=code, effective_to__isnull=True).first()
    if old is None:
        raise InvalidFact(code="no_legal_rule")
    if effective_from <= old.effective_from:
        raise InvalidFact(code="not_later")
    old.effective_to = effective_from
    old.save(update_fields=["effective_to", "updated_at"])
    new = LegalRule.objects.create(
        code=code,
        name=old.name,
        unit=old.unit,
        value=value,
        citation=citation,
        effective_from=effective_from,
        evidence=evidence,
    )
    audit.record("legal_rule.changed", new, by=by, before=str(old.value), after=str(value), effective_from=str(effective_from))
    return new


@transaction.atomic
def set_calendar_day(day: datetime.date, *, by, is_working: bool, reason: str, citation: str) -> CalendarException:
    """Make `day` a working day or a day off, on the Government's word. Cases already running keep their due moment."""
    _require(by, "legal.change_rule")
    row, _created = CalendarException.objects.update_or_create(
        day=day, defaults={"is_working": is_working, "reason": reason, "citation": citation}
    )
    audit.record("calendar_day.set", row, by=by, day=str(day), is_working=is_working)
    return row


def _require(user, permission: str) -> None:
    if not user.has_perm(permission):
        raise NotPermitted(permission=permission)
