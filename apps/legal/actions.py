"""Verbs of the legal officer: a rule is changed by ending the old one and opening the next, never by editing."""

from __future__ import annotations

import datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.changes import save_valid
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, InvalidFact, NotPermitted, StaleVersion
from apps.core.text import clean
from apps.legal.choices import Unit
from apps.legal.deadlines import DAY_END
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround


@transaction.atomic
def change_rule(
    code: str, *, by, value: Decimal, citation: str, effective_from: datetime.date, evidence: str, seen: LegalRule | None = None
) -> LegalRule:
    """From `effective_from` the rule `code` is `value`; until then, and for running cases, the old one holds.

    `seen` is the row the caller saw as the present one: another one is StaleVersion. Raises InvalidFact when there is no
    such rule or the day is not later than the present rule's first.
    """
    _require(by, "legal.change_rule")
    old = LegalRule.objects.select_for_update(no_key=True).filter(code=code, effective_to__isnull=True).first()
    if old is None:
        raise InvalidFact(code="no_legal_rule")
    _require_newest(old, seen)
    if effective_from <= old.effective_from:
        raise InvalidFact(code="not_later")
    _require_sense(old, value)
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


_MOST = {Unit.WORKING_DAYS: 1_000, Unit.DAYS: 1_000, Unit.MONTHS: 600, Unit.HOURS: 8_760, Unit.PERCENT: 100, Unit.NUMBER: 9_999}
_WHOLE = (Unit.WORKING_DAYS, Unit.DAYS, Unit.MONTHS, Unit.NUMBER)


def _require_sense(rule: LegalRule, value: Decimal) -> None:
    """A term is counted day by day in whole days: half a day would be dropped unsaid, a slip of the finger would count for ever."""
    is_hour_of_day = rule.code == DAY_END
    least, most = (1, 24) if is_hour_of_day else (0, _MOST[Unit(rule.unit)])
    if (rule.unit in _WHOLE or is_hour_of_day) and value != int(value):
        raise InvalidFact(fields={"value": [_("A whole number is needed here.")]})
    if not least <= value <= most:
        raise InvalidFact(fields={"value": [_("From %(low)d to %(high)d.") % {"low": least, "high": most}]})


@transaction.atomic
def add_ground(code: str, *, by, name: str, citation: str, effective_from: datetime.date) -> RefusalGround:
    """A new ground on which a request may be refused from `effective_from` on (WF-31).

    Raises InvalidFact with `fields` for an ill-formed or empty fact, Conflict when the code is in use.
    """
    _require(by, "legal.change_rule")
    if RefusalGround.objects.select_for_update(no_key=True).filter(code=code).exists():
        raise Conflict(code="ground_exists", fields={"code": [_("There is a ground with this code: change that one.")]})
    made = _ground(code, name, citation, effective_from)
    audit.record(
        "refusal_ground.added", made, by=by, code=made.code, citation=made.citation, effective_from=str(effective_from)
    )
    return made


@transaction.atomic
def change_ground(
    code: str, *, by, name: str, citation: str, effective_from: datetime.date, seen: RefusalGround | None = None
) -> RefusalGround:
    """From `effective_from` the ground `code` reads so; until then, and for what was refused on it, the old wording holds.

    `seen` is the row the caller saw as the present one: another one is StaleVersion. Raises InvalidFact when no such ground
    is open or the day is not later than the present one's first.
    """
    _require(by, "legal.change_rule")
    old = _open_ground(code, seen, effective_from=effective_from)
    old.effective_to = effective_from
    old.save(update_fields=["effective_to", "updated_at"])
    made = _ground(code, name, citation, effective_from)
    audit.record("refusal_ground.changed", made, by=by, code=code, before=old.citation, after=made.citation,
                 effective_from=str(effective_from))  # fmt: skip
    return made


