"""FI-43: a service whose answers with data fall by half is told to the operators, though nothing fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from apps.disputes.models import Maintenance
from apps.gateway import call_ids, quiet
from apps.gateway.models import CallIntent, CallOutcome, FieldSet
from apps.notices.models import Notice, OutboxMessage
from apps.organizations.choices import Role
from tests.factories.accounts import UserFactory
from tests.factories.organizations import officer
from tests.gateway.world import make_world

pytestmark = pytest.mark.django_db
NOW = timezone.localtime().replace(day=20, hour=10, minute=0)
"""In a month whose partition there is, a week ago as well."""
TODAY, YESTERDAY, WEEK_AGO = timedelta(0), timedelta(days=1), timedelta(days=7)


@pytest.fixture
def world(db):
    return make_world("http://127.0.0.1:9/api")


def calls(world, back: timedelta, number: int, *, names=("Status", "Data.Main.NAME"), outcome="delivered", **facts) -> None:
    """`number` calls spread over the window that ended `back` before NOW."""
    held, _made = FieldSet.objects.get_or_create(digest=repr(names).encode()[:32], defaults={"names": list(names)})
    for n in range(number):
        at = NOW - back - quiet.WINDOW * (n + 0.5) / number
        intent = {"grant": world.grant, "credential": world.credential, "epoch": 1, "request_digest": b"1" * 32, **facts}
        call = CallIntent.objects.create(call_id=call_ids.make(int(at.timestamp() * 1000)), admitted_at=at, **intent)
        CallOutcome.objects.create(call=call, recorded_at=at, outcome=outcome, status=200, delivered=held)


def usual(world, number: int = 40) -> None:
    calls(world, YESTERDAY, number)
    calls(world, WEEK_AGO, number)


def fallen() -> list[tuple[str, int, int]]:
    return [(fall.service.code, fall.answers, fall.usual) for fall in quiet.falls(NOW)]


@pytest.mark.parametrize(("present", "found"), [(0, True), (20, True), (21, False), (40, False), (80, False)])
def test_fi_43_answers_that_fall_by_half_are_a_fall(world, present, found):
    usual(world)
    calls(world, TODAY, present)
    assert fallen() == ([(world.service.code, present, 40)] if found else [])


def test_fi_43_answers_without_anything_granted_are_no_answers(world):
    """All is well by the status: 200, delivered. Only the envelope is in them."""
    usual(world)
    calls(world, TODAY, 40, names=("Status",))
    assert fallen() == [(world.service.code, 0, 40)]


def test_fi_43_a_right_without_fields_is_counted_by_its_calls(world):
    world.change(world.grant, "grant", fields=[])
    for back in (TODAY, YESTERDAY, WEEK_AGO):
        calls(world, back, 40, names=())
    assert fallen() == []


def test_fi_43_failures_count_as_no_answer_and_another_service_for_nothing(world):
    other = make_world("http://127.0.0.1:9/other")
    usual(world)
    usual(other)
    calls(world, TODAY, 40, outcome="provider_failed")
    calls(other, TODAY, 40)
    assert fallen() == [(world.service.code, 0, 40)]


@pytest.mark.parametrize(
    "quiet_before",
    [
        lambda world: usual(world, quiet.LEAST - 1),  # too few to miss any
        lambda world: (calls(world, YESTERDAY, 40), calls(world, WEEK_AGO, 5)),  # a Sunday after a Saturday
        lambda world: calls(world, YESTERDAY, 40),  # a service of this week
    ],
)
def test_fi_43_what_was_not_usual_is_not_missed(world, quiet_before):
    quiet_before(world)
    assert fallen() == []


def test_fi_43_who_stopped_by_announcement_or_order_is_not_missed(world):
    usual(world)
    row = Maintenance.objects.create(
        service=world.service,
        starts_at=NOW - timedelta(hours=1),
        ends_at=NOW + timedelta(hours=1),
        reason="x",
        announced_by=UserFactory(),
    )
    assert fallen() == []
    Maintenance.objects.filter(pk=row.pk).update(cancelled_at=NOW - timedelta(hours=2))
    assert len(fallen()) == 1
    world.change(world.service, "dataservice", status="suspended")
    assert fallen() == []


def test_fi_43_the_operators_are_told_once_a_day_within_fifteen_minutes(world):
    operator, stranger = officer(Role.OPERATOR), officer(Role.CONSUMER_OFFICER)
    usual(world)
    assert [quiet.tell_falls(NOW), quiet.tell_falls(NOW)] == [1, 1]
    (notice,) = Notice.objects.filter(kind="service.quiet")
    assert (notice.recipient, notice.facts["params"]) == (operator, {"service": world.service.code, "answers": 0, "usual": 40})
    assert OutboxMessage.objects.filter(payload__to=operator.email).count() == 1
    assert not Notice.objects.filter(recipient=stranger).exists()
    looks_every = settings.CELERY_BEAT_SCHEDULE["gateway.look_for_silence"]["schedule"]
    assert quiet.WINDOW + timedelta(seconds=looks_every) <= timedelta(minutes=15)
