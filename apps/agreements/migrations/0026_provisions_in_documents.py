"""The provisions that official documents name become clauses with dates: rows of `data/clauses.csv`, in the words that were written there."""

import csv
from pathlib import Path

from django.db import migrations

CLAUSES = Path(__file__).resolve().parent.parent / "data" / "clauses.csv"


def add_clauses(apps, schema_editor):
    """Clauses that came after the first ones; those that are there stay as they are."""
    clause = apps.get_model("agreements", "StandardClause")
    with CLAUSES.open(encoding="utf-8", newline="") as file:
        clause.objects.bulk_create([clause(**row) for row in csv.DictReader(file)], ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("agreements", "0025_party_indexes")]

    operations = [migrations.RunPython(add_clauses, migrations.RunPython.noop)]
