"""The rules and grounds the platform starts with: read from `data/`, added where missing, never overwritten.

A legal officer's edits win: a row that exists (same code and first day) is left as it is.
"""

from __future__ import annotations

import csv
from pathlib import Path

from apps.legal.models import LegalRule, RefusalGround

DATA = Path(__file__).parent / "data"


def load(**kwargs) -> None:
    """Add the missing reference rows. Also the receiver of `post_migrate`, so that no deployment starts without law."""
    rules = [LegalRule(**{**row, "effective_to": row["effective_to"] or None}) for row in _rows("rules.csv")]
    LegalRule.objects.bulk_create(rules, ignore_conflicts=True)
    RefusalGround.objects.bulk_create([RefusalGround(**row) for row in _rows("grounds.csv")], ignore_conflicts=True)


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
