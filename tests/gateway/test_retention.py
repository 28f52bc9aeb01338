"""The log is kept as long as each usage regulation says, and what goes is on record (LOG-03, NĐ 47/2020 Điều 45(3))."""

from __future__ import annotations

import datetime
import threading
import uuid

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.disputes.choices import DisputeCategory
from apps.disputes.models import Dispute
from apps.gateway import call_ids, retention, tasks
from apps.gateway.models import CallIntent, CallOutcome, CallRefusal
from apps.legal.models import LegalRule
from apps.organizations.choices import Role
from tests.factories.organizations import officer
from tests.factories.registry import UsageRegulationFactory
from tests.gateway.processes import database_url
from tests.gateway.world import make_world
from tests.patience import until

pytestmark = pytest.mark.django_db
ZONE = timezone.get_default_timezone()


@pytest.fixture
def clock(db):
    return officer(Role.OPERATOR)


@pytest.fixture
def brief(db):
    """A service whose regulation keeps the log for six months."""
    made = make_world("http://127.0.0.1:9/api")
    made.service.usage_regulation = UsageRegulationFactory(organization=made.service.provider, log_retention_months=6)
    made.service.save()
    return made


@pytest.fixture
def usual(db):
    """A service without a regulation: twelve months."""
    return make_world("http://127.0.0.1:9/api")


