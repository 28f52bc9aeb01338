"""The release an entry is recorded in is checked once a statement, like those that close and supersede it.

The composite foreign key asked once a row: a third of the cost of writing a release. A numbered release is never deleted nor
renumbered (0002), so that a check at the time of writing is as hard.
"""

from django.db import migrations

_CHECK = """
CREATE OR REPLACE FUNCTION catalogs_entry_known_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ({numbers}) AS named
        WHERE NOT EXISTS (SELECT FROM catalogs_release AS release
                          WHERE release.catalog_id = named.catalog_id AND release.number = named.number)
    ) THEN
        RAISE EXCEPTION 'an entry names a release its catalog does not have'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'catalogs_entry_known_release';
    END IF;
    RETURN NULL;
END $$;
"""
_ENDS = """SELECT DISTINCT catalog_id, closed_in AS number FROM new_rows WHERE closed_in IS NOT NULL
            UNION SELECT DISTINCT catalog_id, superseded_in FROM new_rows WHERE superseded_in IS NOT NULL"""

FORWARD = f"""
ALTER TABLE catalogs_entry DROP CONSTRAINT catalogs_entry_recorded_in_fk;
{_CHECK.format(numbers=f"SELECT DISTINCT catalog_id, recorded_in AS number FROM new_rows UNION {_ENDS}")}
"""
BACKWARD = f"""
{_CHECK.format(numbers=_ENDS)}
ALTER TABLE catalogs_entry ADD CONSTRAINT catalogs_entry_recorded_in_fk
    FOREIGN KEY (catalog_id, recorded_in) REFERENCES catalogs_release (catalog_id, number);
"""


class Migration(migrations.Migration):
    dependencies = [("catalogs", "0004_webhook")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
