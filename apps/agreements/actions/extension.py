"""The time to test a system is extended by the agency whose system it is."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import steps
from apps.agreements.actions.life import require_texts
from apps.agreements.announcements import agreement_url
from apps.agreements.choices import AgreementStatus, GrantStatus, Side, StepKind
from apps.agreements.locks import lock_agreement
from apps.agreements.models import Agreement, StepClock
from apps.audit import actions as audit
from apps.connections.announcements import moment, people
from apps.core.errors import Conflict, NotPermitted
from apps.core.workflow import came_second, done_already, require
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids


@transaction.atomic
def extend_test(
    agreement: Agreement, system: InformationSystem, *, by, reason: str, version: int | None = None
) -> StepClock:  # fmt: skip
    """The consumer takes as much time again to test `system`, from the moment the time it has was due; late or not.

    Once (regulations, section 7: "extendable once", a rule of the platform's own, [D]). A clock that begins anew, for another
    version or after a test that was not accepted, may be extended too. What is late by more than the added time stays late.
    Raises Conflict, which names who was first: `already_extended`, `already_recorded`, `access_suspended`, `no_test_running`,
    `transition_not_allowed` (the agreement is not in force), StaleVersion (`version` of the agreement); NotPermitted, FactMissing.
    """
    require(by, "agreements.extend_test", agreement)
    if system.organization_id not in organization_ids(by, Role.CONSUMER_OFFICER):
        raise NotPermitted(_("The time to test a system is extended by its own organization."), code="not_the_owner")
    require_texts({"reason": reason})
    lock_agreement(agreement, version)
    if agreement.status != AgreementStatus.IN_FORCE:
        raise came_second(agreement, _("The agreement is not in force."), verb="extend_test", state=agreement.status)
    clock = _running(agreement, system)
    was_due, operators_know = clock.due_at, clock.escalated_at is not None
    steps.extend(clock, timezone.now())
    audit.record(
        "step.extended", clock, by=by, organizations=agreement.party_uuids(), system=system.code, reason=reason.strip(),
        was_due=was_due.isoformat(), due=clock.due_at.isoformat(),
    )  # fmt: skip
    _tell(clock, by=by, reason=reason.strip(), operators=operators_know)
    return clock


def _running(agreement: Agreement, system: InformationSystem) -> StepClock:
    rows = agreement.clocks.filter(step=StepKind.TEST, system=system)
    # The sweep writes to a clock without holding its agreement: the row is held first and read afterwards.
    list(rows.not_over().select_for_update(no_key=True).values_list("pk"))
    clock = rows.running().select_related("deadline_rule", "system").first()
    if clock is None:
        raise _not_running(agreement, system)
    if clock.extended_at is not None:
        said = _("The time to test this system was extended already.")
        raise done_already(said, clock.last_mover(), clock.extended_at, code="already_extended")
    return clock


def _not_running(agreement: Agreement, system: InformationSystem) -> Conflict:
    """Why nobody waits for the test of `system`, and who made it so."""
    record = agreement.acceptances.standing().filter(system=system).first()
    if record is not None:
        said = _("There is a test record of this system already.")
        return done_already(said, record.recorded_by, record.created_at, code="already_recorded")
    halted = agreement.grants.untested().filter(system=system, status=GrantStatus.SUSPENDED).first()
    if halted is not None:
        row = halted.held_by or halted.standing_suspensions()[0]
        said = _("The test access of this system is suspended.")
        return done_already(said, row.suspended_by, row.created_at, code="access_suspended")
    return Conflict(_("No time to test this system is running under the agreement."), code="no_test_running")


def _tell(clock: StepClock, *, by, reason: str, operators: bool) -> None:
    """The providers' officers and the colleagues of who did it; the operators, where they were told that it is late."""
    agreement = clock.agreement
    told = [
        *people(Role.PROVIDER_OFFICER, agreement.organization_ids(Side.PROVIDER)),
        *people(Role.CONSUMER_OFFICER, [clock.system.organization_id]).exclude(pk=by.pk),
        *(people(Role.OPERATOR) if operators else ()),
    ]
    notify(
        told, "step.extended", key=f"step.extended:{clock.uuid}:{clock.due_at:%Y%m%d%H%M%S}",
        message=N_("The time to test %(system)s under agreement %(number)s was extended until %(due)s: %(reason)s"),
        url=agreement_url(agreement), number=agreement.number, system=clock.system.name, due=moment(clock.due_at), reason=reason,
    )  # fmt: skip
