"""One database of the bench of lists, as a process of its own (`DATABASE_URL` set): fills it, or asks its pages.

`python -m benchmarks.lists.pages fill 1 1000` fills rows 1 to 1000 (and makes the agencies when it begins at 1);
`… ask` answers each line of standard input, {"who", "list"}, with {"ms", "queries", "rows"}.
"""

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

from apps.accounts.models import User  # noqa: E402
from benchmarks.lists import rows  # noqa: E402

AT_ONCE = 100_000


def fill(first: int, last: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    world = rows.build() if first == 1 else rows.found()
    with rows.without_indexes():
        for start in range(first, last + 1, AT_ONCE):
            with transaction.atomic():
                rows.fill(world, start, min(start + AT_ONCE - 1, last))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def ask() -> None:
    clients: dict[str, Client] = {}
    for line in sys.stdin:
        wanted = json.loads(line)
        client = clients.get(wanted["who"]) or clients.setdefault(wanted["who"], _client(wanted["who"]))
        print(json.dumps(_asked(client, wanted["list"])), flush=True)


def _client(who: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(username=f"bench-{who}"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def _asked(client: Client, address: str) -> dict:
    with CaptureQueriesContext(connection) as seen:
        began = time.perf_counter()
        answer = client.get(address)
        took = time.perf_counter() - began
    if answer.status_code != 200:
        raise SystemExit(f"{address}: {answer.status_code}")
    return {"ms": took * 1000, "queries": len(seen), "rows": _rows(answer)}


def _rows(answer) -> int:
    """How many rows it shows, of a page with those of the head."""
    is_api = answer["Content-Type"].startswith("application/json")
    return len(answer.json()["results"]) if is_api else answer.content.count(b"<tr>")


if __name__ == "__main__":
    fill(int(sys.argv[2]), int(sys.argv[3])) if sys.argv[1] == "fill" else ask()
