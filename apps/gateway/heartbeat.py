"""What each gateway process tells people about itself: one row, written every few seconds and at once when a breaker turns.

Nothing is decided from these rows. That one can be written is also the proof that the database still takes commits.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone

import asyncpg
import orjson

EVERY_SECONDS = 5.0
SILENT_SECONDS = 20
"""A process whose row is older is not there any more (it died, or cannot reach the database)."""
BEAT = """
INSERT INTO gateway_gatewayprocess AS p (id, name, started_at, seen_at, epoch, policy, grants, running, draining, faults, pauses)
VALUES ($1, $2, now(), now(), $3, $4, $5, $6, $7, $8, $9::text::jsonb)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, epoch = excluded.epoch, policy = excluded.policy,
    grants = excluded.grants, running = excluded.running, draining = excluded.draining, faults = excluded.faults, pauses = excluded.pauses
"""
LEAVE = "DELETE FROM gateway_gatewayprocess WHERE id = $1"


async def beat(connection: asyncpg.Connection, runtime, faults: list[str]) -> None:
    policy = runtime.policy
    await connection.execute(
        BEAT, runtime.process_id, runtime.name, policy.epoch if policy else -1, policy.name if policy else "",
        len(policy.rows["grant"]) if policy else 0, runtime.running, runtime.draining, faults, orjson.dumps(pauses(runtime)).decode(),
    )  # fmt: skip


def pauses(runtime) -> list[dict]:
    """The providers this process gives a pause: which address, since when, why, and when one call will try again."""
    now, wall = time.monotonic(), runtime.clock.now()
    return [
        {
            "upstream": endpoint.row.id, "code": endpoint.breaker.code, "since": _moment(wall - (now - endpoint.breaker.since)),
            "next_try": _moment(wall + endpoint.breaker.wait(now)),
        }
        for endpoint in runtime.upstreams.known()
        if endpoint.breaker.is_open
    ]  # fmt: skip


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
