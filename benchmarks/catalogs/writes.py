"""Imports and translation, measured in a process of its own (`DATABASE_URL` set). Prints `name value` lines.

Import: 100,000 rows through stage, judge, publish of an empty catalog, beside `bulk_create(update_conflicts)` of the same rows
into the same table with the same triggers, constraints and derived columns. Rounds interleaved; a figure compares the best
round of each side, by the clock (a busy machine only adds to a time). The same by CPU-seconds is printed beside it.
"""

from __future__ import annotations

import datetime as dt
import os
import statistics
import sys
import time
from collections import defaultdict
from typing import NamedTuple

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
django.setup()

import psutil  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from apps.accounts.models import User  # noqa: E402
from apps.catalogs import actions, first_releases  # noqa: E402
from apps.catalogs.choices import ReleaseStatus  # noqa: E402
from apps.catalogs.keys import search_line  # noqa: E402
from apps.catalogs.models import Catalog, Entry, Release  # noqa: E402
from apps.core.text import sort_key  # noqa: E402
from apps.organizations.choices import Role  # noqa: E402
from apps.organizations.models import Membership, Organization  # noqa: E402

LEVELS = [{"code": "item", "name": "Mục", "pattern": r"\d{6}", "parents": []}]
DAY = dt.date(2025, 1, 1)
ROWS = 100_000
"""What the figure is about, also with --quick: what an import costs whatever its length would weigh ten times as much in 10,000."""


def officer() -> User:
    person, _ = User.objects.get_or_create(username="bench-officer")
    agency, _ = Organization.objects.get_or_create(code="H03.BENCH", defaults={"name": "Bench"})
    Membership.objects.get_or_create(user=person, organization=agency, role=Role.OPERATOR)
    return person


def rows(count: int, kind: str = "xã") -> list[dict]:
    return [
        {
            "code": f"{n:06}",
            "name": f"Phú Đồng số {n}",
            "full_name": f"Xã Phú Đồng số {n}",
            "attributes": {"type": kind, "n": n},
        }
        for n in range(count)
    ]


def catalog(name: str) -> Catalog:
    return Catalog.objects.create(code=f"bench-{name}-{time.time_ns()}", name=name, levels=LEVELS, is_public=False)


class Spent(NamedTuple):
    """Seconds by the clock, and of CPU: this process and its PostgreSQL backend."""

    clock: float
    cpu: float

    @classmethod
    def since(cls, began: Spent) -> Spent:
        return cls(time.perf_counter() - began.clock, cpu() - began.cpu)

    @classmethod
    def now(cls) -> Spent:
        return cls(time.perf_counter(), cpu())


def take_in(target: Catalog, given: list[dict], day: dt.date, by) -> tuple[Spent, Release]:
    """What stage, judge and publish take."""
    began = Spent.now()
    release = actions.stage_release(target, given, by=by, source="bench", effective_on=day)
    if release.status == ReleaseStatus.STAGED:
        release = actions.judge_release(release, by=by)
    if release.status != ReleaseStatus.UNCHANGED:
        release = actions.publish_release(release, by=by, accept=release.hold_reasons)
    return Spent.since(began), release


def bulk_create(target: Catalog, given: list[dict], by) -> Spent:
    """What the same rows take by the ORM, release row not counted."""
    Release.objects.create(
        catalog=target, number=1, status=ReleaseStatus.PUBLISHED, source="bench", effective_on=DAY, staged_by=by, published_by=by,
        published_at=timezone.now(),
    )  # fmt: skip
    began = Spent.now()
    with transaction.atomic():
        Entry.objects.bulk_create(
            [
                Entry(
                    catalog=target, level="item", code=row["code"], valid_from=DAY, recorded_in=1, name=row["name"],
                    full_name=row["full_name"], attributes=row["attributes"],
                    folded=search_line(row["code"], row["name"], row["full_name"]), sort_key=sort_key(row["name"]),
                )
                for row in given
            ],
            batch_size=2000, update_conflicts=True, unique_fields=["catalog", "level", "code", "valid_from", "recorded_in"],
            update_fields=["name", "full_name", "attributes", "folded", "sort_key"],
        )  # fmt: skip
    return Spent.since(began)


