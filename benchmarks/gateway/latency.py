"""Times at a fixed rate (open loop): what the gateway adds over nginx, and what a dead neighbour adds.

The figure is of `openloop` (arrivals by chance); h2load's row, a burst of all clients at once, stands beside it.
"""

from __future__ import annotations

import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.gateway import machine, targets

RATE, SECONDS, ROUNDS, CLIENTS = 1000, 6, 3, 50
OTHER_RATES = (200, 4000)
QUICK_SECONDS = 2
NEIGHBOUR_RATE = 500


def rate(wanted: dict[str, targets.Target], pairs: list[dict], *, quick: bool) -> int:
    seconds, rounds = (QUICK_SECONDS, 1) if quick else (SECONDS, ROUNDS)
    names = ("nginx", "gateway")
    found: dict[str, list[list[float]]] = {name: [] for name in names}
    for _round in range(rounds):
        for name in names:
            found[name].append(times(wanted[name], pairs[0], RATE, seconds))
    for name in names:
        _say(f"{name} at {RATE}/s", found[name])
    for other in () if quick else OTHER_RATES:
        for name in names:
            _say(f"{name} at {other}/s", [times(wanted[name], pairs[0], other, seconds)])
    if not machine.missing("h2load"):
        for name in names:
            _say(f"{name} at {RATE}/s in bursts of {CLIENTS} (h2load)", [bursts(wanted[name], pairs[0], RATE, seconds)])
    added = [
        percentile(mine, 99) - percentile(theirs, 99) for mine, theirs in zip(found["gateway"], found["nginx"], strict=True)
    ]
    print(f"# gateway_p99_added_ms_{RATE}rps: rounds {min(added):.2f}–{max(added):.2f}")
    print(f"gateway_p99_added_ms_{RATE}rps {statistics.median(added):.2f}")
    return 0


def times(target: targets.Target, pair: dict, per_second: int, seconds: int) -> list[float]:
    """Milliseconds of the answers that were 200, sorted."""
    asked = [
        sys.executable,
        "-m",
        "benchmarks.gateway.openloop",
        _url(target, pair),
        pair["token"],
        str(per_second),
        str(seconds),
    ]
    done = subprocess.run(asked, capture_output=True, check=True, text=True)
    rows = [(status, int(us)) for status, us in (line.split() for line in done.stdout.splitlines())]
    return _answered(target, rows, per_second, seconds)


def bursts(target: targets.Target, pair: dict, per_second: int, seconds: int) -> list[float]:
    """The same with h2load: all clients act at once."""
    with tempfile.NamedTemporaryFile() as log:
        subprocess.run(
            ["h2load", "--h1", f"-c{CLIENTS}", "-t1", f"-D{seconds}", f"--rps={per_second // CLIENTS}", f"--log-file={log.name}",
             "-H", f"Authorization: Bearer {pair['token']}", "-H", "X-Purpose-Code: bench", _url(target, pair)],
            capture_output=True, check=True,
        )  # fmt: skip
        rows = [line.split() for line in Path(log.name).read_text().splitlines()]
    return _answered(target, [(row[1], int(row[2])) for row in rows], per_second, seconds)


def _url(target: targets.Target, pair: dict) -> str:
    return f"{target.url}/gw/{pair['service']}/v1/small/100001"


def _answered(target: targets.Target, rows: list[tuple[str, int]], per_second: int, seconds: int) -> list[float]:
    found = sorted(us / 1000 for status, us in rows if status == "200")
    if len(found) < 0.9 * per_second * seconds or len(found) != len(rows):
        print(
            f"# {target.name}: {len(found)} of {len(rows)} answers at {per_second}/s were 200 (asked for {per_second * seconds})"
        )
    return found


def percentile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part / 100))]


def _say(what: str, rounds: list[list[float]]) -> None:
    middle = lambda part: statistics.median(percentile(values, part) for values in rounds)  # noqa: E731
    print(
        f"# {what}: p50 {middle(50):.2f}, p99 {middle(99):.2f}, p99.9 {middle(99.9):.2f} ms ({sum(map(len, rounds))} answers)"
    )


def isolation(
    database: targets.Database, provider: targets.Target, gateway: targets.Target, pairs: list[dict], *, quick: bool
) -> int:
    """The p99 of one service while callers of another, whose provider takes connections and never answers, hang on."""
    seconds = QUICK_SECONDS if quick else SECONDS
    healthy = pairs[0]
    dead = next(pair for pair in pairs if pair["service"] != healthy["service"])
    with _black_hole() as port, targets.gateway(database, provider, allow=[port]) as alone:
        _point(database, dead["service"], f"http://127.0.0.1:{port}/api")
        ratios = []
        for _round in range(1 if quick else ROUNDS):
            before = percentile(times(alone, healthy, NEIGHBOUR_RATE, seconds), 99)
            with _callers(alone, dead, 64) as codes:
                time.sleep(0.5)
                during = percentile(times(alone, healthy, NEIGHBOUR_RATE, seconds), 99)
            ratios.append(during / before)
        print(f"# p99 at {NEIGHBOUR_RATE}/s beside a dead provider with 64 callers ({len(codes)} refused or timed out in the last round): "
              f"rounds {', '.join(f'{r:.2f}' for r in ratios)} times that without it")  # fmt: skip
        print(f"gateway_p99_beside_dead_provider_ratio {statistics.median(ratios):.2f}")
        _point(database, dead["service"], provider.url + "/api")
    return 0


@contextlib.contextmanager
def _black_hole() -> Iterator[int]:
    """A server that takes every connection and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    kept: list[socket.socket] = []

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(listener.accept()[0])

    threading.Thread(target=take, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        for connection in kept:
            connection.close()


@contextlib.contextmanager
def _callers(target: targets.Target, pair: dict, number: int) -> Iterator[list[int]]:
    """Callers of one service, one after the other each, as consumers do that do not know yet that nobody answers."""
    stop, codes = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError):
                status, _body = targets.get(
                    target, f"/gw/{pair['service']}/v1/small/1", Authorization=f"Bearer {pair['token']}", X_Purpose_Code="bench"
                )
                codes.append(status)
            stop.wait(0.5)

    threads = [threading.Thread(target=work, daemon=True) for _n in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield codes
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def _point(database: targets.Database, service: str, base_url: str) -> None:
    """Give a service another provider's address, with a deadline of a second, and raise the epoch."""
    with psycopg.connect(database.url) as connection:
        connection.execute(
            "UPDATE registry_upstream SET base_url = %s, timeout_ms = 1000 WHERE version_id IN (SELECT v.id FROM registry_serviceversion v "
            "JOIN registry_dataservice s ON s.id = v.service_id WHERE s.code = %s)", [base_url, service],
        )  # fmt: skip
        epoch = connection.execute("UPDATE core_policyepoch SET epoch = epoch + 1 RETURNING epoch").fetchone()[0]
        connection.execute("INSERT INTO core_policychange (epoch, kind, ref, at) VALUES (%s, 'bench', NULL, now())", [epoch])
    time.sleep(2)
