"""Suspensions of their own kind: planned ones, begun and ended by the clock, and those of one consumer alone."""

from __future__ import annotations

import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import steps
from apps.agreements.actions.life import require_texts
from apps.agreements.announcements import tell_parties
from apps.agreements.choices import AgreementStatus, GrantStatus, Side, SuspensionKind
from apps.agreements.grants import held_by
from apps.agreements.locks import held_grants, lock_agreement
from apps.agreements.models import Agreement, ConsumerSuspension, Grant, Party, PlannedSuspension
from apps.agreements.suspensions import acting_for, notice_of, require_announcer
from apps.agreements.workflow import AGREEMENT, GRANT
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing, NotPermitted
from apps.core.workflow import came_second, done_already, require
from apps.legal.announced import check_notice, local
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator, organization_ids

RUNNING = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)


@transaction.atomic
def announce_suspension(
    agreement: Agreement, *, by, starts_at: datetime.datetime, ends_at: datetime.datetime, reason: str
) -> PlannedSuspension:
    """Announce a planned suspension to all parties; the clock begins and ends it.

    Raises InvalidFact (`notice_too_short`, with the earliest moment) when it begins before the notice of the rule
    `suspension.planned_notice` has run (NĐ 47/2020 Điều 43(3)), Conflict when one is announced already.
    """
    require(by, "agreements.suspend", agreement)
    require_texts({"reason": reason})
    lock_agreement(agreement)
    if agreement.status != AgreementStatus.IN_FORCE:
        raise FactMissing(_("The agreement is not in force."), code="agreement_not_in_force")
    check_notice(starts_at, ends_at)
    try:
        with transaction.atomic():
            planned = PlannedSuspension.objects.create(
                agreement=agreement,
                starts_at=starts_at,
                ends_at=ends_at,
                reason=reason.strip(),
                announced_by=by,
                provider=acting_for(by, agreement.organization_ids(Side.PROVIDER)),
            )
    except IntegrityError as error:
        row = agreement.planned_suspensions.open().get()
        said = _("A suspension of this agreement is announced already.")
        raise done_already(said, row.announced_by, row.created_at, code="already_announced") from error
    # The gateway closes and opens at the announced instants by its own reading; the clock moves the state after it.
    raise_epoch("agreement", agreement.uuid)
    audit.record(
        "suspension.announced", agreement, by=by, organizations=agreement.party_uuids(), starts_at=starts_at.isoformat()
    )
    tell_parties(
        "suspension_announced", agreement, N_("Agreement %(number)s will be suspended from %(start)s to %(end)s: %(reason)s"),
        key=str(planned.uuid), start=local(starts_at), end=local(ends_at), reason=reason.strip(),
    )  # fmt: skip
    return planned


@transaction.atomic
def cancel_suspension(planned: PlannedSuspension, *, by) -> PlannedSuspension:
    """Call an announced suspension off before it begins, or while the agreement is suspended for another reason.

    One that is what suspends the agreement is ended by resuming it. Raises NotPermitted (`not_the_suspender`) for another
    provider than the one that announced it, Conflict (`already_begun`).
    """
    require(by, "agreements.suspend", planned.agreement)
    require_announcer(planned, by)
    agreement = lock_agreement(planned.agreement)
    rows = PlannedSuspension.objects.open().filter(pk=planned.pk)
    if agreement.suspension_kind == SuspensionKind.PLANNED:
        rows = rows.filter(started_at__isnull=True)
    if rows.update(cancelled_at=timezone.now()) != 1:
        raise came_second(agreement, error=Conflict, code="already_begun")
    planned.refresh_from_db()
    raise_epoch("agreement", agreement.uuid)
    audit.record("suspension.cancelled", agreement, by=by, organizations=agreement.party_uuids())
    tell_parties("suspension_cancelled", agreement, N_("The announced suspension of agreement %(number)s will not take place."),
                 key=str(planned.uuid))  # fmt: skip
    return planned


