# ruff: noqa: S608  (statements are put together from constants of this package)
"""Admission: the one write before a provider is contacted.

One statement inserts the intents of all waiting calls and takes their quotas, and does both only if the policy epoch in
the database is still the one that decided. Its snapshot is taken after every call of the batch arrived, so a revocation
that was committed before a call's arrival is always seen, without a lock on the epoch. Expiry and the windows of quotas
are judged by the database's clock. Quota rows are locked in the order of their key, so processes queue and never deadlock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import asyncpg
from msgspec import Struct

from apps.gateway import call_ids, outcomes
from apps.gateway.arrays import array, packed
from apps.gateway.decision import Admission
from apps.gateway.policy_kinds import Grant

NO_CAP = 2_000_000_000
_UNLIMITED = (-1, -1, -1)
DIGEST_BYTES = 32
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
           ((floor(extract(epoch FROM at))::bigint + 25200) / 86400)::int AS day,
           (extract(year FROM at AT TIME ZONE 'Asia/Ho_Chi_Minh') * 12 + extract(month FROM at AT TIME ZONE 'Asia/Ho_Chi_Minh'))::int AS month,
           epoch
    FROM (SELECT now() AS at, (SELECT epoch FROM core_policyepoch) AS epoch) AS clock
),
asked AS MATERIALIZED (
    SELECT at, second, day, month, g[i][1] AS grant_id, g[i][2]::int AS n, g[i][3]::int AS cap_second, g[i][4]::int AS cap_day,
           g[i][5]::int AS cap_month
    FROM moment, (SELECT $2::text::bigint[] AS g, $3::text::float8[] AS span OFFSET 0) AS groups,
         generate_series(1, array_length(g, 1)) AS i
    WHERE epoch = $1 AND now >= span[i][1] AND now < span[i][2]
),
taken AS (
    INSERT INTO gateway_quotause AS q
        (grant_id, at, second, day, month, in_second, in_day, in_month, taken, cap_second, cap_day, cap_month)
    SELECT grant_id, at, second, day, month, t, t, t, t, cap_second, cap_day, cap_month
    FROM (SELECT *, least(n, cap_second, cap_day, cap_month) AS t FROM asked WHERE cap_second >= 0) AS limited
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
    SELECT grant_id, at, NULL::int AS taken, NULL::int AS in_second, NULL::int AS in_day, NULL::int AS in_month
    FROM asked WHERE cap_second < 0
    UNION ALL SELECT grant_id, at, taken, in_second, in_day, in_month FROM taken
),
admitted AS (
    INSERT INTO call_intent (call_id, admitted_at, grant_id, credential_id, epoch, trace_id, request_digest, source)
    SELECT c.call_id, given.at, c.grant_id, c.credential_id, $1, c.trace_id,
           substr($7::bytea, {DIGEST_BYTES} * (c.i - 1) + 1, {DIGEST_BYTES}), c.source
    FROM (SELECT a[i][1] AS grant_id, a[i][2] AS place, a[i][3] AS credential_id, call_id, trace_id, source, i
          FROM (SELECT $5::text::bigint[] AS a OFFSET 0) AS numbers,
               (SELECT generate_series(1, $4::int) AS i, unnest($6::text::uuid[]) AS call_id, unnest($8::text::uuid[]) AS trace_id,
                       unnest($9::text::inet[]) AS source) AS texts) AS c
    JOIN given USING (grant_id)
    WHERE given.taken IS NULL OR c.place <= given.taken
    RETURNING 1
)
"""
_ANSWER = """
SELECT moment.epoch, moment.now, written.n = $4 AS all_admitted,
       given.grant_id, given.taken, given.in_second, given.in_day, given.in_month
FROM moment CROSS JOIN (SELECT count(*) AS n FROM admitted) AS written LEFT JOIN given ON written.n < $4
"""
"""One row, and further ones only when somebody was not admitted: then a row a group says how many were."""
COLUMNS = 9
ADMIT = _PARTS + _ANSWER
ADMIT_AND_RECORD = _PARTS + ", recorded AS (" + outcomes.store_sql(COLUMNS + 1) + ")" + _ANSWER
"""Admits the waiting calls and records the outcomes of earlier ones: one statement, one commit for both.

Fails as a whole (UniqueViolationError) when an outcome is already there.
"""
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
    admission: Admission
    digest: bytes
    source: str | None
    trace_id: str | None
    key_hash: bytes = b""
    made: float = 0.0
    """When its id was made, in seconds since 1970; 0.0: as the id says."""


