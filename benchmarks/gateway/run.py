"""Runs the targets in interleaved rounds and prints the figures (`benchmarks.gateway` says what they mean)."""

from __future__ import annotations

import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg

from benchmarks.gateway import targets

LOADS = (("1kb_c32", "small", 32), ("1kb_c128", "small", 128), ("20kb_c32", "large", 32))
ROUNDS, SECONDS = 5, 5.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 2.0
RATE, RATE_SECONDS = 1000, 10


def main(options: list[str]) -> int:
    """Print the table and the `name value` lines; 1 when a target failed its checks."""
    missing = [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]
    if missing:
        print(f"gateway: {' and '.join(missing)} not found; the comparison with nginx is not measured")
        return 0
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if "--quick" in options else (ROUNDS, SECONDS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-bench-")))
        folder.chmod(0o755)
        database = stack.enter_context(targets.database(folder))
        provider = stack.enter_context(targets.provider(folder))
        pairs = targets.build_world(database, provider.url + "/api", folder)
        nginx = stack.enter_context(targets.proxy(folder, provider))
        gateway = stack.enter_context(targets.gateway(database, provider))
        wanted = {"nginx": nginx, "gateway": gateway}
        if "--no-drf" not in options:
            wanted["drf"] = stack.enter_context(targets.baseline(database, provider, pairs))
        for name in wanted:
            targets.check(wanted[name], pairs, plain=name == "nginx")
        about(database)
        results = measure(wanted, folder, rounds, seconds)
        late = latencies(wanted, pairs) if "--no-rate" not in options else {}
        counts = targets.counts(database)
        report(results, late)
        print(f"# after all rounds: {counts['intents']} intents, {counts['outcomes']} outcomes, {counts['unknown']} unknown")
        if counts["intents"] != counts["outcomes"] or counts["unknown"]:
            print("# FAILED: intents and outcomes differ")
            return 1
    if "--no-memory" not in options:
        memory()
    return 0


def about(database: targets.Database) -> None:
    with psycopg.connect(database.url) as connection:
        facts = {
            name: connection.execute(f"SHOW {name}").fetchone()[0] for name in ("server_version", "fsync", "synchronous_commit")
        }
    if facts["fsync"] != "on" or facts["synchronous_commit"] != "on":
        raise SystemExit("the bench refuses to run without fsync and synchronous_commit")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ""
    )
    print(
        f"# commit {commit}, {psutil.cpu_count()} × {cpu}, Python {platform.python_version()}, PostgreSQL {facts['server_version']}, durable"
    )


def measure(wanted: dict[str, targets.Target], folder: Path, rounds: int, seconds: float) -> dict:
    """load → target → list of (calls per CPU-second, calls per second), one a round."""
    results: dict = {load: {name: [] for name in wanted} for load, _operation, _clients in LOADS}
    for _warm in wanted.values():
        wrk(_warm, folder, "small", 32, 1.0)
    for number in range(rounds):
        for load, operation, clients in LOADS:
            for name, target in wanted.items():
                before, began = target.cpu(), time.monotonic()
                calls, wrong = wrk(target, folder, operation, clients, seconds)
                used, took = target.cpu() - before, time.monotonic() - began
                if wrong:
                    print(f"# {name} {load}: {wrong} answers other than 2xx")
                results[load][name].append((calls / used, calls / took))
        print(f"# round {number + 1} of {rounds}", file=sys.stderr)
    return results


def wrk(target: targets.Target, folder: Path, operation: str, clients: int, seconds: float) -> tuple[int, int]:
    script = Path(__file__).with_name("pairs.lua")
    done = subprocess.run(
        ["wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(script), target.url, "--",
         str(folder / "pairs.txt"), operation], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    calls = int(re.search(r"(\d+) requests in", done)[1])
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done)
    return calls, (int(wrong[1]) if wrong else 0) + (sum(map(int, errors.groups())) if errors else 0)


