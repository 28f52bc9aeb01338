"""Who read about one person, over 10,000,000 calls on record (SE-06): the answer in at most five seconds, from the keyed pseudonym.

Three months that are over, put in order as the worker does it, and the month that runs, with more than its share of the calls:
a young platform's log. Every call names a person. Asked by the verb behind the portal's page and the API, for a reader of the
platform, an agency that provides and one that consumes.
As a module it is the process that fills and asks; it prints the figures.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from datetime import datetime, timedelta

from benchmarks.gateway import targets

CALLS, QUICK_CALLS = 10_000_000, 100_000
OPEN_SHARE = 0.4
CLOSED_MONTHS = 3
PERSONS = 1_000_000
WHO, ABOUT = "0012345678", 300
"""The person asked about and the calls about them, spread over all months and some services."""
TIMES = 5


def run(database: targets.Database, *, quick: bool) -> int:
    calls = QUICK_CALLS if quick else CALLS
    command = [sys.executable, "-u", "-m", "benchmarks.gateway.subject", str(calls)]
    return subprocess.run(command, cwd=targets.ROOT, env=targets.environment(database.url), check=False).returncode


# --- the process that fills and asks

FILL_INTENTS = """
INSERT INTO call_intent (call_id, admitted_at, grant_id, credential_id, epoch, request_digest, source)
SELECT (left(call_id_floor(t.at)::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid, t.at, g.ids[1 + n %% cardinality(g.ids)], %(credential)s, 1,
       sha256(int8send(n)), '10.20.30.40'
FROM generate_series(1, %(calls)s) n, LATERAL (SELECT %(start)s + (%(end)s - %(start)s) * ((n - 1) / %(calls)s::float8) AS at) t,
     (SELECT array_agg(id ORDER BY id) AS ids FROM agreements_grant) g
"""
FILL_OUTCOMES = """
INSERT INTO call_outcome (call_id, recorded_at, delivered_id, withheld_id, request_bytes, provider_bytes, answer_bytes, provider_us, total_us,
                          status, provider_status, outcome, code, answer_digest, subject)
SELECT call_id, admitted_at, 1, 2, 0, 1024, 512, 900, 1800, 200, 200, 'delivered', '', request_digest,
       substr(sha256(int4send((hashtext(call_id::text) & 2147483647) %% %(persons)s)), 1, 16)
FROM call_intent WHERE call_id >= call_id_floor(%(start)s) AND call_id < call_id_floor(%(end)s)
"""


def main(calls: int) -> int:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
    django.setup()
    began = time.perf_counter()
    planted, months = _fill(calls)
    _execute("VACUUM ANALYZE call_intent, call_outcome")
    print(
        f"# {calls:,} calls in {len(months)} months written in {time.perf_counter() - began:.0f} s, {planted} about the person asked for"
    )
    print(f"# months that are over put in order in {_index():.1f} s")
    worst = {name: _ask(name, user, since, expected) for name, user, since, expected in _questions(months, planted)}
    print(f"subject_10m_calls_s {max(worst.values()):.2f}")
    return 0


def _fill(calls: int) -> tuple[int, list[tuple[datetime, datetime]]]:
    """Rows of every month, and those about the person; (how many of these, the months)."""
    months = _months()
    still_open = int(calls * OPEN_SHARE)
    planted = 0
    for start, end in months:
        number = still_open if end == months[-1][1] else (calls - still_open) // CLOSED_MONTHS
        _fill_month(start, end, number)
        planted += _plant(start, end)
    return planted, months


def _months() -> list[tuple[datetime, datetime]]:
    """Beginning and end of the months of the log, their partitions made; the last one runs and ends now."""
    from django.utils import timezone

    first = timezone.localtime().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = [(first, timezone.localtime())]
    for _number in range(CLOSED_MONTHS):
        end = found[0][0]
        found.insert(0, ((end - timedelta(days=1)).replace(day=1), end))
    for start, end in found[:-1]:
        for table in ("call_intent", "call_outcome"):
            _execute(
                f"CREATE TABLE IF NOT EXISTS {table}_{start:%Y%m} PARTITION OF {table} FOR VALUES FROM ('{_floor(start)}') TO ('{_floor(end)}')"
            )
    return found


def _fill_month(start: datetime, end: datetime, calls: int) -> None:
    given = {"start": start, "end": end, "calls": calls, "persons": PERSONS, "credential": _credential()}
    _execute(FILL_INTENTS, given)
    _execute(FILL_OUTCOMES, given)


def _plant(start: datetime, end: datetime) -> int:
    """Calls about the person by grants of several services, under the pseudonyms the gateway would have stored."""
    from apps.agreements.models import Grant
    from apps.gateway import call_ids
    from apps.gateway.digests import subject_pseudonym
    from apps.gateway.models import CallIntent, CallOutcome

    grants = list(Grant.objects.select_related("operation__version__service").order_by("id")[: ABOUT // (CLOSED_MONTHS + 1)])
    intents, outcomes = [], []
    for number, grant in enumerate(grants, 1):
        at = start + (end - start) * number / (len(grants) + 1)
        call = CallIntent(
            call_id=call_ids.make(int(at.timestamp() * 1000)), admitted_at=at, grant=grant, credential_id=_credential(), epoch=1,
            request_digest=b"d" * 32,
        )  # fmt: skip
        subject = subject_pseudonym(str(grant.operation.version.service.uuid), WHO)
        intents.append(call)
        outcomes.append(CallOutcome(call=call, recorded_at=at, outcome="delivered", status=200, subject=subject))
    CallIntent.objects.bulk_create(intents)
    CallOutcome.objects.bulk_create(outcomes)
    return len(grants)


def _credential() -> int:
    from apps.agreements.models import Credential

    return Credential.objects.earliest("id").pk


def _index() -> float:
    from apps.gateway import retention

    began = time.perf_counter()
    retention.index_months()
    _execute("ANALYZE call_outcome")
    return time.perf_counter() - began


def _questions(months: list, planted: int) -> list[tuple[str, object, datetime, int | None]]:
    """(what is asked, by whom, since when, how many calls the answer must hold where that is known)."""
    from apps.accounts.models import User
    from apps.agreements.models import Grant
    from apps.organizations.choices import Role
    from apps.organizations.models import Membership

    grant = Grant.objects.select_related("system__organization", "operation__version__service__provider").order_by("id")[0]
    people = []
    for role, organization in (
        (Role.AUDITOR, grant.operation.version.service.provider),
        (Role.PROVIDER_OFFICER, grant.operation.version.service.provider),
        (Role.CONSUMER_OFFICER, grant.system.organization),
    ):
        user = User.objects.create(username=f"bench-{role}", full_name=f"Bench {role}")
        Membership.objects.create(user=user, organization=organization, role=role)
        people.append(user)
    reader, provider, consumer = people
    whole, running = months[0][0], months[-1][0]
    return [
        ("all months, a reader of the platform", reader, whole, planted),
        ("months that are over and the running one, the provider", provider, whole, planted),
        ("the same, a consumer", consumer, whole, None),
        ("the running month, a reader of the platform", reader, running, planted // len(months)),
    ]  # fmt: skip


def _ask(name: str, user, since: datetime, expected: int | None) -> float:
    """Seconds of the slowest of some searches; every one must find what was planted."""
    from apps.gateway.actions import search_calls_about

    times = []
    for _number in range(TIMES):
        began = time.perf_counter()
        found, _more = search_calls_about([WHO], by=user, reason="bench", since=since)
        times.append(time.perf_counter() - began)
        if not found or (expected is not None and len(found) != expected):
            raise SystemExit(f"# FAILED: {name}: {len(found)} calls found, {expected} are there")
    print(f"# {name}: {len(found)} calls in {statistics.median(times):.2f} s (slowest of {TIMES}: {max(times):.2f} s)")
    return max(times)


def _floor(moment: datetime) -> str:
    from apps.gateway import call_ids

    return str(call_ids.floor(moment))


def _execute(statement: str, given: dict | None = None) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(statement, given)
        cursor.execute("RESET statement_timeout")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
