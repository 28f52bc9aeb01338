"""CC-04: the database itself knows that a signature or consent is a party's, names the true drafter, and is no hand of both sides."""

import csv
from pathlib import Path

from django.db import migrations

FORWARD = """
CREATE FUNCTION agreements_check_signature() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE drafter bigint; agreement bigint; own_side text;
BEGIN
    -- The row lock makes two inserts on one version take turns: neither can overlook the other.
    SELECT drafted_by_id, agreement_id INTO drafter, agreement FROM agreements_agreementversion
        WHERE id = NEW.version_id FOR NO KEY UPDATE;
    IF drafter <> NEW.drafted_by_id THEN
        RAISE EXCEPTION 'the drafter of the version is another person' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'agreements_signature_true_drafter';
    END IF;
    SELECT side INTO own_side FROM agreements_party WHERE id = NEW.party_id AND agreement_id = agreement;
    IF own_side IS NULL THEN
        RAISE EXCEPTION 'the party belongs to another agreement' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'agreements_signature_of_a_party';
    END IF;
    IF EXISTS (SELECT 1 FROM agreements_signature s JOIN agreements_party p ON p.id = s.party_id
               WHERE s.version_id = NEW.version_id AND s.signer_id = NEW.signer_id AND p.side <> own_side) THEN
        RAISE EXCEPTION 'one person signs for both sides' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'agreements_signature_two_sides';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER agreements_signature_check BEFORE INSERT ON agreements_signature
    FOR EACH ROW EXECUTE FUNCTION agreements_check_signature();

CREATE FUNCTION agreements_check_consent() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE agreement bigint; own_side text;
BEGIN
    SELECT agreement_id INTO agreement FROM agreements_agreementversion WHERE id = NEW.version_id FOR NO KEY UPDATE;
    SELECT side INTO own_side FROM agreements_party WHERE id = NEW.party_id AND agreement_id = agreement;
    IF own_side IS NULL THEN
        RAISE EXCEPTION 'the party belongs to another agreement' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'agreements_consent_of_a_party';
    END IF;
    IF EXISTS (SELECT 1 FROM agreements_consent c JOIN agreements_party p ON p.id = c.party_id
               WHERE c.version_id = NEW.version_id AND c.officer_id = NEW.officer_id AND p.side <> own_side) THEN
        RAISE EXCEPTION 'one person agrees for both sides' USING ERRCODE = 'check_violation',
            CONSTRAINT = 'agreements_consent_two_sides';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER agreements_consent_check BEFORE INSERT ON agreements_consent
    FOR EACH ROW EXECUTE FUNCTION agreements_check_consent();

CREATE TRIGGER agreements_party_fixed BEFORE UPDATE ON agreements_party
    FOR EACH ROW WHEN (
        OLD.side IS DISTINCT FROM NEW.side OR OLD.agreement_id IS DISTINCT FROM NEW.agreement_id
        OR OLD.organization_id IS DISTINCT FROM NEW.organization_id
    ) EXECUTE FUNCTION core_refuse_change();
"""
BACKWARD = """
DROP TRIGGER agreements_party_fixed ON agreements_party;
DROP TRIGGER agreements_consent_check ON agreements_consent;
DROP FUNCTION agreements_check_consent();
DROP TRIGGER agreements_signature_check ON agreements_signature;
DROP FUNCTION agreements_check_signature();
"""
CLAUSES = Path(__file__).resolve().parent.parent / "data" / "clauses.csv"


def add_clauses(apps, schema_editor):
    """Clauses that came after the first ones; those that are there stay as they are."""
    clause = apps.get_model("agreements", "StandardClause")
    with CLAUSES.open(encoding="utf-8", newline="") as file:
        clause.objects.bulk_create([clause(**row) for row in csv.DictReader(file)], ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("agreements", "0008_one_consumer"), ("core", "0002_epoch_and_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD), migrations.RunPython(add_clauses, migrations.RunPython.noop)]