def latencies(wanted: dict[str, targets.Target], pairs: list[dict]) -> dict[str, list[float]]:
    """target → p99 in ms at a fixed rate (h2load, HTTP/1.1), one a round of three."""
    if shutil.which("h2load") is None:
        print("# h2load not found: latency is not measured")
        return {}
    found: dict[str, list[float]] = {"nginx": [], "gateway": []}
    for _round in range(3):
        for name in found:
            found[name].append(_p99(wanted[name], pairs[0]))
    return found


def _p99(target: targets.Target, pair: dict) -> float:
    clients = 50
    with tempfile.NamedTemporaryFile() as log:
        subprocess.run(
            ["h2load", "--h1", f"-c{clients}", "-t1", f"-D{RATE_SECONDS}", f"--rps={RATE // clients}", f"--log-file={log.name}",
             "-H", f"Authorization: Bearer {pair['token']}", "-H", "X-Purpose-Code: bench",
             f"{target.url}/gw/{pair['service']}/v1/small/100001"], capture_output=True, check=True,
        )  # fmt: skip
        rows = [line.split() for line in Path(log.name).read_text().splitlines()]
    times = sorted(int(row[2]) for row in rows if row[1] == "200")
    if len(times) < 0.9 * RATE * RATE_SECONDS or len(times) != len(rows):
        print(f"# {target.name}: {len(times)} of {len(rows)} answers at {RATE}/s were 200")
    return times[int(len(times) * 0.99)] / 1000


def report(results: dict, late: dict[str, list[float]]) -> None:
    print("# calls per CPU-second (PostgreSQL counted) | calls per second | share of nginx: median (min–max of rounds)")
    for load, rows in results.items():
        for name, values in rows.items():
            share = [100 * mine[0] / theirs[0] for mine, theirs in zip(values, rows["nginx"], strict=True)]
            print(f"# {load:9} {name:8} {statistics.median(v[0] for v in values):9.0f} {statistics.median(v[1] for v in values):9.0f} "
                  f"{statistics.median(share):6.1f} % ({min(share):.1f}–{max(share):.1f})")  # fmt: skip

    def share(load: str, other: str, factor: float) -> float:
        rows = results[load]
        return statistics.median(
            factor * mine[0] / theirs[0] for mine, theirs in zip(rows["gateway"], rows[other], strict=True)
        )

    print(f"gateway_1kb_c32_vs_nginx_cpu {share('1kb_c32', 'nginx', 100):.1f}")
    print(f"gateway_1kb_c128_vs_nginx_cpu {share('1kb_c128', 'nginx', 100):.1f}")
    print(f"gateway_20kb_vs_nginx_cpu {share('20kb_c32', 'nginx', 100):.1f}")
    if "drf" in results["1kb_c32"]:
        print(f"gateway_vs_drf_cpu {share('1kb_c32', 'drf', 1):.1f}")
    if late:
        print(
            f"# p99 at {RATE}/s in ms: " + ", ".join(f"{name} {[round(v, 2) for v in values]}" for name, values in late.items())
        )
        print(f"gateway_p99_added_ms_{RATE}rps {statistics.median(late['gateway']) - statistics.median(late['nginx']):.2f}")


def memory() -> None:
    """Resident memory of one process with 100,000 grants, and the time to load them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-bench-")))
        folder.chmod(0o755)
        database = stack.enter_context(targets.database(folder))
        provider = stack.enter_context(targets.provider(folder))
        pairs = targets.build_world(database, provider.url + "/api", folder, grants=100_000)
        began = time.monotonic()
        gateway = stack.enter_context(targets.gateway(database, provider))
        ready = time.monotonic() - began
        targets.check(gateway, pairs, plain=False)
        wrk(gateway, folder, "small", 32, 3.0)
        print(f"# ready with 100,000 grants after {ready:.1f} s (start of the process included)")
        print(f"gateway_rss_mb_100k_grants {gateway.rss() / 1e6:.0f}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