def settle() -> None:
    """Between rounds: what autovacuum would do by and by, so that no side pays for the other."""
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM ANALYZE catalogs_entry, catalogs_stagedentry")
        cursor.execute("CHECKPOINT")


def imports(rounds: int, count: int, by) -> None:
    spent: dict[str, list[Spent]] = defaultdict(list)
    for number in range(rounds):
        given = rows(count)
        settle()
        spent["bulk_create"].append(bulk_create(catalog("orm"), given, by))
        settle()
        mine = catalog("mine")
        spent["import"].append(take_in(mine, given, DAY, by)[0])
        settle()
        used, release = take_in(mine, given, dt.date(2025, 2, 1), by)
        assert release.status == ReleaseStatus.UNCHANGED
        spent["unchanged"].append(used)
        settle()
        # Another form of the same content: its digest is new, so the rows themselves are compared.
        used, release = take_in(mine, [{**row, "valid_from": "2025-01-01"} for row in given], dt.date(2025, 2, 1), by)
        assert release.status == ReleaseStatus.UNCHANGED
        spent["compared"].append(used)
        settle()
        used, release = take_in(mine, rows(count, "phường"), dt.date(2025, 3, 1), by)
        assert release.counts["changed"] == count
        spent["update"].append(used)
        told = ", ".join(f"{name} {values[-1].clock:.2f} s ({values[-1].cpu:.2f} s of CPU)" for name, values in spent.items())
        print(f"# round {number + 1}: {told}", flush=True)
    for name, one, other, factor in (
        ("import_vs_bulk_create", "bulk_create", "import", 1),
        ("import_unchanged_vs_update", "unchanged", "update", 100),
        ("import_unchanged_by_comparison_vs_update", "compared", "update", 100),
    ):
        clock, used = (factor * _best(spent[one], part) / _best(spent[other], part) for part in ("clock", "cpu"))
        print(f"# {name} by CPU: {used:.2f}")
        print(f"{name} {clock:.2f}")


def _best(values: list[Spent], part: str) -> float:
    return min(getattr(value, part) for value in values)


def cpu() -> float:
    """User and system seconds of this process and of its own PostgreSQL backend."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = psutil.Process(cursor.fetchone()[0]).cpu_times()
    mine = psutil.Process().cpu_times()
    return backend.user + backend.system + mine.user + mine.system


def translation(rounds: int) -> None:
    """One POST of 10,000 codes through the API's view, answer included; and an item of the past beside one of today."""
    units = Catalog.objects.get(code="administrative-units")
    old = Entry.objects.filter(catalog=units, level="commune").valid_on(dt.date(2025, 6, 30)).order_by("code")
    codes = list(old.values_list("code", flat=True)[:10_000])
    client, url = Client(), "/api/v1/catalogs/administrative-units/translate"
    question = {"level": "commune", "from": "2025-06-30", "to": "2025-07-01", "codes": codes}
    spent = []
    for _ in range(rounds + 1):
        before = cpu()
        answer = client.post(url, question, content_type="application/json")
        spent.append(cpu() - before)
        assert answer.status_code == 200
        assert len(answer.json()["results"]) == 10_000
    print(f"translate_10k_cpu_s {statistics.median(spent[1:]):.2f}")
    costs = {}
    for name, query in (("today", ""), ("past", "?as_of=2025-06-30")):
        client.get(f"/api/v1/catalogs/administrative-units/items/00004{query}")
        before = cpu()
        for _ in range(100):
            assert client.get(f"/api/v1/catalogs/administrative-units/items/00004{query}").status_code == 200
        costs[name] = cpu() - before
    print(f"catalog_item_past_vs_today_cpu {costs['past'] / costs['today']:.2f}")


def main(options: list[str]) -> None:
    by = officer()
    if "--load-only" in options:
        first_releases.load(by=by)
        return
    from apps.catalogs.api.throttling import CatalogThrottle

    CatalogThrottle.rate = "1000000/min"
    quick = "--quick" in options
    translation(3 if quick else 7)
    imports(1 if quick else 3, ROWS, by)


if __name__ == "__main__":
    main(sys.argv[1:])
