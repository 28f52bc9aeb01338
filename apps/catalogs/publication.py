"""Writing a judged release into record time, and writing the inverse of a published one. Set-based; one transaction.

`catalogs_diff` (see `difference`) must be there. Order matters to the overlap guard: what ends, ends before what begins.
"""

# ruff: noqa: S608 - statements are put together from constants of these modules, values go as parameters.
from __future__ import annotations

from django.db import connection

from apps.catalogs import crosswalk_release, difference
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
# A code re-used with another meaning, and nobody says what became of the old unit: it ended, its namesake is no heir. The old
# unit is the live entry that this release ends, or the one that an earlier release let end on the very day.
_REUSED_ENDS = f"""
INSERT INTO catalogs_succession ({_SUCCESSION_COLUMNS})
SELECT %(catalog)s, diff.level, diff.code, '', '', 'ended', diff.starts, %(instrument)s, 'none', 'none', '', %(number)s
FROM catalogs_diff AS diff JOIN catalogs_stagedentry AS staged ON staged.id = diff.staged_id AND staged.reused
WHERE NOT diff.closed AND EXISTS (
    SELECT FROM catalogs_entry AS old WHERE old.catalog_id = %(catalog)s AND old.superseded_in IS NULL
        AND old.level = diff.level AND old.code = diff.code AND old.valid_to = diff.starts AND old.name <> staged.name
) AND NOT EXISTS (
    SELECT FROM catalogs_succession AS known WHERE known.catalog_id = %(catalog)s AND known.superseded_in IS NULL
        AND known.old_level = diff.level AND known.old_code = diff.code AND known.effective_on = diff.starts)
"""


def write(release: Release, number: int) -> None:
    """Write what `catalogs_diff` says as release `number`. The release row must have its number already."""
    given = {**difference.parameters(release), "number": number, "instrument": release.instrument}
    ends = (_SUPERSEDE, _CLOSE, _SHORTEN) if _ends_anything() else ()
    reused = (_REUSED_ENDS,) if release.counts.get("reused") else ()
    _run((*ends, _OPEN, _CORRECT_LINEAGE, _LINEAGE, *reused), given)
    crosswalk_release.write(release, number)


def _ends_anything() -> bool:
    """Whether any entry that is live comes to an end: each statement about those looks at every row of the difference."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM catalogs_diff WHERE live_id IS NOT NULL)")
        return cursor.fetchone()[0]


def forget_staged(release: Release) -> None:
    """Drop the rows that waited; what was published is in the entries."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalogs_stagedentry WHERE release_id = %s", [release.pk])
        cursor.execute("DELETE FROM catalogs_stagedsuccession WHERE release_id = %s", [release.pk])
        cursor.execute("DELETE FROM catalogs_stagedcorrespondence WHERE release_id = %s", [release.pk])


# --- the inverse ---------------------------------------------------------------------------------
#
# To undo release n is to believe again, about everything n touched, what was believed under n - 1. It may be done only while
# what is believed now about those codes is what n said: otherwise a later release rests on it.

_TOUCHED = """
CREATE TEMPORARY TABLE catalogs_touched ON COMMIT DROP AS
SELECT DISTINCT level, code FROM catalogs_entry
WHERE catalog_id = %(catalog)s AND %(undone)s IN (recorded_in, closed_in, superseded_in)
"""
_TOUCHED_LINEAGE = """
CREATE TEMPORARY TABLE catalogs_touched_lineage ON COMMIT DROP AS
SELECT DISTINCT old_level, old_code, effective_on FROM catalogs_succession
WHERE catalog_id = %(catalog)s AND %(undone)s IN (recorded_in, superseded_in)
"""
_BELIEF_COLUMNS = "level, code, name, full_name, parent_level, parent_code, attributes, folded, sort_key, valid_from"
_BELIEF = f"""(
    SELECT {_BELIEF_COLUMNS}, CASE WHEN closed_in > {{number}} THEN NULL ELSE valid_to END AS valid_to
    FROM catalogs_entry JOIN catalogs_touched USING (level, code)
    WHERE catalog_id = %(catalog)s AND recorded_in <= {{number}} AND (superseded_in IS NULL OR superseded_in > {{number}})
)"""
_LINE_COLUMNS = "old_level, old_code, new_level, new_code, kind, effective_on, legal_basis, area_share, population_share, note"
_LINE_BELIEF = f"""(
    SELECT {_LINE_COLUMNS} FROM catalogs_succession JOIN catalogs_touched_lineage USING (old_level, old_code, effective_on)
    WHERE catalog_id = %(catalog)s AND recorded_in <= {{number}} AND (superseded_in IS NULL OR superseded_in > {{number}})
)"""
_NOW, _THEN, _BEFORE = 2**31 - 1, "%(undone)s", "%(undone)s - 1"


