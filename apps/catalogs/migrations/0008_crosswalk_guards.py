"""What the database itself refuses: edits of published lines of a crosswalk, foreign releases, a preferred table that prefers another."""

from django.db import migrations

FORWARD = """
ALTER TABLE catalogs_correspondence
    ADD CONSTRAINT catalogs_correspondence_recorded_in_fk FOREIGN KEY (catalog_id, recorded_in)
        REFERENCES catalogs_release (catalog_id, number),
    ADD CONSTRAINT catalogs_correspondence_superseded_in_fk FOREIGN KEY (catalog_id, superseded_in)
        REFERENCES catalogs_release (catalog_id, number);

CREATE TRIGGER catalogs_correspondence_immutable BEFORE UPDATE ON catalogs_correspondence FOR EACH ROW WHEN (
    OLD.superseded_in IS NOT NULL OR to_jsonb(OLD) - 'superseded_in' IS DISTINCT FROM to_jsonb(NEW) - 'superseded_in'
) EXECUTE FUNCTION catalogs_refuse_edit();
CREATE TRIGGER catalogs_correspondence_kept BEFORE DELETE ON catalogs_correspondence
    FOR EACH ROW EXECUTE FUNCTION catalogs_refuse_edit();

-- The preferred table of a subject prefers no other one. Writers queue up before they look, so that two of them cannot
-- each see the state before the other.
CREATE FUNCTION catalogs_preferred_stands_first() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('catalogs_catalog.preferred'));
    IF EXISTS (SELECT FROM catalogs_catalog WHERE id = NEW.preferred_id AND preferred_id IS NOT NULL)
        OR EXISTS (SELECT FROM catalogs_catalog WHERE preferred_id = NEW.id) THEN
        RAISE EXCEPTION 'a preferred table prefers no other one'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'catalogs_catalog_preferred_stands_first';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER catalogs_catalog_preferred_stands_first BEFORE INSERT OR UPDATE OF preferred_id ON catalogs_catalog
    FOR EACH ROW WHEN (NEW.preferred_id IS NOT NULL) EXECUTE FUNCTION catalogs_preferred_stands_first();
"""
BACKWARD = """
DROP TRIGGER catalogs_catalog_preferred_stands_first ON catalogs_catalog;
DROP FUNCTION catalogs_preferred_stands_first();
DROP TRIGGER catalogs_correspondence_kept ON catalogs_correspondence;
DROP TRIGGER catalogs_correspondence_immutable ON catalogs_correspondence;
ALTER TABLE catalogs_correspondence DROP CONSTRAINT catalogs_correspondence_recorded_in_fk,
    DROP CONSTRAINT catalogs_correspondence_superseded_in_fk;
"""


class Migration(migrations.Migration):
    dependencies = [("catalogs", "0007_crosswalk")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
