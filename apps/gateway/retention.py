"""How long the log of calls is kept, and its purge with a record (NĐ 47/2020 Điều 45(3), LOG-03).

The calls of a grant are kept for the months that the service's usage regulation sets or a version of the agreement promised,
whichever is longer; the rule `log.retention_default` as it stands today where neither says anything; calls under an agreement with an open dispute until it is resolved. The rule
is the database's (`gateway_retention()`, migrations 0004, 0005), because the application's role may not delete a line of the log: it asks
for a month to be purged, and the database takes out what is due and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from apps.audit import actions as audit
from apps.registry.models import DataService

TABLES = ("call_intent", "call_outcome", "call_refusal")


@contextmanager
def _patient() -> Iterator[CursorWrapper]:
    """A cursor for one transaction that may take as long as it takes: a month holds a hundred million calls.

    The application's own limit of a statement would end the work at the same place each time, so that it never came to its end.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield cursor


def due_months() -> list[str]:
    """Months (YYYYMM) of the log that hold calls whose retention is over."""
    with _patient() as cursor:
        cursor.execute("SELECT gateway_due_months()")
        return [row[0] for row in cursor.fetchall()]


@transaction.atomic
def purge_month(month: str, *, by) -> dict[str, dict[str, int]]:
    """Take out what is due of a month, in one transaction with the record of what went; {table: {"gone", "kept"}}.

    What went is written by service with the months applied. Nothing due: nothing is done and nothing recorded. Raises
    DatabaseError for a month that is not over, or that the log does not have.
    """
    with _patient() as cursor:
        cursor.execute("SELECT relation, service_id, months, gone, kept FROM gateway_purge_month(%s)", [month])
        found = cursor.fetchall()
    rows: dict[str, dict[str, int]] = {}
    services: dict[tuple[int | None, int | None], dict[str, int]] = {}
    for table, service_id, months, gone, kept in found:
        total = rows.setdefault(table, {"gone": 0, "kept": 0})
        total["gone"] += gone
        total["kept"] += kept
        if gone:
            services.setdefault((service_id, months), {})[table] = gone
    dropped = [table for table in rows if not _is_there(f"{table}_{month}")]
    if services or dropped:
        codes = dict(DataService.objects.filter(pk__in=[key[0] for key in services]).values_list("pk", "code"))
        audit.record(
            "call_log.purged", by=by, month=month, rows=rows, dropped=dropped,
            services=[{"service": codes.get(service, ""), "months": months, "gone": gone} for (service, months), gone in services.items()],
        )  # fmt: skip
    return rows


def _is_there(table: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table])
        return cursor.fetchone()[0]


def index_months() -> int:
    """Put the pseudonyms of months that are over in order (`gateway_index_months()`); how many months it did."""
    with _patient() as cursor:
        cursor.execute("SELECT gateway_index_months()")
        return cursor.fetchone()[0]