@transaction.atomic
def begin_suspension(planned: PlannedSuspension, *, by) -> bool:
    """The clock begins what was announced. An agreement that is suspended already stays so, and the period runs beside it
    until its end; one that has ended is left alone. False: it is not (any more) to begin."""
    agreement = lock_agreement(planned.agreement)
    now = timezone.now()
    if (
        not PlannedSuspension.objects.open()
        .filter(pk=planned.pk, started_at__isnull=True, starts_at__lte=now)
        .update(started_at=now)
    ):
        return False
    if agreement.status != AgreementStatus.IN_FORCE:
        if agreement.status != AgreementStatus.SUSPENDED:
            PlannedSuspension.objects.filter(pk=planned.pk).update(ended_at=now)
        return True
    AGREEMENT.move(
        agreement, "suspend_as_announced", by=by, suspension_kind=SuspensionKind.PLANNED, suspended_at=now,
        handling_plan=planned.reason,
    )  # fmt: skip
    steps.stand_still(agreement, now)
    raise_epoch("agreement", agreement.uuid)
    audit.record("agreement.suspended", agreement, by=by, organizations=agreement.party_uuids(), kind="planned")
    # Also those who came after it was announced.
    tell_parties("suspension_begun", agreement, N_("Agreement %(number)s is suspended, as announced, until %(end)s: %(reason)s"),
                 key=str(planned.uuid), operators=True, end=local(planned.ends_at), reason=planned.reason)  # fmt: skip
    return True


@transaction.atomic
def finish_suspension(planned: PlannedSuspension, *, by) -> bool:
    """The clock opens the agreement again at the expected end, unless somebody suspended it for another reason meanwhile.

    False: the period is not (any more) to end.
    """
    agreement = lock_agreement(planned.agreement)
    now = timezone.now()
    rows = PlannedSuspension.objects.open().filter(pk=planned.pk, started_at__isnull=False, ends_at__lte=now)
    if not rows.update(ended_at=now):
        return False
    if agreement.status != AgreementStatus.SUSPENDED or agreement.suspension_kind != SuspensionKind.PLANNED:
        return True
    AGREEMENT.move(agreement, "resume_as_announced", by=by, suspension_kind="", suspended_at=None, handling_plan="")
    steps.go_on(agreement, now)
    raise_epoch("agreement", agreement.uuid)
    audit.record("agreement.resumed", agreement, by=by, organizations=agreement.party_uuids())
    tell_parties("resumed", agreement, N_("Agreement %(number)s is in force again."))
    return True


@transaction.atomic
def suspend_consumer(
    party: Party, *, by, violation: str, plan: str, restore_conditions: str, determined_at: datetime.datetime | None = None
) -> ConsumerSuspension:
    """Stop one consumer's access now and tell it why, what is done and what restores it (NĐ 47/2020 Điều 43(2), (5)).

    A provider stops the access to its own operations, the operator all of it; the others of the agreement go on. The
    consumer hears of it in the same transaction, so the day of the rule `suspension.violation_notice` runs from when the
    violation was determined. One found while the agreement itself is suspended holds when that is resumed. Raises FactMissing when nothing is open to be stopped, Conflict when it is stopped already.
    """
    agreement = party.agreement
    require(by, "agreements.suspend", agreement)
    require_texts({"violation": violation, "plan": plan, "restore_conditions": restore_conditions})
    lock_agreement(agreement)
    notice = notice_of(determined_at)
    provider = acting_for(by, agreement.organization_ids(Side.PROVIDER))
    standing = ConsumerSuspension.objects.open().filter(party=party, provider=provider).first()
    if standing is not None:
        said = _("This consumer is suspended already.")
        raise done_already(said, standing.suspended_by, standing.created_at, code="already_suspended")
    grants = active_grants_of(party, provider)
    if agreement.status not in RUNNING or party.side != Side.CONSUMER or not grants:
        raise FactMissing(_("This consumer has no open access under the agreement."), code="no_open_access")
    made = ConsumerSuspension.objects.create(
        agreement=agreement, party=party, provider=provider, violation=violation.strip(), handling_plan=plan.strip(),
        restore_conditions=restore_conditions.strip(), suspended_by=by, **notice,
    )  # fmt: skip
    hold_grants(grants, made, by=by)
    audit.record(
        "consumer.suspended", agreement, by=by, organizations=agreement.party_uuids(), consumer=party.organization.code,
        determined_at=made.determined_at.isoformat(), told_late=made.was_told_late, grants=len(grants),
    )  # fmt: skip
    tell_parties(
        "consumer_suspended", agreement, N_("Access of %(consumer)s under agreement %(number)s is suspended: %(violation)s"),
        key=str(made.uuid), consumer=party.organization.name, violation=made.violation,
    )  # fmt: skip
    return made


