"""Writing a judged release into record time, and writing the inverse of a published one. Set-based; one transaction.

`catalogs_diff` (see `difference`) must be there. Order matters to the overlap guard: what ends, ends before what begins.
"""

# ruff: noqa: S608 - statements are put together from constants of these modules, values go as parameters.
from __future__ import annotations

from django.db import connection

from apps.catalogs import difference
from apps.catalogs.models import Release

_COLUMNS = "catalog_id, level, code, name, full_name, parent_level, parent_code, attributes, folded, sort_key, valid_from, valid_to, recorded_in"
_CONTENT = "old.catalog_id, old.level, old.code, old.name, old.full_name, old.parent_level, old.parent_code, old.attributes, old.folded, old.sort_key"

# An entry whose end is already on record, or that would never have held, is corrected; an open one just gets its end.
_SUPERSEDE = """
UPDATE catalogs_entry AS old SET superseded_in = %(number)s FROM catalogs_diff AS diff
WHERE old.id = diff.live_id AND (diff.cut <= diff.live_from OR diff.live_to IS NOT NULL)
"""
_SHORTEN = f"""
INSERT INTO catalogs_entry ({_COLUMNS})
SELECT {_CONTENT}, old.valid_from, diff.cut, %(number)s
FROM catalogs_diff AS diff JOIN catalogs_entry AS old ON old.id = diff.live_id
WHERE diff.live_to IS NOT NULL AND diff.cut > diff.live_from
"""
_CLOSE = """
UPDATE catalogs_entry AS old SET valid_to = diff.cut, closed_in = %(number)s FROM catalogs_diff AS diff
WHERE old.id = diff.live_id AND diff.live_to IS NULL AND diff.cut > diff.live_from
"""
_OPEN = f"""
INSERT INTO catalogs_entry ({_COLUMNS})
SELECT %(catalog)s, old.level, old.code, old.name, old.full_name, old.parent_level, old.parent_code, old.attributes, old.folded, old.sort_key,
    diff.starts, diff.ends, %(number)s
FROM catalogs_diff AS diff JOIN catalogs_stagedentry AS old ON old.id = diff.staged_id
WHERE NOT diff.closed
"""

_SUCCESSION_COLUMNS = """catalog_id, old_level, old_code, new_level, new_code, kind, effective_on, legal_basis, area_share,
    population_share, note, recorded_in"""
# New lineage for a unit replaces what was on record for it on that day, as a whole.
_CORRECT_LINEAGE = """
UPDATE catalogs_succession AS known SET superseded_in = %(number)s
WHERE known.catalog_id = %(catalog)s AND known.superseded_in IS NULL
    AND (known.old_level, known.old_code, known.effective_on) IN (
        SELECT line.old_level, line.old_code, coalesce(line.effective_on, %(day)s) FROM catalogs_stagedsuccession AS line
        WHERE line.release_id = %(release)s AND line.problems = '{}')
"""
_LINEAGE = f"""
INSERT INTO catalogs_succession ({_SUCCESSION_COLUMNS})
SELECT DISTINCT ON (line.old_level, line.old_code, line.new_level, line.new_code, coalesce(line.effective_on, %(day)s))
    %(catalog)s, line.old_level, line.old_code, line.new_level, line.new_code, line.kind, coalesce(line.effective_on, %(day)s),
    coalesce(nullif(line.legal_basis, ''), %(instrument)s), line.area_share, line.population_share, line.note, %(number)s
FROM catalogs_stagedsuccession AS line WHERE line.release_id = %(release)s AND line.problems = '{{}}'
ORDER BY line.old_level, line.old_code, line.new_level, line.new_code, coalesce(line.effective_on, %(day)s), line.row_no
"""
# A code re-used with another meaning, and nobody says what became of the old unit: it ended, its namesake is no heir.
_REUSED_ENDS = f"""
INSERT INTO catalogs_succession ({_SUCCESSION_COLUMNS})
SELECT %(catalog)s, diff.level, diff.code, '', '', 'ended', diff.cut, %(instrument)s, 'none', 'none', '', %(number)s
FROM catalogs_diff AS diff JOIN catalogs_stagedentry AS staged ON staged.id = diff.staged_id AND staged.reused
WHERE diff.live_id IS NOT NULL AND diff.cut > diff.live_from AND NOT EXISTS (
    SELECT FROM catalogs_succession AS known WHERE known.catalog_id = %(catalog)s AND known.superseded_in IS NULL
        AND known.old_level = diff.level AND known.old_code = diff.code AND known.effective_on = diff.cut)
"""


