"""An agreement in force: suspended, resumed, terminated, expired. Each closes or opens rights for the very next call."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import steps
from apps.agreements.announcements import tell_parties
from apps.agreements.choices import AgreementStatus, DutyKind, Side, SuspensionKind, TerminationGround, VersionState
from apps.agreements.grants import close_grants
from apps.agreements.locks import lock_agreement
from apps.agreements.models import Agreement, Duty, DutyCertificate, Suspension
from apps.agreements.rules import leaves_others
from apps.agreements.suspensions import (
    end_suspensions_of_consumers,
    lift,
    notice_of,
    record_suspension,
    require_suspender,
    to_be_lifted,
)
from apps.agreements.workflow import AGREEMENT
from apps.audit import actions as audit
from apps.connections import files
from apps.core import ticks
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.workflow import done_already, require
from apps.legal.announced import NOTICE, local
from apps.legal.stated import stated
from apps.organizations.choices import Role
from apps.organizations.roles import organization_ids


@transaction.atomic
def suspend_agreement(
    agreement: Agreement, *, by, kind: str, violation: str = "", plan: str = "", restore_conditions: str = "",
    determined_at: datetime.datetime | None = None, version: int | None = None,
) -> Agreement:  # fmt: skip
    """Suspend now; the very next call is refused. The parties are told in the same transaction (NĐ 47/2020 Điều 43(5)).

    A violation names what was violated, how it is handled and what restores the connection, and is told within the day of the
    rule `suspension.violation_notice` from when it was determined (WF-42; left out: now); force majeure
    names what happened and the plan. A planned suspension needs notice first: `announce_suspension`. What another
    suspended already takes a reason of `by`'s own side beside it: neither opens while the other stands. Raises Conflict
    (`already_suspended`) when a suspension of that side stands.
    """
    if kind == SuspensionKind.PLANNED:
        told = _("A planned suspension is announced at least %(term)s before it begins (%(citation)s).")
        raise InvalidFact(stated(told, NOTICE), code="needs_notice")
    needed = {"violation": violation, "plan": plan}
    if kind == SuspensionKind.VIOLATION:
        needed["restore_conditions"] = restore_conditions
    require_texts(needed)
    facts = {"kind": kind, "handling_plan": plan.strip(), "restore_conditions": restore_conditions.strip()}
    if kind == SuspensionKind.VIOLATION:
        facts |= notice_of(determined_at)
    elif determined_at is not None:
        told = _("Only a violation is determined: leave this empty.")
        raise InvalidFact(code="no_violation", fields={"determined_at": [told]})
    return _suspend(agreement, by, version, violation.strip(), facts)


def _suspend(agreement: Agreement, by, version: int | None, violation: str, facts: dict) -> Agreement:
    require(by, "agreements.suspend", agreement)
    lock_agreement(agreement)
    AGREEMENT.check(agreement, "suspend", by=by, version=version)
    event = "suspension_added" if agreement.status == AgreementStatus.SUSPENDED else "suspended"
    made = record_suspension(agreement, by=by, reason=violation, **facts)
    AGREEMENT.move(agreement, "suspend", by=by, version=version, **_shown(agreement.standing_suspensions()[0]))
    steps.stand_still(agreement, timezone.now())
    raise_epoch("agreement", agreement.uuid)
    audit.record(
        f"agreement.{event}", agreement, by=by, organizations=agreement.party_uuids(), kind=str(made.kind),
        provider=made.provider.code if made.provider else "", **_notice(made),
    )  # fmt: skip
    tell_parties("suspended", agreement, N_("Agreement %(number)s is suspended: %(violation)s"), violation=violation,
                 operators=True, besides=by)  # fmt: skip
    return agreement


def _notice(row: Suspension) -> dict:
    """What the record says of the notice of a violation; of other suspensions nothing."""
    if row.determined_at is None:
        return {}
    return {"determined_at": row.determined_at.isoformat(), "told_late": row.was_told_late}


def _shown(row: Suspension) -> dict:
    """What the agreement's own row says of its suspensions: the facts of the oldest that stands."""
    return {
        "suspension_kind": row.kind, "suspended_at": row.since, "violation": row.reason, "handling_plan": row.handling_plan,
        "restore_conditions": row.restore_conditions,
    }  # fmt: skip


