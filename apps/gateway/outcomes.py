"""What is written after the decision: outcomes before the first byte of the answer, refusals before they are told."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from apps.gateway.arrays import array, packed

DIGEST_BYTES, SUBJECT_BYTES = 32, 16


def store_sql(first: int) -> str:
    """The statement that stores outcomes, its parameters numbered from `first`. Fails as a whole when one is already there."""
    count, ids, numbers, outcome, code, digests, subjects = [f"${first + n}" for n in range(7)]
    return f"""
INSERT INTO call_outcome (call_id, recorded_at, delivered_id, withheld_id, request_bytes, provider_bytes, answer_bytes,
                          provider_us, total_us, status, provider_status, outcome, code, answer_digest, subject)
SELECT call_id, now(), nullif(a[i][1], 0), nullif(a[i][2], 0), a[i][3]::int, a[i][4]::int, a[i][5]::int,
       a[i][6]::int, a[i][7]::int, a[i][8]::smallint, nullif(a[i][9], 0)::smallint, outcome, code,
       nullif(substr({digests}::bytea, {DIGEST_BYTES} * (i - 1) + 1, {DIGEST_BYTES}), decode(repeat('00', {DIGEST_BYTES}), 'hex')),
       nullif(substr({subjects}::bytea, {SUBJECT_BYTES} * (i - 1) + 1, {SUBJECT_BYTES}), decode(repeat('00', {SUBJECT_BYTES}), 'hex'))
FROM (SELECT {numbers}::text::bigint[] AS a OFFSET 0) AS numbers,
     (SELECT generate_series(1, {count}::int) AS i, unnest({ids}::text::uuid[]) AS call_id, unnest({outcome}::text::text[]) AS outcome,
             unnest({code}::text::text[]) AS code) AS texts
"""  # noqa: S608


STORE = store_sql(1)
STORE_NEW = f"WITH stored AS ({STORE} ON CONFLICT (call_id) DO NOTHING RETURNING call_id) SELECT count(*) FROM stored"  # noqa: S608
RECORDED = "SELECT call_id, outcome, code, status, total_us, answer_digest FROM call_outcome WHERE call_id = ANY($1::uuid[])"
REFUSE = """
INSERT INTO call_refusal (call_id, refused_at, credential_id, system_id, service_id, operation_id, grant_id, epoch, status,
                          code, method, asked_service, asked_purpose, source)
SELECT call_id, now(), credential_id, system_id, service_id, operation_id, grant_id, epoch, status, code, method,
       asked_service, asked_purpose, source
