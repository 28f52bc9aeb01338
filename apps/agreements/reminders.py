"""Whom the clocks of an agreement's steps remind at half of the time and tell at the end (`steps` begins them).

Each word is said once a clock, to whoever can take the step; what is late goes to the operators too.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.agreements.actions.signing import signers_to_come
from apps.agreements.announcements import agreement_url, officers_of
from apps.agreements.choices import Side, StepKind
from apps.agreements.models import StepClock
from apps.connections.announcements import moment, people
from apps.core import ticks
from apps.notices.actions import notify
from apps.organizations.choices import Role

MOST = 500
HALF = {
    StepKind.NEGOTIATE: N_("Half of the time to agree on the content of agreement %(number)s has passed; it ends on %(due)s."),
    StepKind.SIGN: N_("Half of the time to sign agreement %(number)s has passed; it ends on %(due)s."),
    StepKind.TEST: N_("Half of the time to test %(system)s under agreement %(number)s has passed; the test record is due on %(due)s."),
    StepKind.CONFIRM: N_("Half of the time to confirm the test record of %(system)s under agreement %(number)s has passed; it ends on %(due)s."),
}  # fmt: skip
HALF_AGAIN = N_(
    "Half of the time that was added to test %(system)s under agreement %(number)s has passed; the test record is due on %(due)s."
)
LATE = {
    StepKind.NEGOTIATE: N_("The content of agreement %(number)s was to be agreed on by %(due)s: it is late."),
    StepKind.SIGN: N_("Agreement %(number)s was to be signed by %(due)s: it is late."),
    StepKind.TEST: N_("The test record of %(system)s under agreement %(number)s was due on %(due)s: it is late."),
    StepKind.CONFIRM: N_("The test record of %(system)s under agreement %(number)s was to be confirmed by %(due)s: it is late."),
}  # fmt: skip


def remind() -> dict[str, int]:
    """Whatever is due now. A second run does nothing. Returns how many of each."""
    now = timezone.now()
    rows = StepClock.objects.running().filter(half_at__lte=now).order_by("half_at", "pk")
    half = rows.filter(reminded_at__isnull=True, due_at__gt=now)
    late = rows.filter(escalated_at__isnull=True, due_at__lte=now)
    return {
        "steps_over": _put_aside(now),
        "steps_half": ticks.each(half[:MOST], lambda row: _tell(row, "half", "reminded_at", now)),
        "steps_late": ticks.each(late[:MOST], lambda row: _tell(row, "late", "escalated_at", now)),
    }


def _put_aside(now) -> int:
    """Clocks whose step is done are not looked at again, so that a minute costs what waits, not what ever was."""
    waits = StepClock.objects.waiting().filter(pk=OuterRef("pk"))
    done = StepClock.objects.not_over().filter(~Exists(waits), half_at__lte=now).order_by("half_at")
    # One by one: a verb may hold several clocks of an agreement, in an order of its own.
    return ticks.each(done[:MOST], lambda row: StepClock.objects.not_over().filter(pk=row.pk).update(over_at=now))


@transaction.atomic
def _tell(clock: StepClock, event: str, told: str, now) -> int:
    """Of two clocks that run at once, one tells; and nobody is told of what was done while the row was waited for."""
    fresh = {"pk": clock.pk, "due_at": clock.due_at, f"{told}__isnull": True}
    held = StepClock.objects.not_over().filter(**fresh).select_for_update(no_key=True).values_list("pk", flat=True)
    if not list(held) or not StepClock.objects.running().filter(pk=clock.pk).exists():
        return 0
    StepClock.objects.filter(pk=clock.pk).update(**{told: now})
    recipients = [*who_acts(clock), *(people(Role.OPERATOR) if event == "late" else ())]
    notify(
        recipients, f"step.{event}", key=f"step.{event}:{clock.uuid}:{clock.due_at:%Y%m%d%H%M%S}",
        message=_message(clock, event), url=agreement_url(clock.agreement), number=clock.agreement.number,
        system=clock.system.name if clock.system else "", due=moment(clock.due_at),
    )  # fmt: skip
    return 1


def _message(clock: StepClock, event: str) -> str:
    if event == "late":
        return LATE[clock.step]
    return HALF_AGAIN if clock.extended_at else HALF[clock.step]


def who_acts(clock: StepClock) -> list:
    """The people who can take the step now."""
    return list(_WHO[clock.step](clock))


def _negotiators(clock: StepClock) -> list:
    """The officers of the parties that have not agreed to the newest content."""
    newest = clock.agreement.versions.order_by("-number").first()
    return officers_of(clock.agreement.present_parties().exclude(pk__in=newest.consents.values("party_id")))


def _signers(clock: StepClock):
    return signers_to_come(clock.agreement.versions.order_by("-number").first())


def _testers(clock: StepClock):
    return people(Role.CONSUMER_OFFICER, [clock.system.organization_id])


def _confirmers(clock: StepClock):
    """The provider's officers; of several providers none confirms for the others, the operator does (`rules`)."""
    providers = clock.agreement.organization_ids(Side.PROVIDER)
    return people(Role.PROVIDER_OFFICER, providers) if len(providers) == 1 else people(Role.OPERATOR)


_WHO = {
    StepKind.NEGOTIATE: _negotiators, StepKind.SIGN: _signers, StepKind.TEST: _testers, StepKind.CONFIRM: _confirmers,
}  # fmt: skip
