"""Rows from a CSV or XLSX file that a person brings. The file is taken for hostile; what is wrong is said row by row.

Columns are found by their names (ours, or the Vietnamese ones): code and name are required. Unknown columns become attributes.

A day under our heading `valid_to` is the first on which the code no longer holds, as in our exports; under a Vietnamese heading
("until the day") it is the last on which it holds, as people write it, and becomes the day after.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence

import orjson
from django.utils.translation import gettext_lazy as _

from apps.catalogs.choices import RowProblem
from apps.catalogs.export import rearm
from apps.catalogs.staging import parse_date
from apps.core.archives import DAMAGED
from apps.core.errors import InvalidFact
from apps.core.text import fold

MAX_BYTES = 20 * 1024 * 1024
MAX_UNPACKED = 200 * 1024 * 1024
MAX_RATIO = 100
MAX_ROWS = 200_000
MAX_CELL = 32_767

LAST_DAY = "last_day"
_COLUMNS = {
    "code": "code", "ma": "code", "ma so": "code",
    "name": "name", "ten": "name", "ten goi": "name",
    "full_name": "full_name", "full name": "full_name", "ten day du": "full_name",
    "level": "level", "cap": "level",
    "parent_code": "parent_code", "parent code": "parent_code", "ma cha": "parent_code", "ma cap tren": "parent_code",
    "parent_level": "parent_level", "cap cha": "parent_level",
    "valid_from": "valid_from", "valid from": "valid_from", "hieu luc tu": "valid_from", "tu ngay": "valid_from",
    "valid_to": "valid_to", "valid to": "valid_to", "hieu luc den": LAST_DAY, "den ngay": LAST_DAY, "ngay ket thuc": LAST_DAY,
    "closes": "closes", "ket thuc": "closes",
    "attributes": "attributes", "thuoc tinh": "attributes",
}  # fmt: skip
CROSSWALK_COLUMNS = {
    "code": "code", "ma": "code", "ma so": "code",
    "level": "level", "cap": "level",
    "other_code": "other_code", "other code": "other_code", "ma doi chieu": "other_code", "ma bang kia": "other_code",
    "other_level": "other_level", "other level": "other_level", "cap doi chieu": "other_level", "cap bang kia": "other_level",
    "relation": "relation", "quan he": "relation",
    "valid_from": "valid_from", "valid from": "valid_from", "hieu luc tu": "valid_from", "tu ngay": "valid_from",
    "valid_to": "valid_to", "valid to": "valid_to", "hieu luc den": LAST_DAY, "den ngay": LAST_DAY, "ngay ket thuc": LAST_DAY,
    "legal_basis": "legal_basis", "legal basis": "legal_basis", "can cu": "legal_basis", "can cu phap ly": "legal_basis",
    "note": "note", "ghi chu": "note",
}  # fmt: skip
_RELATIONS = {
    "giong": "exact", "giong nhau": "exact", "tuong duong": "exact", "rong hon": "broader", "hep hon": "narrower",
    "lien quan": "related", "co lien quan": "related", "khong co": "none", "khong co ma tuong ung": "none", "khong tuong ung": "none",
}  # fmt: skip
_YES, _NO = {"1", "x", "true", "yes", "co", "dung"}, {"", "0", "false", "no", "khong", "sai"}


class UnreadableFile(InvalidFact):
    """The file as a whole cannot be taken: not a table, too large, packed to burst, without the needed columns."""

    code = "unreadable_file"
    title = _("The file cannot be read as a table.")


def read_table(name: str, content: bytes) -> Iterator[dict]:
    """Rows for `stage_release` from the file `name` with the bytes `content`. Raises UnreadableFile."""
    for number, header, cells, problems in _lines(name, content, _COLUMNS, ("code", "name")):
        yield {**_row(header, cells, problems), "row_no": number}


def read_crosswalk(name: str, content: bytes, *, other: str) -> Iterator[dict]:
    """Lines of a crosswalk to the table `other`, for `stage_release`. Raises UnreadableFile. A column that is not known is refused:
    nobody would see what was in it."""
    columns = CROSSWALK_COLUMNS
    for number, header, cells, problems in _lines(name, content, columns, ("code", "other_code", "relation")):
        if unknown := sorted({name for name in header if name} - set(columns.values())):
            raise UnreadableFile(_("Unknown columns: %(names)s.") % {"names": ", ".join(unknown)[:200]})
        row = dict(zip(header, cells, strict=False))
        if LAST_DAY in row:
            row["valid_to"] = _day_after(row.pop(LAST_DAY))
        row["relation"] = _RELATIONS.get(fold(row.get("relation", "")), row.get("relation", ""))
        beyond = [RowProblem.WRONG_SHAPE] if any(cells[len(header) :]) else []
        yield {**row, "other": other, "problems": [*problems, *beyond], "row_no": number}


def _lines(
    name: str, content: bytes, columns: dict[str, str], needed: Sequence[str]
) -> Iterator[tuple[int, Sequence[str], Sequence[str], list[str]]]:
    """(number, header, cells, problems) of each line that is not empty."""
    if len(content) > MAX_BYTES:
        raise UnreadableFile(_("The file is larger than %(size)s MB.") % {"size": MAX_BYTES // 1024 // 1024})
    lines = _xlsx_lines(content) if name.lower().endswith(".xlsx") or content[:4] == b"PK\x03\x04" else _csv_lines(content)
    header: Sequence[str] = ()
    for number, (cells, problems) in enumerate(lines, 1):
        if not header:
            header = _header(cells, columns, needed)
        elif any(cells):
            if number > MAX_ROWS:
                raise UnreadableFile(_("The file has more than %(rows)s rows.") % {"rows": MAX_ROWS})
            yield number, header, cells, problems
    if not header:
        raise UnreadableFile(_("The file is empty."))


def _header(cells: Sequence[str], columns: dict[str, str], needed: Sequence[str]) -> list[str]:
    names = [columns.get(fold(str(cell)).strip(), str(cell).strip()) for cell in cells]
    missing = set(needed) - set(names)
    if missing:
        raise UnreadableFile(_("Columns are missing: %(names)s.") % {"names": ", ".join(sorted(missing))})
    said = ["valid_to" if name == LAST_DAY else name for name in names]  # one end, whichever way it is told
    if doubled := {name for name in said if name and said.count(name) > 1}:
        raise UnreadableFile(_("Columns appear twice: %(names)s.") % {"names": ", ".join(sorted(doubled))})
    return names


def _row(header: Sequence[str], cells: Sequence[str], problems: list[str]) -> dict:
    row: dict = {"attributes": {}, "problems": list(problems)}
    if len([cell for cell in cells if cell]) > len(header):
        row["problems"].append(RowProblem.WRONG_SHAPE)
    for name, cell in zip(header, cells, strict=False):
        if name == "attributes":
            _merge_attributes(row, cell)
        elif name == "closes":
            row["closes"] = (word := fold(cell).strip()) in _YES
            row["problems"] += [] if word in _YES | _NO else [RowProblem.WRONG_SHAPE]
        elif name == LAST_DAY:
            row["valid_to"] = _day_after(cell)
        elif name in _COLUMNS.values():
            row[name] = cell
        elif name and cell:
            row["attributes"][name] = cell
    return row


def _day_after(cell: str) -> str:
    """The first day after the last one. What is no date stays as it came: the row will be refused for it."""
    try:
        day = parse_date(cell)
        return (day + dt.timedelta(days=1)).isoformat() if day else ""
    except (ValueError, OverflowError):
        return cell


def _merge_attributes(row: dict, cell: str) -> None:
    if not cell:
        return
    try:
        given = orjson.loads(cell)
    except orjson.JSONDecodeError:
        given = None
    if isinstance(given, dict):
        row["attributes"].update(given)
    else:
        row["problems"].append(RowProblem.WRONG_SHAPE)


def _csv_lines(content: bytes) -> Iterator[tuple[list[str], list[str]]]:
    """Cells of each line. A line that is no UTF-8 is read as far as it goes and marked."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile(_("The file is UTF-16. Save it as “CSV UTF-8”."))
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    if "\x00" in text:
        raise UnreadableFile(_("The file is no text."))
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    csv.field_size_limit(MAX_CELL * 4)
    try:
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=False):
            problems = [RowProblem.WRONG_ENCODING] if any("\ufffd" in cell for cell in cells) else []
            yield [rearm(cell) for cell in cells], problems
    except csv.Error as error:
        raise UnreadableFile(str(error)) from error


