"""What the database itself refuses: overlaps in valid time, edits of what was published, foreign releases."""

from django.db import migrations

FORWARD = """
-- Snapshots are served as they are; compressing them costs more than the space.
ALTER TABLE catalogs_snapshot ALTER COLUMN body SET STORAGE EXTERNAL;

-- Record time belongs to the same catalog. `closed_in` and `superseded_in` are checked by catalogs_entry_known_release below:
-- two more foreign keys cost as much as the rows (a numbered release is never deleted nor renumbered, so a check is as hard).
ALTER TABLE catalogs_entry ADD CONSTRAINT catalogs_entry_recorded_in_fk
    FOREIGN KEY (catalog_id, recorded_in) REFERENCES catalogs_release (catalog_id, number);
ALTER TABLE catalogs_succession
    ADD CONSTRAINT catalogs_succession_recorded_in_fk FOREIGN KEY (catalog_id, recorded_in)
        REFERENCES catalogs_release (catalog_id, number),
    ADD CONSTRAINT catalogs_succession_superseded_in_fk FOREIGN KEY (catalog_id, superseded_in)
        REFERENCES catalogs_release (catalog_id, number);

-- An entry changes twice at most: its end becomes known, it is corrected. Nothing else, ever.
CREATE FUNCTION catalogs_refuse_edit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: what was published is never edited', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_TABLE_NAME || '_immutable';
END $$;

CREATE TRIGGER catalogs_entry_immutable BEFORE UPDATE ON catalogs_entry FOR EACH ROW WHEN (
    (OLD.id, OLD.catalog_id, OLD.level, OLD.code, OLD.valid_from, OLD.recorded_in, OLD.name, OLD.full_name,
     OLD.parent_level, OLD.parent_code, OLD.attributes, OLD.folded, OLD.sort_key)
    IS DISTINCT FROM
    (NEW.id, NEW.catalog_id, NEW.level, NEW.code, NEW.valid_from, NEW.recorded_in, NEW.name, NEW.full_name,
     NEW.parent_level, NEW.parent_code, NEW.attributes, NEW.folded, NEW.sort_key)
    OR OLD.superseded_in IS NOT NULL
    OR (OLD.valid_to IS DISTINCT FROM NEW.valid_to AND (OLD.valid_to IS NOT NULL OR NEW.closed_in IS NULL))
    OR (OLD.closed_in IS DISTINCT FROM NEW.closed_in AND (OLD.closed_in IS NOT NULL OR OLD.valid_to IS NOT NULL))
) EXECUTE FUNCTION catalogs_refuse_edit();
CREATE TRIGGER catalogs_entry_kept BEFORE DELETE ON catalogs_entry
    FOR EACH ROW EXECUTE FUNCTION catalogs_refuse_edit();

CREATE TRIGGER catalogs_succession_immutable BEFORE UPDATE ON catalogs_succession FOR EACH ROW WHEN (
    OLD.superseded_in IS NOT NULL OR
    (OLD.id, OLD.catalog_id, OLD.old_level, OLD.old_code, OLD.new_level, OLD.new_code, OLD.kind, OLD.effective_on,
     OLD.legal_basis, OLD.area_share, OLD.population_share, OLD.note, OLD.recorded_in)
    IS DISTINCT FROM
    (NEW.id, NEW.catalog_id, NEW.old_level, NEW.old_code, NEW.new_level, NEW.new_code, NEW.kind, NEW.effective_on,
     NEW.legal_basis, NEW.area_share, NEW.population_share, NEW.note, NEW.recorded_in)
) EXECUTE FUNCTION catalogs_refuse_edit();
CREATE TRIGGER catalogs_succession_kept BEFORE DELETE ON catalogs_succession
    FOR EACH ROW EXECUTE FUNCTION catalogs_refuse_edit();

-- A settled release stays as it is; one step is left to a published one: undone.
CREATE TRIGGER catalogs_release_immutable BEFORE UPDATE ON catalogs_release FOR EACH ROW WHEN (
    OLD.status IN ('published', 'undone', 'rejected', 'replaced', 'unchanged') AND NOT (
        OLD.status = 'published' AND NEW.status = 'undone'
        AND to_jsonb(OLD) - '{status,version,updated_at}'::text[] = to_jsonb(NEW) - '{status,version,updated_at}'::text[]
    )
) EXECUTE FUNCTION catalogs_refuse_edit();
CREATE TRIGGER catalogs_release_kept BEFORE DELETE ON catalogs_release FOR EACH ROW
    WHEN (OLD.number IS NOT NULL) EXECUTE FUNCTION catalogs_refuse_edit();

-- Two current entries of one (catalog, level, code) never overlap in valid time. An EXCLUDE constraint says the same,
-- but costs 33 to 60 microseconds a row here, seven times the row itself (measured; see the ADR). This check runs once
-- a statement. It is as hard: it first writes the catalog's row, so that writers of one catalog queue up, and only then
-- looks, with a snapshot that sees everything the earlier ones committed (in higher isolation levels the later one fails).
CREATE FUNCTION catalogs_entry_no_overlap() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    clash record;
BEGIN
    UPDATE catalogs_catalog SET writes = writes + 1
        WHERE id IN (SELECT DISTINCT catalog_id FROM new_rows WHERE superseded_in IS NULL);
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- Planned each time: one row and 100,000 rows want different joins.
    EXECUTE $q$SELECT fresh.level, fresh.code, fresh.valid_from
        FROM new_rows AS fresh JOIN catalogs_entry AS other
            ON other.catalog_id = fresh.catalog_id AND other.level = fresh.level AND other.code = fresh.code
        WHERE fresh.superseded_in IS NULL AND other.superseded_in IS NULL AND other.id <> fresh.id
            AND other.valid_from < coalesce(fresh.valid_to, 'infinity')
            AND fresh.valid_from < coalesce(other.valid_to, 'infinity')
        LIMIT 1$q$ INTO clash;
    IF clash IS NOT NULL THEN
        RAISE EXCEPTION 'entries of code % (level %) overlap in valid time from %', clash.code, clash.level, clash.valid_from
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'catalogs_entry_no_overlap';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER catalogs_entry_no_overlap_insert AFTER INSERT ON catalogs_entry
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalogs_entry_no_overlap();

CREATE FUNCTION catalogs_entry_known_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM (SELECT DISTINCT catalog_id, closed_in AS number FROM new_rows WHERE closed_in IS NOT NULL
                     UNION SELECT DISTINCT catalog_id, superseded_in FROM new_rows WHERE superseded_in IS NOT NULL) AS named
        WHERE NOT EXISTS (SELECT FROM catalogs_release AS release
                          WHERE release.catalog_id = named.catalog_id AND release.number = named.number)
    ) THEN
        RAISE EXCEPTION 'an entry names a release its catalog does not have'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'catalogs_entry_known_release';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER catalogs_entry_known_release_insert AFTER INSERT ON catalogs_entry
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalogs_entry_known_release();
CREATE TRIGGER catalogs_entry_known_release_update AFTER UPDATE ON catalogs_entry
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalogs_entry_known_release();
"""

BACKWARD = """
DROP TRIGGER catalogs_entry_no_overlap_insert ON catalogs_entry;
DROP TRIGGER catalogs_entry_known_release_insert ON catalogs_entry;
DROP TRIGGER catalogs_entry_known_release_update ON catalogs_entry;
DROP FUNCTION catalogs_entry_known_release();
DROP TRIGGER catalogs_entry_immutable ON catalogs_entry;
DROP TRIGGER catalogs_entry_kept ON catalogs_entry;
DROP TRIGGER catalogs_succession_immutable ON catalogs_succession;
DROP TRIGGER catalogs_succession_kept ON catalogs_succession;
DROP TRIGGER catalogs_release_immutable ON catalogs_release;
DROP TRIGGER catalogs_release_kept ON catalogs_release;
DROP FUNCTION catalogs_entry_no_overlap();
DROP FUNCTION catalogs_refuse_edit();
ALTER TABLE catalogs_entry DROP CONSTRAINT catalogs_entry_recorded_in_fk;
ALTER TABLE catalogs_succession DROP CONSTRAINT catalogs_succession_recorded_in_fk,
    DROP CONSTRAINT catalogs_succession_superseded_in_fk;
"""


class Migration(migrations.Migration):
    dependencies = [("catalogs", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
