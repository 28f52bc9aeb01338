"""A batch of the ledger: what is stored, who is admitted when not all are, and what happens when an outcome is already there."""

from __future__ import annotations

import asyncio
import time
import uuid

import pytest

from apps.gateway import call_ids, ledger, policy_source
from apps.gateway.admission import ADMIT_AND_RECORD, OLDEST_ID_SECONDS, Waiting
from apps.gateway.arrays import array, packed
from apps.gateway.decision import Call, Token, decide
from apps.gateway.group_commit import GroupCommit, connect
from apps.gateway.models import CallIntent, CallOutcome, QuotaUse
from apps.gateway.outcomes import Outcome
from apps.gateway.policy_kinds import FOREVER
from tests.gateway.processes import database_url
from tests.gateway.world import make_world

pytestmark = pytest.mark.django_db(transaction=True)
DIGEST, SUBJECT = bytes(range(32)), bytes(range(16))


def run(*batches):
    """Store batches one after the other; the results of each."""

    async def inside() -> list[list]:
        connection = await connect(database_url())
        try:
            return [await ledger.write(connection, items) for items in batches]
        finally:
            await connection.close()

    return asyncio.run(inside())


@pytest.fixture
def waiting(transactional_db):
    """waiting(world, **facts): a decided call that asks to be admitted."""
    policies = {}

    def make(world, **facts) -> Waiting:
        async def load():
            connection = await connect(database_url())
            try:
                return await policy_source.load(connection)
            finally:
                await connection.close()

        if not policies:
            policies[0] = asyncio.run(load())
        call = Call("GET", world.service.code, 1, ("companies", "0999999999"), [], world.purpose.code, "10.0.0.1")
        admission = decide(policies[0], Token(world.credential.pk, FOREVER, ""), call, time.time())
        defaults = {"call_id": call_ids.make_text(int(time.time() * 1000)), "digest": DIGEST, "source": "10.0.0.1", "trace_id": None,
                    "epoch": policies[0].epoch}  # fmt: skip
        return Waiting(admission=admission, **{**defaults, **facts})

    return make


def outcome(call_id: str, **facts) -> Outcome:
    defaults = {
        "delivered_id": 11, "withheld_id": 12, "request_bytes": 1, "provider_bytes": 1_024, "answer_bytes": 512, "provider_us": 900,
        "total_us": 1_800, "status": 200, "provider_status": 201, "outcome": "delivered", "code": "", "answer_digest": DIGEST, "subject": SUBJECT,
    }  # fmt: skip
    return Outcome(call_id, **{**defaults, **facts})


def test_intents_and_outcomes_are_stored_as_they_are(waiting):
    world, open_world = make_world("http://127.0.0.1:9/api", quota_per_day=100), make_world("http://127.0.0.1:9/api")
    trace = uuid.uuid4()
    calls = [
        waiting(world, trace_id=trace.hex),
        waiting(open_world, source="2001:db8::1", digest=DIGEST[::-1]),
        waiting(world, source=None),
    ]
    empty = {"delivered_id": None, "withheld_id": None, "provider_status": None, "answer_digest": None, "subject": None}
    ended = [
        outcome(calls[0].call_id),
        outcome(calls[1].call_id, **empty, outcome="provider_failed", code="provider_timeout", status=504),
    ]
    (verdicts, stored) = run(calls, ended)
    assert [verdict.code for verdict in verdicts] == ["", "", ""]
    assert abs(verdicts[0].now - time.time()) < 60
    assert stored == [True, True]
    rows = {str(row.call_id): row for row in CallIntent.objects.all()}
    first, second, third = (rows[call.call_id] for call in calls)
    assert (first.grant_id, first.credential_id, first.epoch) == (world.grant.pk, world.credential.pk, calls[0].epoch)
    assert (first.trace_id, first.source, bytes(first.request_digest)) == (trace, "10.0.0.1", DIGEST)
    assert (second.grant_id, second.trace_id, second.source, bytes(second.request_digest)) == (
        open_world.grant.pk, None, "2001:db8::1", DIGEST[::-1],
    )  # fmt: skip
    assert third.source is None
    assert QuotaUse.objects.get().in_day == 2, "a grant without a limit has no row"
    full, bare = (CallOutcome.objects.filter(call=call.call_id).values().get() for call in calls[:2])
    assert {name: full.pop(name) for name in ("recorded_at", "call_id")}
    assert {**full, "answer_digest": bytes(full["answer_digest"]), "subject": bytes(full["subject"])} == {
        name: value for name, value in zip(Outcome.__struct_fields__, _values(ended[0]), strict=True) if name != "call_id"
    }
    assert {name for name, value in bare.items() if value is None} == set(empty)
    assert (bare["outcome"], bare["code"], bare["status"]) == ("provider_failed", "provider_timeout", 504)


def _values(row: Outcome) -> list:
    return [getattr(row, name) for name in Outcome.__struct_fields__]