@transaction.atomic
def end_ground(code: str, *, by, effective_to: datetime.date, seen: RefusalGround | None = None) -> RefusalGround:
    """From `effective_to` on nobody refuses on this ground any more. Raises as `change_ground`."""
    _require(by, "legal.change_rule")
    old = _open_ground(code, seen, effective_to=effective_to)
    old.effective_to = effective_to
    old.save(update_fields=["effective_to", "updated_at"])
    audit.record("refusal_ground.ended", old, by=by, code=code, effective_to=str(effective_to))
    return old


def _open_ground(code: str, seen: RefusalGround | None, **day: datetime.date) -> RefusalGround:
    """The ground as it holds now, locked. `day` is one day by its name, later than the ground's first."""
    found = RefusalGround.objects.select_for_update(no_key=True).filter(code=code, effective_to__isnull=True).first()
    if found is None:
        if seen is not None:
            raise StaleVersion(_("The ground was ended by somebody else meanwhile."))
        raise InvalidFact(code="no_such_ground")
    _require_newest(found, seen)
    for name, value in day.items():
        if value <= found.effective_from:
            raise InvalidFact(code="not_later", fields={name: [_("The day must be later than the ground's first day.")]})
    return found


def _require_newest(
    present: LegalRule | RefusalGround | LegalBasis, seen: LegalRule | RefusalGround | LegalBasis | None
) -> None:
    if seen is not None and seen.pk != present.pk:
        raise StaleVersion(_("Somebody else has changed it meanwhile."), present=str(present.uuid))


def _ground(code: str, name: str, citation: str, effective_from: datetime.date) -> RefusalGround:
    return _checked(RefusalGround(code=clean(code), name=clean(name), citation=clean(citation), effective_from=effective_from))


def _checked(made):
    """`made`, stored. Raises InvalidFact with `fields`."""
    try:
        made.full_clean()
    except ValidationError as error:
        raise InvalidFact(fields=error.message_dict) from error
    made.save()
    return made


@transaction.atomic
def change_basis(code: str, *, by, citation: str, effective_from: datetime.date, seen: LegalBasis | None = None) -> LegalBasis:
    """From `effective_from` the gateway's refusals cite `citation` where they cited the basis `code`; every process knows at once.

    `seen` is the row the caller saw as the present one: another one is StaleVersion. Raises InvalidFact when there is no such
    basis, the citation is empty or the day is not later than the present one's first.
    """
    _require(by, "legal.change_rule")
    old = LegalBasis.objects.select_for_update(no_key=True).filter(code=code, effective_to__isnull=True).first()
    if old is None:
        raise InvalidFact(code="no_such_basis")
    _require_newest(old, seen)
    if effective_from <= old.effective_from:
        raise InvalidFact(
            code="not_later", fields={"effective_from": [_("The day must be later than the first day of the present one.")]}
        )
    old.effective_to = effective_from
    old.save(update_fields=["effective_to", "updated_at"])
    made = _checked(LegalBasis(code=code, name=old.name, citation=clean(citation), effective_from=effective_from))
    for row in (old, made):
        raise_epoch("legalbasis", row.uuid)
    audit.record("legal_basis.changed", made, by=by, code=code, before=old.citation, after=made.citation,
                 effective_from=str(effective_from))  # fmt: skip
    return made


@transaction.atomic
def set_calendar_day(
    day: datetime.date, *, by, is_working: bool, reason: str, citation: str, version: int | None = None
) -> CalendarException:
    """Make `day` a working day or a day off, on the Government's word. Cases already running keep their due moment.

    `version` is that of the row the caller saw, 0 where there was none: another one is StaleVersion.
    """
    _require(by, "legal.change_rule")
    row = CalendarException.objects.select_for_update(no_key=True).filter(day=day).first() or CalendarException(
        day=day, version=0
    )
    if version is not None and version != row.version:
        raise StaleVersion(_("The day was set by somebody else meanwhile."), version=row.version)
    row.is_working, row.reason, row.citation, row.version = is_working, clean(reason), clean(citation), row.version + 1
    save_valid(row)
    audit.record("calendar_day.set", row, by=by, day=str(day), is_working=is_working)
    return row


def _require(user, permission: str) -> None:
    if not user.has_perm(permission):
        raise NotPermitted(permission=permission)