class Verdict(Struct, gc=False):
    """What the database said. `code` is empty when the call was admitted, `moved` when another policy must decide,
    `time` when the interval of the decision does not hold, else a refusal's code. `now` is the database's clock."""

    code: str
    now: float
    epoch: int
    first_call: dict | None = None


class _Group(Struct, gc=False):
    """The calls of one grant in a batch: their places, the grant's caps, the interval all of them hold in."""

    grant: Grant
    places: list[int]
    caps: tuple[int, int, int]
    span: list[float]


class _Batch(Struct, gc=False):
    """The calls of a batch, ready to be asked for: groups by their grant's id, and a row a call (grant, which of its calls, account).

    `verdicts` has one an item; those of calls that another epoch decided are known before anybody is asked.
    """

    verdicts: list[Verdict | None]
    groups: dict[int, _Group]
    calls: list[tuple[int, int, int]]
    chosen: list[Waiting]


async def admit(connection: asyncpg.Connection, items: Sequence[Waiting]) -> list[Verdict]:
    """Admit a batch in one statement and one commit; one verdict an item, quotas given in order of arrival."""
    return await _admit(connection, items, ADMIT, ())


async def admit_and_record(
    connection: asyncpg.Connection, items: Sequence[Waiting], rows: Sequence[outcomes.Outcome]
) -> tuple[list[Verdict], list[bool]]:
    """`admit` and `outcomes.record` together: verdicts of the calls, and whether each outcome was stored."""
    if not rows:
        return await admit(connection, items), []
    try:
        verdicts = await _admit(connection, items, ADMIT_AND_RECORD, outcomes.columns_of(rows))
    except asyncpg.UniqueViolationError:
        # Nothing of the statement happened. Somebody else wrote one of these outcomes: see which, admit apart from it.
        return await admit(connection, items), await outcomes.record_new(connection, rows)
    return verdicts, [True] * len(rows)


def admit_one(item: Waiting, fetch: Callable[[str, Sequence], list]) -> Verdict:
    """`admit` for one call on another driver's connection: `fetch` runs a statement and gives its rows as asyncpg would."""
    batch = _batch([item], item.epoch)
    _judge(fetch(ADMIT, (item.epoch, *_columns(batch))), item.epoch, batch)
    return batch.verdicts[0]


async def _admit(connection: asyncpg.Connection, items: Sequence[Waiting], statement: str, more: Sequence) -> list[Verdict]:
    epoch = max([item.epoch for item in items])
    batch = _batch(items, epoch)
    answer = await connection.fetch(statement, epoch, *_columns(batch), *more)
    for index in _judge(answer, epoch, batch):
        # The strictest call of a group spoke for all of it: each is asked for itself.
        batch.verdicts[index] = (await admit(connection, [items[index]]))[0]
    return batch.verdicts


def _judge(answer: list[asyncpg.Record], epoch: int, batch: _Batch) -> list[int]:
    """Fill the verdicts from the statement's answer; returns the places that must be asked one by one."""
    current, now, all_admitted = answer[0][:3]
    if all_admitted:
        everybody = Verdict("", now, current)
        batch.verdicts = [everybody if known is None else known for known in batch.verdicts]
        return []
    found = {row["grant_id"]: row for row in answer if row["grant_id"] is not None}
    again = []
    for grant_id, group in batch.groups.items():
        row, places = found.get(grant_id), group.places
        for place, index in enumerate(places, 1):
            if current != epoch:
                batch.verdicts[index] = Verdict("moved", now, current)
            elif row is not None:
                batch.verdicts[index] = Verdict(_quota_code(group.grant, row, place), now, current)
            elif len(places) == 1:
                batch.verdicts[index] = Verdict("time", now, current)
            else:
                again.append(index)
    return again


