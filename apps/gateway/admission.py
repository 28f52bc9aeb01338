# ruff: noqa: S608  (statements are put together from constants of this package)
"""Admission: the one write before a provider is contacted.

One statement inserts the intents of all waiting calls and takes their quotas, and does both only if the policy epoch in
the database is still the one that decided. Its snapshot is taken after every call of the batch arrived, so a revocation
that was committed before a call's arrival is always seen, without a lock on the epoch. Expiry and the windows of quotas
are judged by the database's clock. Quota rows are locked in the order of their key, so processes queue and never deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from apps.gateway import outcomes
from apps.gateway.decision import Admission
from apps.gateway.policy import Grant

NO_CAP = 2_000_000_000
OLDEST_ID_SECONDS = 20
"""An id older than this is not admitted any more: what lies before the sweeper's mark is finished for good."""

_TAKEN = """greatest(0, least(excluded.taken,
    excluded.cap_second - CASE WHEN q.second >= excluded.second THEN q.in_second ELSE 0 END,
    excluded.cap_day - CASE WHEN q.day >= excluded.day THEN q.in_day ELSE 0 END,
    excluded.cap_month - CASE WHEN q.month >= excluded.month THEN q.in_month ELSE 0 END))"""
_PARTS = f"""
WITH moment AS MATERIALIZED (
    SELECT at, extract(epoch FROM at)::float8 AS now, extract(epoch FROM at)::bigint - CASE WHEN extract(epoch FROM at)::bigint
               > extract(epoch FROM at) THEN 1 ELSE 0 END AS second,
           ((extract(epoch FROM at)::bigint + 25200) / 86400)::int AS day,
           (extract(year FROM at AT TIME ZONE 'Asia/Ho_Chi_Minh') * 12 + extract(month FROM at AT TIME ZONE 'Asia/Ho_Chi_Minh'))::int AS month,
           epoch
    FROM (SELECT now() AS at, (SELECT epoch FROM core_policyepoch) AS epoch) AS clock
),
asked AS MATERIALIZED (
    SELECT g.* FROM unnest($2::text::bigint[], $3::text::int[], $4::text::int[], $5::text::int[], $6::text::int[],
                           $7::text::float8[], $8::text::float8[])
        AS g(grant_id, n, cap_second, cap_day, cap_month, not_before, not_after), moment
    WHERE moment.epoch = $1 AND moment.now >= not_before AND moment.now < not_after
),
taken AS (
    INSERT INTO gateway_quotause AS q
        (grant_id, at, second, day, month, in_second, in_day, in_month, taken, cap_second, cap_day, cap_month)
    SELECT grant_id, at, second, day, month, t, t, t, t, cap_second, cap_day, cap_month
    FROM (SELECT *, least(n, cap_second, cap_day, cap_month) AS t FROM asked WHERE cap_second IS NOT NULL) AS limited, moment
    ORDER BY grant_id
    ON CONFLICT (grant_id) DO UPDATE SET
        at = greatest(q.at, excluded.at), second = greatest(q.second, excluded.second),
        day = greatest(q.day, excluded.day), month = greatest(q.month, excluded.month),
        in_second = CASE WHEN q.second >= excluded.second THEN q.in_second ELSE 0 END + {_TAKEN},
        in_day = CASE WHEN q.day >= excluded.day THEN q.in_day ELSE 0 END + {_TAKEN},
        in_month = CASE WHEN q.month >= excluded.month THEN q.in_month ELSE 0 END + {_TAKEN},
        taken = {_TAKEN},
        cap_second = excluded.cap_second, cap_day = excluded.cap_day, cap_month = excluded.cap_month
    RETURNING q.grant_id, q.at, q.taken, q.in_second, q.in_day, q.in_month
),
given AS (
    SELECT grant_id, NULL::timestamptz AS at, NULL::int AS taken, NULL::int AS in_second, NULL::int AS in_day, NULL::int AS in_month
    FROM asked WHERE cap_second IS NULL
    UNION ALL SELECT grant_id, at, taken, in_second, in_day, in_month FROM taken
),
admitted AS (
    INSERT INTO call_intent (call_id, admitted_at, grant_id, credential_id, epoch, trace_id, request_digest, source)
    SELECT c.call_id, coalesce(given.at, moment.at), c.grant_id, c.credential_id, $1, c.trace_id, c.digest, c.source
    FROM unnest($9::text::uuid[], $10::text::bigint[], $11::text::int[], $12::text::bigint[], $13::text::uuid[],
                $14::text::bytea[], $15::text::inet[])
        AS c(call_id, grant_id, place, credential_id, trace_id, digest, source)
    JOIN given USING (grant_id), moment
    WHERE given.taken IS NULL OR c.place <= given.taken
)
"""
_ANSWER = """
SELECT moment.epoch, moment.now, given.grant_id, given.taken, given.in_second, given.in_day, given.in_month
FROM moment LEFT JOIN given ON true
"""
ADMIT = _PARTS + _ANSWER
COLUMNS = 15
ADMIT_AND_RECORD = (
    _PARTS + ", recorded AS (" + outcomes.record_sql(COLUMNS + 1) + ")"
    + _ANSWER.replace("given.in_month\n", "given.in_month, (SELECT count(*) FROM recorded) AS recorded\n")
)  # fmt: skip
"""Admits the waiting calls and records the outcomes of earlier ones: one statement, one commit for both."""
SET_KEY = """
INSERT INTO gateway_idempotencykey (system_id, key_hash, request_digest, call_id, made_at)
VALUES ($1, $2, $3, $4, now()) ON CONFLICT (system_id, key_hash) DO NOTHING RETURNING call_id
"""
FIRST_CALL = """
SELECT k.call_id, k.request_digest, o.outcome, o.status, o.answer_digest, o.code
FROM gateway_idempotencykey k LEFT JOIN call_outcome o ON o.call_id = k.call_id WHERE k.system_id = $1 AND k.key_hash = $2
"""


