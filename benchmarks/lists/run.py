"""Prints p95 of every list at a thousand and at a million rows, and their quotient; fails where a list costs more queries then.

Two databases in one server, asked in turn: what else the machine does meets both alike.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.gateway import machine, targets
from benchmarks.gateway.targets import ROOT

ROUNDS, QUICK_ROUNDS = 20, 6
SMALL, LARGE, QUICK_LARGE = 1_000, 1_000_000, 50_000
PEOPLE = ("consumer", "provider", "few", "operator")
LISTS = {
    "home": "/portal/",
    "requests": "/portal/requests/",
    "requests by due": "/portal/requests/?order=due&due=open",
    "requests of a state": "/portal/requests/?status=refused",
    "requests, page 9": "/portal/requests/?page=9",
    "requests, late": "/portal/requests/?due=late&order=due",
    "requests given to me": "/portal/requests/?due=mine",
    "requests of a provider": "/portal/requests/?provider=H03.L77",
    "requests, common words": "/portal/requests/?q=Đất+đai",
    "requests, a number": "/portal/requests/?q=YC-2020-0000777",
    "requests, nothing found": "/portal/requests/?q=tra+cuu+khong+co",
    "agreements": "/portal/agreements/",
    "agreements of a state": "/portal/agreements/?status=expired",
    "agreements, common words": "/portal/agreements/?q=du+lieu+ĐẤT",
    "agreements, a number": "/portal/agreements/?q=TT-2020-0000777",
    "API requests": "/api/v1/requests",
    "API agreements": "/api/v1/agreements",
    "API requests found": "/api/v1/requests?q=dat+dai+so+777",
    "API agreements found": "/api/v1/agreements?q=dat+dai+so+777",
}
SEARCHES = ("words", "number", "found")
ONCE = 3
"""Queries more or less that are asked once, however many rows there are: whether words are rare, and, where the small database
shows other rows or none, what only some rows have. One asked for every row is twenty-five."""


def main(options: list[str]) -> int:
    quick = "--quick" in options
    rounds, large = (QUICK_ROUNDS, QUICK_LARGE) if quick else (ROUNDS, LARGE)
    with tempfile.TemporaryDirectory(prefix="lgsp-bench-") as folder, targets.database(Path(folder)) as database:
        machine.describe("lists", quick=quick)
        machine.durable(database)
        small, big, took = _databases(database.url, large)
        print(f"# lists: {large:,} requests and agreements filled in {took:.0f} s; milliseconds, p95 of {rounds} askings")
        with _asker(small) as one, _asker(big) as other:
            found = _ask_in_turn((one, other), rounds)
    return _report(found, "1m" if large == LARGE else f"{large // 1000}k")


def _databases(url: str, large: int) -> tuple[str, str, float]:
    """A thousand rows in one database; a copy of it that is filled on; how long that took."""
    _pages(url, "fill", "1", str(SMALL))
    address, _, name = url.partition("?")[0].rpartition("/")
    query = url[len(address) + 1 + len(name) :]
    with psycopg.connect(f"{address}/postgres{query}", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}_large TEMPLATE {name}")
    big, began = f"{address}/{name}_large{query}", time.monotonic()
    _pages(big, "fill", str(SMALL + 1), str(large))
    return url, big, time.monotonic() - began


def _pages(url: str, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "benchmarks.lists.pages", *words], cwd=ROOT, env=_env(url), check=True)


def _env(url: str) -> dict[str, str]:
    return targets.environment(url, LGSP_SITE_URL="http://testserver")


@contextlib.contextmanager
def _asker(url: str) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "benchmarks.lists.pages", "ask"]
    with subprocess.Popen(
        command, cwd=ROOT, env=_env(url), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


def _ask_in_turn(askers: tuple, rounds: int) -> dict[str, tuple[list[dict], list[dict]]]:
    """Who and which list → the answers of both databases; the first round warms and is not kept."""
    found: dict[str, tuple] = defaultdict(lambda: ([], []))
    for turn in range(rounds + 1):
        for who in PEOPLE:
            for name, address in LISTS.items():
                for asker, kept in zip(askers, found[f"{who}: {name}"], strict=True):
                    print(json.dumps({"who": who, "list": address}), file=asker.stdin, flush=True)
                    answer = json.loads(asker.stdout.readline())
                    if turn:
                        kept.append(answer)
    return found


def _report(found: dict, size: str) -> int:
    times = {name: [[answer["ms"] for answer in side] for side in sides] for name, sides in found.items()}
    queries = {name: [max(answer["queries"] for answer in side) for side in sides] for name, sides in found.items()}
    for name, (one, other) in times.items():
        told = " → ".join(str(count) for count in dict.fromkeys(queries[name]))
        print(
            f"# {name:40} {p95(one):8.1f} {p95(other):8.1f} {p95(other) / p95(one):6.2f}  fastest {min(one):7.1f} {min(other):7.1f}  queries {told}"
        )
    _figures("list", size, [sides for name, sides in times.items() if not name.endswith("home")])
    _figures("home", size, [sides for name, sides in times.items() if name.endswith("home")])
    _figures("search", size, [sides for name, sides in times.items() if name.endswith(SEARCHES)])
    return _judge(found, queries, size)


def _judge(found: dict, queries: dict[str, list[int]], size: str) -> int:
    """A list costs as many queries however long it is: 1 when one does not, and a line for each that says so."""
    grown = {name: counts for name, counts in queries.items() if abs(counts[1] - counts[0]) > _spare(name, found[name])}
    for name, (few, many) in grown.items():
        print(f"# FAILED: {name}: {few} queries at 1k rows, {many} at {size}")
    return int(bool(grown))


def _spare(name: str, sides: tuple[list[dict], list[dict]]) -> int:
    few, many = (side[0]["rows"] for side in sides)
    return 0 if few == many > 0 and not name.endswith(SEARCHES) else ONCE


def _figures(what: str, size: str, times: list) -> None:
    """p95 of all askings, whoever asked for whichever list."""
    one, other = ([ms for sides in times for ms in sides[side]] for side in (0, 1))
    print(f"{what}_1k_p95_ms {p95(one):.1f}")
    print(f"{what}_{size}_p95_ms {p95(other):.1f}")
    print(f"{what}_{size}_vs_1k_p95 {p95(other) / p95(one):.2f}")


def p95(values: list[float]) -> float:
    return sorted(values)[max(0, int(len(values) * 0.95 + 0.5) - 1)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
