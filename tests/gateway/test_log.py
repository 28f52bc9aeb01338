"""The log people use: who may see which call, by which filters; and that each reading is itself recorded."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from datetime import UTC, datetime, time, timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from apps.audit.models import AuditEvent
from apps.gateway import actions, call_ids, subjects, sweeper
from apps.gateway.api.filters import CallFilter
from apps.gateway.digests import subject_pseudonym
from apps.gateway.models import CallIntent, CallOutcome, CallRefusal, FieldSet, SweepMark
from apps.organizations.choices import Role
from tests.factories.organizations import OrganizationFactory, officer
from tests.gateway.test_retention import months_ago
from tests.gateway.world import make_world


def add_call(world, *, minutes_ago: float = 5, outcome: str = "delivered", **facts) -> CallIntent:
    at = timezone.now() - timedelta(minutes=minutes_ago)
    call = CallIntent.objects.create(
        call_id=call_ids.make(int(at.timestamp() * 1000)), admitted_at=at, grant=world.grant, credential=world.credential, epoch=1,
        request_digest=b"\x01" * 32, source="10.0.0.5",
    )  # fmt: skip
    if outcome:
        names, _made = FieldSet.objects.get_or_create(digest=b"n", defaults={"names": ["Data.Main.NAME"]})
        defaults = {
            "recorded_at": at,
            "outcome": outcome,
            "status": 200,
            "provider_status": 200,
            "total_us": 2_000,
            "delivered": names,
        }
        CallOutcome.objects.create(call=call, **{**defaults, **facts})
    return call


EVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@pytest.fixture
def ours(db):
    return make_world("http://127.0.0.1:9/api")


@pytest.fixture
def others(db):
    return make_world("http://127.0.0.1:9/api")


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def ids(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["call_id"] for row in response.json()["results"]]


def test_consumer_and_provider_see_their_calls_and_platform_readers_all(ours, others):
    mine, foreign = add_call(ours), add_call(others)
    consumer = officer(Role.CONSUMER_OFFICER, ours.consumer)
    provider = officer(Role.PROVIDER_OFFICER, ours.service.provider)
    stranger = officer(Role.CONSUMER_OFFICER, OrganizationFactory())
    assert ids(client_of(consumer).get("/api/v1/calls")) == [str(mine.call_id)]
    assert ids(client_of(provider).get("/api/v1/calls")) == [str(mine.call_id)]
    assert ids(client_of(stranger).get("/api/v1/calls")) == []
    assert ids(client_of(officer(Role.AUDITOR)).get("/api/v1/calls")) == [str(foreign.call_id), str(mine.call_id)]
    assert client_of(stranger).get(f"/api/v1/calls/{mine.call_id}").status_code == 404
    assert client_of(consumer).get(f"/api/v1/calls/{mine.call_id}").json()["delivered"] == ["Data.Main.NAME"]
    assert APIClient().get("/api/v1/calls").status_code == 401


def test_filters_of_the_log(ours, others):
    old, new = (
        add_call(ours, minutes_ago=120),
        add_call(ours, minutes_ago=1, outcome="provider_failed", code="provider_timeout"),
    )
    foreign, running = add_call(others, minutes_ago=60), add_call(ours, minutes_ago=0.5, outcome="")
    client = client_of(officer(Role.OPERATOR))

    def found(**query) -> set[str]:
        return set(ids(client.get("/api/v1/calls", query)))

    assert found(service=others.service.code) == {str(foreign.call_id)}
    assert found(consumer=ours.consumer.code) == {str(c.call_id) for c in (old, new, running)}
    assert found(agreement=ours.agreement.number, outcome="provider_failed") == {str(new.call_id)}
    assert found(code="provider_timeout") == {str(new.call_id)}
    assert found(call_id=str(old.call_id)) == {str(old.call_id)}
    hour_ago = (timezone.now() - timedelta(minutes=90)).isoformat()
    assert found(to=hour_ago) == {str(old.call_id)}
    assert str(old.call_id) not in found(**{"from": hour_ago})
    assert client.get("/api/v1/calls", {"outcome": "delivered&x"}).status_code == 400
    assert client.get(f"/api/v1/calls/{running.call_id}").json()["outcome"] == "running"


@pytest.mark.parametrize(
    ("first", "last"),
    [("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), ("0001-01-01T00:00:00+07:00", "9999-12-31T23:59:59-07:00"), ("0001-01-01", "9999-12-31")],
)  # fmt: skip
def test_a_period_without_bounds_finds_all_of_it(client, ours, first, last):
    """The first and last moment a calendar has are what programs send for "any time"."""
    call = add_call(ours)
    operator = officer(Role.OPERATOR)
    period = {"from": first, "to": last}
    assert ids(client_of(operator).get("/api/v1/calls", period)) == [str(call.call_id)]
    assert ids(client_of(operator).get("/api/v1/call-refusals", period)) == []
    assert client_of(operator).get("/api/v1/calls/export", period).status_code == 200
    assert subjects.calls_about(operator, ["079"], since=EVER[0], until=EVER[1]) == []
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("portal:call-log", args=["calls"]), {"since": "01/01/0001", "until": "31/12/9999"})
    assert str(call.call_id) in page.content.decode()


def test_a_search_without_a_period_is_one_of_31_days_and_says_so(client, ours):
    """Filters that match nothing would read every month of the log otherwise. A call id, and an older `from`, find what is older."""
    months_ago(1)  # in the first days of a month forty days ago lie before the last one, the oldest that migrations make
    old, new = add_call(ours, minutes_ago=40 * 24 * 60), add_call(ours)
    ask = client_of(officer(Role.OPERATOR)).get
    answer = ask("/api/v1/calls")
    assert ids(answer) == [str(new.call_id)]
    told = datetime.fromisoformat(answer.json()["from"])
    assert timedelta(0) <= timezone.now() - timedelta(days=31) - told < timedelta(days=1, minutes=5)
    assert timezone.localtime(told).time() == time(), "the same question is answered alike all day"
    assert answer.json()["to"] is None
    end = (timezone.now() - timedelta(days=39)).isoformat()
    assert ids(ask("/api/v1/calls", {"to": end})) == [str(old.call_id)]
    assert ids(ask("/api/v1/calls", {"call_id": str(old.call_id)})) == [str(old.call_id)]
    assert ids(ask("/api/v1/calls", {"from": "2000-01-01T00:00:00Z"})) == [str(new.call_id), str(old.call_id)]
    assert "from" in ask("/api/v1/call-refusals").json()
    asked = str(CallFilter({"code": "nothing"}, queryset=CallIntent.objects.all()).qs.query)
    assert '"call_id" >= ' in asked  # which is what leaves the older months alone


def test_a_period_reads_only_the_months_it_needs(ours):
    start = timezone.now() - timedelta(hours=1)
    plan = CallIntent.objects.between(start, start + timedelta(hours=1)).explain()
    months = set(re.findall(r"call_intent_(\d{6})", plan))
    first, last = (timezone.localtime(moment).month for moment in (start, start + timedelta(hours=1)))
    assert len(months) == 1 + (first != last), plan


def test_a_page_of_the_log_takes_a_fixed_number_of_queries(ours, django_assert_num_queries):
    for _number in range(20):
        add_call(ours)
    client = client_of(officer(Role.OPERATOR))
    client.get("/api/v1/calls")
    with django_assert_num_queries(5):  # one page; the audit row with its organizations, in a savepoint
        assert len(ids(client.get("/api/v1/calls"))) == 20


def test_each_reading_is_recorded_with_its_filters(ours):
    add_call(ours)
    reader = officer(Role.CONSUMER_OFFICER, ours.consumer)
    client_of(reader).get("/api/v1/calls", {"service": ours.service.code, "junk": "x"})
    event = AuditEvent.objects.get(event="call_log.read")
    assert (event.actor, event.organizations) == (reader, [ours.consumer.uuid])
    assert event.facts == {"what": "calls", "asked": {"service": ours.service.code}, "rows": 1}


def test_export_is_the_same_rows_as_csv_without_formulas(ours, others):
    call = add_call(ours)
    add_call(others)
    ours.consumer.name = "=cmd|' /C calc'!A0"
    ours.consumer.save()
    response = client_of(officer(Role.CONSUMER_OFFICER, ours.consumer)).get("/api/v1/calls/export")
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["call_id"] == str(call.call_id)
    assert row["consumer_name"].startswith("'=")
    assert AuditEvent.objects.get(event="call_log.read").facts["asked"] == {"export": "csv"}


def test_refusals_have_the_same_scope(ours, others):
    for world in (ours, others):
        CallRefusal.objects.create(
            call_id=call_ids.make(int(timezone.now().timestamp() * 1000)), refused_at=timezone.now(), code="purpose_missing", status=403,
            credential=world.credential, system=world.system, service=world.service, method="GET", epoch=1,
            asked_service=world.service.code,
        )  # fmt: skip
    consumer = client_of(officer(Role.CONSUMER_OFFICER, ours.consumer))
    provider = client_of(officer(Role.PROVIDER_OFFICER, others.service.provider))
    (mine,) = consumer.get("/api/v1/call-refusals").json()["results"]
    assert (mine["code"], mine["system"]) == ("purpose_missing", ours.system.code)
    (theirs,) = provider.get("/api/v1/call-refusals").json()["results"]
    assert theirs["system"] == others.system.code


def test_the_registers_show_calls_and_record_the_reading(ours, client):
    call = add_call(ours)
    reader = officer(Role.CONSUMER_OFFICER, ours.consumer)
    client.force_login(reader)
    page = client.get(reverse("admin:gateway_callintent_changelist"))
    assert page.status_code == 200
    assert str(call.call_id) in page.content.decode()
    assert client.get(reverse("admin:gateway_callintent_change", args=[call.call_id])).status_code == 200
    assert AuditEvent.objects.filter(event="call_log.read", actor=reader).count() == 2
    assert client.post(reverse("admin:gateway_callintent_delete", args=[call.call_id])).status_code in (403, 404)


# --- who read about a person ------------------------------------------------------------------------

PERSON = "040099009999"
ASKED = {"identifiers": [PERSON], "reason": "Phiếu yêu cầu 12/PYC ngày 20/11/2026", "since": "2020-01-01T00:00:00+07:00"}


def about(world, subject: str = PERSON, **facts) -> CallIntent:
    return add_call(world, subject=subject_pseudonym(str(world.service.uuid), subject), **facts)


def search(user, **changes):
    return client_of(user).post("/api/v1/calls/about-a-person", {**ASKED, **changes}, format="json")


def test_who_read_about_a_person_is_told_to_whom_may_see_the_calls(ours, others):
    mine, foreign = about(ours, minutes_ago=60), about(others)
    about(ours, "040099009998")
    add_call(ours)
    assert [row["call_id"] for row in search(officer(Role.AUDITOR)).json()["results"]] == [
        str(foreign.call_id),
        str(mine.call_id),
    ]
    for user in (officer(Role.PROVIDER_OFFICER, ours.service.provider), officer(Role.CONSUMER_OFFICER, ours.consumer)):
        assert [row["call_id"] for row in search(user).json()["results"]] == [str(mine.call_id)]
    assert search(officer(Role.CONSUMER_OFFICER, OrganizationFactory())).json() == {"results": [], "more": False}
    auditor = officer(Role.AUDITOR)
    assert [row["call_id"] for row in search(auditor, service=ours.service.code).json()["results"]] == [str(mine.call_id)]
    moment = (timezone.now() - timedelta(minutes=30)).isoformat()
    assert [row["call_id"] for row in search(auditor, until=moment).json()["results"]] == [str(mine.call_id)]
    assert [row["call_id"] for row in search(auditor, since=moment).json()["results"]] == [str(foreign.call_id)]
    assert search(auditor, identifiers=[PERSON, "1990"]).json()["results"] == []


def test_a_search_for_a_person_is_recorded_with_its_reason_and_never_with_the_identifier(ours, django_assert_max_num_queries):
    about(ours)
    reader = officer(Role.PROVIDER_OFFICER, ours.service.provider)
    search(reader)
    search(reader, service=ours.service.code)
    search(reader, identifiers=["040099009998"])
    first, second, third = AuditEvent.objects.filter(event="call_log.read", actor=reader).order_by("id")
    assert (first.facts["what"], first.facts["rows"], third.facts["rows"]) == ("calls", 1, 0)
    assert first.facts["asked"]["reason"] == ASKED["reason"]
    assert first.facts["asked"]["subject"] == second.facts["asked"]["subject"] != third.facts["asked"]["subject"]
    assert PERSON not in json.dumps([first.facts, second.facts])
    for wrong in (
        {"reason": ""},
        {"identifiers": []},
        {"identifiers": [""]},
        {"since": "x"},
        {"until": "2019-01-01T00:00:00Z"},
    ):
        assert search(reader, **wrong).status_code == 400, wrong
    assert AuditEvent.objects.filter(event="call_log.read").count() == 3
    assert client_of(reader).get("/api/v1/calls/about-a-person", ASKED).status_code == 405, (
        "an identifier has no place in an address"
    )
    with django_assert_max_num_queries(9):
        search(reader)


def test_only_the_newest_calls_about_a_person_are_shown_and_it_is_said(ours, monkeypatch):
    monkeypatch.setattr(subjects, "MOST", 2)
    made = [str(about(ours, minutes_ago=number).call_id) for number in (3, 2, 1)]
    assert [row["call_id"] for row in search(officer(Role.AUDITOR)).json()["results"]] == made[:0:-1]
    assert search(officer(Role.AUDITOR)).json()["more"] is True


def test_newer_calls_of_others_hide_none_of_ones_own(ours, others, monkeypatch):
    monkeypatch.setattr(subjects, "AT_ONCE", 2)
    mine = [str(about(ours, minutes_ago=number).call_id) for number in (9, 8, 7)]
    for number in range(1, 6):
        about(others, minutes_ago=number)
    answer = search(officer(Role.CONSUMER_OFFICER, ours.consumer)).json()
    assert ([row["call_id"] for row in answer["results"]], answer["more"]) == (mine[::-1], False)


# --- the tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement", ["UPDATE call_intent SET epoch = 2", "DELETE FROM call_intent", "DELETE FROM call_outcome"]
)
def test_the_log_cannot_be_changed(ours, statement):
    add_call(ours)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db(transaction=True)
def test_the_log_cannot_be_truncated(truncate_guards):
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE call_intent CASCADE")


def test_partitions_are_made_ahead_and_only_once(db):
    assert actions.make_partitions() == 0
    month = (timezone.localdate().replace(day=1) + timedelta(days=70)).strftime("%Y%m")
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"call_intent_{month}"])
        assert cursor.fetchone()[0]


def test_ids_order_as_time_does():
    moments = [timezone.now() + timedelta(milliseconds=5 * n) for n in range(50)]
    texts = [call_ids.make_text(int(m.timestamp() * 1000)) for m in moments]
    for made in ([call_ids.make(int(m.timestamp() * 1000)) for m in moments], [uuid.UUID(text) for text in texts]):
        assert made == sorted(made)
        assert all(u.version == 7 and u.variant == uuid.RFC_4122 for u in made)
        assert all(call_ids.floor(m) <= u for m, u in zip(moments, made, strict=True))
    assert [str(uuid.UUID(text)) for text in texts] == texts
    with connection.cursor() as cursor:
        cursor.execute("SELECT call_id_floor(%s)", [moments[0]])
        assert cursor.fetchone()[0] == call_ids.floor(moments[0])


test_ids_order_as_time_does = pytest.mark.django_db(test_ids_order_as_time_does)


# --- the sweeper ---------------------------------------------------------------------------------


def test_an_intent_without_outcome_is_closed_as_unknown_within_a_minute(ours):
    SweepMark.objects.update(swept_until=call_ids.floor(timezone.now() - timedelta(minutes=30)))
    dead, young, done = add_call(ours, minutes_ago=1, outcome=""), add_call(ours, minutes_ago=0.5, outcome=""), add_call(ours)
    assert actions.sweep() == 1
    assert CallOutcome.objects.get(call=dead).outcome == "unknown"
    assert not CallOutcome.objects.filter(call=young).exists()
    assert CallOutcome.objects.get(call=done).outcome == "delivered"
    assert actions.sweep() == 0
    assert SweepMark.objects.get().swept_until > dead.call_id


@pytest.mark.parametrize("statement", ["SWEEP", "UNFINISHED"])
def test_the_sweepers_look_at_nothing_that_lies_before_the_mark(ours, statement):
    """A month of calls lies there: reading it every few seconds took more of the processor than the calls did."""
    with connection.cursor() as cursor:
        for table, columns, values in (
            ("call_intent", "call_id, admitted_at, grant_id, credential_id, epoch, request_digest", "1, 1, 1, ''"),
            ("call_outcome", "call_id, recorded_at, request_bytes, provider_bytes, answer_bytes, provider_us, total_us, status, outcome, code",
             "0, 0, 0, 0, 0, 200, 'delivered', ''"),
        ):  # fmt: skip
            cursor.execute(
                f"INSERT INTO {table} ({columns}) SELECT call_id_floor(now() - n * interval '1 ms' - interval '10 min'), now(), {values} "
                "FROM generate_series(1, 20000) AS n"
            )  # fmt: skip
        cursor.execute("ANALYZE call_intent, call_outcome")
        SweepMark.objects.update(swept_until=call_ids.floor(timezone.now() - timedelta(minutes=5)))
        dead = add_call(ours, minutes_ago=2, outcome="")
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + getattr(sweeper, statement))
        plan = cursor.fetchone()[0]
    assert _most_rows(plan[0]["Plan"]) < 100, plan
    assert CallOutcome.objects.filter(call=dead).exists() == (statement == "SWEEP")


def _most_rows(node: dict) -> float:
    mine = node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
    return max([mine, *map(_most_rows, node.get("Plans", ()))])


def test_unfinished_are_those_nobody_closes(ours):
    SweepMark.objects.update(swept_until=call_ids.floor(timezone.now() - timedelta(minutes=30)))
    add_call(ours, minutes_ago=3, outcome="")
    add_call(ours, minutes_ago=2, outcome="delivered")
    add_call(ours, minutes_ago=0.5, outcome="")
    with connection.cursor() as cursor:
        cursor.execute(sweeper.UNFINISHED)
        count, oldest = cursor.fetchone()
        assert count == 1
        assert 175 < oldest < 300
        assert actions.sweep() == 1
        cursor.execute(sweeper.UNFINISHED)
        assert cursor.fetchone() == (0, 0.0)
