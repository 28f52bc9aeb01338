"""One process with 100,000 grants: time to load them, memory at rest and at its peak, time of a decision."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

import psutil
import psycopg

from benchmarks.gateway import rounds, targets

MEMORY_PAIRS_SECONDS = 3


def run(folder: Path, database: targets.Database, provider: targets.Target, pairs: list[dict]) -> int:
    began = time.monotonic()
    with targets.gateway(database, provider) as gateway:
        ready = time.monotonic() - began
        targets.check(gateway, pairs, plain=False)
        rounds.wrk(gateway, folder, "small", 32, MEMORY_PAIRS_SECONDS)
        _change_one_grant(database)
        rounds.wrk(gateway, folder, "small", 32, MEMORY_PAIRS_SECONDS)
        process = psutil.Process(gateway.pids[0])
        peak = next(
            int(line.split()[1]) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmHWM" in line
        )
        print(f"# ready with 100,000 grants after {ready:.1f} s (start of the process included); peak {peak / 1e3:.0f} MB")
        print(f"gateway_rss_mb_100k_grants {gateway.rss() / 1e6:.0f}")
    load_s, verify_s, decide_us = asyncio.run(_read(database.url, provider))
    print(f"# policy of 100,000 grants: read in {load_s:.1f} s, verified in {verify_s:.1f} s, decided in {decide_us:.1f} µs (first time "
          f"for each right; remembered after that)")  # fmt: skip
    print(f"gateway_policy_load_s_100k_grants {load_s:.2f}")
    print(f"gateway_decide_us_100k_grants {decide_us:.1f}")
    return 0


def _change_one_grant(database: targets.Database) -> None:
    with psycopg.connect(database.url) as connection:
        ref = connection.execute("SELECT uuid FROM agreements_grant ORDER BY id DESC LIMIT 1").fetchone()[0]
        epoch = connection.execute("UPDATE core_policyepoch SET epoch = epoch + 1 RETURNING epoch").fetchone()[0]
        connection.execute("INSERT INTO core_policychange (epoch, kind, ref, at) VALUES (%s, 'grant', %s, now())", [epoch, ref])
    time.sleep(2)


async def _read(dsn: str, provider: targets.Target) -> tuple[float, float, float]:
    """Seconds of a whole load and of a verification, microseconds of a decision made for the first time."""
    targets.django_ready(dsn, provider)
    from apps.gateway import policy_source
    from apps.gateway.decision import Call, Token, decide
    from apps.gateway.group_commit import connect
    from apps.gateway.policy_kinds import FOREVER

    connection = await connect(dsn, statement_timeout="60000")
    try:
        began = time.perf_counter()
        policy = await policy_source.load(connection)
        load_s = time.perf_counter() - began
        began = time.perf_counter()
        await policy_source.verify(connection, policy)
        verify_s = time.perf_counter() - began
    finally:
        await connection.close()
    credentials = {row.system_id: row.id for row in policy.rows["credential"].values()}
    found = []
    now = time.time()
    for grant in list(policy.rows["grant"].values())[:20_000]:
        route = policy.by_operation[grant.operation_id]
        operation = route.operations[grant.operation_id]
        service = policy.rows["dataservice"][route.version.service_id]
        call = Call("GET", service.code, 1, (operation.code, "100001"), [], grant.purpose, "127.0.0.1")
        began = time.perf_counter()
        decide(policy, Token(credentials[grant.system_id], FOREVER, ""), call, now)
        found.append(time.perf_counter() - began)
    return load_s, verify_s, statistics.median(found) * 1e6
