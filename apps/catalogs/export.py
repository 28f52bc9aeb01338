"""A catalog as a file: JSON, CSV or XLSX, at any date, safe to open in a spreadsheet.

A text that a spreadsheet would run as a formula gets a leading apostrophe in CSV (our own reader takes it away again) and is a
text cell in XLSX. Codes are texts in both: leading zeros stay.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

import orjson

HEADER = ("level", "code", "name", "full_name", "parent_level", "parent_code", "valid_from", "valid_to", "attributes")
FORMATS = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_RISKY = re.compile(
    r"\A['\"\s]*[=+\-@|\uff1d\uff0b\uff0d\uff20]|\A[\t\r\n]|[\r\n](?:['\"]|[^\S\r\n])*[=+\-@|\uff1d\uff0b\uff0d\uff20]"
)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def is_risky(text: str) -> bool:
    """True for a text that a spreadsheet may take for a formula, also behind quotes, spaces or a line break."""
    return _RISKY.search(text) is not None


def disarm(text: str) -> str:
    """The text with a leading apostrophe when it is risky."""
    return f"'{text}" if is_risky(text) else text


def rearm(text: str) -> str:
    """What `disarm` was given."""
    return text[1:] if text.startswith("'") and is_risky(text[1:]) else text


def row_of(item: dict) -> tuple[str, ...]:
    """One entry as on the wire → its cells, all texts."""
    parent = item["parent"] or {"level": "", "code": ""}
    return (
        item["level"], item["code"], item["name"], item["full_name"], parent["level"], parent["code"],
        item["valid_from"].isoformat(), item["valid_to"].isoformat() if item["valid_to"] else "",
        orjson.dumps(item["attributes"], option=orjson.OPT_SORT_KEYS).decode(),
    )  # fmt: skip


def as_csv(items: Iterable[dict]) -> Iterator[bytes]:
    """UTF-8 with the mark that tells Excel so; one chunk a hundred rows."""
    yield b"\xef\xbb\xbf"
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(HEADER)
    for number, item in enumerate(items, 1):
        writer.writerow([disarm(cell) for cell in row_of(item)])
        if number % 100 == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def as_xlsx(items: Iterable[dict], about: Sequence[tuple[str, str]]) -> bytes:
    """A workbook of two sheets: the rows, and `about` (which catalog, release and date it shows)."""
    from openpyxl import Workbook  # heavy: loaded when the first workbook is made

    book = Workbook(write_only=True)
    sheet = book.create_sheet("items")
    sheet.freeze_panes = "A2"
    for row in (HEADER, *(row_of(item) for item in items)):
        sheet.append([_text_cell(sheet, cell) for cell in row])
    notes = book.create_sheet("about")
    for row in about:
        notes.append([_text_cell(notes, cell) for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _text_cell(sheet, text: str):
    from openpyxl.cell import WriteOnlyCell

    cell = WriteOnlyCell(sheet, value="")
    cell.value = _NOT_IN_XML.sub("\ufffd", text)[:32_767]
    cell.data_type = "s"  # never "f": a text that begins with "=" stays a text
    return cell
