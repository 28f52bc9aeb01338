"""A call through the real server stack: what comes back, what the provider saw, what is in the log."""

from __future__ import annotations

import datetime
import hashlib
import re
import uuid

import pytest
from django.db import connection

from apps.gateway import admission, me
from apps.gateway.models import AnonymousRefusalCount, CallIntent, CallOutcome, CallRefusal
from tests.factories.registry import PurposeFactory
from tests.gateway.world import CUT, WITHHELD, make_grant, make_service
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_granted_call_gets_the_granted_fields_and_no_others(call, provider, world):
    answer = call()
    assert answer.status == 200, answer.body
    assert answer.json == CUT
    assert b"canary" not in answer.body
    assert set(answer.headers["x-withheld-fields"].split(", ")) == WITHHELD
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    (seen,) = provider.seen
    assert seen.call_id == answer.call_id
    assert (seen.method, seen.target) == ("GET", "/api/companies/0999999999")


def test_every_call_has_one_intent_and_one_outcome(call, world):
    answer = call()
    intent = CallIntent.objects.get()
    assert str(intent.call_id) == answer.call_id
    assert (intent.grant, intent.credential) == (world.grant, world.credential)
    outcome = CallOutcome.objects.get()
    assert (outcome.outcome, outcome.status, outcome.provider_status) == ("delivered", 200, 200)
    assert outcome.call_id == intent.call_id
    assert bytes(outcome.answer_digest) == hashlib.sha256(answer.body).digest()
    assert outcome.answer_bytes == len(answer.body)
    assert set(outcome.delivered.names) == {"Status", "Data.Main.NAME", "Data.Items[].CODE"}
    assert set(outcome.withheld.names) == WITHHELD
    assert len(bytes(outcome.subject)) == 16
    assert 0 < outcome.provider_us <= outcome.total_us


def test_the_provider_gets_an_allow_list_of_headers_and_no_token(call, provider, world):
    call(
        Cookie="session=canary-cookie", X_Forwarded_For="6.6.6.6", X_Consumer_System="canary-spoof", X_Call_Id=str(uuid.uuid4()),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", X_Anything="canary-other",
    )  # fmt: skip
    (seen,) = provider.seen
    assert {name.lower() for name, _value in seen.headers} == {
        "host", "accept-encoding", "user-agent", "accept", "x-call-id", "x-consumer-organization", "x-consumer-system",
        "x-purpose-code", "traceparent",
    }  # fmt: skip
    assert b"canary" not in seen.raw
    assert seen.header("X-Consumer-System") == world.system.code
    assert seen.header("X-Consumer-Organization") == world.consumer.code
    assert CallIntent.objects.get().trace_id == uuid.UUID("0af7651916cd43dd8448eb211c80319c")


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"path": "/gw/khong-co/v1/x"}, "service_unknown", 404),
        ({"path": "{service}/v2/companies/0999999999"}, "service_unknown", 404),
        ({"path": "{service}/v1/other"}, "operation_unknown", 404),
        ({"method": "POST"}, "method_not_allowed", 405),
        ({"path": "{service}/v1/companies/abc"}, "parameter_invalid", 400),
        ({"path": "{service}/v1/companies/0999999999?x=1"}, "parameter_undeclared", 400),
        ({"path": "{service}/v1/companies/0999999999?from_date=1&from_date=2"}, "parameter_repeated", 400),
        ({"path": "{service}/v1/companies/%30999999999"}, "path_ambiguous", 400),
        ({"path": "{service}/v1/companies/0999999999/"}, "path_ambiguous", 400),
        ({"path": "{service}/v1//companies/0999999999"}, "path_ambiguous", 400),
        ({"path": "{service}/v1/companies/..%2f0999999999"}, "path_ambiguous", 400),
        ({"X-Purpose-Code": None}, "purpose_missing", 403),
        ({"X-Purpose-Code": "khac"}, "purpose_not_granted", 403),
    ],
)
def test_a_call_beyond_the_grant_is_refused_with_its_code_and_logged(call, provider, world, change, code, status):
    """AZ-10 among them: no purpose, and one the agreement does not name."""
    change = dict(change)
    path = change.pop("path", None)
    answer = call(path and path.replace("{service}", f"/gw/{world.service.code}"), **change)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["call_id"] == answer.call_id
    assert answer.json["next_step"]
    assert provider.seen == []
    assert CallIntent.objects.count() == 0
    refusal = CallRefusal.objects.get()
    assert (refusal.code, str(refusal.call_id), refusal.system) == (code, answer.call_id, world.system)


def test_az_10_the_purpose_of_another_agreement_of_the_same_system_is_not_this_ones(call, provider, world):
    _service, _version, operation = make_service(provider.url + "/api")
    other = PurposeFactory()
    _agreement, grant = make_grant(operation, world.system, other)
    world.change(grant, "world")
    answer = call(**{"X-Purpose-Code": other.code})
    assert (answer.status, answer.code, provider.seen) == (403, "purpose_not_granted", [])
    assert CallRefusal.objects.get().code == "purpose_not_granted"


def test_strangers_are_refused_and_counted_not_written(call, provider, gateway):
    """RL-05: a row a minute, code and network, not one a request."""
    from tests.gateway.conftest import send

    assert call(Authorization=None).code == "credential_missing"
    answer = call(Authorization="Bearer " + "x" * 43)
    assert (answer.status, answer.code) == (401, "token_invalid")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert send(gateway.url, path="/nothing").status == 404
    assert send(gateway.url, path="/").code == "service_unknown"
    assert provider.seen == []
    assert CallRefusal.objects.count() == 0
    until(AnonymousRefusalCount.objects.filter(code="token_invalid").exists, "nobody counted the strangers")
    row = AnonymousRefusalCount.objects.get(code="token_invalid")
    assert (row.count, row.network) == (1, "127.0.0.0/24")