def months_ago(number: int) -> str:
    """The month (YYYYMM) whose end lies `number` months back, with its partitions."""
    today = timezone.localdate()
    place = today.year * 12 + today.month - 1 - number - 1
    month = f"{place // 12:04d}{place % 12 + 1:02d}"
    start = datetime.datetime(place // 12, place % 12 + 1, 1, tzinfo=ZONE)
    end = datetime.datetime((place + 1) // 12, (place + 1) % 12 + 1, 1, tzinfo=ZONE)
    with transaction.atomic(), connection.cursor() as cursor:
        # Together: the sweep of a gateway beside reads one of them and writes another.
        cursor.execute(f"LOCK TABLE {', '.join(retention.TABLES)} IN ACCESS EXCLUSIVE MODE")
        for table in retention.TABLES:
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {table}_{month} PARTITION OF {table} FOR VALUES FROM ('{call_ids.floor(start)}') TO ('{call_ids.floor(end)}')"
            )
    return month


def called(world, month: str, *, count: int = 1) -> list[uuid.UUID]:
    """Calls of `world` in the month: with intent, outcome and, once each, a refusal of its service."""
    at = datetime.datetime(int(month[:4]), int(month[4:]), 15, 9, tzinfo=ZONE)
    made = []
    for number in range(count):
        made.append(call_id := call_ids.make(int(at.timestamp() * 1000) + number))
        call = CallIntent.objects.create(
            call_id=call_id,
            admitted_at=at,
            grant=world.grant,
            credential=world.credential,
            epoch=1,
            request_digest=b"\x01" * 32,
        )
        CallOutcome.objects.create(call=call, recorded_at=at, outcome="delivered", status=200, subject=b"\x02" * 16)
        CallRefusal.objects.create(
            call_id=call_ids.make(int(at.timestamp() * 1000) + number), refused_at=at, code="purpose_missing", status=403,
            credential=world.credential, system=world.system, service=world.service, method="GET", epoch=1, asked_service=world.service.code,
        )  # fmt: skip
    return made


def there(month: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relname LIKE %s", [f"%{month}"]
        )
        return {row[0].rpartition("_")[0] for row in cursor.fetchall()}


def left() -> set[uuid.UUID]:
    kept = set(CallIntent.objects.values_list("call_id", flat=True))
    assert kept == set(CallOutcome.objects.values_list("call_id", flat=True))
    return kept


def test_a_service_with_a_shorter_retention_leaves_a_month_the_others_stay_in(brief, usual, clock):
    month = months_ago(6)
    called(brief, month, count=3)
    stay = called(usual, month, count=2)
    assert retention.due_months() == [month]
    rows = retention.purge_month(month, by=clock)
    assert rows == {table: {"gone": 3, "kept": 2} for table in retention.TABLES}
    assert left() == set(stay)
    assert set(CallRefusal.objects.values_list("service", flat=True)) == {usual.service.pk}
    event = AuditEvent.objects.get(event="call_log.purged")
    assert (event.actor, event.facts["month"], event.facts["dropped"]) == (clock, month, [])
    assert event.facts["services"] == [{"service": brief.service.code, "months": 6, "gone": dict.fromkeys(retention.TABLES, 3)}]
    # The month is as it was: same place, same guards, same keys; and nothing more to do until more is due.
    assert there(month) == set(retention.TABLES)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM call_intent")
    stay += called(usual, month)
    with pytest.raises(DatabaseError, match="duplicate key"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO call_intent SELECT * FROM call_intent_{month} LIMIT 1")
    assert retention.due_months() == []
    assert retention.purge_month(month, by=clock)["call_intent"] == {"gone": 0, "kept": 3}
    assert AuditEvent.objects.filter(event="call_log.purged").count() == 1


def test_a_month_goes_as_a_whole_when_nothing_of_it_stays(brief, usual, clock):
    old = months_ago(12)
    called(brief, old)
    called(usual, old)
    young = months_ago(11)
    kept = called(usual, young)
    assert retention.due_months() == [old]
    assert retention.purge_month(old, by=clock)["call_intent"] == {"gone": 2, "kept": 0}
    assert there(old) == set()
    assert left() == set(kept)
    assert set(AuditEvent.objects.get(event="call_log.purged").facts["dropped"]) == set(retention.TABLES)


def test_what_is_usual_is_the_legal_officers_rule(usual, clock):
    """Calls and refusals to which no regulation applies go by `log.retention_default` as it stands today."""
    month = months_ago(13)
    called(usual, month)
    type(usual.service).objects.filter(pk=usual.service.pk).update(usage_regulation=None)
    assert month in retention.due_months()
    LegalRule.objects.filter(code="log.retention_default").update(value=24)
    assert month not in retention.due_months()
    assert not any(row["gone"] for row in retention.purge_month(month, by=clock).values())
    assert len(left()) == 1
    LegalRule.objects.filter(code="log.retention_default").update(effective_from="2099-01-01")
    assert retention.due_months() == [], "without a rule nothing goes"


def test_one_month_less_than_the_regulation_says_is_too_early(brief, clock):
    month = months_ago(5)
    kept = called(brief, month)
    assert retention.due_months() == []
    retention.purge_month(month, by=clock)
    assert left() == set(kept)
    assert not AuditEvent.objects.filter(event="call_log.purged").exists()


def test_what_an_agreement_promised_is_kept_when_the_regulation_says_less(brief, clock):
    brief.grant.version_of.__class__.objects.create(
        agreement=brief.agreement, number=2, state="draft", content={"log_retention_months": 24}, content_hash="1" * 64,
        drafted_by=clock,
    )  # fmt: skip
    month = months_ago(12)
    kept = called(brief, month)
    rows = retention.purge_month(month, by=clock)
    assert (rows["call_intent"], left()) == ({"gone": 0, "kept": 1}, set(kept))


def test_an_open_dispute_holds_the_calls_of_its_agreement(brief, clock):
    month = months_ago(6)
    kept = called(brief, month)
    dispute = Dispute.objects.create(
        number="TC-1", category=DisputeCategory.DATA, title="x", description="y", agreement=brief.agreement,
        version_of=brief.grant.version_of, raised_by=clock, raised_for=brief.consumer, respondent=brief.service.provider,
    )  # fmt: skip
    assert retention.purge_month(month, by=clock)["call_intent"] == {"gone": 0, "kept": 1}
    assert left() == set(kept)
    Dispute.objects.filter(pk=dispute.pk).update(status="closed")
    assert retention.purge_month(month, by=clock)["call_intent"] == {"gone": 1, "kept": 0}
    assert left() == set()


@pytest.mark.parametrize("month", ["", "190001", "202513; DROP TABLE x", "call"])
def test_only_months_of_the_log_that_are_over(clock, month):
    for text in (month, timezone.localdate().strftime("%Y%m")):
        with pytest.raises(DatabaseError, match="no month|not over"), transaction.atomic():
            retention.purge_month(text, by=clock)


def test_an_error_on_the_way_leaves_everything(brief, usual, clock, monkeypatch):
    month = months_ago(6)
    kept = called(brief, month) + called(usual, month)
    monkeypatch.setattr(retention.audit, "record", lambda *args, **facts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        retention.purge_month(month, by=clock)
    assert left() == set(kept)


def test_the_house_is_kept_by_the_clock(brief, usual):
    month = months_ago(6)
    called(brief, month)
    called(usual, month)
    done = tasks.keep_house()
    assert done[f"purged_{month}"] == 3
    assert done["indexed"] >= 1
    assert str(AuditEvent.objects.get(event="call_log.purged").actor)
    assert tasks.keep_house()["indexed"] == 0


@pytest.mark.parametrize(
    "work",
    [
        lambda _month, _clock: retention.due_months(),
        lambda _month, _clock: retention.index_months(),
        lambda month, clock: retention.purge_month(month, by=clock),
    ],
    ids=["due", "index", "purge"],
)
def test_a_month_of_many_calls_is_not_given_up_for_its_length(work, clock):
    """The application ends a statement after a minute; here after a moment, in a log that is slow to say when a month ends."""
    month = months_ago(13)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION gateway_month_end(month text) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ "
            "SELECT pg_sleep(0.06); SELECT (to_date(month || '01', 'YYYYMMDD') + interval '1 month') AT TIME ZONE 'Asia/Ho_Chi_Minh' $$"
        )
        cursor.execute("SET LOCAL statement_timeout = 50")
    work(month, clock)


@pytest.mark.django_db(transaction=True)
def test_calls_go_on_while_a_month_is_counted_and_copied(brief, usual, clock):
    """What waits for the lines of refusals waits alone: the tables into which each call is written are not held yet."""
    month = months_ago(6)
    called(brief, month)
    called(usual, month)
    done = []

    def purge():
        try:
            done.append(retention.purge_month(month, by=clock))
        finally:
            connection.close()

    with psycopg.connect(database_url()) as reader, psycopg.connect(database_url(), autocommit=True) as caller:
        reader.execute(f"LOCK TABLE call_refusal_{month} IN ROW EXCLUSIVE MODE")
        worker = threading.Thread(target=purge)
        worker.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        until(lambda: caller.execute(waits).fetchone()[0], "the purge does not come to the refusals", every=0.01)
        caller.execute("SET lock_timeout = '200ms'")
        for table in ("call_intent", "call_outcome"):
            with caller.transaction():
                caller.execute(f"LOCK TABLE ONLY {table} IN ROW EXCLUSIVE MODE")  # as an INSERT into another month does
        reader.rollback()
        worker.join(timeout=60)
    assert done[0]["call_intent"] == {"gone": 1, "kept": 1}


def test_who_was_asked_about_is_found_by_an_index_in_months_that_are_over(usual):
    month = months_ago(1)
    called(usual, month)
    retention.index_months()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN SELECT call_id FROM call_outcome_{month} WHERE subject = '\\x02'::bytea")
        assert "Index" in cursor.fetchall()[0][0]