def _differs(belief: str) -> str:
    now, then = belief.format(number=_NOW), belief.format(number=_THEN)
    return f"EXISTS ({now} EXCEPT {then}) OR EXISTS ({then} EXCEPT {now})"


_BUILT_UPON = f"SELECT {_differs(_BELIEF)} OR {_differs(_LINE_BELIEF)}"
_LATEST_TOUCH = """
SELECT max(greatest(recorded_in, closed_in, superseded_in)) FROM catalogs_entry JOIN catalogs_touched USING (level, code)
WHERE catalog_id = %(catalog)s
"""
_SAME = """valid_from, valid_to, name, full_name, parent_level, parent_code, attributes"""
_INVERSE = (
    f"""UPDATE catalogs_entry AS now SET superseded_in = %(number)s FROM catalogs_touched AS touched
       WHERE now.catalog_id = %(catalog)s AND now.superseded_in IS NULL AND (now.level, now.code) = (touched.level, touched.code)
       AND NOT EXISTS (SELECT FROM {_BELIEF.format(number=_BEFORE)} AS before
           WHERE before.level = now.level AND before.code = now.code AND before.valid_from = now.valid_from
           AND ({", ".join("before." + c for c in _SAME.split(", "))}) IS NOT DISTINCT FROM ({", ".join("now." + c for c in _SAME.split(", "))}))""",
    f"""INSERT INTO catalogs_entry (catalog_id, {_BELIEF_COLUMNS}, valid_to, recorded_in)
       SELECT %(catalog)s, {_BELIEF_COLUMNS}, valid_to, %(number)s FROM {_BELIEF.format(number=_BEFORE)} AS before
       WHERE NOT EXISTS (SELECT FROM catalogs_entry AS now WHERE now.catalog_id = %(catalog)s AND now.superseded_in IS NULL
           AND now.level = before.level AND now.code = before.code AND now.valid_from = before.valid_from)""",
    """UPDATE catalogs_succession AS now SET superseded_in = %(number)s FROM catalogs_touched_lineage AS touched
       WHERE now.catalog_id = %(catalog)s AND now.superseded_in IS NULL
       AND (now.old_level, now.old_code, now.effective_on) = (touched.old_level, touched.old_code, touched.effective_on)""",
    f"""INSERT INTO catalogs_succession (catalog_id, {_LINE_COLUMNS}, recorded_in)
       SELECT %(catalog)s, {_LINE_COLUMNS}, %(number)s FROM {_LINE_BELIEF.format(number=_BEFORE)} AS before""",
)


def built_upon(release: Release) -> int | None:
    """The number of a later release that rests on what `release` wrote; None when it can be undone.

    Leaves behind the temporary tables that `write_inverse` needs in the same transaction.
    """
    given = {"catalog": release.catalog_id, "undone": release.number}
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS catalogs_touched, catalogs_touched_lineage")
        cursor.execute(_TOUCHED, given)
        cursor.execute(_TOUCHED_LINEAGE, given)
        cursor.execute(_BUILT_UPON, given)
        if not cursor.fetchone()[0]:
            return crosswalk_release.built_upon(release)
        cursor.execute(_LATEST_TOUCH, given)
        return cursor.fetchone()[0] or release.number + 1


def write_inverse(release: Release, number: int) -> None:
    """Write the inverse of the published `release` as release `number`, after `built_upon` found nothing."""
    _run(_INVERSE, {"catalog": release.catalog_id, "undone": release.number, "number": number})
    crosswalk_release.write_inverse(release, number)


def _run(statements: tuple[str, ...], given: dict) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, given)
