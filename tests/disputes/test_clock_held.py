"""One case that somebody holds stops no other: the clock goes on, and comes back to it at the next tick."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.disputes.actions import open_ticket, raise_dispute
from apps.disputes.choices import DisputeCategory, TicketKind
from apps.disputes.models import Maintenance
from apps.disputes.tasks import clock
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import World, world
from tests.fixtures import worlds
from tests.fixtures.races import held

HOUR = datetime.timedelta(hours=1)


def obstacle(w: World):
    facts = {"category": DisputeCategory.DATA, "title": "Sai tên", "description": "Sai dấu."}
    return raise_dispute(agreement_in_force(w), by=w.consumer_officer, **facts)


def question(w: World):
    ask = {"kind": TicketKind.WRONG_DATA, "asked_of": w.provider, "text": "Sai ngày cấp."}
    return open_ticket(agreement_in_force(w), by=w.consumer_officer, **ask)


def maintenance(w: World) -> Maintenance:
    now = timezone.now()
    return Maintenance.objects.create(
        service=w.service, starts_at=now + HOUR, ends_at=now + 2 * HOUR, reason="Nâng cấp", announced_by=w.provider_officer
    )


HALF, LATE = {"half_at": -HOUR}, {"half_at": -2 * HOUR, "due_at": -HOUR}
DUE = (
    ("reminded", obstacle, HALF), ("reminded", question, HALF), ("escalated", obstacle, LATE), ("escalated", question, LATE),
    ("closed", maintenance, {"starts_at": -2 * HOUR, "ends_at": -HOUR}),
)  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("counted", "make", "moments"), DUE, ids=[f"{row[1].__name__}-{row[0]}" for row in DUE])
def test_what_somebody_holds_is_left_for_the_next_tick_and_the_others_have_their_turn(counted, make, moments):
    with worlds.committed():
        case, _other = (make(world()) for _n in range(2))
        type(case).objects.update(**{name: timezone.now() + away for name, away in moments.items()})
    with held(case):
        assert clock()[counted] == 1
    assert [clock()[counted] for _n in range(2)] == [1, 0]
