"""The crosswalk asked: which codes of another table correspond to a code of this one on a day.

It answers `exact` (one counterpart that says the same, and holds on that day), `many` (each counterpart with its relation),
`none` (it is on record that nothing corresponds) or `unknown`, and never picks, as `lineage.translate`. Lines are read from both
ends: what either table's releases recorded counts, with the relation turned round where the line leads the other way.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, values go as parameters.
from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count

from apps.catalogs.choices import CrosswalkResult, Relation
from apps.catalogs.models import Catalog, Correspondence
from apps.core.text import words

TURNED = {Relation.BROADER.value: Relation.NARROWER.value, Relation.NARROWER.value: Relation.BROADER.value}

_KNOWN = "recorded_in <= {number} AND (superseded_in IS NULL OR superseded_in > {number})"
_HOLDS = "valid_from <= %(day)s AND (valid_to IS NULL OR valid_to > %(day)s)"
_REST = "relation, valid_from, valid_to, legal_basis, note"
_LINES = f"""
SELECT level, code, other_level, other_code, {_REST}, false AS turned FROM catalogs_correspondence
WHERE catalog_id = %(catalog)s AND other_id = %(other)s AND {_KNOWN.format(number="%(number)s")} AND {_HOLDS}
UNION
SELECT other_level, other_code, level, code, {_REST}, true FROM catalogs_correspondence
WHERE catalog_id = %(other)s AND other_id = %(catalog)s AND other_code <> '' AND {_KNOWN.format(number="%(other_number)s")} AND {_HOLDS}
"""
_NAME = """
LEFT JOIN LATERAL (SELECT full_name, folded FROM catalogs_entry AS entry WHERE entry.catalog_id = %({table})s
    AND entry.level = line.{side}level AND entry.code = line.{side}code
    AND entry.recorded_in <= %({number})s AND (entry.superseded_in IS NULL OR entry.superseded_in > %({number})s)
    AND entry.valid_from <= %(day)s
    AND (entry.valid_to IS NULL OR entry.valid_to > %(day)s OR entry.closed_in > %({number})s)) AS {alias} ON true
"""
_OWN_NAME = _NAME.format(table="catalog", side="", number="number", alias="own")
_OTHER_NAME = _NAME.format(table="other", side="other_", number="other_number", alias="theirs")
_SHOWN = "line.level, line.code, own.full_name, line.other_level, line.other_code, theirs.full_name"
_ASKED = f"""
SELECT {_SHOWN}, {_REST}, turned FROM ({_LINES}) AS line {_OWN_NAME} {_OTHER_NAME}
WHERE (line.level, line.code) IN (SELECT * FROM unnest(%(levels)s::text[], %(codes)s::text[]))
ORDER BY line.level, line.code, line.other_level, line.other_code, relation, valid_from
"""
_PAGE = f"""
SELECT {_SHOWN}, {_REST}, turned, count(*) OVER () FROM ({_LINES}) AS line {_OWN_NAME} {_OTHER_NAME}
WHERE concat(own.folded, theirs.folded, ' ', lower(line.code), ' ', lower(line.other_code)) LIKE ALL (%(words)s)
ORDER BY line.level, line.code, line.other_level, line.other_code, relation, valid_from LIMIT %(limit)s OFFSET %(offset)s
"""
_LIVE = """
SELECT asked.level, asked.code FROM unnest(%(levels)s::text[], %(codes)s::text[]) AS asked(level, code)
JOIN catalogs_entry AS entry ON entry.catalog_id = %(catalog)s AND entry.level = asked.level AND entry.code = asked.code
WHERE entry.recorded_in <= %(number)s AND (entry.superseded_in IS NULL OR entry.superseded_in > %(number)s)
    AND entry.valid_from <= %(day)s AND (entry.valid_to IS NULL OR entry.valid_to > %(day)s OR entry.closed_in > %(number)s)
