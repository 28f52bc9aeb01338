"""What is on record about the units of a question of lineage: stretches of valid time, successions, names; fetched by generations."""

# ruff: noqa: S608 - statements are put together from constants of this module, values go as parameters.
from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import NamedTuple

from django.db import connection

from apps.catalogs.models import Catalog

MAX_STEPS = 60  # reforms one code may pass; a circle in the data ends here, as unknown
DAY = dt.timedelta(days=1)
NOW = 2**31 - 1
"""A release number above all others: what is known now."""


class Unit(NamedTuple):
    level: str
    code: str


class Span(NamedTuple):
    """A stretch of valid time of one code."""

    start: dt.date
    end: dt.date | None
    name: str
    full_name: str
    parent: Unit
    basis: str
    closed_by: int | None


class Edge(NamedTuple):
    old: Unit
    new: Unit
    kind: str
    day: dt.date
    basis: str
    area: str
    population: str


class World:
    """The spans and edges of the units in question between the two days, fetched a generation at a time."""

    def __init__(self, catalog: Catalog, from_day: dt.date, to_day: dt.date, known_in: int | None) -> None:
        self.catalog, self.from_day, self.to_day = catalog, from_day, to_day
        self.forward = from_day <= to_day
        self.number = known_in if known_in is not None else NOW
        self.window = (min(from_day, to_day), max(from_day, to_day))
        self.spans: dict[Unit, list[Span]] = {}
        self.edges: dict[Unit, list[Edge]] = defaultdict(list)
        """Lineage that leads on from a unit in the direction of the question."""
        self.days_behind: dict[Unit, set[dt.date]] = defaultdict(set)
        """Days on which other lineage arrives at a unit: its code does not simply go on there."""
        self.children: dict[Unit, list[Unit]] = {}
        self.instruments: dict[int, str] | None = None

    def learn(self, units: set[Unit]) -> None:
        """Fetch everything that units reached from `units` can need."""
        wanted = units
        for _ in range(MAX_STEPS):
            fresh = {unit for unit in wanted if unit not in self.spans}
            if not fresh:
                break
            given = self._given(fresh)
            with connection.cursor() as cursor:
                self._fetch_spans(cursor, fresh, given)
                wanted = self._fetch_edges(cursor, given)
            wanted |= self._fetch_children(fresh)

    def _fetch_spans(self, cursor, units: set[Unit], given: dict) -> None:
        for unit in units:
            self.spans[unit] = []
        cursor.execute(_SPANS, given)
        for level, code, start, end, name, full_name, parent_level, parent_code, basis, closed_by in cursor.fetchall():
            span = Span(start, end, name, full_name, Unit(parent_level, parent_code), basis or "", closed_by)
            self.spans[Unit(level, code)].append(span)

    def _fetch_edges(self, cursor, given: dict) -> set[Unit]:
        """Edges that leave these units in the direction of the question, and the days of the others; returns the units reached."""
        reached = set()
        ahead, behind = ("old", "new") if self.forward else ("new", "old")
        cursor.execute(_EDGES[ahead], given)
        for old_level, old_code, new_level, new_code, *rest in cursor.fetchall():
            edge = Edge(Unit(old_level, old_code), Unit(new_level, new_code), *rest)
            here, there = (edge.old, edge.new) if self.forward else (edge.new, edge.old)
            self.edges[here].append(edge)
            reached.add(there)
        cursor.execute(_DAYS[behind], given)
        for level, code, day in cursor.fetchall():
            self.days_behind[Unit(level, code)].add(day)
        reached.discard(Unit("", ""))
        return reached

    def _fetch_children(self, units: set[Unit]) -> set[Unit]:
        """Units without lineage of their own that end between the days: what lay under them answers for them."""
        if not self.forward:
            return set()
        ending: dict[dt.date, set[Unit]] = defaultdict(set)
        for unit in units:
            spans = self.spans[unit]
            if spans and not self.edges.get(unit) and spans[-1].end and spans[-1].end <= self.to_day:
                ending[spans[-1].end - DAY].add(unit)
        reached = set()
        with connection.cursor() as cursor:
            for day, parents in ending.items():
                cursor.execute(_CHILDREN, {**self._given(parents), "day": day})
                for parent_level, parent_code, level, code in cursor:
                    self.children.setdefault(Unit(parent_level, parent_code), []).append(Unit(level, code))
                    reached.add(Unit(level, code))
        return reached

    def _given(self, units: set[Unit]) -> dict:
        levels, codes = zip(*units, strict=True)
        low, high = self.window
        return {
            "catalog": self.catalog.pk, "levels": list(levels), "codes": list(codes), "number": self.number,
            "low": low, "high": high,
        }  # fmt: skip

    def span_on(self, unit: Unit, day: dt.date) -> Span | None:
        for span in self.spans.get(unit, ()):
            if span.start <= day and (span.end is None or span.end > day):
                return span
        return None

    def instrument(self, number: int | None) -> str:
        """The instrument of the release that recorded an end."""
        if self.instruments is None:
            numbered = self.catalog.releases.live().values_list("number", "instrument")
            self.instruments = dict(numbered)
        return self.instruments.get(number, "")