class Waiting(Struct, gc=False):
    """A decided call that asks to be admitted."""

    call_id: str
    epoch: int
    made_at: float
    admission: Admission
    digest: bytes
    source: str | None
    trace_id: str | None
    key_hash: bytes = b""


class Verdict(Struct, gc=False):
    """What the database said. `code` is empty when the call was admitted, `moved` when another policy must decide,
    `time` when the interval of the decision does not hold, else a refusal's code. `now` is the database's clock."""

    code: str
    now: float
    epoch: int
    first_call: dict | None = None


class _Group(Struct, gc=False):
    grant: Grant
    places: list[int]
    not_before: float
    not_after: float


async def admit(connection: asyncpg.Connection, items: Sequence[Waiting]) -> list[Verdict]:
    """Admit a batch in one statement and one commit; one verdict an item, quotas given in order of arrival."""
    return (await admit_and_record(connection, items, ()))[0]


async def admit_and_record(
    connection: asyncpg.Connection, items: Sequence[Waiting], rows: Sequence[outcomes.Outcome]
) -> tuple[list[Verdict], list[bool]]:
    """`admit` and `outcomes.record` together: verdicts of the calls, and whether each outcome was stored."""
    epoch = max([item.epoch for item in items])
    verdicts: list[Verdict | None] = [Verdict("moved", 0.0, epoch) if item.epoch != epoch else None for item in items]
    groups = _grouped(items, verdicts)
    columns = _columns(groups, items)
    if rows:
        answer = await connection.fetch(ADMIT_AND_RECORD, epoch, *columns, *outcomes.columns_of(rows))
        stored = await outcomes.stored(connection, rows, answer[0]["recorded"])
    else:
        answer, stored = await connection.fetch(ADMIT, epoch, *columns), []
    again = _judge(answer, epoch, groups, verdicts)
    for index in again:
        # The strictest call of a group spoke for all of it: each is asked for itself.
        verdicts[index] = (await admit(connection, [items[index]]))[0]
    return verdicts, stored  # type: ignore[return-value]