def test_the_first_to_arrive_get_what_is_left_and_the_rest_are_told_why(waiting):
    world, open_world = make_world("http://127.0.0.1:9/api", quota_per_day=2), make_world("http://127.0.0.1:9/api")
    calls = [waiting(world), waiting(open_world), waiting(world), waiting(world), waiting(open_world)]
    (verdicts,) = run(calls)
    assert [verdict.code for verdict in verdicts] == ["", "", "", "quota_day_exceeded", ""]
    assert {str(i) for i in CallIntent.objects.values_list("call_id", flat=True)} == {calls[n].call_id for n in (0, 1, 2, 4)}
    assert QuotaUse.objects.get().in_day == 2


def test_nothing_is_stored_when_the_epoch_moved(waiting):
    world = make_world("http://127.0.0.1:9/api", quota_per_day=2)
    call = waiting(world)
    epoch = world.change(world.agreement, "agreement", status="suspended")
    (verdicts,) = run([call, waiting(world)])
    assert [(verdict.code, verdict.epoch) for verdict in verdicts] == [("moved", epoch)] * 2
    assert not CallIntent.objects.exists()
    assert not QuotaUse.objects.exists()


def test_an_outcome_that_is_already_there_hinders_nobody_and_is_not_overwritten(waiting):
    world = make_world("http://127.0.0.1:9/api", quota_per_day=100)
    calls = [waiting(world) for _n in range(3)]
    run(calls)
    CallOutcome.objects.create(
        call_id=calls[0].call_id, recorded_at="2026-01-01T00:00Z", outcome="unknown", code="unknown", status=0
    )
    same = outcome(calls[1].call_id)
    run([same])
    new, late = waiting(world), outcome(calls[0].call_id)
    ((verdict, *stored),) = run([new, late, same, outcome(calls[2].call_id)])
    assert verdict.code == ""
    assert stored == [False, True, True], "the sweeper's stays; our own, whose commit was not confirmed, is ours"
    assert CallOutcome.objects.get(call=calls[0].call_id).outcome == "unknown"
    assert CallIntent.objects.filter(call_id=new.call_id).count() == 1
    assert QuotaUse.objects.get().in_day == 4
    assert run([late, outcome(new.call_id)]) == [[False, True]]


def test_the_statement_of_a_batch_is_planned_once(waiting):
    """Planning costs more than what the statement does; PostgreSQL would plan it anew for each batch when left to choose."""
    world = make_world("http://127.0.0.1:9/api", quota_per_day=100)
    asked = []

    async def write(connection, items):
        results = await ledger.write(connection, items)
        asked[:] = await connection.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1", ADMIT_AND_RECORD
        )
        return results

    async def inside(calls) -> None:
        commits = GroupCommit("test", database_url(), write)
        for before, call in zip(calls, calls[1:], strict=False):
            await asyncio.gather(commits.submit(call), commits.submit(outcome(before.call_id)))
        await commits.close()

    calls = [waiting(world) for _n in range(9)]
    asyncio.run(inside(calls))
    assert [tuple(row) for row in asked] == [(8, 0)]
    assert CallIntent.objects.count() == CallOutcome.objects.count() == 8


def test_arrays_are_what_postgresql_reads():
    values = {
        "bigint[]": [[1, -1, 3], [4, 5, 2**62]], "text[]": ["", "delivered", None, "NULL", "a,b c"], "float8[]": [[1795614535.25, 0.0]],
        "uuid[]": [str(uuid.UUID(int=n)) for n in (0, 7)], "inet[]": ["10.0.0.1", "2001:db8::1", None],
    }  # fmt: skip

    async def inside() -> list:
        connection = await connect(database_url())
        try:
            return [await connection.fetchval(f"SELECT $1::text::{kind}", array(value)) for kind, value in values.items()]
        finally:
            await connection.close()

    for found, (kind, value) in zip(asyncio.run(inside()), values.items(), strict=True):
        assert [str(f) if kind in ("uuid[]", "inet[]") and f else f for f in found] == value


def test_packed_values_are_all_of_one_size():
    assert packed([b"ab", None, b"cd"], 2) == b"ab\0\0cd"
    with pytest.raises(ValueError, match="not of 2 bytes"):
        packed([b"ab", b"c"], 2)


def test_a_call_whose_id_is_old_is_not_admitted_however_late_it_was_decided(waiting):
    """What lies before the sweeper's mark is finished for good: an intent with an id from before it would never get an outcome."""
    world = make_world("http://127.0.0.1:9/api", quota_per_day=100)
    late = waiting(world, call_id=call_ids.make_text(int((time.time() - OLDEST_ID_SECONDS - 1) * 1000)))
    young = waiting(world, call_id=call_ids.make_text(int((time.time() - OLDEST_ID_SECONDS + 8) * 1000)))
    (verdicts,) = run([late, young])
    assert [verdict.code for verdict in verdicts] == ["time", ""]
    assert {str(i) for i in CallIntent.objects.values_list("call_id", flat=True)} == {young.call_id}
    assert QuotaUse.objects.get().in_day == 1