def _batch(items: Sequence[Waiting], epoch: int) -> _Batch:
    batch = _Batch([None] * len(items), {}, [], [])
    groups, calls, chosen = batch.groups, batch.calls, batch.chosen
    for index, item in enumerate(items):
        if item.epoch != epoch:
            batch.verdicts[index] = Verdict("moved", 0.0, epoch)
            continue
        admission = item.admission
        grant_id = admission.grant.id
        not_after = min(admission.not_after, (item.made or call_ids.made_at(item.call_id)) + OLDEST_ID_SECONDS)
        group = groups.get(grant_id)
        if group is None:
            span = [admission.not_before, not_after]
            group = groups[grant_id] = _Group(admission.grant, [index], _caps(admission.grant), span)
        else:
            group.places.append(index)
            span = group.span
            span[0], span[1] = max(span[0], admission.not_before), min(span[1], not_after)
        calls.append((grant_id, len(group.places), admission.caller.credential.id))
        chosen.append(item)
    return batch


def _columns(batch: _Batch) -> tuple:
    """Parameters 2 to 9: a row a grant, its span of time, how many calls, a row a call, and what of a call is no number."""
    chosen, groups = batch.chosen, batch.groups
    return (
        array([(grant_id, len(group.places), *group.caps) for grant_id, group in groups.items()]),
        array([group.span for group in groups.values()]), len(chosen), array(batch.calls), array([item.call_id for item in chosen]),
        packed([item.digest for item in chosen], DIGEST_BYTES), array([item.trace_id for item in chosen]), array([item.source for item in chosen]),
    )  # fmt: skip


def _caps(grant: Grant) -> tuple[int, int, int]:
    second, day, month = grant.per_second, grant.per_day, grant.per_month
    if second is None and day is None and month is None:
        return _UNLIMITED
    return NO_CAP if second is None else second, NO_CAP if day is None else day, NO_CAP if month is None else month


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


_QUOTAS = ("rate_exceeded", "quota_day_exceeded", "quota_month_exceeded")


async def admit_keyed(connection: asyncpg.Connection, items: Sequence[Waiting]) -> list[Verdict]:
    """Admit calls that carry an Idempotency-Key, one transaction each: intent, quota and key, or none of them."""
    return [await _admit_keyed(connection, item) for item in items]


async def _admit_keyed(connection: asyncpg.Connection, item: Waiting) -> Verdict:
    system_id = item.admission.caller.system.id
    verdict = Verdict("moved", 0.0, item.epoch)
    try:
        async with connection.transaction():
            (verdict,) = await admit(connection, [item])
            if verdict.code in _QUOTAS:
                # The answer that was lost may be that of the last call the quota had room for.
                return await _first_call(connection, item, verdict) or verdict
            if verdict.code:
                return verdict
            if await connection.fetchval(SET_KEY, system_id, item.key_hash, item.digest, item.call_id) is None:
                raise _KeyTaken
    except _KeyTaken:
        return await _first_call(connection, item, verdict)
    return verdict


async def _first_call(connection: asyncpg.Connection, item: Waiting, verdict: Verdict) -> Verdict | None:
    """What became of the first call under the key; None when there was none."""
    row = await connection.fetchrow(FIRST_CALL, item.admission.caller.system.id, item.key_hash)
    if row is None:
        return None
    if row["request_digest"] != item.digest:
        return Verdict("idempotency_key_reused", verdict.now, verdict.epoch)
    first = {"call_id": str(row["call_id"])}
    if row["outcome"] is None:
        return Verdict("still_running", verdict.now, verdict.epoch, first)
    digest = row["answer_digest"]
    first |= {"outcome": row["outcome"], "status": row["status"], "digest": digest.hex() if digest else None}
    return Verdict("already_completed", verdict.now, verdict.epoch, first)