def _judge(answer: list[asyncpg.Record], epoch: int, groups: dict[int, _Group], verdicts: list[Verdict | None]) -> list[int]:
    """Fill the verdicts from the statement's answer; returns the places that must be asked one by one."""
    found = {row["grant_id"]: row for row in answer if row["grant_id"] is not None}
    now, current = answer[0]["now"], answer[0]["epoch"]
    again = []
    for grant_id, group in groups.items():
        row = found.get(grant_id)
        for place, index in enumerate(group.places, 1):
            if current != epoch:
                verdicts[index] = Verdict("moved", now, current)
            elif row is not None:
                verdicts[index] = Verdict(_quota_code(group.grant, row, place), now, current)
            elif len(group.places) == 1:
                verdicts[index] = Verdict("time", now, current)
            else:
                again.append(index)
    return again


def _grouped(items: Sequence[Waiting], verdicts: list[Verdict | None]) -> dict[int, _Group]:
    groups: dict[int, _Group] = {}
    for index, item in enumerate(items):
        if verdicts[index] is not None:
            continue
        admission = item.admission
        not_after = min(admission.not_after, item.made_at + OLDEST_ID_SECONDS)
        group = groups.get(admission.grant.id)
        if group is None:
            groups[admission.grant.id] = _Group(admission.grant, [index], admission.not_before, not_after)
        else:
            group.places.append(index)
            group.not_before = max(group.not_before, admission.not_before)
            group.not_after = min(group.not_after, not_after)
    return groups


def _columns(groups: dict[int, _Group], items: Sequence[Waiting]) -> list[str]:
    """The columns as texts of PostgreSQL arrays: a tenth of the cost of the driver's own array encoding."""
    one, calls = [], []
    for grant_id, group in groups.items():
        grant = group.grant
        caps = (grant.per_second, grant.per_day, grant.per_month)
        if grant.has_quota:
            caps = tuple([NO_CAP if cap is None else cap for cap in caps])
        one.append((grant_id, len(group.places), *caps, group.not_before, group.not_after))
        for place, index in enumerate(group.places, 1):
            item = items[index]
            calls.append(
                (item.call_id, grant_id, place, item.admission.caller.credential.id, item.trace_id, "\\\\x" + item.digest.hex(),
                 item.source)
            )  # fmt: skip
    return [outcomes.array(column) for rows in (one, calls) for column in zip(*rows, strict=True)] or ["{}"] * (COLUMNS - 1)


def _quota_code(grant: Grant, row: asyncpg.Record, place: int) -> str:
    if not grant.has_quota or place <= row["taken"]:
        return ""
    if grant.per_month is not None and row["in_month"] >= grant.per_month:
        return "quota_month_exceeded"
    if grant.per_day is not None and row["in_day"] >= grant.per_day:
        return "quota_day_exceeded"
    return "rate_exceeded"


class _KeyTaken(Exception):
    pass


async def admit_keyed(connection: asyncpg.Connection, items: Sequence[Waiting]) -> list[Verdict]:
    """Admit calls that carry an Idempotency-Key, one transaction each: intent, quota and key, or none of them."""
    return [await _admit_keyed(connection, item) for item in items]


async def _admit_keyed(connection: asyncpg.Connection, item: Waiting) -> Verdict:
    system_id = item.admission.caller.system.id
    verdict = Verdict("moved", 0.0, item.epoch)
    try:
        async with connection.transaction():
            (verdict,) = await admit(connection, [item])
            if verdict.code:
                return verdict
            if await connection.fetchval(SET_KEY, system_id, item.key_hash, item.digest, item.call_id) is None:
                raise _KeyTaken
    except _KeyTaken:
        return await _first_call(connection, item, verdict)
    return verdict


async def _first_call(connection: asyncpg.Connection, item: Waiting, verdict: Verdict) -> Verdict:
    row = await connection.fetchrow(FIRST_CALL, item.admission.caller.system.id, item.key_hash)
    if row["request_digest"] != item.digest:
        return Verdict("idempotency_key_reused", verdict.now, verdict.epoch)
    first = {"call_id": str(row["call_id"])}
    if row["outcome"] is None:
        return Verdict("still_running", verdict.now, verdict.epoch, first)
    digest = row["answer_digest"]
    first |= {"outcome": row["outcome"], "status": row["status"], "digest": digest.hex() if digest else None}
    return Verdict("already_completed", verdict.now, verdict.epoch, first)
