"""One row that somebody holds stops no other: the clock of agreements goes on, and comes back to it at the next tick."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.agreements.actions import expire_agreements, start_change, terminate_agreement
from apps.agreements.actions.suspension import begin_suspension
from apps.agreements.clock import run_clock
from apps.agreements.models import Agreement, AgreementVersion, Credential, PlannedSuspension, StepClock
from apps.organizations.models import Organization
from tests.agreements.test_later_versions import changed_later
from tests.factories.agreements import accepted, agreement_in_force, collected
from tests.factories.connections import World, complete_draft, world
from tests.fixtures import worlds
from tests.fixtures.races import held

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = datetime.timedelta(hours=1)


def version_to_begin(w: World) -> Agreement:
    agreement = accepted(w)
    changed_later(w, agreement)
    AgreementVersion.objects.filter(agreement=agreement, state="scheduled").update(begins_at=timezone.now() - HOUR)
    return agreement


def planned(w: World, first: int, last: int) -> PlannedSuspension:
    now = timezone.now()
    return PlannedSuspension.objects.create(
        agreement=agreement_in_force(w), starts_at=now + first * HOUR, ends_at=now + last * HOUR, reason="Bảo trì",
        announced_by=w.provider_officer,
    )  # fmt: skip


def suspension_to_begin(w: World) -> Agreement:
    return planned(w, -1, 5).agreement


def suspension_to_end(w: World) -> Agreement:
    row = planned(w, -5, 5)
    begin_suspension(row, by=w.operator)
    PlannedSuspension.objects.filter(pk=row.pk).update(ends_at=timezone.now() - HOUR)
    return row.agreement


def run_out(w: World) -> Agreement:
    return with_term(agreement_in_force(w), -HOUR)


def soon_to_end(w: World) -> Agreement:
    return with_term(agreement_in_force(w), 100 * HOUR)


def with_term(agreement: Agreement, left: datetime.timedelta) -> Agreement:
    now = timezone.now()
    Agreement.objects.filter(pk=agreement.pk).update(valid_from=now - 999 * HOUR, valid_to=now + left)
    return agreement


def change_of_what_is_over(w: World):
    agreement = agreement_in_force(w)
    request = start_change(agreement, by=w.consumer_officer)
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="x")
    return request


def draft_of_nobody(w: World):
    draft = complete_draft(w)
    Organization.objects.filter(pk=w.consumer.pk).update(status="closed")
    return draft


def account_soon_to_end(w: World) -> Credential:
    agreement_in_force(w)
    account, _secret = collected(w, "test")
    Credential.objects.filter(pk=account.pk).update(expires_at=timezone.now() + 20 * HOUR)
    return account


def clock_of(agreement: Agreement, **facts) -> StepClock:
    """Half of its time has passed."""
    now = timezone.now()
    facts = {"begun_at": now - 999 * HOUR, "half_at": now - 2 * HOUR, **facts}
    StepClock.objects.filter(agreement=agreement).update(**facts)
    return StepClock.objects.get(agreement=agreement)


def half_over(w: World) -> StepClock:
    return clock_of(agreement_in_force(w))


def late(w: World) -> StepClock:
    return clock_of(agreement_in_force(w), due_at=timezone.now() - HOUR)


def nothing_to_test(w: World) -> StepClock:
    agreement = agreement_in_force(w)
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="x")
    return clock_of(agreement)


DUE = (
    ("versions", version_to_begin), ("begun", suspension_to_begin), ("over", suspension_to_end), ("expired", run_out),
    ("fallen", change_of_what_is_over), ("fallen", draft_of_nobody), ("renewals", soon_to_end), ("accounts", account_soon_to_end),
    ("steps_half", half_over), ("steps_late", late), ("steps_over", nothing_to_test),
)  # fmt: skip
"""What the clock counts, and how to come to it: the row that is to be held."""


@pytest.mark.parametrize(("counted", "make"), DUE, ids=[make.__name__ for _counted, make in DUE])
def test_what_somebody_holds_is_left_for_the_next_tick_and_the_others_have_their_turn(counted, make):
    with worlds.committed():
        row, _other = (make(world()) for _n in range(2))
    with held(row):
        assert run_clock()[counted] == 1
    assert [run_clock()[counted] for _n in range(2)] == [1, 0]


def test_what_a_version_that_has_still_to_begin_carries_on_does_not_expire_before_it():
    with worlds.committed():
        w = world()
        agreement = with_term(version_to_begin(w), -HOUR)
    assert expire_agreements(by=w.operator) == 0
    told = run_clock()
    assert (told["versions"], told["expired"]) == (1, 0)
    agreement.refresh_from_db()
    assert agreement.status == "in_force"
    assert agreement.valid_to > timezone.now()