@transaction.atomic
def resume_agreement(agreement: Agreement, *, by, comment: str = "", version: int | None = None) -> Agreement:
    """Lift what `by`'s side suspended (the operator, with nothing of its own: what the others did); in force again when
    nothing stands any more. A planned suspension that held it is over with that.

    Raises NotPermitted (`not_the_suspender`, naming who may) for another provider, FactMissing when its term is over
    meanwhile (`period_over`), and while an announced period runs that is not what suspended it (`planned_suspension_runs`): that one is called off first, so nothing opens inside it without somebody saying so.
    """
    require(by, "agreements.suspend", agreement)
    lock_agreement(agreement)
    require_suspender(agreement, by)
    AGREEMENT.check(agreement, "resume", by=by, version=version)
    lifted, left = to_be_lifted(agreement, by)
    if left:
        return _lift_some(agreement, lifted, left, by=by, comment=comment)
    if agreement.valid_to and agreement.valid_to <= timezone.now():
        raise FactMissing(_("The agreement has run out meanwhile."), code="period_over")
    planned = agreement.suspension_kind == SuspensionKind.PLANNED
    running = None if planned else agreement.planned_suspensions.running(timezone.now()).first()
    if running is not None:
        raise FactMissing(
            _("A planned suspension runs until %(end)s: call it off first, or resume after it.")
            % {"end": local(running.ends_at)},
            code="planned_suspension_runs",
        )
    AGREEMENT.move(
        agreement, "resume", by=by, version=version, suspension_kind="", suspended_at=None, violation="", handling_plan="",
        restore_conditions="",
    )  # fmt: skip
    lift(lifted, by=by, comment=comment)
    steps.go_on(agreement, timezone.now())
    if planned:
        # The gateway holds calls back as long as the announced period is open, whatever the state of the agreement says.
        agreement.planned_suspensions.open().filter(started_at__isnull=False).update(ended_at=timezone.now())
    raise_epoch("agreement", agreement.uuid)
    audit.record("agreement.resumed", agreement, by=by, organizations=agreement.party_uuids(), comment=comment)
    tell_parties("resumed", agreement, N_("Agreement %(number)s is in force again."))
    return agreement


def _lift_some(agreement: Agreement, lifted: list, left: list, *, by, comment: str) -> Agreement:
    """One side's suspension is lifted, another's stands: nothing opens, and the page shows what stands."""
    lift(lifted, by=by, comment=comment)
    facts = _shown(left[0])
    for name, value in facts.items():
        setattr(agreement, name, value)
    agreement.version += 1
    agreement.save(update_fields=[*facts, "version", "updated_at"])
    audit.record("agreement.suspension_lifted", agreement, by=by, organizations=agreement.party_uuids(), comment=comment)
    tell_parties(
        "suspension_lifted", agreement, N_("A suspension of agreement %(number)s was lifted; it stays suspended: %(violation)s"),
        violation=left[0].reason,
    )  # fmt: skip
    return agreement


def _close_all(agreement: Agreement, *, by, reason: str) -> None:
    """Nothing runs any more, and what would have begun later does not."""
    close_grants(agreement, by=by, reason=reason)
    agreement.versions.filter(state=VersionState.SCHEDULED).update(state=VersionState.SUPERSEDED)
    agreement.planned_suspensions.open().update(ended_at=timezone.now())
    end_suspensions_of_consumers(agreement, by=by, reason=reason)
    raise_epoch("agreement", agreement.uuid)


DUTIES = {
    Side.CONSUMER: (DutyKind.DATA_DELETED, DutyKind.CONFIGURATION_REMOVED),
    Side.PROVIDER: (DutyKind.FINAL_STATISTICS,),
}


@transaction.atomic
def terminate_agreement(agreement: Agreement, *, by, ground: str, reason: str, version: int | None = None) -> Agreement:
    """Close every access now and open the checklist of duties (NĐ 47/2020 Điều 44).

    Raises InvalidFact for an unknown ground, FactMissing (`term_runs`) for the end of a term that runs, NotPermitted for a consumer's ground given by the other side, and
    (`others_concerned`) for one consumer of several that ends for all what is only its own to leave; that a competent body
    asks for the end concerns all.
    """
    if ground not in TerminationGround.values:
        raise InvalidFact(code="unknown_ground", fields={"ground": [_("Choose one of the grounds of the decree.")]})
    require_texts({"reason": reason})
    AGREEMENT.check(agreement, "terminate", by=by, version=version)
    if ground == TerminationGround.EXPIRED and (agreement.valid_to is None or agreement.valid_to > timezone.now()):
        raise FactMissing(
            code="term_runs", fields={"ground": [_("The term of the agreement is not over: choose another ground.")]}
        )
    consumer = bool(organization_ids(by, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER))
    if ground != TerminationGround.AUTHORITY and consumer and leaves_others(by, agreement):
        raise NotPermitted(
            _("Other consumers use the agreement: your agency leaves it, and it goes on for them."), code="others_concerned"
        )
    if ground == TerminationGround.CONSUMER and not consumer:
        raise NotPermitted(_("Only the consumer can say that it no longer needs the connection."), code="ground_of_consumer")
    AGREEMENT.move(
        agreement, "terminate", by=by, version=version, termination_ground=ground, status_reason=reason.strip(),
        ended_at=timezone.now(),
    )  # fmt: skip
    _close_all(agreement, by=by, reason=reason.strip())
    _open_duties(agreement)
    audit.record("agreement.ending", agreement, by=by, organizations=agreement.party_uuids(), ground=str(ground), reason=reason)
    tell_parties(
        "ending", agreement, N_("Agreement %(number)s is being terminated: %(reason)s"), reason=reason.strip(), joiners=True,
        operators=True, besides=by,
    )  # fmt: skip
    return agreement


