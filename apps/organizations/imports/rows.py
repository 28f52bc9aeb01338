"""The rows of an import file: read with suspicion, cells judged one by one. `decide` and `by_unique` are common to all kinds."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.core.errors import InvalidFact
from apps.core.text import clean, fold

MAX_BYTES = 1024 * 1024
MAX_ROWS = 5_000
MAX_CELL = 500

_AUTHORITY = ("van ban uy quyen", "van ban phan cong")
COLUMNS = {
    "organizations": {
        "code": ("ma dinh danh", "ma"), "name": ("ten co quan", "ten"), "old_code": ("ma dinh danh cu", "ma cu"),
        "short_name": ("ten viet tat", "viet tat"), "kind": ("loai",), "parent": ("co quan cap tren", "ma cap tren"),
        "email": ("thu dien tu",), "phone": ("dien thoai",), "address": ("dia chi",),
    },
    "people": {
        "username": ("ten dang nhap", "tai khoan"), "full_name": ("ho va ten", "ho ten"), "email": ("thu dien tu",),
        "position": ("chuc vu",), "phone": ("dien thoai",), "organization": ("co quan", "ma co quan"), "role": ("vai tro",),
        "authority": _AUTHORITY,
    },
    "roles": {
        "username": ("ten dang nhap", "tai khoan"), "organization": ("co quan", "ma co quan"), "role": ("vai tro",),
        "authority": _AUTHORITY,
    },
}  # fmt: skip
"""Kind → column → other headings it is known by (folded: Vietnamese headings are found with or without tones)."""
REQUIRED = {
    "organizations": ("code", "name"),
    "people": ("username", "full_name"),
    "roles": ("username", "organization", "role"),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@dataclass
class Row:
    """One line of the file and what would become of it. `changes`: name → [before, after]."""

    line: int
    facts: dict[str, str]
    action: str = ""
    changes: dict[str, list[str]] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    def refuse(self, why: object) -> None:
        self.action = "refused"
        if str(why) not in self.reasons:
            self.reasons.append(str(why))

    @property
    def key(self) -> str:
        return self.facts.get("code") or self.facts.get("username") or ""


def read(kind: str, content: bytes) -> list[Row]:
    """The rows of a file, cells cleaned and judged one by one. Raises InvalidFact (`file_refused`)."""
    if kind not in COLUMNS:
        raise _refused(_("There is no such import."))
    text = _decode(content)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise _refused(_("The file is not well-formed CSV: %(error)s") % {"error": error}) from None
    header = _header(kind, lines[0] if lines else [])
    body = [(number, cells) for number, cells in enumerate(lines[1:], 2) if any(cell.strip() for cell in cells)]
    if not body:
        raise _refused(_("The file has no rows."))
    if len(body) > MAX_ROWS:
        raise _refused(_("The file has %(count)d rows; at most %(most)d are taken.") % {"count": len(body), "most": MAX_ROWS})
    return [_row(kind, number, header, cells) for number, cells in body]


def _decode(content: bytes) -> str:
    if len(content) > MAX_BYTES:
        raise _refused(_("The file is larger than 1 MiB."))
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _refused(_("This is a workbook. Save it as “CSV UTF-8 (comma delimited)” and choose that file."))
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in content[:4096]:
        raise _refused(_("The file is in UTF-16. Save it as “CSV UTF-8 (comma delimited)”."))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refused(
            _("The file is not UTF-8 (line %(line)d): it was probably saved in a Windows code page such as CP1258. "
              "Save it as “CSV UTF-8 (comma delimited)”.") % {"line": line}
        ) from None  # fmt: skip
    if "\x00" in text:
        raise _refused(_("The file holds characters that are no text."))
    return text


def _header(kind: str, cells: list[str]) -> list[str]:
    known = {}
    for name, others in COLUMNS[kind].items():
        known.update({name: name, **dict.fromkeys(others, name)})
    header = [known.get(fold(clean(cell)).replace(" ", "_"), known.get(fold(clean(cell)), "")) for cell in cells]
    unknown = [cell for cell, name in zip(cells, header, strict=True) if not name]
    if unknown:
        raise _refused(_("Unknown columns: %(names)s. Known are: %(known)s.") % {
            "names": ", ".join(cell[:40] for cell in unknown[:5]), "known": ", ".join(COLUMNS[kind])})  # fmt: skip
    if len(set(header)) != len(header):
        raise _refused(_("A column appears twice."))
    missing = [name for name in REQUIRED[kind] if name not in header]
    if missing:
        raise _refused(_("Columns are missing: %(names)s.") % {"names": ", ".join(missing)})
    return header


def _row(kind: str, number: int, header: list[str], cells: list[str]) -> Row:
    row = Row(number, {name: clean(cell) for name, cell in zip(header, cells, strict=False)})
    if len(cells) != len(header):
        row.refuse(_("The row has %(count)d cells, the heading %(expected)d.") % {
            "count": len(cells), "expected": len(header)})  # fmt: skip
    for name, cell in zip(header, cells, strict=False):
        if len(cell) > MAX_CELL:
            row.refuse(_("%(column)s is too long.") % {"column": name})
        if cell.startswith(_FORMULA) and not _is_phone(name, cell):
            row.refuse(_("%(column)s looks like a formula.") % {"column": name})
    for name in REQUIRED[kind]:
        if not row.facts.get(name):
            row.refuse(_("%(column)s is empty.") % {"column": name})
    for name in ("code", "old_code", "parent", "organization"):
        if name in row.facts:
            row.facts[name] = row.facts[name].upper()
    for name in ("username", "email", "kind", "role"):
        if name in row.facts:
            row.facts[name] = row.facts[name].lower()
    return row


def _is_phone(name: str, cell: str) -> bool:
    return name == "phone" and cell.startswith("+") and cell[1:].replace(" ", "").isdecimal()


def _refused(why: str) -> InvalidFact:
    return InvalidFact(why, code="file_refused", fields={"file": [why]})


def decide(row: Row, stored, differences: Callable) -> None:
    """Fill in what the row would do, unless it is refused (then the reasons are completed)."""
    row.changes = differences(row, stored)
    if row.action == "refused":
        return
    row.action = "create" if stored is None else "change" if row.changes else "same"


def by_unique(rows: list[Row], name: str) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for row in rows:
        value = row.facts.get(name, "")
        if value and value in found:
            row.refuse(_("%(value)s appears twice in the file.") % {"value": value[:60]})
            found[value].refuse(_("%(value)s appears twice in the file.") % {"value": value[:60]})
        elif value:
            found[value] = row
    return found
