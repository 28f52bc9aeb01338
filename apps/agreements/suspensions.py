"""Who suspended an agreement or one access under it at once, and who may open it again.

Each party that has a say records its own reason (`Suspension`); they stand side by side, and nothing opens while one stands.
Who suspended lifts its own. The operator lifts its own first; when nothing of its own stands it lifts what the others
suspended, so that it opens over a provider's head only by a step of its own. Everything here runs under the agreement's lock.
"""

from __future__ import annotations

import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements.choices import Side
from apps.agreements.models import Agreement, Grant, PlannedSuspension, Suspension
from apps.core.errors import InvalidFact, NotPermitted
from apps.core.workflow import done_already
from apps.legal import deadlines
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator, organization_ids

VIOLATION_NOTICE = "suspension.violation_notice"


def acting_for(by, providers: frozenset[int]) -> Organization | None:
    """The provider, of `providers`, in whose name `by` acts; None for the operator, who acts for all."""
    mine = organization_ids(by, Role.PROVIDER_OFFICER) & providers
    return Organization.objects.get(pk=min(mine)) if mine else None


def providers_of(obj: Agreement | Grant) -> frozenset[int]:
    """The agencies that have a say in suspending `obj`: an access is its provider's own."""
    if isinstance(obj, Grant):
        return frozenset({obj.operation.version.service.provider_id})
    return obj.organization_ids(Side.PROVIDER)


def notice_of(determined_at: datetime.datetime | None) -> dict:
    """When a violation was determined (now, if not said) and until when it had to be told (NĐ 47/2020 Điều 43(5), WF-42).

    Raises InvalidFact for a moment to come.
    """
    now = timezone.now()
    determined_at = determined_at or now
    if determined_at > now:
        raise InvalidFact(code="in_future", fields={"determined_at": [_("That moment lies in the future.")]})
    return {"determined_at": determined_at, "notice_due_at": deadlines.start(VIOLATION_NOTICE, determined_at).due_at}


def record_suspension(obj: Agreement | Grant, *, by, reason: str, **facts) -> Suspension:
    """Write down who suspends `obj` and why. Raises Conflict (`already_suspended`) when a suspension of theirs stands."""
    agreement, grant = (obj.agreement, obj) if isinstance(obj, Grant) else (obj, None)
    provider = acting_for(by, providers_of(obj))
    try:
        with transaction.atomic():
            return Suspension.objects.create(
                agreement=agreement, grant=grant, provider=provider, reason=reason.strip(),
                since=timezone.now(), suspended_by=by, **facts,
            )  # fmt: skip
    except IntegrityError as error:
        row = Suspension.objects.standing().get(agreement=agreement, grant=grant, provider=provider)
        said = _("Your side has suspended it already.")
        raise done_already(said, row.suspended_by, row.since, code="already_suspended") from error


def is_own(row: Suspension | PlannedSuspension, by) -> bool:
    """Whether `by` is an officer of whoever suspended."""
    if row.provider_id is None:
        return is_operator(by)
    return row.provider_id in organization_ids(by, Role.PROVIDER_OFFICER)


def has_suspended(obj: Agreement | Grant, by) -> bool:
    """Whether a suspension of `by`'s side stands: doors do not offer it the step again."""
    return any(is_own(row, by) for row in obj.standing_suspensions())


def suspenders(obj: Agreement | Grant) -> str:
    """Who may open `obj` again beside the operator, in words; empty when only the operator may."""
    return ", ".join(sorted({str(row.provider) for row in obj.what_suspends() if row.provider_id}))


def require_suspender(obj: Agreement | Grant, by) -> None:
    """Raise NotPermitted, which names who may, unless `by` is the operator or of a provider that suspended `obj`."""
    rows = obj.what_suspends()
    if rows and not is_operator(by) and not any(is_own(row, by) for row in rows):
        raise _not_the_suspender(suspenders(obj))


def require_announcer(planned: PlannedSuspension, by) -> None:
    """The same for a planned suspension that is to be called off."""
    if not is_operator(by) and not is_own(planned, by):
        raise _not_the_suspender(str(planned.provider or ""))


def _not_the_suspender(names: str) -> NotPermitted:
    told = (
        _("Only %(who)s, or the operator, opens it again.") % {"who": names}
        if names
        else _("Only the operator opens it again.")
    )
    return NotPermitted(told, code="not_the_suspender")


def to_be_lifted(obj: Agreement | Grant, by) -> tuple[list[Suspension], list[Suspension]]:
    """What `by` lifts by resuming `obj`, and what stands after it."""
    rows = obj.standing_suspensions()
    own = [row for row in rows if is_own(row, by)]
    lifted = own or (rows if is_operator(by) else [])
    return lifted, [row for row in rows if row not in lifted]


def lift(rows: list[Suspension], *, by, comment: str = "") -> None:
    now = timezone.now()
    pks = [row.pk for row in rows]
    Suspension.objects.standing().filter(pk__in=pks).update(
        lifted_at=now, lifted_by=by, comment=comment.strip(), updated_at=now
    )


def carry_to(successor: Grant, rows: list[Suspension]) -> None:
    """The access that follows a suspended one is suspended by the same, for the same reasons, since the same moment."""
    Suspension.objects.bulk_create(
        Suspension(
            agreement_id=row.agreement_id, grant=successor, provider_id=row.provider_id, kind=row.kind, reason=row.reason,
            handling_plan=row.handling_plan, restore_conditions=row.restore_conditions, since=row.since,
            suspended_by_id=row.suspended_by_id,
        )
        for row in rows
    )  # fmt: skip


def hand_over(agreement: Agreement, source: Organization, into: Organization, *, by, instrument: str) -> None:
    """What `source` suspended is its successor's to lift; of two on the same thing one stays, with both reasons."""
    PlannedSuspension.objects.open().filter(agreement=agreement, provider=source).update(provider=into)
    for row in agreement.suspensions.standing().filter(provider=source):
        same = agreement.suspensions.standing().filter(provider=into, grant=row.grant_id).first()
        if same is None:
            Suspension.objects.filter(pk=row.pk).update(provider=into, updated_at=timezone.now())
            continue
        for name in ("reason", "handling_plan", "restore_conditions"):
            setattr(same, name, "\n".join(filter(None, (getattr(same, name), getattr(row, name)))))
        _keep_the_violation(same, row)
        same.save()
        lift([row], by=by, comment=instrument)


def _keep_the_violation(row: Suspension, other: Suspension) -> None:
    """Of two that become one: a violation stays one, with the day its parties had to be told by; of two the earlier."""
    found = [one for one in (row, other) if one.determined_at]
    if found:
        first = min(found, key=lambda one: one.determined_at)
        row.kind, row.determined_at, row.notice_due_at = first.kind, first.determined_at, first.notice_due_at


def end_suspensions_of_consumers(agreement: Agreement, *, by, reason: str, **which) -> None:
    """Nothing is left to be held, nor to be opened again: who was suspended (of those whom `which`, field lookups, names) has
    left, or the agreement ends."""
    now = timezone.now()
    rows = agreement.consumer_suspensions.open().filter(**which)
    rows.update(lifted_at=now, lifted_by=by, comment=reason, updated_at=now)