"""


def tables_of(catalog: Catalog) -> dict[Catalog, int]:
    """The tables with which a crosswalk is on record, whichever end recorded it, and how many lines believed now."""
    lines = Correspondence.objects.known_in(None)
    counts: dict[int, int] = defaultdict(int)
    for end, here in (("other_id", "catalog"), ("catalog_id", "other")):
        for row in lines.filter(**{here: catalog}).order_by().values(end).annotate(count=Count("id")):
            counts[row[end]] += row["count"]
    found = Catalog.objects.filter(pk__in=counts).select_related("current").order_by("sort_key", "id")
    return {table: counts[table.pk] for table in found}


@dataclass(frozen=True)
class Crosswalk:
    """Two tables, the day, and what was known: `number` and `other_number` are releases of the one and of the other."""

    catalog: Catalog
    other: Catalog
    day: dt.date
    number: int
    other_number: int

    @classmethod
    def now(cls, catalog: Catalog, other: Catalog, day: dt.date) -> Crosswalk:
        """As known now."""
        return cls(catalog, other, day, *(table.current.number if table.current else 0 for table in (catalog, other)))

    def ask(self, units: Iterable[tuple[str, str]]) -> list[dict]:
        """The answer for each (level, code), in their order: two queries, however many."""
        asked = list(units)
        given = {**self._given(), "levels": [level for level, _code in asked], "codes": [code for _level, code in asked]}
        found: dict[tuple[str, str], list[dict]] = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(_LIVE, given)
            live = set(cursor.fetchall())
            cursor.execute(_ASKED, given)
            for row in cursor.fetchall():
                found[row[0], row[1]].append(_counterpart(row))
        return [_answer(unit in live, _once(found.get(unit, []))) for unit in asked]

    def lines(self, *, limit: int, offset: int, text: str = "") -> tuple[list[dict], int]:
        """Lines that hold on the day, from both ends, whose codes or names begin the words of `text`, and how many there are."""
        wanted = [f"% {word}%" for word in words(text)]
        if text.strip() and not wanted:
            return [], 0
        with connection.cursor() as cursor:
            cursor.execute(_PAGE, {**self._given(), "limit": limit, "offset": offset, "words": wanted})
            rows = cursor.fetchall()
        shown = [{"code": row[1], "level": row[0], "name": row[2] or "", "counterpart": _counterpart(row)} for row in rows]
        return shown, rows[0][-1] if rows else 0

    def _given(self) -> dict:
        return {
            "catalog": self.catalog.pk, "other": self.other.pk, "day": self.day, "number": self.number,
            "other_number": self.other_number,
        }  # fmt: skip


def _counterpart(row: tuple) -> dict:
    _level, _code, _own, level, code, name, relation, start, end, basis, note, turned, *_count = row
    return {
        "code": code,
        "level": level,
        "name": name or "",
        "holds": name is not None,
        "relation": TURNED.get(relation, relation) if turned else relation,
        "valid_from": start,
        "valid_to": end,
        "legal_basis": basis or None,
        "note": note,
    }


def _once(counterparts: list[dict]) -> list[dict]:
    """Both tables may say the same of a pair: it counts once."""
    seen: dict[tuple, dict] = {}
    for line in counterparts:
        seen.setdefault((line["level"], line["code"], line["relation"]), line)
    return list(seen.values())


def _answer(is_live: bool, found: list[dict]) -> dict:
    """A code that does not hold on the day has no counterpart anybody could know."""
    counterparts = [line for line in found if line["relation"] != Relation.NONE]
    if not is_live or not found:
        return {"result": CrosswalkResult.UNKNOWN.value, "counterparts": []}
    if not counterparts:
        return {"result": CrosswalkResult.NONE.value, "counterparts": [], "legal_basis": found[0]["legal_basis"]}
    whole = len(found) == 1 and found[0]["relation"] == Relation.EXACT and found[0]["holds"]
    return {"result": (CrosswalkResult.EXACT if whole else CrosswalkResult.MANY).value, "counterparts": counterparts}