@pytest.mark.parametrize(
    ("thing", "kind", "facts", "code"),
    [
        ("grant", "grant", {"status": "suspended"}, "grant_suspended"),
        ("grant", "grant", {"status": "ended"}, "grant_ended"),
        ("agreement", "agreement", {"status": "suspended"}, "agreement_suspended"),
        ("agreement", "agreement", {"status": "terminated"}, "agreement_not_in_force"),
        ("credential", "credential", {"status": "revoked"}, "credential_revoked"),
        ("system", "informationsystem", {"status": "suspended"}, "system_not_active"),
        ("consumer", "organization", {"status": "suspended"}, "consumer_not_active"),
        ("service", "dataservice", {"status": "suspended"}, "service_not_active"),
        ("version", "serviceversion", {"status": "retired"}, "version_retired"),
    ],
)
def test_a_right_withdrawn_is_withdrawn_for_the_very_next_call(call, provider, world, thing, kind, facts, code):
    assert call().status == 200
    world.change(getattr(world, thing), kind, **facts)
    answer = call()
    assert answer.code == code
    assert len(provider.seen) == 1
    assert CallIntent.objects.count() == 1


def test_the_provider_organization_suspended_stops_its_services(call, world):
    world.change(world.service.provider, "organization", status="suspended")
    assert call().code == "provider_not_active"


def test_refusals_speak_vietnamese_and_english_and_link_to_what_mends_them(call, world):
    vi = call(X_Purpose_Code="khac").json
    en = call(X_Purpose_Code="khac", Accept_Language="en").json
    assert en["title"] == "The agreement does not cover this purpose."
    assert set(vi) == set(en)
    assert f"service={world.service.code}" in en["request_url"]
    assert "/go/request/" in en["request_url"]


def test_a_quota_is_taken_exactly(call, provider, world):
    world.change(world.grant, "grant", quota_per_day=3)
    answers = [call() for _number in range(5)]
    assert [a.status for a in answers] == [200, 200, 200, 429, 429]
    assert answers[3].code == "quota_day_exceeded"
    assert len(provider.seen) == CallIntent.objects.count() == 3


def test_a_refused_call_takes_no_quota(call, world):
    world.change(world.grant, "grant", quota_per_day=1)
    for _number in range(3):
        assert call(X_Purpose_Code="khac").status == 403
    assert call().status == 200
    assert call().status == 429


def test_me_tells_rights_and_what_is_left(call, world):
    world.change(world.grant, "grant", quota_per_day=3)
    call()
    answer = call("/gw/me")
    assert answer.status == 200
    (grant,) = answer.json["grants"]
    assert grant["left"] == {"day": 2}
    assert grant["path"] == f"/gw/{world.service.code}/v1/companies/{{code}}"
    assert set(grant["not_permitted"]) == WITHHELD
    assert (grant["hours"], grant["networks"]) == (None, [])
    world.change(
        world.grant,
        "grant",
        networks=["10.0.0.0/8", "192.0.2.0/24"],
        hours_from=datetime.time(7),
        hours_to=datetime.time(17, 30),
    )
    (grant,) = call("/gw/me").json["grants"]
    assert (grant["hours"], grant["networks"]) == (["07:00", "17:30"], ["10.0.0.0/8", "192.0.2.0/24"])


def test_who_calls_from_elsewhere_is_told_from_where_and_what_is_agreed(call, world):
    """Behind a proxy nobody knows the address that the gateway sees."""
    world.change(world.grant, "grant", networks=["10.0.0.0/8"])
    answer = call()
    assert answer.code == "network_not_allowed"
    assert (answer.json["source"], answer.json["networks"]) == ("127.0.0.1", ["10.0.0.0/8"])


def test_gw_11_the_last_half_second_of_a_day_is_of_that_day(call):
    with connection.cursor() as cursor:
        for statement in (admission._PARTS, me.USED):
            (day,) = set(
                re.findall(r"\(\(floor\(extract\(epoch FROM (?:at|now\(\))\)\)::bigint \+ 25200\) / 86400\)::int", statement)
            )
            day = day.replace("now()", "at")
            cursor.execute(
                f"SELECT {day} FROM (VALUES ('2026-03-01 12:00+07'::timestamptz), ('2026-03-01 23:59:59.9+07')) AS v (at)"
            )
            noon, late = (row[0] for row in cursor.fetchall())
            assert noon == late


@pytest.mark.parametrize(
    ("cap", "code", "used", "window"),
    [
        ("rate_per_second", "rate_exceeded", "in_second", "second"), ("quota_per_day", "quota_day_exceeded", "in_day", "day"),
        ("quota_per_month", "quota_month_exceeded", "in_month", "month"),
    ],
)  # fmt: skip
def test_each_window_has_its_own_cap_and_begins_anew_by_the_databases_clock(call, world, cap, code, used, window):
    """Second, day and month: what is used is taken from this window alone; one that has passed counts for nothing."""
    from django.db.models import F

    from apps.gateway.models import QuotaUse

    world.change(world.grant, "grant", **{cap: 10})
    assert call().status == 200
    ahead = {"second": F("second") + 3600} if window == "second" else {}  # a second would pass while the test waits
    QuotaUse.objects.filter(grant=world.grant).update(**{used: 10}, **ahead)
    refused = call()
    assert (refused.status, refused.code) == (429, code)
    QuotaUse.objects.filter(grant=world.grant).update(**{window: F(window) - (7200 if window == "second" else 1)})
    assert call().status == 200
    assert getattr(QuotaUse.objects.get(grant=world.grant), used) == 1
