"""The log as people search it: criteria, scope, the call's own page, export, and that each reading is on record."""

from __future__ import annotations

import csv
import datetime
import io

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.gateway import call_ids
from apps.gateway.digests import subject_pseudonym
from apps.gateway.models import CallIntent, CallRefusal, FieldSet
from tests.factories import agreements
from tests.factories.connections import world as another
from tests.portal.test_gateway_page import passed


@pytest.fixture
def grant(world):
    return agreements.production_grant(world)


def url(kind: str = "calls", name: str = "portal:call-log") -> str:
    return reverse(name, args=[kind])


def found(client, kind: str = "calls", **asked) -> list[str]:
    response = client.get(url(kind), asked)
    assert response.status_code == 200, response.context["form"].errors
    return [str(row.call_id) for row in response.context["rows"]]


def refused(world, grant, code: str) -> CallRefusal:
    return CallRefusal.objects.create(
        call_id=call_ids.make(int(timezone.now().timestamp() * 1000)), refused_at=timezone.now(), code=code, status=403,
        system=world.system, service=world.service, operation=grant.operation, grant=grant, method="GET", epoch=1,
        asked_service=world.service.code,
    )  # fmt: skip


def test_each_criterion_finds_its_calls_and_no_others(world, grant, as_person):
    fresh = passed(grant, total_us=2000)
    failed = passed(grant, total_us=9000, outcome="provider_failed", ago=datetime.timedelta(minutes=9))
    old = passed(grant, total_us=1000, ago=datetime.timedelta(hours=30))
    w = another()
    foreign = passed(agreements.production_grant(w), total_us=1000, ago=datetime.timedelta(minutes=7))
    client = as_person(world.operator)
    fresh, failed, old, foreign = (str(row.call_id) for row in (fresh, failed, old, foreign))

    assert found(client) == [fresh, foreign, failed], "the last 24 hours, newest first"
    assert found(client, service=world.service.code) == [fresh, failed]
    assert found(client, consumer=w.consumer.code) == [foreign]
    assert found(client, agreement=grant.agreement.number, outcome="provider_failed") == [failed]
    assert found(client, call_id=old) == [old], "a call id needs no period"
    day = timezone.localtime() - datetime.timedelta(days=3)
    assert found(client, since=day.strftime("%d/%m/%Y"), service=world.service.code) == [fresh, failed, old]
    hour = timezone.localtime() - datetime.timedelta(hours=29)
    assert found(client, until=hour.strftime("%d/%m/%Y %H:%M")) == [old]
    assert found(client, before=fresh) == [foreign, failed]


def test_refusals_are_found_by_reason_and_agreement(world, grant, as_person):
    one, other = refused(world, grant, "outside_hours"), refused(world, grant, "quota_day_exceeded")
    client = as_person(world.consumer_officer)
    assert found(client, "refusals", code="outside_hours") == [str(one.call_id)]
    assert set(found(client, "refusals", agreement=grant.agreement.number)) == {str(one.call_id), str(other.call_id)}
    page = client.get(reverse("portal:call", args=[one.call_id])).content.decode()
    assert "outside_hours" in page
    assert grant.agreement.number in page


def test_what_cannot_be_read_is_said_and_searches_nothing(world, as_person):
    client = as_person(world.operator)
    for asked in ({"since": "31/02/2026"}, {"call_id": "x"}, {"service": "khong-co"}, {"code": "khong-co"}, {"since": "\x00"}):
        response = client.get(url(), asked)
        assert (response.status_code, response.context["rows"]) == (400, []), asked
    assert client.get(url(), {"since": "x"}).status_code == 400
    assert client.get(url(name="portal:call-log-export"), {"since": "x"}).status_code == 404
    assert client.get(url("strange")).status_code == 404
    assert not AuditEvent.objects.filter(event="call_log.read").exists()


def test_nobody_finds_calls_of_others(world, grant, as_person):
    call, refusal = passed(grant, total_us=1000), refused(world, grant, "outside_hours")
    client = as_person(world.stranger)
    assert found(client) == found(client, "refusals") == []
    for row in (call, refusal):
        assert client.get(reverse("portal:call", args=[row.call_id])).status_code == 404
    page = client.get(url()).content.decode()
    assert world.service.name not in page, "not even in the choices of the form"
    assert b"".join(client.get(url(name="portal:call-log-export")).streaming_content).count(b"\n") == 1


def test_a_call_is_shown_with_its_fields_and_the_export_has_the_same_lines(world, grant, as_person):
    call = passed(grant, total_us=1000)
    FieldSet.objects.create(digest=b"1", names=["Data.NAME"])
    client = as_person(world.provider_officer)
    page = client.get(reverse("portal:call", args=[call.call_id])).content.decode()
    assert grant.purpose.name in page
    text = b"".join(client.get(url(name="portal:call-log-export"), {"service": world.service.code}).streaming_content)
    (row,) = csv.DictReader(io.StringIO(text.decode("utf-8-sig")))
    assert row["call_id"] == str(call.call_id)


def test_every_reading_is_on_record_with_what_was_asked(world, grant, as_person):
    call = passed(grant, total_us=1000)
    client = as_person(world.provider_officer)
    client.get(url(), {"service": world.service.code})
    client.get(reverse("portal:call", args=[call.call_id]))
    list(client.get(url(name="portal:call-log-export"), {"call_id": str(call.call_id)}).streaming_content)
    asked = [event.facts["asked"] for event in AuditEvent.objects.filter(event="call_log.read").order_by("id")]
    assert asked[0]["service"] == world.service.code
    assert "since" in asked[0]
    assert asked[1:] == [{"call_id": str(call.call_id)}, {"call_id": str(call.call_id), "export": "csv"}]


def test_a_page_of_the_log_costs_a_fixed_number_of_queries(world, grant, as_person, django_assert_max_num_queries):
    client = as_person(world.operator)
    for number in range(1, 61):
        passed(grant, total_us=1000, ago=datetime.timedelta(seconds=number))
    with django_assert_max_num_queries(20):
        response = client.get(url())
    assert (len(response.context["rows"]), response.context["older"]) == (50, response.context["rows"][-1].call_id)
    assert len(found(client, before=str(response.context["older"]))) == 10
    assert CallIntent.objects.count() == 60


def test_the_page_of_a_person_shows_the_calls_and_keeps_the_identifier_out_of_addresses_and_records(world, grant, as_person):
    call = passed(grant, total_us=1000, subject=subject_pseudonym(str(world.service.uuid), "040099009999"))
    given = {"identifier": " 040099009999 ", "reason": "Phiếu 3/PYC", "since": "01/01/2020"}
    page = reverse("portal:call-person")
    assert as_person(world.stranger).post(page, given).context["rows"] == []
    client = as_person(world.provider_officer)
    assert client.get(page, given).context["rows"] == [], "a search in an address is none"
    response = client.post(page, given)
    assert [row.call_id for row in response.context["rows"]] == [call.call_id]
    event = AuditEvent.objects.filter(event="call_log.read", actor=world.provider_officer).get()
    assert event.facts["asked"]["reason"] == "Phiếu 3/PYC"
    assert "040099009999" not in str(event.facts)
    for wrong in ({"identifier": ";"}, {"reason": ""}, {"since": ""}, {"until": "01/01/2019"}):
        response = client.post(page, {**given, **wrong})
        assert (response.status_code, response.context["rows"]) == (400, []), wrong
    assert AuditEvent.objects.filter(event="call_log.read", actor=world.provider_officer).count() == 1
