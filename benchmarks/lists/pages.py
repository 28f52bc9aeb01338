"""Asks the lists and prints how long they took; a process of its own (`DATABASE_URL` set)."""

from __future__ import annotations

import json
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from benchmarks.lists import rows  # noqa: E402

LISTS = {
    "requests": "/portal/requests/",
    "requests by due": "/portal/requests/?order=due&due=open",
    "requests of a state": "/portal/requests/?status=refused",
    "requests, page 9": "/portal/requests/?page=9",
    "agreements": "/portal/agreements/",
    "agreements of a state": "/portal/agreements/?status=expired",
    "API requests": "/api/v1/requests",
    "API agreements": "/api/v1/agreements",
}
PEOPLE = ("consumer", "provider", "few", "operator")
SMALL, LARGE = 1_000, 1_000_000


def main(argv: list[str]) -> None:
    large, rounds = int(argv[0]), int(argv[1])
    with transaction.atomic():
        world = rows.build()
        rows.fill(world, 1, SMALL)
    _settle()
    found = {"small": _ask(world, rounds)}
    began = time.monotonic()
    for first in range(SMALL + 1, large + 1, 100_000):
        with transaction.atomic():
            rows.fill(world, first, min(first + 99_999, large))
    _settle()
    found["filled_s"] = time.monotonic() - began
    found["large"] = _ask(world, rounds)
    print(json.dumps(found))


def _settle() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def _ask(world: rows.World, rounds: int) -> dict:
    """(who, list) → milliseconds of each asking after a first one, and the number of queries."""
    times: dict = {}
    for who in PEOPLE:
        client = Client()
        client.force_login(world.people[who], backend="django.contrib.auth.backends.ModelBackend")
        for name, address in LISTS.items():
            times[f"{who}: {name}"] = {
                "queries": _queries(client, address),
                "ms": [_once(client, address) for _turn in range(rounds)],
            }
    return times


def _queries(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        answer = client.get(address)
    if answer.status_code != 200:
        raise SystemExit(f"{address}: {answer.status_code}")
    return len(seen)


def _once(client: Client, address: str) -> float:
    began = time.perf_counter()
    client.get(address)
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main(sys.argv[1:])
