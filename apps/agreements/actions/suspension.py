"""Planned suspensions: announced seven working days ahead, begun and ended by the clock."""

from __future__ import annotations

import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.actions.life import require_texts
from apps.agreements.actions.signing import lock_agreement
from apps.agreements.announcements import tell_parties
from apps.agreements.choices import AgreementStatus, SuspensionKind
from apps.agreements.models import Agreement, PlannedSuspension
from apps.agreements.workflow import AGREEMENT
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact
from apps.core.workflow import require
from apps.legal import deadlines

NOTICE = "suspension.planned_notice"


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
    earliest = deadlines.start(NOTICE, timezone.now())
    if starts_at <= earliest.due_at:
        day = timezone.localtime(earliest.due_at).strftime("%d/%m/%Y")
        raise InvalidFact(
            _("A planned suspension is announced at least %(days)s working days before: it can begin after %(day)s (%(citation)s).")
            % {"days": f"{earliest.rule.value:g}", "day": day, "citation": earliest.rule.citation},
            code="notice_too_short", earliest=earliest.due_at.isoformat(),
        )  # fmt: skip
    if ends_at <= starts_at:
        raise InvalidFact(code="period", fields={"ends_at": [_("The period ends before it begins.")]})
    try:
        with transaction.atomic():
            planned = PlannedSuspension.objects.create(
                agreement=agreement, starts_at=starts_at, ends_at=ends_at, reason=reason.strip(), announced_by=by
            )
    except IntegrityError as error:
        raise Conflict(_("A suspension of this agreement is announced already."), code="already_announced") from error
    audit.record(
        "suspension.announced", agreement, by=by, organizations=agreement.party_uuids(), starts_at=starts_at.isoformat()
    )
    tell_parties(
        "suspension_announced", agreement, N_("Agreement %(number)s will be suspended from %(start)s to %(end)s: %(reason)s"),
        key=str(planned.uuid), start=_local(starts_at), end=_local(ends_at), reason=reason.strip(),
    )  # fmt: skip
    return planned


@transaction.atomic
def cancel_suspension(planned: PlannedSuspension, *, by) -> PlannedSuspension:
    """Call an announced suspension off before it begins."""
    require(by, "agreements.suspend", planned.agreement)
    rows = PlannedSuspension.objects.open().filter(pk=planned.pk, started_at__isnull=True)
    if rows.update(cancelled_at=timezone.now()) != 1:
        raise Conflict(code="already_begun")
    planned.refresh_from_db()
    agreement = planned.agreement
    audit.record("suspension.cancelled", agreement, by=by, organizations=agreement.party_uuids())
    tell_parties("suspension_cancelled", agreement, N_("The announced suspension of agreement %(number)s will not take place."),
                 key=str(planned.uuid))  # fmt: skip
    return planned


@transaction.atomic
def begin_suspension(planned: PlannedSuspension, *, by) -> None:
    """The clock begins what was announced; an agreement that is not in force any more is left alone."""
    agreement = lock_agreement(planned.agreement)
    now = timezone.now()
    if (
        not PlannedSuspension.objects.open()
        .filter(pk=planned.pk, started_at__isnull=True, starts_at__lte=now)
        .update(started_at=now)
    ):
        return
    if agreement.status != AgreementStatus.IN_FORCE:
        PlannedSuspension.objects.filter(pk=planned.pk).update(ended_at=now)
        return
    AGREEMENT.move(
        agreement, "suspend_as_announced", by=by, suspension_kind=SuspensionKind.PLANNED, suspended_at=now,
        handling_plan=planned.reason,
    )  # fmt: skip
    raise_epoch("agreement", agreement.uuid)
    audit.record("agreement.suspended", agreement, by=by, organizations=agreement.party_uuids(), kind="planned")


@transaction.atomic
def finish_suspension(planned: PlannedSuspension, *, by) -> None:
    """The clock opens the agreement again at the expected end, unless somebody suspended it for another reason meanwhile."""
    agreement = lock_agreement(planned.agreement)
    now = timezone.now()
    rows = PlannedSuspension.objects.open().filter(pk=planned.pk, started_at__isnull=False, ends_at__lte=now)
    if not rows.update(ended_at=now):
        return
    if agreement.status != AgreementStatus.SUSPENDED or agreement.suspension_kind != SuspensionKind.PLANNED:
        return
    AGREEMENT.move(agreement, "resume_as_announced", by=by, suspension_kind="", suspended_at=None, handling_plan="")
    raise_epoch("agreement", agreement.uuid)
    audit.record("agreement.resumed", agreement, by=by, organizations=agreement.party_uuids())
    tell_parties("resumed", agreement, N_("Agreement %(number)s is in force again."))


def _local(moment: datetime.datetime) -> str:
    return timezone.localtime(moment).strftime("%H:%M %d/%m/%Y")
