"""Interleaved rounds: in each round every target in turn under the same load; ratios are of one round."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.gateway import targets

LOADS = (("1kb_c32", "small", 32), ("1kb_c128", "small", 128), ("20kb_c32", "large", 32))
ONLY = {"drf": {"1kb_c32"}}
"""The baseline is compared at one load."""
ROUNDS, SECONDS = 5, 4
QUICK = 1, 2


def run(wanted: dict[str, targets.Target], folder: Path, *, quick: bool) -> int:
    rounds, seconds = QUICK if quick else (ROUNDS, SECONDS)
    results, bad = measure(wanted, folder, rounds, seconds)
    report(results, rounds, seconds)
    return int(bad > 0)


def measure(wanted: dict[str, targets.Target], folder: Path, rounds: int, seconds: int) -> tuple[dict, int]:
    """load → target → list of (calls per CPU-second, calls per second), one a round; and how many answers were wrong."""
    results = {load: {n: [] for n in wanted if load in ONLY.get(n, {load})} for load, _operation, _clients in LOADS}
    bad = 0
    for target in wanted.values():
        wrk(target, folder, "small", 32, 1)
    for number in range(rounds):
        for load, operation, clients in LOADS:
            for name in results[load]:
                target = wanted[name]
                before = target.cpu()
                calls, took, wrong = wrk(target, folder, operation, clients, seconds)
                used = target.cpu() - before
                if wrong:
                    print(f"# FAILED: {name} {load}: {wrong} answers other than 2xx, or broken connections")
                bad += wrong
                results[load][name].append((calls / used, calls / took))
        print(f"# round {number + 1} of {rounds}", file=sys.stderr)
    return results, bad


def wrk(target: targets.Target, folder: Path, operation: str, clients: int, seconds: int) -> tuple[int, float, int]:
    """(answers, seconds it took, answers that were wrong)."""
    script = Path(__file__).with_name("pairs.lua")
    done = subprocess.run(
        ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), target.url, "--",
         str(folder / "pairs.txt"), operation], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r"(\d+) requests in ([0-9.]+)s", done)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done)
    return int(found[1]), float(found[2]), (int(wrong[1]) if wrong else 0) + (sum(map(int, errors.groups())) if errors else 0)


def report(results: dict, rounds: int, seconds: int) -> None:
    print(
        f"# {rounds} interleaved rounds of {seconds} s; calls per CPU-second (PostgreSQL counted) | calls per second | share of nginx"
    )
    for load, rows in results.items():
        for name, values in rows.items():
            share = [100 * mine[0] / theirs[0] for mine, theirs in zip(values, rows["nginx"], strict=True)]
            print(f"# {load:9} {name:8} {statistics.median(v[0] for v in values):9.0f} {statistics.median(v[1] for v in values):9.0f} "
                  f"{statistics.median(share):6.1f} % (rounds {min(share):.1f}–{max(share):.1f})")  # fmt: skip
    _line("gateway_1kb_c32_vs_nginx_cpu", _ratios(results, "1kb_c32", "nginx", 100))
    _line("gateway_1kb_c128_vs_nginx_cpu", _ratios(results, "1kb_c128", "nginx", 100))
    _line("gateway_20kb_vs_nginx_cpu", _ratios(results, "20kb_c32", "nginx", 100))
    if "drf" in results["1kb_c32"]:
        _line("gateway_vs_drf_cpu", _ratios(results, "1kb_c32", "drf", 1))


def _ratios(results: dict, load: str, other: str, factor: float) -> list[float]:
    rows = results[load]
    return [factor * mine[0] / theirs[0] for mine, theirs in zip(rows["gateway"], rows[other], strict=True)]


def _line(name: str, values: list[float]) -> None:
    """The median, and the spread in a comment line of its own."""
    print(f"# {name}: rounds {min(values):.1f}–{max(values):.1f}")
    print(f"{name} {statistics.median(values):.1f}")
