"""The durable row alone, without HTTP and provider: two commits a call, by the gateway's own writer.

1, 8, 32 and 128 callers of one process; then several processes on the same quota row and on rows of their own.
As a module it is one of these processes: prints `ready`, waits for a line, prints its figures as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle

from benchmarks.gateway import targets

CALLERS, PROCESSES = (1, 8, 32, 128), (1, 2, 4)
SECONDS, QUICK_SECONDS, WARM_SECONDS = 4, 1, 0.5
PAIRS = 2_000


def run(database: targets.Database, *, quick: bool) -> int:
    seconds = QUICK_SECONDS if quick else SECONDS
    print("# durable row: callers | calls/s | p50, p99 ms | CPU a call: Python + PostgreSQL, µs | rows a batch")
    alone = {number: measure(database, [(number, 0, 1, False)], seconds) for number in CALLERS}
    for number, found in alone.items():
        print(f"# {number:4} callers           {_said(found)}")
    for number in PROCESSES:
        for same in (True, False):
            found = measure(database, [(32, part, number, same) for part in range(number)], seconds)
            print(f"# {number:4} × 32, {'one quota row ' if same else 'rows of their own'} {_said(found)}")
    for number in (32, 128):
        print(f"durable_cpu_us_{number} {alone[number]['python_us'] + alone[number]['postgres_us']:.1f}")
    print(f"durable_32_vs_1 {alone[32]['per_second'] / alone[1]['per_second']:.1f}")
    return 0


def measure(database: targets.Database, workers: list[tuple[int, int, int, bool]], seconds: float) -> dict[str, float]:
    """Run processes of (callers, part, parts, whether all take one quota row) at once; their figures together."""
    commands = [
        [
            sys.executable,
            "-m",
            "benchmarks.gateway.durable_row",
            str(callers),
            str(seconds),
            str(part),
            str(parts),
            *["--same"] * same,
        ]
        for callers, part, parts, same in workers
    ]
    postgres = targets.Target("postgres", 0, [database.pid])
    running = [
        subprocess.Popen(command, cwd=targets.ROOT, env=targets.environment(database.url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for command in commands
    ]  # fmt: skip
    try:
        for process in running:
            if process.stdout.readline() != "ready\n":
                raise SystemExit("a process of the durable row did not begin")
        before = postgres.cpu()
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        rows = [json.loads(process.stdout.readline()) for process in running]
        used = postgres.cpu() - before
    finally:
        for process in running:
            process.stdin.close()
            process.wait(30)
    calls = sum(row["calls"] for row in rows)
    return {
        "per_second": sum(row["calls"] / row["seconds"] for row in rows), "p50": max(row["p50"] for row in rows),
        "p99": max(row["p99"] for row in rows), "python_us": 1e6 * sum(row["cpu"] for row in rows) / calls,
        "postgres_us": 1e6 * used / calls, "batch": sum(row["items"] for row in rows) / sum(row["batches"] for row in rows),
    }  # fmt: skip


def _said(found: dict[str, float]) -> str:
    return (
        f"{found['per_second']:8.0f}/s  {found['p50']:6.2f} {found['p99']:6.2f} ms  {found['python_us']:6.1f} + {found['postgres_us']:6.1f} µs"
        f"  {found['batch']:5.1f}"
    )


# --- one of the processes
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("callers", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("part", type=int)
    parser.add_argument("parts", type=int)
    parser.add_argument("--same", action="store_true")
    given = parser.parse_args()
    import uvloop

    uvloop.run(_work(given))


async def _work(given: argparse.Namespace) -> None:
    import django

    django.setup()
    from apps.gateway import ledger, policy_source
    from apps.gateway.group_commit import GroupCommit, connect
    from lgsp.env import database_url

    connection = await connect(database_url(), statement_timeout="60000")
    policy = await policy_source.load(connection)
    await connection.close()
    commits = GroupCommit("ledger", database_url(), ledger.write, largest_batch=512)
    admissions = cycle(_admissions(policy, given))
    await _callers(commits, policy.epoch, admissions, given.callers, WARM_SECONDS)
    print("ready", flush=True)
    sys.stdin.readline()
    commits.batches = commits.items = 0
    cpu, began = _cpu(), time.perf_counter()
    times = sorted(await _callers(commits, policy.epoch, admissions, given.callers, given.seconds))
    took, cpu = time.perf_counter() - began, _cpu() - cpu
    await commits.close()
    print(json.dumps({"calls": len(times), "seconds": took, "cpu": cpu, "p50": 1e3 * times[len(times) // 2],
                      "p99": 1e3 * times[len(times) * 99 // 100], "items": commits.items, "batches": commits.batches}), flush=True)  # fmt: skip


def _admissions(policy, given: argparse.Namespace) -> list:
    """Decided calls, one a grant with a quota: those of this process's part, or the same single one for all processes."""
    from apps.gateway.decision import Call, Token, decide
    from apps.gateway.policy_kinds import FOREVER

    credentials = {row.system_id: row.id for row in policy.rows["credential"].values()}
    grants = [grant for grant in policy.rows["grant"].values() if grant.has_quota][:PAIRS]
    found = []
    for grant in grants[:1] if given.same else grants[given.part :: given.parts]:
        route = policy.by_operation[grant.operation_id]
        operation = route.operations[grant.operation_id]
        service = policy.rows["dataservice"][route.version.service_id]
        call = Call("GET", service.code, 1, (operation.code, "100001"), [], grant.purpose, "127.0.0.1")
        found.append(decide(policy, Token(credentials[grant.system_id], FOREVER, ""), call, time.time()))
    return found


async def _callers(commits, epoch: int, admissions: Iterator, number: int, seconds: float) -> list[float]:
    """Seconds of each call that was admitted and recorded."""
    from apps.gateway import call_ids
    from apps.gateway.admission import Waiting
    from apps.gateway.outcomes import Outcome

    until, times, digest = time.perf_counter() + seconds, [], b"d" * 32

    async def caller() -> None:
        began = time.perf_counter()
        while began < until:
            call_id = call_ids.make_text(int(time.time() * 1000))
            verdict = await commits.submit(Waiting(call_id, epoch, next(admissions), digest, "127.0.0.1", None))
            if verdict.code:
                raise SystemExit(f"a call of the bench was refused: {verdict.code}")
            outcome = Outcome(call_id, 1, 2, 0, 1_024, 512, 900, 1_800, 200, 200, "delivered", "", digest, digest[:16])
            if not await commits.submit(outcome):
                raise SystemExit("an outcome of the bench was not stored")
            ended = time.perf_counter()
            times.append(ended - began)
            began = ended

    await asyncio.gather(*[caller() for _n in range(number)])
    return times


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
