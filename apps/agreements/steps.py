"""The clocks of an agreement's steps: what begins one, lets it stand still and go on.

The rule found at the beginning stays with the row, as with requests and disputes: one changed tomorrow changes no running
clock. Whom they tell is in `reminders`.
"""

from __future__ import annotations

import datetime
import logging

from django.utils import timezone

from apps.agreements.choices import AgreementStatus, StepKind
from apps.agreements.models import AcceptanceRecord, Agreement, AgreementVersion, StepClock
from apps.core.errors import InvalidFact
from apps.legal import deadlines
from apps.organizations.models import InformationSystem

log = logging.getLogger(__name__)
RULES = {
    StepKind.NEGOTIATE: "agreement.negotiate", StepKind.SIGN: "agreement.sign", StepKind.TEST: "test.period",
    StepKind.CONFIRM: "test.confirm",
}  # fmt: skip


def begin(agreement: Agreement, step: str, *, systems=(), record: AcceptanceRecord | None = None) -> None:
    """The time for `step` begins now, anew where one of its kind runs already; a test has one for each of `systems`.

    The caller holds the agreement. Where no rule is in force for the step, its time has no end: no law sets one, and nothing fails.
    """
    now = timezone.now()
    former = StepClock.objects.not_over().filter(agreement=agreement, step=step, record=record)
    (former.filter(system__in=systems) if systems else former).update(over_at=now)
    try:
        deadline = deadlines.start(RULES[step], now)
    except InvalidFact:
        log.warning("no rule says how long %s may take", step)
        return
    facts = {
        "agreement": agreement, "step": step, "record": record, "begun_at": now, "due_at": deadline.due_at,
        "half_at": deadlines.halfway(now, deadline.due_at), "deadline_rule": deadline.rule,
        "paused_at": now if agreement.status == AgreementStatus.SUSPENDED else None,
    }  # fmt: skip
    StepClock.objects.bulk_create(StepClock(system=system, **facts) for system in systems or (None,))


def begin_tests(version: AgreementVersion) -> None:
    """`version` is in force with its test access: what of it is not in production yet is to be tested.

    Who only sees another consumer join goes on with the time it has: nothing of its own is another.
    """
    agreement = version.agreement
    recorded = agreement.acceptances.standing().values("system")
    systems = InformationSystem.objects.filter(pk__in=agreement.grants.untested().values("system")).exclude(pk__in=recorded)
    if "addendum" in version.content:
        systems = systems.exclude(pk__in=agreement.clocks.not_over().filter(step=StepKind.TEST).values("system"))
    if systems := list(systems.order_by("pk")):
        begin(agreement, StepKind.TEST, systems=systems)


def extend(clock: StepClock, at: datetime.datetime) -> None:
    """As much time again, counted from the moment it was due by the rule it began under.

    Whoever was reminded, or told that it is late, is told anew: at half of what was added and at its end.
    """
    due_at = deadlines.under(clock.deadline_rule, clock.due_at).due_at
    clock.half_at, clock.due_at, clock.extended_at = deadlines.halfway(clock.due_at, due_at), due_at, at
    clock.reminded_at = clock.escalated_at = None
    clock.save(update_fields=["half_at", "due_at", "extended_at", "reminded_at", "escalated_at", "updated_at"])


def stand_still(agreement: Agreement, at: datetime.datetime) -> None:
    """The agreement is suspended: what is to be signed, tested or confirmed waits for that too."""
    agreement.clocks.not_over().filter(paused_at__isnull=True).update(paused_at=at)


def go_on(agreement: Agreement, at: datetime.datetime) -> None:
    """It is in force again: as many working days are left as there were. What was late stays late."""
    for row in agreement.clocks.not_over().filter(paused_at__isnull=False):
        row.due_at = deadlines.resume(row.due_at, row.paused_at, at)
        row.half_at = min(deadlines.resume(row.half_at, row.paused_at, at), row.due_at)
        row.paused_at = None
        row.save(update_fields=["due_at", "half_at", "paused_at", "updated_at"])
