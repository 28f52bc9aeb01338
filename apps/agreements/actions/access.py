"""Test records and grants: what opens production, and what suspends or ends one system's access."""

from __future__ import annotations

import datetime
import uuid as uuids

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import steps
from apps.agreements.actions.in_place import is_delegated
from apps.agreements.actions.life import require_texts
from apps.agreements.announcements import tell_owners
from apps.agreements.choices import AcceptanceStatus, AgreementStatus, GrantStatus, Side, StepKind, VersionState
from apps.agreements.grants import follow_suspensions, held_by, issue_credential, open_production, planned_after
from apps.agreements.locks import hold, lock_agreement
from apps.agreements.models import AcceptanceRecord, Agreement, Grant
from apps.agreements.suspensions import lift, record_suspension, require_suspender, to_be_lifted
from apps.agreements.workflow import ACCEPTANCE, GRANT
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.workflow import done_already, require
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids
from apps.registry.choices import Environment


@transaction.atomic
def record_acceptance(
    agreement: Agreement, system: InformationSystem, *, by, tested_on: datetime.date, summary: str,
    uuid: uuids.UUID | None = None,
) -> AcceptanceRecord:  # fmt: skip
    """The consumer records what was tested (WF-35). One open record a system; `uuid` makes the act repeatable.

    Raises FactMissing when the agreement is not in force or the system has no test access under it.
    """
    require(by, "agreements.record_acceptance", agreement)
    if system.organization_id not in organization_ids(by, Role.CONSUMER_OFFICER):
        raise NotPermitted(_("The test record of a system is its own organization's."), code="not_the_owner")
    lock_agreement(agreement)
    _require_in_force(agreement)
    if not agreement.grants.filter(system=system, environment=Environment.TEST).exclude(status=GrantStatus.ENDED).exists():
        raise FactMissing(_("This system has no test access under the agreement."), code="no_test_access")
    _check_test(agreement, tested_on, summary)
    again = (
        AcceptanceRecord.objects.filter(uuid=uuid, agreement=agreement, system=system, recorded_by=by).first() if uuid else None
    )
    if again is not None:
        return again
    try:
        with transaction.atomic():
            record = AcceptanceRecord.objects.create(
                uuid=uuid or uuids.uuid4(), agreement=agreement, for_version=agreement.current_version, system=system, tested_on=tested_on, summary=summary.strip(),
                recorded_by=by,
            )  # fmt: skip
    except IntegrityError as error:
        standing = agreement.acceptances.filter(system=system, for_version=agreement.current_version)
        standing = standing.exclude(status=AcceptanceStatus.REJECTED).first()
        if standing is None:
            raise Conflict(code="idempotency_key_reused") from error
        said = _("There is a test record of this system already.")
        raise done_already(said, standing.recorded_by, standing.created_at, code="already_recorded") from error
    steps.begin(agreement, StepKind.CONFIRM, systems=[system], record=record)
    audit.record("acceptance.recorded", record, by=by, organizations=agreement.party_uuids())
    tell_owners("recorded", agreement, record, agreement.organization_ids(Side.PROVIDER),
                N_("The test record of %(system)s under agreement %(number)s awaits your confirmation."),
                role=Role.PROVIDER_OFFICER)  # fmt: skip
    return record


def _check_test(agreement: Agreement, tested_on: datetime.date, summary: str) -> None:
    require_texts({"summary": summary})
    if tested_on > timezone.localdate():
        raise InvalidFact(code="test_in_future", fields={"tested_on": [_("The day of the test lies in the future.")]})
    if tested_on < timezone.localdate(agreement.in_force_at):
        raise InvalidFact(code="test_too_early", fields={"tested_on": [_("There was no test access on that day yet.")]})


@transaction.atomic
def confirm_acceptance(record: AcceptanceRecord, *, by, comment: str = "", version: int | None = None) -> AcceptanceRecord:
    """The provider or the operator confirms: production grants open, and a production account can be collected.

    An access to production that was suspended on its own stays so: resuming it is a step of its own. A test access that was ended since
    opens none; raises FactMissing (`no_test_access`) when all were.
    """
    agreement = lock_agreement(record.agreement)
    ACCEPTANCE.check(record, "confirm", by=by, version=version)
    _require_other_person(record, by)
    _require_in_force(agreement)
    ACCEPTANCE.move(record, "confirm", by=by, version=version, decided_by=by, decided_at=timezone.now(), comment=comment)
    current, system = agreement.current_version, record.system
    if record.for_version_id != current.pk:
        raise FactMissing(_("The test was made under an older version of the agreement."), code="older_version")
    later = agreement.versions.filter(state=VersionState.SCHEDULED).first()
    hold({*current.service_codes(), *(later.service_codes() if later else ())}, {system.code})
    open_production(current, system, by=by)
    issue_credential(system, Environment.PRODUCTION, by=by, delegated=is_delegated(current, system))
    audit.record("acceptance.confirmed", record, by=by, organizations=agreement.party_uuids())
    tell_owners("confirmed", agreement, record, [system.organization_id],
                N_("%(system)s may use production under agreement %(number)s. The account can be collected."))  # fmt: skip
    return record


@transaction.atomic
def reject_acceptance(record: AcceptanceRecord, *, by, comment: str, version: int | None = None) -> AcceptanceRecord:
    """The test is not accepted, with the reason; the consumer may test and record again, and has the whole time for it."""
    agreement = lock_agreement(record.agreement)
    _require_other_person(record, by)
    require_texts({"comment": comment})
    ACCEPTANCE.move(record, "reject", by=by, version=version, decided_by=by, decided_at=timezone.now(), comment=comment.strip())
    # A test under a version that was replaced takes no time from the one that is under way.
    if AcceptanceRecord.objects.filter(pk=record.pk, for_version__state=VersionState.CURRENT).exists():
        steps.begin(agreement, StepKind.TEST, systems=[record.system])
    audit.record("acceptance.rejected", record, by=by, organizations=agreement.party_uuids(), comment=comment.strip())
    tell_owners("rejected", agreement, record, [record.system.organization_id],
                N_("The test record of %(system)s was not accepted: %(comment)s"), comment=comment.strip())  # fmt: skip
    return record