def hold_grants(grants: list[Grant], suspension: ConsumerSuspension, *, by) -> None:
    for grant in grants:
        GRANT.move(grant, "hold", by=by, status_reason=suspension.violation, held_by=suspension)
        raise_epoch("grant", grant.uuid)


def active_grants_of(party: Party, provider: Organization | None) -> list[Grant]:
    """What runs for the systems of `party` on the operations of `provider` (of all providers when None), locked."""
    return [
        grant for grant in held_grants(agreement=party.agreement)
        if grant.status == GrantStatus.ACTIVE and grant.system.organization_id == party.organization_id
        and (provider is None or grant.operation.version.service.provider_id == provider.pk)
    ]  # fmt: skip


@transaction.atomic
def lift_consumer_suspension(suspension: ConsumerSuspension, *, by, comment: str = "") -> ConsumerSuspension:
    """The conditions are met: what was held opens again. What was suspended on its own before stays so, and the parties are told.

    Raises NotPermitted for another provider than the one that suspended, Conflict when it was lifted already.
    """
    agreement = suspension.agreement
    require(by, "agreements.suspend", agreement)
    lock_agreement(agreement)
    if not is_operator(by) and suspension.provider_id not in organization_ids(by, Role.PROVIDER_OFFICER):
        raise NotPermitted(
            _("Only the provider that suspended it, or the operator, lifts a suspension."), code="not_the_suspender"
        )
    rows = ConsumerSuspension.objects.open().filter(pk=suspension.pk)
    if rows.update(lifted_at=timezone.now(), lifted_by=by, comment=comment.strip(), updated_at=timezone.now()) != 1:
        suspension.refresh_from_db()
        said = _("This suspension was lifted already.")
        raise done_already(said, suspension.lifted_by, suspension.lifted_at, code="already_lifted")
    suspension.refresh_from_db()
    held = suspension.grants.filter(status=GrantStatus.SUSPENDED).order_by("pk")
    for grant in held.select_for_update(of=("self",), no_key=True):
        _open_or_hand_on(grant, agreement, by)
    event, message = (
        "suspension_lifted",
        N_(
            "The suspension of %(consumer)s under agreement %(number)s was lifted; what is suspended for another reason stays so."
        ),
    )
    if suspension.leaves_nothing_closed():
        event, message = "resumed", N_("Access of %(consumer)s under agreement %(number)s is open again.")
    consumer = suspension.party.organization
    audit.record(f"consumer.{event}", agreement, by=by, organizations=agreement.party_uuids(), consumer=consumer.code)
    tell_parties(f"consumer_{event}", agreement, message, key=str(suspension.uuid), consumer=consumer.name)
    return suspension


def _open_or_hand_on(grant: Grant, agreement: Agreement, by) -> None:
    """Open what was held, unless another suspension of the same consumer holds it too, or it was suspended on its own meanwhile."""
    other = held_by(agreement, grant.system, grant.operation)
    if other is not None:
        Grant.objects.filter(pk=grant.pk).update(held_by=other, status_reason=other.violation)
        return
    alone = grant.standing_suspensions()
    if alone:
        Grant.objects.filter(pk=grant.pk).update(held_by=None, status_reason=alone[0].reason)
        return
    GRANT.move(grant, "release", by=by, status_reason="", held_by=None)
    raise_epoch("grant", grant.uuid)
