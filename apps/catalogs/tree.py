"""The tree of what is live after a write that no judgement saw beforehand: an undoing, a correction.

A release is judged before it is published. An undoing or a correction is written first, and then what it touched is looked at:
an entry whose parent does not hold on a day of its own, a circle. Only what it broke anew counts; what a person accepted with an
earlier release stays accepted. Nothing is guessed about days: whole stretches of valid time are compared.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, values go as parameters.
from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from django.db import connection

from apps.catalogs.lineage_facts import NOW
from apps.catalogs.models import Catalog


class Orphan(NamedTuple):
    """An entry whose parent does not hold on `day`, the first such day of a stretch."""

    level: str
    code: str
    parent_level: str
    parent_code: str
    day: dt.date


class Broken(NamedTuple):
    """What a release broke: orphans, and (level, code) of units that stand above themselves."""

    orphans: list[Orphan]
    circles: list[tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.orphans or self.circles)


_TOUCHED = """touched AS (SELECT DISTINCT level, code FROM catalogs_entry
    WHERE catalog_id = %(catalog)s AND %(number)s IN (recorded_in, closed_in, superseded_in))"""
_BELIEF = """belief AS NOT MATERIALIZED (
    SELECT level, code, parent_level, parent_code, valid_from,
        coalesce(CASE WHEN closed_in > {known_in} THEN NULL ELSE valid_to END, 'infinity') AS valid_to
    FROM catalogs_entry
    WHERE catalog_id = %(catalog)s AND recorded_in <= {known_in} AND (superseded_in IS NULL OR superseded_in > {known_in}))"""
# A parent fails its child on the child's first day, or on a day on which the parent itself comes to an end.
_ORPHANS = f"""(WITH {_TOUCHED}, {_BELIEF}, child AS (
    SELECT * FROM belief WHERE parent_code <> ''
        AND ((level, code) IN (TABLE touched) OR (parent_level, parent_code) IN (TABLE touched))
), looked_at AS (
    SELECT level, code, parent_level, parent_code, valid_from AS day FROM child
    UNION SELECT child.level, child.code, child.parent_level, child.parent_code, parent.valid_to
    FROM child JOIN belief AS parent ON parent.level = child.parent_level AND parent.code = child.parent_code
    WHERE parent.valid_to > child.valid_from AND parent.valid_to < child.valid_to
) SELECT level, code, parent_level, parent_code, day FROM looked_at WHERE NOT EXISTS (
    SELECT FROM belief AS parent WHERE parent.level = looked_at.parent_level AND parent.code = looked_at.parent_code
        AND parent.valid_from <= looked_at.day AND parent.valid_to > looked_at.day))"""
# A new circle leads through something touched; its edges must hold together on one day at least.
_CIRCLES = f"""(WITH RECURSIVE {_TOUCHED}, {_BELIEF}, up AS (
    SELECT level, code, parent_level AS at_level, parent_code AS at_code, valid_from, valid_to FROM belief
    WHERE parent_code <> '' AND (level, code) IN (TABLE touched)
    UNION SELECT up.level, up.code, parent.parent_level, parent.parent_code,
        greatest(up.valid_from, parent.valid_from), least(up.valid_to, parent.valid_to)
    FROM up JOIN belief AS parent ON parent.level = up.at_level AND parent.code = up.at_code
    WHERE (up.at_level, up.at_code) <> (up.level, up.code) AND parent.parent_code <> ''
        AND parent.valid_from < up.valid_to AND up.valid_from < parent.valid_to
) SELECT level, code FROM up WHERE (at_level, at_code) = (level, code))"""
_NEWEST_TOUCH = """
SELECT max(touch) FROM catalogs_entry JOIN unnest(%(levels)s::text[], %(codes)s::text[]) AS named(level, code) USING (level, code),
    unnest(ARRAY[recorded_in, closed_in, superseded_in]) AS touch
WHERE catalog_id = %(catalog)s AND touch < %(number)s
"""


def broken_by(catalog: Catalog, number: int, *, accepted: int | None = None) -> Broken:
    """What release `number`, the newest one and just written, broke.

    What was broken under the release before it, or under release `accepted`, does not count.
    """
    before = [number - 1] if accepted is None else [number - 1, accepted]
    given = {"catalog": catalog.pk, "number": number}
    with connection.cursor() as cursor:
        cursor.execute(f"{_since(_ORPHANS, before)} ORDER BY level, code, day", given)
        orphans = [Orphan(*row) for row in cursor.fetchall()]
        cursor.execute(f"{_since(_CIRCLES, before)} ORDER BY level, code", given)
        return Broken(orphans, cursor.fetchall())


def newest_touch(catalog: Catalog, number: int, broken: Broken) -> int | None:
    """The newest release before `number` that wrote about what is broken: about the entries, or about their parents."""
    units = {(level, code) for level, code, *_ in [*broken.orphans, *broken.circles]}
    units |= {(orphan.parent_level, orphan.parent_code) for orphan in broken.orphans}
    levels, codes = zip(*units, strict=True)
    with connection.cursor() as cursor:
        given = {"catalog": catalog.pk, "number": number, "levels": list(levels), "codes": list(codes)}
        cursor.execute(_NEWEST_TOUCH, given)
        return cursor.fetchone()[0]


def _since(statement: str, before: list[int]) -> str:
    """What `statement` finds now and did not find under the releases `before`."""
    return " EXCEPT ".join(statement.format(known_in=known_in) for known_in in (NOW, *before))
