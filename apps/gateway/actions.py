"""What people and the clock do beside calls: reading the log (which is itself recorded), partitions, retention."""

from __future__ import annotations

import calendar
import datetime

from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from apps.agreements.models import Credential
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.gateway import sweeper
from apps.gateway.models import AccessToken, AnonymousRefusalCount, GatewayProcess, IdempotencyKey
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids
from apps.registry.models import UsageRegulation

TABLES = ("call_intent", "call_outcome", "call_refusal")
MONTHS_AHEAD = 3
SHORTEST_MONTHS = 12
"""A month of the log is never dropped sooner: where no regulation sets more (LOG-03, default 12)."""
KEY_DAYS = 30
COUNT_DAYS = 90


@transaction.atomic
def note_reading(what: str, *, by, asked: dict, rows: int) -> None:
    """Record that `by` read the access log: which filters, how many rows (LOG-06). Never what the rows hold."""
    mine = Organization.objects.filter(pk__in=organization_ids(by))
    audit.record("call_log.read", by=by, organizations=mine, what=what, asked=asked, rows=rows)


@transaction.atomic
def revoke_tokens(credential: Credential, *, by) -> int:
    """Make every token of an account worthless for the very next call; the account itself stays. Returns how many."""
    count = AccessToken.objects.filter(credential=credential, revoked_at__isnull=True).update(revoked_at=timezone.now())
    raise_epoch("accesstoken", credential.uuid)
    audit.record("token.revoked", credential, by=by, organizations=[credential.system.organization], count=count)
    return count


def make_partitions() -> int:
    """Make the months ahead; safe to run at any time, any number of times. Returns how many tables were made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT gateway_make_partitions(%s)", [MONTHS_AHEAD])
        return cursor.fetchone()[0]


def sweep() -> int:
    """Close intents whose process died; the gateways do the same on their own. Returns how many were closed."""
    with connection.cursor() as cursor:
        cursor.execute(sweeper.SWEEP)
        return cursor.fetchone()[0]


def retention_months() -> int:
    """How long a month of the log is kept: the longest time any usage regulation sets."""
    longest = UsageRegulation.objects.aggregate(longest=Max("log_retention_months"))["longest"]
    return max(longest or 0, SHORTEST_MONTHS)


def droppable_months(today: datetime.date | None = None) -> list[str]:
    """Months (YYYYMM) whose partitions may go: every one of their days is older than the retention."""
    today = today or timezone.localdate()
    months = today.year * 12 + today.month - 1 - retention_months()
    oldest = datetime.date(months // 12, months % 12 + 1, 1)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT right(c.relname, 6) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname = ANY(%s) ORDER BY 1", [list(TABLES)]
        )  # fmt: skip
        found = [row[0] for row in cursor.fetchall() if row[0].isdigit()]
    return [month for month in found if _last_day(month) < oldest]


def _last_day(month: str) -> datetime.date:
    year, number = int(month[:4]), int(month[4:])
    return datetime.date(year, number, calendar.monthrange(year, number)[1])


@transaction.atomic
def purge_month(month: str, *, by) -> dict[str, int]:
    """Drop a month of the access log whose retention is over, with a record of what went. Returns rows a table.

    Raises ValueError when the month may not go yet.
    """
    if month not in droppable_months():
        raise ValueError(f"{month} is still within the retention of {retention_months()} months")
    rows = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            name = connection.ops.quote_name(f"{table}_{month}")
            cursor.execute(f"SELECT count(*) FROM {name}")  # noqa: S608
            rows[table] = cursor.fetchone()[0]
            cursor.execute(f"DROP TABLE {name}")
    audit.record("call_log.purged", by=by, month=month, rows=rows, retention_months=retention_months())
    return rows


@transaction.atomic
def forget_expired() -> dict[str, int]:
    """Drop tokens that expired, old idempotency keys and counts, rows of dead processes. None of them is a record of a call."""
    now = timezone.now()
    tokens, _each = AccessToken.objects.filter(expires_at__lt=now - datetime.timedelta(days=1)).delete()
    keys, _each = IdempotencyKey.objects.filter(made_at__lt=now - datetime.timedelta(days=KEY_DAYS)).delete()
    counts, _each = AnonymousRefusalCount.objects.filter(minute__lt=now - datetime.timedelta(days=COUNT_DAYS)).delete()
    processes, _each = GatewayProcess.objects.silent_since(now - datetime.timedelta(days=1)).delete()
    return {"tokens": tokens, "keys": keys, "counts": counts, "processes": processes}