_KNOWN = "recorded_in <= %(number)s AND (superseded_in IS NULL OR superseded_in > %(number)s)"
_ASKED = "unnest(%(levels)s::text[], %(codes)s::text[]) AS asked(level, code)"
_SPANS = f"""
SELECT entry.level, entry.code, valid_from, CASE WHEN closed_in > %(number)s THEN NULL ELSE valid_to END, name, full_name,
    parent_level, parent_code, attributes ->> 'legal_basis', closed_in
FROM catalogs_entry AS entry JOIN {_ASKED} ON asked.level = entry.level AND asked.code = entry.code
WHERE catalog_id = %(catalog)s AND {_KNOWN} AND valid_from <= %(high)s
    AND (valid_to IS NULL OR valid_to >= %(low)s OR closed_in > %(number)s)
ORDER BY valid_from
"""
_EDGE_COLUMNS = "old_level, old_code, new_level, new_code, kind, effective_on, legal_basis, area_share, population_share"
_EDGES = {
    side: f"""
SELECT {_EDGE_COLUMNS} FROM catalogs_succession
JOIN {_ASKED} ON asked.level = {side}_level AND asked.code = {side}_code
WHERE catalog_id = %(catalog)s AND {_KNOWN} AND effective_on > %(low)s AND effective_on <= %(high)s
"""
    for side in ("old", "new")
}
_DAYS = {
    side: f"""
SELECT DISTINCT {side}_level, {side}_code, effective_on FROM catalogs_succession
JOIN {_ASKED} ON asked.level = {side}_level AND asked.code = {side}_code
WHERE catalog_id = %(catalog)s AND {_KNOWN} AND effective_on > %(low)s AND effective_on <= %(high)s
"""
    for side in ("old", "new")
}
_NAMES = f"""
SELECT asked.level, asked.code, asked.day, full_name FROM catalogs_entry AS entry
JOIN unnest(%(levels)s::text[], %(codes)s::text[], %(days)s::date[]) AS asked(level, code, day)
    ON asked.level = entry.level AND asked.code = entry.code
WHERE catalog_id = %(catalog)s AND {_KNOWN} AND valid_from <= asked.day
    AND (valid_to IS NULL OR valid_to > asked.day OR closed_in > %(number)s)
"""
_CHILDREN = f"""
SELECT entry.parent_level, entry.parent_code, entry.level, entry.code FROM catalogs_entry AS entry
JOIN {_ASKED} ON asked.level = entry.parent_level AND asked.code = entry.parent_code
WHERE catalog_id = %(catalog)s AND {_KNOWN} AND valid_from <= %(day)s
    AND (valid_to IS NULL OR valid_to > %(day)s OR closed_in > %(number)s)
ORDER BY entry.level, entry.code
"""


def names_on(catalog: Catalog, units: set[tuple[str, str, dt.date]], *, known_in: int) -> dict[tuple[str, str, dt.date], str]:
    """Full names of units, each on its own day: one query."""
    wanted = [unit for unit in units if unit[1]]
    if not wanted:
        return {}
    levels, codes, days = zip(*wanted, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _NAMES,
            {"levels": list(levels), "codes": list(codes), "days": list(days), "catalog": catalog.pk, "number": known_in},
        )
        return {(level, code, day): name for level, code, day, name in cursor.fetchall()}
