"""Numbers people quote: YC-2026-000123. Unique and without gaps, taken in the transaction that uses them."""

from __future__ import annotations

from django.db import connection
from django.utils import timezone

_NEXT = """
INSERT INTO core_numberseries AS row (key, last) VALUES (%s, 1)
ON CONFLICT (key) DO UPDATE SET last = row.last + 1 RETURNING last
"""


def next_number(prefix: str) -> str:
    """The next number of the series `prefix` in this year. A rolled-back transaction gives its number back."""
    if not connection.in_atomic_block:
        raise RuntimeError("a number must be taken inside the transaction that uses it")
    year = timezone.localdate().year
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, [f"{prefix}-{year}"])
        return f"{prefix}-{year}-{cursor.fetchone()[0]:06d}"
