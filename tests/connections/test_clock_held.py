"""One request that somebody holds stops no other: the clock goes on, and comes back to it at the next tick."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.connections.models import ConnectionRequest
from apps.connections.reminders import run_clock
from tests.factories.connections import returned, submitted, world
from tests.fixtures import worlds
from tests.fixtures.races import held

HOUR = datetime.timedelta(hours=1)
DUE = (
    ("lapsed", returned, {"lapses_at": -HOUR, "return_half_at": HOUR}), ("recalled", returned, {"return_half_at": -HOUR}),
    ("reminded", submitted, {"half_at": -HOUR}), ("escalated", submitted, {"half_at": -2 * HOUR, "due_at": -HOUR}),
)  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("counted", "make", "moments"), DUE, ids=[row[0] for row in DUE])
def test_what_somebody_holds_is_left_for_the_next_tick_and_the_others_have_their_turn(counted, make, moments):
    with worlds.committed():
        request, _other = (make(world()) for _n in range(2))
        ConnectionRequest.objects.update(**{name: timezone.now() + away for name, away in moments.items()})
    with held(request):
        assert run_clock()[counted] == 1
    assert [run_clock()[counted] for _n in range(2)] == [1, 0]