def _require_other_person(record: AcceptanceRecord, by) -> None:
    if record.recorded_by_id == by.pk:
        raise NotPermitted(_("Who recorded the test does not confirm it."), code="four_eyes")


def _require_in_force(agreement: Agreement) -> None:
    if agreement.status != AgreementStatus.IN_FORCE:
        raise FactMissing(_("The agreement is not in force."), code="agreement_not_in_force")


@transaction.atomic
def suspend_grant(grant: Grant, *, by, reason: str, version: int | None = None) -> Grant:
    """Stop one system's access to one operation; the very next call is refused. The reason goes to the consumer.

    What is suspended already takes the reason of another side beside it (`suspensions`); it opens when none stands. Raises
    Conflict (`already_suspended`) when a suspension of `by`'s side stands.
    """
    require(by, "agreements.suspend_grant", grant)
    require_texts({"reason": reason})
    _hold(grant)
    _require_running(grant)
    GRANT.check(grant, "suspend", by=by, version=version)
    record_suspension(grant, by=by, reason=reason)
    # What is shown is why it stood still first: the suspension of its consumer, or the oldest of its own.
    stood = grant.status == GrantStatus.SUSPENDED
    shown = grant.status_reason if stood else reason.strip()
    GRANT.move(grant, "suspend", by=by, version=version, status_reason=shown)
    follow_suspensions(grant, by=by)
    return _changed(
        grant, "suspension_added" if stood else "suspended", by,
        N_("Access of %(system)s under agreement %(number)s is suspended: %(reason)s"), reason.strip(),
    )  # fmt: skip


@transaction.atomic
def resume_grant(grant: Grant, *, by, version: int | None = None) -> Grant:
    """Lift what `by`'s side suspended (the operator, with nothing of its own: what the provider did); open when nothing stands.

    Raises NotPermitted (`not_the_suspender`) for whoever did not suspend it and is not the operator, Conflict while its consumer
    is suspended under the agreement: that is lifted, not this.

    It does not matter which of the two suspensions came first: what stood still already is not held, and does not open either.
    """
    require(by, "agreements.suspend_grant", grant)
    lock_agreement(grant.agreement)
    if held_by(grant.agreement, grant.system, grant.operation):
        raise Conflict(
            _("Its consumer is suspended under the agreement; that suspension is lifted."), code="consumer_suspended"
        )
    require_suspender(grant, by)
    _require_running(grant)
    GRANT.check(grant, "resume", by=by, version=version)
    lifted, left = to_be_lifted(grant, by)
    if left:
        lift(lifted, by=by)
        return _still_suspended(grant, left[0].reason, by)
    GRANT.move(grant, "resume", by=by, version=version, status_reason="")
    lift(lifted, by=by)
    follow_suspensions(grant, by=by)
    message = N_("Access of %(system)s under agreement %(number)s is open again.")
    if grant.agreement.status != AgreementStatus.IN_FORCE:
        message = N_("The access of %(system)s under agreement %(number)s is suspended no more; the agreement itself still is.")
    return _changed(grant, "resumed", by, message)


def _still_suspended(grant: Grant, reason: str, by) -> Grant:
    """One side's suspension is lifted, another's stands."""
    grant.status_reason = reason
    grant.version += 1
    grant.save(update_fields=["status_reason", "version", "updated_at"])
    follow_suspensions(grant, by=by)
    return _changed(
        grant, "suspension_lifted", by,
        N_("A suspension of the access of %(system)s under agreement %(number)s was lifted; it stays suspended: %(reason)s"),
    )  # fmt: skip


@transaction.atomic
def end_grant(grant: Grant, *, by, reason: str, version: int | None = None) -> Grant:
    """End one access for good (the agreement goes on). Opening it again takes a new acceptance or a new version."""
    require(by, "agreements.end_grant", grant)
    require_texts({"reason": reason})
    _hold(grant)
    _require_running(grant)
    GRANT.move(grant, "end", by=by, version=version, status_reason=reason.strip())
    for row in planned_after(grant):
        GRANT.move(row, "end", by=by, status_reason=grant.status_reason)
        raise_epoch("grant", row.uuid)
    return _changed(grant, "ended", by, N_("Access of %(system)s under agreement %(number)s has ended: %(reason)s"))


def _hold(grant: Grant) -> None:
    """Take turns with what opens successors of the grant: a new version and a confirmation see this, or this sees them.

    The grant is then stopped as it is, also where a version of its service was published at this instant.
    """
    lock_agreement(grant.agreement)
    grant.refresh_from_db(from_queryset=Grant.objects.select_for_update(no_key=True))


def _require_running(grant: Grant) -> None:
    if grant.is_planned:
        raise FactMissing(
            _("This access begins with a later version: take the step on the one that runs now."), code="begins_later"
        )


def _changed(grant: Grant, event: str, by, message: str, reason: str = "") -> Grant:
    raise_epoch("grant", grant.uuid)
    reason = reason or grant.status_reason
    parties = [grant.system.organization, grant.operation.version.service.provider]
    audit.record(f"grant.{event}", grant, by=by, organizations=parties, reason=reason)
    tell_owners(event, grant.agreement, grant, [grant.system.organization_id], message, reason=reason)
    return grant
