"""What is written after the decision: outcomes before the first byte of the answer, refusals before they are told."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence

import asyncpg
from msgspec import Struct

RECORD = """
INSERT INTO call_outcome (call_id, recorded_at, delivered_id, withheld_id, request_bytes, provider_bytes, answer_bytes,
                          provider_us, total_us, status, provider_status, outcome, code, answer_digest, subject)
SELECT call_id, now(), delivered_id, withheld_id, request_bytes, provider_bytes, answer_bytes,
       provider_us, total_us, status, provider_status, outcome, code, answer_digest, subject
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::smallint[],
            $10::smallint[], $11::text[], $12::text[], $13::bytea[], $14::bytea[])
    AS o(call_id, delivered_id, withheld_id, request_bytes, provider_bytes, answer_bytes, provider_us, total_us, status,
         provider_status, outcome, code, answer_digest, subject)
ON CONFLICT (call_id) DO NOTHING RETURNING call_id
"""
RECORDED = "SELECT call_id, outcome, code, status, total_us, answer_digest FROM call_outcome WHERE call_id = ANY($1::uuid[])"
REFUSE = """
INSERT INTO call_refusal (call_id, refused_at, credential_id, system_id, service_id, operation_id, grant_id, epoch, status,
                          code, method, asked_service, asked_purpose, source)
SELECT call_id, now(), credential_id, system_id, service_id, operation_id, grant_id, epoch, status, code, method,
       asked_service, asked_purpose, source
FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::smallint[],
            $9::text[], $10::text[], $11::text[], $12::text[], $13::inet[])
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

    call_id: uuid.UUID
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

    call_id: uuid.UUID
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


def _columns(rows: Sequence[Struct]) -> list[list]:
    names = type(rows[0]).__struct_fields__
    return [[getattr(row, name) for row in rows] for name in names]


async def record(connection: asyncpg.Connection, rows: Sequence[Outcome]) -> list[bool]:
    """Store outcomes in one commit. False for a call whose outcome somebody else wrote (the sweeper): do not answer it.

    An outcome that is already there and equal is our own from an attempt whose commit was not confirmed.
    """
    stored = {row["call_id"] for row in await connection.fetch(RECORD, *_columns(rows))}
    missing = [row.call_id for row in rows if row.call_id not in stored]
    if not missing:
        return [True] * len(rows)
    there = {row["call_id"]: tuple(row)[1:] for row in await connection.fetch(RECORDED, missing)}
    return [
        row.call_id in stored
        or there.get(row.call_id) == (row.outcome, row.code, row.status, row.total_us, row.answer_digest)
        for row in rows
    ]  # fmt: skip


async def refuse(connection: asyncpg.Connection, rows: Sequence[RefusedCall]) -> list[bool]:
    await connection.execute(REFUSE, *_columns(rows))
    return [True] * len(rows)


class FieldSets:
    """Ids of sets of field names; each set is stored once and remembered."""

    def __init__(self, pool) -> None:
        self._pool = pool
        self._known: dict[tuple[str, ...], int | None] = {(): None}
        self._lock = asyncio.Lock()

    def known(self, names: tuple[str, ...]) -> int | None:
        """The id. Raises KeyError when the set was not stored by this process yet: then ask `store`."""
        return self._known[names]

    def forget(self) -> None:
        self._known = {(): None}

    async def store(self, names: tuple[str, ...]) -> int:
        async with self._lock:
            if names not in self._known:
                digest = hashlib.sha256("\n".join(names).encode()).digest()
                async with self._pool.acquire() as connection:
                    await connection.execute(
                        "INSERT INTO gateway_fieldset (digest, names) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING",
                        digest, list(names),
                    )  # fmt: skip
                    found = await connection.fetchval("SELECT id FROM gateway_fieldset WHERE digest = $1", digest)
                self._known[names] = found
        return self._known[names]