def write(release: Release, number: int) -> None:
    """Write what `catalogs_diff` says as release `number`. The release row must have its number already."""
    given = {**difference.parameters(release), "number": number, "instrument": release.instrument}
    _run((_SUPERSEDE, _CLOSE, _SHORTEN, _OPEN, _CORRECT_LINEAGE, _LINEAGE, _REUSED_ENDS), given)


def forget_staged(release: Release) -> None:
    """Drop the rows that waited; what was published is in the entries."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalogs_stagedentry WHERE release_id = %s", [release.pk])
        cursor.execute("DELETE FROM catalogs_stagedsuccession WHERE release_id = %s", [release.pk])


# --- the inverse ---------------------------------------------------------------------------------

_BUILT_UPON = """
SELECT min(later) FROM (
    SELECT min(coalesce(nullif(closed_in, %(undone)s), superseded_in)) AS later FROM catalogs_entry
        WHERE catalog_id = %(catalog)s AND recorded_in = %(undone)s AND (closed_in > %(undone)s OR superseded_in > %(undone)s)
    UNION ALL SELECT min(superseded_in) FROM catalogs_entry
        WHERE catalog_id = %(catalog)s AND closed_in = %(undone)s AND superseded_in IS NOT NULL
    UNION ALL SELECT min(superseded_in) FROM catalogs_succession
        WHERE catalog_id = %(catalog)s AND recorded_in = %(undone)s AND superseded_in IS NOT NULL
    UNION ALL SELECT min(fresh.recorded_in) FROM catalogs_entry AS gone JOIN catalogs_entry AS fresh
        ON fresh.catalog_id = gone.catalog_id AND fresh.level = gone.level AND fresh.code = gone.code
        AND fresh.superseded_in IS NULL AND fresh.recorded_in > %(undone)s
        WHERE gone.catalog_id = %(catalog)s AND %(undone)s IN (gone.closed_in, gone.superseded_in, gone.recorded_in)
) AS found
"""
_INVERSE = (
    # What it recorded is withdrawn …
    """UPDATE catalogs_entry SET superseded_in = %(number)s
       WHERE catalog_id = %(catalog)s AND recorded_in = %(undone)s AND superseded_in IS NULL""",
    """UPDATE catalogs_succession SET superseded_in = %(number)s
       WHERE catalog_id = %(catalog)s AND recorded_in = %(undone)s AND superseded_in IS NULL""",
    # … what it closed is open again, what it corrected holds again, each as a new record.
    """UPDATE catalogs_entry SET superseded_in = %(number)s
       WHERE catalog_id = %(catalog)s AND closed_in = %(undone)s AND superseded_in IS NULL""",
    f"""INSERT INTO catalogs_entry ({_COLUMNS}) SELECT {_CONTENT}, old.valid_from, NULL, %(number)s
       FROM catalogs_entry AS old WHERE old.catalog_id = %(catalog)s AND old.closed_in = %(undone)s""",
    f"""INSERT INTO catalogs_entry ({_COLUMNS}) SELECT {_CONTENT}, old.valid_from, old.valid_to, %(number)s
       FROM catalogs_entry AS old WHERE old.catalog_id = %(catalog)s AND old.superseded_in = %(undone)s""",
    f"""INSERT INTO catalogs_succession ({_SUCCESSION_COLUMNS})
       SELECT catalog_id, old_level, old_code, new_level, new_code, kind, effective_on, legal_basis, area_share, population_share,
           note, %(number)s FROM catalogs_succession WHERE catalog_id = %(catalog)s AND superseded_in = %(undone)s""",
)


def built_upon(release: Release) -> int | None:
    """The number of the first later release that rests on what `release` wrote; None when it can be undone."""
    with connection.cursor() as cursor:
        cursor.execute(_BUILT_UPON, {"catalog": release.catalog_id, "undone": release.number})
        return cursor.fetchone()[0]


def write_inverse(release: Release, number: int) -> None:
    """Write the inverse of the published `release` as release `number`."""
    _run(_INVERSE, {"catalog": release.catalog_id, "undone": release.number, "number": number})


def _run(statements: tuple[str, ...], given: dict) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, given)