def _open_duties(agreement: Agreement) -> None:
    rows = [
        Duty(agreement=agreement, party=party, kind=kind)
        for party in agreement.present_parties().bound()
        for kind in DUTIES[party.side]
    ]
    # One that had left, and came back by a merge before it did its duties, has its rows from then.
    Duty.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def complete_duty(duty: Duty, *, by, note: str, file: tuple[str, bytes] | None = None) -> Duty:
    """The officer of the party whose duty it is says how it was done, with the paper that shows it (`file`: name, bytes).

    That received data is deleted is shown by a certificate (the agreement's item 11, WF-43). A duty is done once. Raises
    FactMissing (`certificate_missing`), InvalidFact (`file_*`, `duty_not_owed`) and Conflict (`duty_done`).
    """
    role = Role.CONSUMER_OFFICER if duty.party.side == Side.CONSUMER else Role.PROVIDER_OFFICER
    if duty.party.organization_id not in organization_ids(by, role):
        raise NotPermitted(code="not_the_party")
    require_texts({"note": note})
    if file is None and duty.kind == DutyKind.DATA_DELETED:
        raise FactMissing(code="certificate_missing", fields={"certificate": [_("Attach the certificate of deletion.")]})
    judged = files.judge(*file) if file else None
    # Whether it is owed lies in other tables, which an UPDATE that has waited does not ask again: the second waits here.
    Duty.objects.select_for_update(no_key=True).only("pk").get(pk=duty.pk)
    done = Duty.objects.owed().filter(pk=duty.pk)
    if done.update(done_at=timezone.now(), done_by=by, note=note.strip()) != 1:
        duty.refresh_from_db()
        if duty.done_at is None:
            raise InvalidFact(_("The duty is not owed yet: nobody leaves."), code="duty_not_owed")
        raise done_already(_("The duty is done already."), duty.done_by, duty.done_at, code="duty_done")
    duty.refresh_from_db()
    kept = _keep_certificate(duty, by, *judged, file[1]) if judged else None
    audit.record("duty.done", duty, by=by, organizations=duty.agreement.party_uuids(), kind=duty.kind,
                 sha256=kept.sha256 if kept else "")  # fmt: skip
    return duty


def _keep_certificate(duty: Duty, by, name: str, media_type: str, data: bytes) -> DutyCertificate:
    made = DutyCertificate.objects.create(
        duty=duty, name=name, media_type=media_type, size=len(data), sha256=files.digest(data), uploaded_by=by
    )
    files.keep(made, data)
    return made


@transaction.atomic
def finish_termination(agreement: Agreement, *, by, version: int | None = None) -> Agreement:
    """Terminated, when every duty is done. Raises FactMissing naming the open ones."""
    AGREEMENT.check(agreement, "finish", by=by, version=version)
    open_duties = [str(duty) for duty in agreement.duties.filter(done_at__isnull=True).select_related("party__organization")]
    if open_duties:
        raise FactMissing(_("Duties still open: %(duties)s.") % {"duties": "; ".join(open_duties)}, code="duties_open")
    AGREEMENT.move(agreement, "finish", by=by, version=version)
    audit.record("agreement.terminated", agreement, by=by, organizations=agreement.party_uuids())
    tell_parties("terminated", agreement, N_("Agreement %(number)s is terminated."), operators=True, besides=by)
    return agreement


@transaction.atomic
def expire_agreement(agreement: Agreement, *, by) -> Agreement:
    """The clock ends an agreement whose last moment has passed. (The gateway refuses by the moment itself, not by this.)

    That is a ground of termination like the others (NĐ 47/2020 Điều 44(1)(d)), so the checklist of duties opens too.
    """
    AGREEMENT.check(agreement, "expire", by=by)
    if agreement.valid_to is None or agreement.valid_to > timezone.now():
        raise FactMissing(code="not_yet")
    AGREEMENT.move(agreement, "expire", by=by, ended_at=agreement.valid_to, termination_ground=TerminationGround.EXPIRED)
    _close_all(agreement, by=by, reason="expired")
    _open_duties(agreement)
    audit.record("agreement.expired", agreement, by=by, organizations=agreement.party_uuids())
    tell_parties("expired", agreement, N_("Agreement %(number)s has expired; its duties are listed on its page."), joiners=True,
                 operators=True, besides=by)  # fmt: skip
    return agreement


def expire_agreements(*, by) -> int:
    """Expire whatever is due, each in its own transaction; return how many were. A second run finds nothing."""
    return ticks.each(Agreement.objects.due_to_expire(timezone.now()), lambda agreement: _expire(agreement, by))


def _expire(agreement: Agreement, by) -> int:
    try:
        expire_agreement(agreement, by=by)
    except Conflict:
        return 0  # somebody ended it at the same moment
    return 1


def require_texts(texts: dict[str, str]) -> None:
    """Raise FactMissing naming every text that was not given."""
    absent = [name for name, text in texts.items() if not text.strip()]
    if absent:
        raise FactMissing(fields={name: [_("This field is required.")] for name in absent})
