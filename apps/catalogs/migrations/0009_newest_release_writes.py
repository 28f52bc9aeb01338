"""Record time is written forward only: what is recorded, ended or corrected now is so in the newest release of its catalog.

0002 and 0005 asked for any release of the catalog, so that a statement past the verbs could still change what an older release
answers. One look at the newest number a statement, as before; that an update both ends and corrects an entry is refused, because
the older of the two numbers would be lost from sight.
"""

from django.db import migrations

_IMMUTABLE = """
DROP TRIGGER catalogs_entry_immutable ON catalogs_entry;
CREATE TRIGGER catalogs_entry_immutable BEFORE UPDATE ON catalogs_entry FOR EACH ROW WHEN (
    (OLD.id, OLD.catalog_id, OLD.level, OLD.code, OLD.valid_from, OLD.recorded_in, OLD.name, OLD.full_name,
     OLD.parent_level, OLD.parent_code, OLD.attributes, OLD.folded, OLD.sort_key)
    IS DISTINCT FROM
    (NEW.id, NEW.catalog_id, NEW.level, NEW.code, NEW.valid_from, NEW.recorded_in, NEW.name, NEW.full_name,
     NEW.parent_level, NEW.parent_code, NEW.attributes, NEW.folded, NEW.sort_key)
    OR OLD.superseded_in IS NOT NULL
    OR (OLD.valid_to IS DISTINCT FROM NEW.valid_to AND (OLD.valid_to IS NOT NULL OR NEW.closed_in IS NULL))
    OR (OLD.closed_in IS DISTINCT FROM NEW.closed_in AND (OLD.closed_in IS NOT NULL OR OLD.valid_to IS NOT NULL{also}))
) EXECUTE FUNCTION catalogs_refuse_edit();
"""
_CHECK = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ({numbers}) AS named
        WHERE {wrong}
    ) THEN
        RAISE EXCEPTION '{text}'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = '{function}';
    END IF;
    RETURN NULL;
END $$;
"""
_KNOWN = """NOT EXISTS (SELECT FROM catalogs_release AS release
                          WHERE release.catalog_id = named.catalog_id AND release.number = named.number)"""
_NEWEST = "named.number IS DISTINCT FROM (SELECT max(number) FROM catalogs_release WHERE catalog_id = named.catalog_id)"
_EVERY = """SELECT DISTINCT catalog_id, recorded_in AS number FROM new_rows
            UNION SELECT DISTINCT catalog_id, closed_in FROM new_rows WHERE closed_in IS NOT NULL
            UNION SELECT DISTINCT catalog_id, superseded_in FROM new_rows WHERE superseded_in IS NOT NULL"""
_EVERY_OF_LINE = """SELECT DISTINCT catalog_id, recorded_in AS number FROM new_rows
            UNION SELECT DISTINCT catalog_id, superseded_in FROM new_rows WHERE superseded_in IS NOT NULL"""
# By 0002 an update writes one of the two: an entry that is corrected already is never changed, an end is written once.
_WRITTEN = "SELECT DISTINCT catalog_id, coalesce(superseded_in, closed_in) AS number FROM new_rows"
_WRITTEN_OF_LINE = "SELECT DISTINCT catalog_id, superseded_in AS number FROM new_rows"
_TEXT = "record time is written in the newest release of the catalog only"


def _newest(function: str, numbers: str) -> str:
    return _CHECK.format(function=function, numbers=numbers, wrong=_NEWEST, text=_TEXT)


def _trigger(table: str, event: str, function: str) -> str:
    return f"""CREATE TRIGGER {table}_newest_release_{event} AFTER {event.upper()} ON {table}
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION {function}();
"""


_LINES = ("catalogs_succession", "catalogs_correspondence")
FORWARD = "".join(
    [
        _IMMUTABLE.format(also=" OR NEW.superseded_in IS NOT NULL"),
        _newest("catalogs_entry_known_release", _EVERY),
        _newest("catalogs_entry_written_release", _WRITTEN),
        _newest("catalogs_line_known_release", _EVERY_OF_LINE),
        _newest("catalogs_line_written_release", _WRITTEN_OF_LINE),
        "DROP TRIGGER catalogs_entry_known_release_update ON catalogs_entry;\n",
        _trigger("catalogs_entry", "update", "catalogs_entry_written_release"),
        *(_trigger(table, "insert", "catalogs_line_known_release") for table in _LINES),
        *(_trigger(table, "update", "catalogs_line_written_release") for table in _LINES),
    ]
)
BACKWARD = "".join(
    [
        *(f"DROP TRIGGER {table}_newest_release_{event} ON {table};\n" for table in _LINES for event in ("insert", "update")),
        "DROP TRIGGER catalogs_entry_newest_release_update ON catalogs_entry;\n",
        "DROP FUNCTION catalogs_line_known_release();\nDROP FUNCTION catalogs_line_written_release();\n",
        "DROP FUNCTION catalogs_entry_written_release();\n",
        _IMMUTABLE.format(also=""),
        _CHECK.format(
            function="catalogs_entry_known_release", numbers=_EVERY, wrong=_KNOWN, text="an entry names a release its catalog does not have"
        ),
        "CREATE TRIGGER catalogs_entry_known_release_update AFTER UPDATE ON catalogs_entry\n"
        "    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION catalogs_entry_known_release();\n",
    ]
)  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("catalogs", "0008_crosswalk_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
