"""The gateway's page: counts that agree with the log, nobody else's calls, and the reading itself on record."""

from __future__ import annotations

import datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.gateway import call_ids
from apps.gateway.models import CallIntent, CallOutcome, CallRefusal
from tests.factories import agreements

URL = "portal:gateway"


def passed(
    grant, *, total_us: int, outcome: str = "delivered", ago: datetime.timedelta = datetime.timedelta(minutes=5), **facts
):
    at = timezone.now() - ago
    call = CallIntent.objects.create(
        call_id=call_ids.floor(at), admitted_at=at, grant=grant, credential=agreements.Credential.objects.first(), epoch=1,
        request_digest=b"0" * 32,
    )  # fmt: skip
    CallOutcome.objects.create(call=call, recorded_at=at, outcome=outcome, status=200, total_us=total_us, **facts)
    return call


@pytest.fixture
def grant(world):
    return agreements.production_grant(world)


def test_the_numbers_are_those_of_the_log(world, grant, as_person):
    for number in range(1, 101):
        passed(grant, total_us=number * 1000, ago=datetime.timedelta(seconds=number))
    passed(grant, total_us=9_000_000, ago=datetime.timedelta(hours=25))
    CallRefusal.objects.create(
        call_id=call_ids.floor(timezone.now()), refused_at=timezone.now(), code="operation_not_granted", status=403,
        system=world.system, service=world.service, method="GET", epoch=1,
    )  # fmt: skip
    for user in (world.operator, world.consumer_officer, world.provider_officer):
        context = as_person(user).get(reverse(URL)).context
        assert (context["calls"], context["refused"], context["share"]) == (100, 1, 100.0)
        assert context["times"] == [("p50", 50.0), ("p95", 95.0), ("p99", 99.0)]
    page = as_person(world.operator).get(reverse(URL)).content.decode()
    assert "operation_not_granted" in page


def test_all_refusals_are_counted_also_those_of_reasons_too_many_to_show(world, grant, as_person):
    for number in range(20):
        CallRefusal.objects.create(
            call_id=call_ids.make(int(timezone.now().timestamp() * 1000)), refused_at=timezone.now(), code=f"code_{number:02d}",
            status=403, system=world.system, service=world.service, method="GET", epoch=1,
        )  # fmt: skip
    context = as_person(world.operator).get(reverse(URL)).context
    assert (context["refused"], len(context["reasons"])) == (20, 15)


def test_a_stranger_sees_no_call_of_others(world, grant, as_person):
    passed(grant, total_us=1000)
    response = as_person(world.stranger).get(reverse(URL))
    assert response.context["calls"] == 0
    assert world.system.name not in response.content.decode()


def test_reading_the_log_is_on_record(world, grant, as_person):
    as_person(world.operator).get(reverse(URL))
    assert AuditEvent.objects.filter(event="call_log.read", actor=world.operator).count() == 1


def test_an_empty_day_is_a_page_too(world, as_person):
    response = as_person(world.operator).get(reverse(URL))
    assert response.status_code == 200
    assert response.context["share"] is None