FROM unnest($1::text::uuid[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[], $5::text::bigint[], $6::text::bigint[],
            $7::text::bigint[], $8::text::smallint[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text::inet[])
    AS r(call_id, credential_id, system_id, service_id, operation_id, grant_id, epoch, status, code, method, asked_service,
         asked_purpose, source)
"""
COUNT = """
INSERT INTO gateway_anonymousrefusalcount AS c (minute, code, network, count)
SELECT date_trunc('minute', now()), code, network, n FROM unnest($1::text[], $2::text[], $3::bigint[]) AS a(code, network, n)
ORDER BY code, network
ON CONFLICT (minute, code, network) DO UPDATE SET count = c.count + excluded.count
"""


class Outcome(Struct, gc=False):
    """One row of call_outcome, in the order of the columns of RECORD."""

    call_id: str
    delivered_id: int | None
    withheld_id: int | None
    request_bytes: int
    provider_bytes: int
    answer_bytes: int
    provider_us: int
    total_us: int
    status: int
    provider_status: int | None
    outcome: str
    code: str
    answer_digest: bytes | None
    subject: bytes | None


class RefusedCall(Struct, gc=False):
    """One row of call_refusal, in the order of the columns of REFUSE."""

    call_id: str
    credential_id: int | None
    system_id: int | None
    service_id: int | None
    operation_id: int | None
    grant_id: int | None
    epoch: int
    status: int
    code: str
    method: str
    asked_service: str
    asked_purpose: str
    source: str | None


def columns_of(rows: Sequence[Outcome]) -> tuple:
    """Parameters of `store_sql`: how many, their ids, their numbers (no None: 0 stands for it), words, digests, pseudonyms."""
    return (
        len(rows),
        array([row.call_id for row in rows]),
        array(
            [(row.delivered_id or 0, row.withheld_id or 0, row.request_bytes, row.provider_bytes, row.answer_bytes, row.provider_us,
              row.total_us, row.status, row.provider_status or 0) for row in rows]
        ),
        array([row.outcome for row in rows]),
        array([row.code for row in rows]),
        packed([row.answer_digest for row in rows], DIGEST_BYTES),
        packed([row.subject for row in rows], SUBJECT_BYTES),
    )  # fmt: skip


async def record(connection: asyncpg.Connection, rows: Sequence[Outcome]) -> list[bool]:
    """Store outcomes in one commit. False for a call whose outcome somebody else wrote (the sweeper): do not answer it."""
    try:
        await connection.fetch(STORE, *columns_of(rows))
    except asyncpg.UniqueViolationError:
        return await record_new(connection, rows)
    return [True] * len(rows)


async def record_new(connection: asyncpg.Connection, rows: Sequence[Outcome]) -> list[bool]:
    """`record`, for rows of which some may be there already."""
    return await stored(connection, rows, await connection.fetchval(STORE_NEW, *columns_of(rows)))


async def stored(connection: asyncpg.Connection, rows: Sequence[Outcome], count: int) -> list[bool]:
    """Whether each outcome is ours. One that is already there and equal is from an attempt whose commit was not confirmed."""
    if count == len(rows):
        return [True] * count
    found = await connection.fetch(RECORDED, [row.call_id for row in rows])
    there = {row["call_id"].hex: tuple(row)[1:] for row in found}
    return [
        there.get(row.call_id.replace("-", "")) == (row.outcome, row.code, row.status, row.total_us, row.answer_digest) for row in rows
    ]  # fmt: skip


async def refuse(connection: asyncpg.Connection, rows: Sequence[RefusedCall]) -> list[bool]:
    await connection.execute(REFUSE, *refusal_columns(rows))
    return [True] * len(rows)


def refusal_columns(rows: Sequence[RefusedCall]) -> list:
    """Parameters of REFUSE: texts of arrays, and arrays of the texts that come from outside."""
    return [
        *[array([getattr(row, name) for row in rows]) for name in _NUMBERS],
        *[[getattr(row, name) for row in rows] for name in ("code", "method", "asked_service", "asked_purpose")],
        array([row.source for row in rows]),
    ]


_NUMBERS = ("call_id", "credential_id", "system_id", "service_id", "operation_id", "grant_id", "epoch", "status")


class FieldSets:
    """Ids of sets of field names; each set is stored once and remembered."""

    def __init__(self, pool) -> None:
        self._pool = pool
        self._known: dict[tuple[str, ...], int | None] = {(): None}
        self._lock = asyncio.Lock()
        self.generation = 0

    def known(self, names: tuple[str, ...]) -> int | None:
        """The id. Raises KeyError when the set was not stored by this process yet: then ask `store`."""
        return self._known[names]

    def forget(self) -> None:
        self.generation += 1
        self._known = {(): None}

    async def store(self, names: tuple[str, ...]) -> int:
        async with self._lock:
            if names not in self._known:
                digest = hashlib.sha256("\n".join(names).encode()).digest()
                async with self._pool.acquire(timeout=3) as connection:
                    await connection.execute(
                        "INSERT INTO gateway_fieldset (digest, names) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
                        digest, list(names),
                    )  # fmt: skip
                    found = await connection.fetchval("SELECT id FROM gateway_fieldset WHERE digest = $1", digest)
                self._known[names] = found
        return self._known[names]
