"""The rules, grounds, bases and calendar days the platform starts with: read from `data/`, added where missing, never overwritten.

A legal officer's edits win: a row that exists (same code and first day) is left as it is. Called by migrations;
a release that brings new rows brings a migration that calls it again.
"""

from __future__ import annotations

import csv
from pathlib import Path

DATA = Path(__file__).parent / "data"


def load(apps, schema_editor) -> None:
    """Add the missing rows, with the models as the migration knows them."""
    rules, grounds = apps.get_model("legal", "LegalRule"), apps.get_model("legal", "RefusalGround")
    rows = [rules(**{**row, "effective_to": row["effective_to"] or None}) for row in _rows("rules.csv")]
    rules.objects.bulk_create(rows, ignore_conflicts=True)
    known = {field.name for field in grounds._meta.get_fields()}  # the dates of a ground came later than its table
    wanted = [{name: value for name, value in row.items() if name in known} for row in _rows("grounds.csv")]
    grounds.objects.bulk_create([grounds(**row) for row in wanted], ignore_conflicts=True)
    if "legalbasis" in apps.all_models["legal"]:  # its table came later too
        bases = apps.get_model("legal", "LegalBasis")
        bases.objects.bulk_create([bases(**row) for row in _rows("bases.csv")], ignore_conflicts=True)
    days = apps.get_model("legal", "CalendarException")
    swaps = [days(**{**row, "is_working": row["is_working"] == "true"}) for row in _rows("calendar.csv")]
    days.objects.bulk_create(swaps, ignore_conflicts=True)


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
