"""A reform as a drawing: the parts of one unit on the eve, the units of the day, and which part went where."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from apps.catalogs import lineage_facts
from apps.catalogs.choices import Share, SuccessionKind
from apps.catalogs.models import Catalog, Entry, Succession

ROW, TOP, LEFT, RIGHT, WIDTH = 26, 14, 330, 570, 900
MAX_UNITS = 400


@dataclass
class Node:
    level: str
    code: str
    name: str
    y: int
    outside: bool = False


@dataclass
class Line:
    old: Node
    new: Node
    area_share: str
    population_share: str
    kind: str
    legal_basis: str
    note: str

    @property
    def path(self) -> str:
        middle = (LEFT + RIGHT) // 2
        return f"M{LEFT} {self.old.y} C{middle} {self.old.y} {middle} {self.new.y} {RIGHT} {self.new.y}"

    @property
    def kind_label(self) -> str:
        return SuccessionKind(self.kind).label

    @property
    def area_label(self) -> str:
        return Share(self.area_share).label

    @property
    def population_label(self) -> str:
        return Share(self.population_share).label

    @property
    def weight(self) -> str:
        """How much of the old unit went this way, for the line's look: all, part, or land without people."""
        if self.area_share == self.population_share == "all":
            return "all"
        return "none" if self.population_share == "none" else "part"


@dataclass
class Drawing:
    unit: Node | None
    heirs: list[Line]
    old: list[Node] = field(default_factory=list)
    new: list[Node] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)
    is_cut: bool = False

    @property
    def by_heir(self) -> list[tuple[Node, list[Line]]]:
        """Each new unit with the lines that lead to it: the drawing as a list, where there is no room to draw."""
        found = {(node.level, node.code): (node, []) for node in self.new}
        for line in self.lines:
            found[line.new.level, line.new.code][1].append(line)
        return [(node, lines) for node, lines in found.values() if lines]

    @property
    def height(self) -> int:
        return TOP * 2 + ROW * max(len(self.old), len(self.new), 1)


def draw(catalog: Catalog, day: dt.date, unit: str) -> Drawing | None:
    """The drawing of the reform on `day` for the old unit `unit` ("level:code"; the first with lineage when empty).

    Shows the unit's own heirs and, one by one, what became of everything under it. None when nothing happened on that day.
    """
    pairs = Succession.objects.filter(catalog=catalog, effective_on=day).known_in(None)
    top = catalog.level_codes[0] if catalog.levels else ""
    if day == dt.date.min:
        return None  # there is no day before it
    eve = day - lineage_facts.DAY
    old = Entry.objects.filter(catalog=catalog).valid_on(eve)
    choices = list(old.filter(level=top).order_by("sort_key").values_list("code", "full_name"))
    if not pairs.exists() or not choices:
        return None
    level, _, code = unit.rpartition(":") if unit else (top, ":", choices[0][0])
    chosen = old.filter(level=level or top, code=code).first()
    if chosen is None:
        return None
    parts = _under(old, chosen)
    lines = list(pairs.filter(old_level__in={part.level for part in parts}, old_code__in={part.code for part in parts}))
    own = list(pairs.filter(old_level=chosen.level, old_code=chosen.code))
    return _Sheet(catalog, day, chosen, parts, own, lines, choices).drawing()


def named(catalog: Catalog, lines, side: str) -> list[tuple[Succession, str]]:
    """Successions with the full name of their `side` (old or new) on its side of the day."""
    rows = list(lines.order_by("effective_on", f"{side}_level", f"{side}_code"))
    eve = lineage_facts.DAY if side == "old" else dt.timedelta(0)
    ends = [(getattr(row, f"{side}_level"), getattr(row, f"{side}_code"), row.effective_on - eve) for row in rows]
    names = lineage_facts.names_on(catalog, set(ends), known_in=lineage_facts.NOW)
    return [(row, names.get(end, "")) for row, end in zip(rows, ends, strict=True)]


def _under(old, chosen: Entry) -> list[Entry]:
    """Everything that lies under the unit on the eve and has nothing under itself; the unit itself when nothing does."""
    parents, leaves = [chosen], []
    for _depth in range(8):
        children = []
        for level in {parent.level for parent in parents}:
            codes = [parent.code for parent in parents if parent.level == level]
            children += list(old.filter(parent_level=level, parent_code__in=codes).order_by("code"))
        with_children = {(child.parent_level, child.parent_code) for child in children}
        leaves += [parent for parent in parents if (parent.level, parent.code) not in with_children]
        if not children:
            break
        parents = children
    return leaves


class _Sheet:
    """Places the units on the sheet: new units in the order of codes, old ones beside where most of them goes."""

    def __init__(self, catalog, day, chosen, parts, own, lines, choices) -> None:
        self.catalog, self.day, self.chosen, self.choices = catalog, day, chosen, choices
        known = {(part.level, part.code) for part in parts}
        self.parts = {(part.level, part.code): part for part in parts}
        self.own = own
        self.pairs = [line for line in lines if (line.old_level, line.old_code) in known]
        ends = {(line.new_level, line.new_code, day) for line in [*self.pairs, *own] if line.new_code}
        self.names = lineage_facts.names_on(catalog, ends, known_in=lineage_facts.NOW)

    def drawing(self) -> Drawing:
        targets = sorted({(line.new_level, line.new_code) for line in self.pairs if line.new_code})
        new = {unit: Node(*unit, self.names.get((*unit, self.day), ""), 0) for unit in targets}
        first_target = {}
        for line in self.pairs:
            first_target.setdefault((line.old_level, line.old_code), (line.new_level, line.new_code))
        order = sorted(self.parts, key=lambda unit: (first_target.get(unit, ("~", "~")), unit))
        old = {unit: Node(*unit, self.parts[unit].full_name, 0) for unit in order[:MAX_UNITS]}
        drawing = Drawing(self._node(self.chosen), [], list(old.values()), list(new.values()), choices=self.choices)
        drawing.is_cut = len(order) > MAX_UNITS
        drawing.lines = [
            self._line(line, old, new) for line in self.pairs if (line.old_level, line.old_code) in old and line.new_code
        ]
        drawing.heirs = [
            self._line(line, {(self.chosen.level, self.chosen.code): drawing.unit}, self._heirs())
            for line in self.own
            if line.new_code
        ]
        self._place(drawing)
        return drawing

    @staticmethod
    def _node(entry: Entry) -> Node:
        return Node(entry.level, entry.code, entry.full_name, 0)

    def _heirs(self) -> dict:
        units = {(line.new_level, line.new_code) for line in self.own}
        return {unit: Node(*unit, self.names.get((*unit, self.day), ""), 0) for unit in units}

    @staticmethod
    def _line(row: Succession, old: dict, new: dict) -> Line:
        return Line(
            old[row.old_level, row.old_code], new[row.new_level, row.new_code], row.area_share, row.population_share, row.kind,
            row.legal_basis, row.note,
        )  # fmt: skip

    @staticmethod
    def _place(drawing: Drawing) -> None:
        height = drawing.height
        for nodes in (drawing.old, drawing.new):
            step = (height - 2 * TOP) / max(len(nodes), 1)
            for position, node in enumerate(nodes):
                node.y = round(TOP + step * (position + 0.5))
