"""Agreed content and signatures are never edited (the database refuses), and the first standard clauses."""

import csv
from pathlib import Path

from django.db import migrations

FORWARD = """
CREATE TRIGGER agreements_signature_append_only BEFORE UPDATE OR DELETE ON agreements_signature
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER agreements_agreementversion_no_delete BEFORE DELETE ON agreements_agreementversion
    FOR EACH ROW EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER agreements_agreementversion_immutable BEFORE UPDATE ON agreements_agreementversion
    FOR EACH ROW WHEN (
        OLD.content IS DISTINCT FROM NEW.content OR OLD.content_hash IS DISTINCT FROM NEW.content_hash
        OR OLD.number IS DISTINCT FROM NEW.number OR OLD.agreement_id IS DISTINCT FROM NEW.agreement_id
        OR OLD.drafted_by_id IS DISTINCT FROM NEW.drafted_by_id OR OLD.change_note IS DISTINCT FROM NEW.change_note
        OR OLD.uuid IS DISTINCT FROM NEW.uuid
    ) EXECUTE FUNCTION core_refuse_change();
"""
BACKWARD = """
DROP TRIGGER agreements_signature_append_only ON agreements_signature;
DROP TRIGGER agreements_agreementversion_no_delete ON agreements_agreementversion;
DROP TRIGGER agreements_agreementversion_immutable ON agreements_agreementversion;
"""
CLAUSES = Path(__file__).resolve().parent.parent / "data" / "clauses.csv"


def add_clauses(apps, schema_editor):
    clause = apps.get_model("agreements", "StandardClause")
    with CLAUSES.open(encoding="utf-8", newline="") as file:
        clause.objects.bulk_create([clause(**row) for row in csv.DictReader(file)], ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("agreements", "0002_initial"), ("core", "0002_epoch_and_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD), migrations.RunPython(add_clauses, migrations.RunPython.noop)]
