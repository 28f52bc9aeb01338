"""The settings of a source, read and checked: what to fetch and which of its columns mean what.

Catalog source: `{"parts": [{"category", "level", "columns": {"code", "name", "full_name", "parent"}, "attributes":
{ours: theirs, or {"column": theirs, "type": "date"}}}], "adapter": {…}}`. One catalog may come from several lists.
Changes source: `{"start": "YYYY-MM-DD", "window_days": 1…5, "page_size", "service", "operation", "adapter": {…}}`; the last two name
the operation of the registry whose grant opens the feed.
Push source: `{"category", "key", "under": our level-1 agency's code, "columns": {theirs: "code" | "old_code" | "name" | "address" | "email" | "phone" |
"parent_code"}, "adapter": {…}}`.
`adapter` belongs to the adapter (paths, page sizes, words); `total_seconds` is everybody's: the deadline over one whole call.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from django.utils.translation import gettext_lazy as _

from apps.core.errors import InvalidFact

MAX_WINDOW_DAYS = 5
"""The business registration database answers at most five days a call."""
LONGEST_CALL = 300
"""Seconds that one call may take at most, with all its bytes."""
ORGANIZATION_COLUMNS = frozenset({"code", "old_code", "name", "address", "email", "phone", "parent_code"})


@dataclass(frozen=True)
class Part:
    """One list of the other side and the level of the catalog that it is."""

    category: str
    code: str
    level: str = ""
    name: str = ""
    full_name: str = ""
    parent: str = ""
    type: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    dates: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[str]:
        """Every column of theirs that we rest on."""
        return [c for c in (self.code, self.name, self.full_name, self.parent, *self.attributes.values()) if c]


@dataclass(frozen=True)
class ChangesPlan:
    start: datetime.date
    window_days: int = MAX_WINDOW_DAYS
    page_size: int = 100
    operation: str = "danhSachHoSo"
    service: str = "business-registration"


@dataclass(frozen=True)
class PushPlan:
    """`under` is the identifier of the level-1 agency whose branch is ours: it and what lies below it is sent, nothing else."""

    category: str
    key: str
    under: str
    columns: dict[str, str]


def catalog_parts(settings: dict) -> list[Part]:
    """Raises InvalidFact naming what is wrong."""
    parts = settings.get("parts")
    if not isinstance(parts, list) or not parts:
        raise _invalid("parts", "required")
    return [_part(part) for part in parts]


def _part(given: object) -> Part:
    if not isinstance(given, dict) or not isinstance(given.get("columns"), dict):
        raise _invalid("parts", "columns")
    columns = given["columns"]
    if not given.get("category") or not columns.get("code") or not (columns.get("name") or columns.get("full_name")):
        raise _invalid("parts", "category, columns.code, columns.name")
    attributes, dates = {}, set()
    for ours, theirs in (given.get("attributes") or {}).items():
        if isinstance(theirs, dict) and theirs.get("type") == "date":
            dates.add(ours)
        attributes[ours] = theirs["column"] if isinstance(theirs, dict) else theirs
    named = {name: columns.get(name, "") for name in ("code", "name", "full_name", "parent")}
    if not all(isinstance(value, str) for value in (*named.values(), *attributes.values())):
        raise _invalid("parts", "text")
    return Part(category=str(given["category"]), level=str(given.get("level", "")), type=attributes.get("type", ""),
                attributes=attributes, dates=frozenset(dates), **named)  # fmt: skip


def changes_plan(settings: dict) -> ChangesPlan:
    try:
        start = datetime.date.fromisoformat(str(settings.get("start", "")))
    except ValueError:
        raise _invalid("start", "date") from None
    days, size = settings.get("window_days", MAX_WINDOW_DAYS), settings.get("page_size", 100)
    if not isinstance(days, int) or not 1 <= days <= MAX_WINDOW_DAYS:
        raise _invalid("window_days", "1-5")
    if not isinstance(size, int) or not 1 <= size <= 1000:
        raise _invalid("page_size", "1-1000")
    named = {name: str(settings[name]) for name in ("operation", "service") if settings.get(name)}
    return ChangesPlan(start, days, size, **named)


def check_adapter(settings: dict) -> None:
    """Raise InvalidFact when the adapter's own settings could never work."""
    adapter = settings.get("adapter") or {}
    seconds = adapter.get("total_seconds", 1) if isinstance(adapter, dict) else None
    if not isinstance(seconds, int | float) or not 1 <= seconds <= LONGEST_CALL:
        raise _invalid("adapter", f"total_seconds: 1-{LONGEST_CALL}")


def push_plan(settings: dict) -> PushPlan:
    columns = settings.get("columns")
    if not settings.get("category") or not isinstance(columns, dict) or settings.get("key") not in columns:
        raise _invalid("columns", "category, key, columns")
    if unknown := set(columns.values()) - ORGANIZATION_COLUMNS:
        raise _invalid("columns", ", ".join(sorted(map(str, unknown))))
    if not isinstance(settings.get("under"), str) or not settings["under"]:
        raise _invalid("under", "required")
    return PushPlan(str(settings["category"]), settings["key"], settings["under"], dict(columns))


def _invalid(name: str, what: str) -> InvalidFact:
    return InvalidFact(_("The settings of the source are not valid."), fields={"settings": f"{name}: {what}"})
