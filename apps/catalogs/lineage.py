"""What became of a code: `translate` follows lineage from one day to another, forward or backward, across reforms.

It answers `exact` (one heir of everything), `many` (each heir with its share), `ended` or `unknown`, and never picks. Where a
code simply goes on under the same meaning (a new name or type, a new parent), the entries themselves say so; where units
merge or split, a `Succession` says so; a code re-used with another meaning is no heir of its namesake.

All codes of a question are followed together: the number of queries rises with the number of reforms between the two days,
not with the number of codes.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from apps.catalogs.choices import Share, SuccessionKind, TranslateResult
from apps.catalogs.lineage_facts import DAY, MAX_STEPS, Span, Unit, World
from apps.catalogs.models import Catalog

ALL, PART, NONE = Share.ALL.value, Share.PART.value, Share.NONE.value


@dataclass
class Answer:
    """The answer for one code, ready for the wire."""

    result: str
    heirs: list[dict] = field(default_factory=list)
    via: list[dict] = field(default_factory=list)
    derived: bool = False

    def as_dict(self) -> dict:
        body = {"result": self.result, "heirs": self.heirs, "via": self.via}
        return {**body, "derived": True} if self.derived else body


def translate(
    catalog: Catalog, level: str, code: str, from_day: dt.date, to_day: dt.date, *, known_in: int | None = None
) -> Answer:
    """The heirs on `to_day` of the unit that held `code` on `from_day` (its predecessors when `to_day` is earlier)."""
    return translate_many(catalog, [(level, code)], from_day, to_day, known_in=known_in)[0]


def translate_many(
    catalog: Catalog, units: Iterable[tuple[str, str]], from_day: dt.date, to_day: dt.date, *, known_in: int | None = None
) -> list[Answer]:
    """As `translate`, for many units of one question; the answers keep the order of `units`."""
    asked = [Unit(*unit) for unit in units]
    world = World(catalog, from_day, to_day, known_in)
    world.learn(set(asked))
    cache: dict[Unit, Answer] = {}
    for unit in asked:
        if unit not in cache:
            cache[unit] = _answer(world, unit)
    return [cache[unit] for unit in asked]


# --- following -----------------------------------------------------------------------------------


class Move(NamedTuple):
    """One step over the event of `day`: to the unit `to` (empty where it ends), whose other side is looked at."""

    to: Unit | None
    day: dt.date
    kind: str
    basis: str
    area: str
    population: str


@dataclass
class Path:
    """Where the walk stands: the unit, since which day, and how much of the start is in it."""

    unit: Unit
    day: dt.date
    area: str = ALL
    population: str = ALL
    moves: tuple[Move, ...] = ()


def _answer(world: World, start: Unit) -> Answer:
    span = world.span_on(start, world.from_day)
    if span is None:
        return Answer(TranslateResult.UNKNOWN.value)
    arrived, lost, unknown = _walk(world, start)
    if not arrived and world.forward and world.children.get(start):
        return _derived(world, start)
    via = _via(arrived + lost)
    heirs = _heirs(world, arrived)
    if not heirs:
        return Answer((TranslateResult.UNKNOWN if unknown or not lost else TranslateResult.ENDED).value, [], via)
    whole = len(heirs) == 1 and not lost and not unknown and heirs[0]["area_share"] == heirs[0]["population_share"] == ALL
    return Answer((TranslateResult.EXACT if whole else TranslateResult.MANY).value, heirs, via)


def _walk(world: World, start: Unit) -> tuple[list[Path], list[Path], list[Path]]:
    """Follow `start` to the other day: (paths that arrive, paths that end, paths nobody knows the end of)."""
    arrived, lost, unknown = [], [], []
    open_paths = [Path(start, world.from_day)]
    while open_paths:
        path = open_paths.pop()
        if len(path.moves) > MAX_STEPS:
            unknown.append(path)
            continue
        moves = _next_moves(world, path)
        if moves is None:
            unknown.append(path)
        elif not moves:
            arrived.append(path)
        else:
            for move in moves:
                done = (*path.moves, move)
                if move.to is None:
                    lost.append(Path(path.unit, move.day, moves=done))
                else:
                    shares = _both(path.area, move.area), _both(path.population, move.population)
                    side = move.day if world.forward else move.day - DAY
                    open_paths.append(Path(move.to, side, *shares, moves=done))
    return arrived, lost, unknown


def _next_moves(world: World, path: Path) -> list[Move] | None:
    """The steps at the next event of the unit; empty when it stands on the other day; None when nothing is known."""
    span = world.span_on(path.unit, path.day)
    if span is None:
        return None
    return _forward_moves(world, path, span) if world.forward else _backward_moves(world, path, span)


def _forward_moves(world: World, path: Path, span: Span) -> list[Move] | None:
    edges = [edge for edge in world.edges.get(path.unit, ()) if path.day < edge.day]
    days = [edge.day for edge in edges]
    if span.end is not None and span.end <= world.to_day:
        days.append(span.end)
    if not days:
        return []
    day = min(days)
    moves = [
        Move(edge.new if edge.new.code else None, day, edge.kind, edge.basis, edge.area, edge.population)
        for edge in edges
        if edge.day == day
    ]
    goes_on = span.end is None or span.end > day
    if moves and goes_on and all(move.to is not None and move.to != path.unit for move in moves):
        moves.append(Move(path.unit, day, SuccessionKind.KEPT.value, moves[0].basis, PART, PART))  # parted with some, and stays
    if moves:
        return moves
    return [
        _own_continuation(world, path.unit, span, day) or Move(None, day, "ended", world.instrument(span.closed_by), NONE, NONE)
    ]


def _own_continuation(world: World, unit: Unit, span: Span, day: dt.date) -> Move | None:
    """The same code goes on under the same meaning: no lineage says otherwise on that day."""
    after = world.span_on(unit, day)
    if after is None or day in world.days_behind.get(unit, ()):
        return None
    return _continuation(unit, span, after, day)


def _continuation(unit: Unit, before: Span, after: Span, day: dt.date) -> Move:
    same = (before.name, before.full_name) == (after.name, after.full_name)
    kind = SuccessionKind.KEPT if same else SuccessionKind.RENAMED
    return Move(unit, day, kind.value, after.basis, ALL, ALL)


def _backward_moves(world: World, path: Path, span: Span) -> list[Move] | None:
    edges = [edge for edge in world.edges.get(path.unit, ()) if world.to_day < edge.day <= path.day]
    days = [edge.day for edge in edges]
    if span.start > world.to_day:
        days.append(span.start)
    if not days:
        return []
    day = max(days)
    moves = [Move(edge.old, day, edge.kind, edge.basis, edge.area, edge.population) for edge in edges if edge.day == day]
    if moves and span.start < day and all(move.to != path.unit for move in moves):
        moves.append(Move(path.unit, day, SuccessionKind.KEPT.value, moves[0].basis, ALL, ALL))  # took others in, and was there
    if moves:
        return moves
    before = world.span_on(path.unit, day - DAY)
    if before is None or day in world.days_behind.get(path.unit, ()):
        return None
    return [_continuation(path.unit, before, span, day)]


def _both(first: str, second: str) -> str:
    """How much of the start is in the heir of an heir. A part of a part is at most a part."""
    if NONE in (first, second):
        return NONE
    return ALL if first == second == ALL else PART


# --- the answer ----------------------------------------------------------------------------------


def _heirs(world: World, arrived: list[Path]) -> list[dict]:
    """One line a heir, shares of several ways put together, in the order of codes."""
    by_unit: dict[Unit, list[Path]] = defaultdict(list)
    for path in arrived:
        by_unit[path.unit].append(path)
    return [_heir(world, unit, paths, len(by_unit) == 1) for unit, paths in sorted(by_unit.items())]


def _heir(world: World, unit: Unit, paths: list[Path], only: bool) -> dict:
    span = world.span_on(unit, world.to_day)
    return {
        "code": unit.code,
        "name": span.full_name,
        "level": unit.level,
        "valid_from": span.start.isoformat(),
        "area_share": _together([path.area for path in paths], only and world.forward),
        "population_share": _together([path.population for path in paths], only and world.forward),
    }


def _together(shares: list[str], only: bool) -> str:
    """The share that came over several ways: everything, when every way leads to the only heir."""
    if ALL in shares or (only and len(shares) > 1 and PART in shares):
        return ALL
    return PART if PART in shares else NONE


def _derived(world: World, unit: Unit) -> Answer:
    """A unit that ended without lineage of its own: the heirs of what lay under it. Always `many`: nobody says it went over."""
    arrived: list[Path] = []
    lost: list[Path] = []
    for child in world.children[unit]:
        reached, ended, _ = _walk_from(world, child, world.spans[unit][-1].end - DAY)
        arrived += reached
        lost += ended
    heirs = _heirs(world, arrived)
    if not heirs:
        return Answer(TranslateResult.ENDED.value, [], _via(lost), derived=True)
    for heir in heirs:
        for share in ("area_share", "population_share"):
            if len(heirs) > 1 and heir[share] == ALL:
                heir[share] = PART  # all of one commune is a part of the district
    return Answer(TranslateResult.MANY.value, heirs, _via(arrived + lost), derived=True)


def _walk_from(world: World, unit: Unit, day: dt.date) -> tuple[list[Path], list[Path], list[Path]]:
    from_day, world.from_day = world.from_day, day
    try:
        return _walk(world, unit)
    finally:
        world.from_day = from_day


def _via(paths: Iterable[Path]) -> list[dict]:
    """The grounds of all ways, each once, in the order of days."""
    return [
        {"kind": kind, "effective_date": day.isoformat(), "legal_basis": basis or None}
        for day, kind, basis in sorted(set(_grounds(paths)))
    ]


def _grounds(paths: Iterable[Path]) -> Iterator[tuple[dt.date, str, str]]:
    for path in paths:
        for move in path.moves:
            yield move.day, move.kind, move.basis
