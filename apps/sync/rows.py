"""Rows as the other side names them → rows as `catalogs.stage_release` takes them.

Nothing is judged here; values go on as they came, so that the judgement sees wrong ones. Two things a feed cannot know are
completed from what is live: attributes it does not carry (legal basis, other spellings) stay, and a short name is taken
from the live entry while the full name is the same.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from django.utils.translation import gettext_lazy as _

from apps.catalogs.choices import RowProblem
from apps.catalogs.models import Catalog, Entry
from apps.catalogs.staging import parse_date
from apps.core.outbound import PermanentError
from apps.sync.plans import Part

_NUMBER = re.compile(r"[0-9]|[IVXLC]+$")
Live = dict[tuple[str, str], tuple[str, str, dict]]
"""(level, code) → (name, full name, attributes) of what is live."""


def canonical(part: Part, raw: list[dict], live: Live) -> Iterator[dict]:
    """The rows of one list. Raises PermanentError `columns_missing` when a column of the settings is in no row."""
    missing = [name for name in part.columns if raw and not any(name in row for row in raw)]
    if missing:
        detail = _("The list no longer has the columns %(columns)s.") % {"columns": ", ".join(missing)}
        raise PermanentError(detail, code="columns_missing", columns=missing)
    for row in raw:
        yield _row(part, row, live)


def _row(part: Part, row: dict, live: Live) -> dict:
    code = row.get(part.code)
    known_name, known_full, known = live.get((part.level, code), ("", "", {})) if isinstance(code, str) else ("", "", {})
    attributes, problems = _attributes(part, row)
    full_name = row.get(part.full_name or part.name)
    name = row.get(part.name) if part.name else None
    if name is None and isinstance(full_name, str):
        name = known_name if full_name == known_full else without_type(full_name, str(attributes.get("type") or ""))
    return {
        "level": part.level,
        "code": code,
        "name": name,
        "full_name": full_name,
        "parent_code": row.get(part.parent) if part.parent else None,
        "attributes": {**known, **attributes},
        "problems": problems,
    }


def _attributes(part: Part, row: dict) -> tuple[dict, list[str]]:
    attributes, problems = {}, []
    for ours, theirs in part.attributes.items():
        value = row.get(theirs)
        if ours in part.dates:
            try:
                day = parse_date(value)
            except ValueError:
                problems.append(RowProblem.IMPOSSIBLE_DATE)
                continue
            value = day.isoformat() if day else None
        if value is not None and value != "":
            attributes[ours] = value
    return attributes, problems


def without_type(full_name: str, kind: str) -> str:
    """'Phường Ba Đình' → 'Ba Đình'; a name that is a number keeps its type ('Phường 1', 'Phường IV')."""
    head, rest = full_name[: len(kind) + 1], full_name[len(kind) + 1 :]
    if not kind or head.lower() != f"{kind.lower()} " or not rest or _NUMBER.match(rest):
        return full_name
    return rest


def live_entries(catalog: Catalog, day: datetime.date) -> Live:
    rows = Entry.objects.filter(catalog=catalog).valid_on(day)
    return {
        (level, code): (name, full_name, attributes)
        for level, code, name, full_name, attributes in rows.values_list("level", "code", "name", "full_name", "attributes")
    }
