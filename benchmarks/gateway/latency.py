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
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.gateway import machine, targets

RATE, SECONDS, ROUNDS, CLIENTS = 1000, 6, 3, 50
OTHER_RATES = (200, 4000)
QUICK_SECONDS = 2
NEIGHBOUR_RATE, DEAD_RATE, ISOLATION_ROUNDS = 500, 128, 7


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
    done = subprocess.run(_open_loop(target, pair, per_second, seconds), capture_output=True, check=True, text=True)
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


def _open_loop(target: targets.Target, pair: dict, per_second: int, seconds: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "benchmarks.gateway.openloop",
        _url(target, pair),
        pair["token"],
        str(per_second),
        str(seconds),
    ]


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
    def middle(part):
        return statistics.median(percentile(values, part) for values in rounds)

    print(
        f"# {what}: p50 {middle(50):.2f}, p99 {middle(99):.2f}, p99.9 {middle(99.9):.2f} ms ({sum(map(len, rounds))} answers)"
    )


def isolation(
    database: targets.Database, provider: targets.Target, gateway: targets.Target, pairs: list[dict], *, quick: bool
) -> int:
    """The p99 of one service while another one's provider takes connections and never answers.

    The neighbour is called at the same rate, by the same seed, in both halves of a round: in one its provider answers, in the other
    it is dead. So the ratio says what the death costs the others, not what more calls on the same machine cost. What the neighbour's
    calls cost at all stands beside it. The halves change places from round to round.
    """
    seconds, rounds = (QUICK_SECONDS, 1) if quick else (SECONDS, ISOLATION_ROUNDS)
    healthy = pairs[0]
    other = next(pair for pair in pairs if pair["service"] != healthy["service"])
    found: dict[str, list[float]] = {"alone": [], "alive": [], "dead": []}
    codes: Counter[str] = Counter()
    with _black_hole() as port, targets.gateway(database, provider, allow=[port]) as measured:
        addresses = {"alive": provider.url + "/api", "dead": f"http://127.0.0.1:{port}/api"}
        times(measured, healthy, NEIGHBOUR_RATE, QUICK_SECONDS)
        for number in range(rounds):
            found["alone"].append(percentile(times(measured, healthy, NEIGHBOUR_RATE, seconds), 99))
            for half in ("alive", "dead") if number % 2 else ("dead", "alive"):
                _point(database, other["service"], addresses[half])
                with _callers(measured, other, DEAD_RATE, seconds + 2) as told:
                    time.sleep(1)
                    found[half].append(percentile(times(measured, healthy, NEIGHBOUR_RATE, seconds), 99))
                if half == "dead":
                    codes.update(told)
        _point(database, other["service"], addresses["alive"])
    for half, values in found.items():
        print(f"# p99 at {NEIGHBOUR_RATE}/s, neighbour {half}: {', '.join(f'{value:.2f}' for value in values)} ms")
    print(f"# the dead neighbour's callers, {DEAD_RATE}/s, were answered {dict(sorted(codes.items()))}")
    print(f"# beside a living neighbour against none: {_ratio(found['alive'], found['alone']):.2f}; "
          f"beside a dead one against none: {_ratio(found['dead'], found['alone']):.2f}")  # fmt: skip
    print(f"gateway_p99_beside_dead_provider_ratio {_ratio(found['dead'], found['alive']):.2f}")
    return 0 if codes["503"] and "200" not in codes else 1


def _ratio(values: list[float], others: list[float]) -> float:
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


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
def _callers(target: targets.Target, pair: dict, per_second: int, seconds: int) -> Iterator[list[str]]:
    """Callers of one service who come by chance, whatever became of the earlier ones; the list has their answers' codes at the end."""
    codes: list[str] = []
    running = subprocess.Popen(_open_loop(target, pair, per_second, seconds), stdout=subprocess.PIPE, text=True)
    try:
        yield codes
    finally:
        printed, _nothing = running.communicate()
        codes += [line.split()[0] for line in printed.splitlines()]


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
