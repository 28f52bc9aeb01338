"""What a staged release would change, as one temporary table: the judgement counts it, publishing writes it, pages show it.

The table `catalogs_diff` lives until the end of the transaction. One row a code that changes:
`staged_id` (empty: the code is missing from a full list), `live_id` (empty: it is new), `cut` (the day on which the live entry
ends), `starts`/`ends` (the new entry's valid time), and the flags. Rows that were refused are not in it, and they protect
their codes: nothing ends because its row was bad.
"""

# ruff: noqa: S608 - statements are put together from constants of these modules, values go as parameters.
from __future__ import annotations

from django.db import connection

from apps.catalogs.choices import Scope
from apps.catalogs.models import Release

_LIVE = """
    live.catalog_id = %(catalog)s AND live.superseded_in IS NULL
    AND live.valid_from <= {day} AND (live.valid_to IS NULL OR live.valid_to > {day})
"""

# A list that goes on naming a code with its end, after that end, says what is on record.
_ENDED_SO = """EXISTS (
    SELECT FROM catalogs_entry AS ended WHERE ended.catalog_id = %(catalog)s AND ended.superseded_in IS NULL
        AND (ended.level, ended.code, ended.valid_to) = (staged.level, staged.code, staged.valid_to)
        AND ended.valid_from = coalesce(staged.valid_from, ended.valid_from)
        AND (ended.name, ended.full_name, ended.parent_level, ended.parent_code, ended.attributes)
          = (staged.name, staged.full_name, staged.parent_level, staged.parent_code, staged.attributes))"""

_CREATE = f"""
CREATE TEMPORARY TABLE catalogs_diff ON COMMIT DROP AS
SELECT staged.id AS staged_id, live.id AS live_id, live.valid_from AS live_from, live.valid_to AS live_to,
    staged.level, staged.code,
    live.id IS NULL AS added,
    staged.closes OR (live.id IS NOT NULL AND NOT differs AND staged.valid_to IS NOT NULL AND live.valid_to IS NULL) AS closed,
    live.id IS NOT NULL AND NOT staged.closes AND renames AS renamed,
    live.id IS NOT NULL AND NOT staged.closes AND moves AS reparented,
    live.id IS NOT NULL AND NOT staged.closes AND differs AND NOT renames AND NOT moves AS changed,
    CASE WHEN staged.closes OR NOT differs THEN coalesce(staged.valid_to, %(day)s)
         WHEN staged.valid_from >= live.valid_from THEN staged.valid_from ELSE %(day)s END::date AS cut,
    CASE WHEN live.id IS NULL THEN coalesce(staged.valid_from, %(day)s)
         WHEN staged.valid_from >= live.valid_from THEN staged.valid_from ELSE %(day)s END::date AS starts,
    CASE WHEN live.id IS NULL THEN staged.valid_to ELSE least(staged.valid_to, live.valid_to) END AS ends
FROM catalogs_stagedentry AS staged
LEFT JOIN catalogs_entry AS live ON live.level = staged.level AND live.code = staged.code
    AND {_LIVE.format(day="greatest(%(day)s, staged.valid_from)")}
CROSS JOIN LATERAL (SELECT (staged.name, staged.full_name) IS DISTINCT FROM (live.name, live.full_name) AS renames,
    (staged.parent_level, staged.parent_code) IS DISTINCT FROM (live.parent_level, live.parent_code) AS moves) AS compared
CROSS JOIN LATERAL (SELECT renames OR moves OR staged.attributes IS DISTINCT FROM live.attributes AS differs) AS whole
WHERE staged.release_id = %(release)s AND staged.problems = '{{}}'
    AND (differs OR staged.closes OR (staged.valid_to IS NOT NULL AND live.valid_to IS NULL))
    AND NOT (live.id IS NULL AND staged.valid_to <= %(day)s AND NOT staged.closes AND {_ENDED_SO})
"""

_MISSING = f"""
INSERT INTO catalogs_diff (live_id, live_from, live_to, level, code, added, closed, renamed, reparented, changed, cut)
SELECT live.id, live.valid_from, live.valid_to, live.level, live.code, false, true, false, false, false, %(day)s
FROM catalogs_entry AS live
WHERE {_LIVE.format(day="%(day)s")} AND (%(levels)s::text[] = '{{}}' OR live.level = ANY(%(levels)s))
    AND NOT EXISTS (SELECT FROM catalogs_stagedentry AS staged
        WHERE staged.release_id = %(release)s AND staged.level = live.level AND staged.code = live.code)
"""

# A code that comes back ends where its own next life begins.
_NEXT_LIFE = """
UPDATE catalogs_diff AS diff SET ends = later.valid_from
FROM (SELECT level, code, min(valid_from) AS valid_from FROM catalogs_entry
      WHERE catalog_id = %(catalog)s AND superseded_in IS NULL AND valid_from > %(day)s GROUP BY level, code) AS later
WHERE diff.added AND later.level = diff.level AND later.code = diff.code AND later.valid_from > diff.starts
    AND (diff.ends IS NULL OR diff.ends > later.valid_from)
"""


def parameters(release: Release) -> dict:
    return {
        "release": release.pk,
        "catalog": release.catalog_id,
        "day": release.effective_on,
        "levels": list(release.levels),
    }


def build(release: Release) -> None:
    """Make the temporary table for `release`. Must run inside a transaction."""
    given = parameters(release)
    with connection.cursor() as cursor:
        # Freshly written rows have no statistics yet, and a loop over 100,000 of them takes minutes where a hash takes none.
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'")
        cursor.execute("DROP TABLE IF EXISTS catalogs_diff")
        cursor.execute(_CREATE, given)
        if release.scope == Scope.FULL:
            cursor.execute(_MISSING, given)
        cursor.execute(_NEXT_LIFE, given)