def _xlsx_lines(content: bytes) -> Iterator[tuple[list[str], list[str]]]:
    """Cells of the first sheet as texts. A formula cell is marked; its stored result is not believed."""
    from openpyxl import load_workbook  # heavy: loaded when the first workbook comes

    _check_archive(content)
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(max_col=100), 1):
            if number > MAX_ROWS + 1:
                break
            yield _cells(row)
    except Exception as error:  # whatever the reader trips over in a hostile file: it is the file that is at fault
        raise UnreadableFile(str(error)[:200]) from error


def _check_archive(content: bytes) -> None:
    """Refuse an archive that would burst, before anything is unpacked."""
    try:
        parts = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except DAMAGED as error:
        raise UnreadableFile(_("The file is no XLSX workbook.")) from error
    unpacked = sum(part.file_size for part in parts)
    if len(parts) > 1000 or unpacked > MAX_UNPACKED or unpacked > MAX_RATIO * max(len(content), 10_000):
        raise UnreadableFile(_("The file unpacks to far more than its size."))


def _cells(row: Iterable) -> tuple[list[str], list[str]]:
    texts, problems = [], []
    for cell in row:
        value = cell.value
        if cell.data_type == "f":
            problems.append(RowProblem.FORMULA)
        elif cell.data_type == "n" and not isinstance(value, (type(None), dt.date)):
            value = _number(value)
        elif cell.data_type == "e":
            problems.append(RowProblem.WRONG_SHAPE)
        texts.append(_text(value))
    while texts and not texts[-1]:
        texts.pop()
    return texts, problems


def _number(value: object) -> str:
    """A number cell as it is shown: 1.0 is 1. A code kept as a number has lost its zeros; the code pattern will say so."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, dt.date) else str(value)
