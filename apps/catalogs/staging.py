"""Rows as they arrive → rows in the staging tables, by one COPY.

A row is a mapping with `code`, `name` and, where they are known, `level`, `full_name`, `parent_code`, `parent_level`,
`valid_from`, `valid_to` (half-open; dates or ISO or dd/mm/yyyy texts), `attributes` (a JSON object), `closes` (true: the code
ends), `row_no`, and `problems` (codes of `RowProblem` that the reader of a file found). What is wrong with a row by itself is
found here; what is wrong with it among the others is found by the judgement.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson
from django.db import connection

from apps.catalogs import keys
from apps.catalogs.attributes import as_json
from apps.catalogs.choices import RowProblem
from apps.catalogs.garbled import GARBLED, TRACES, may_be_garbled
from apps.catalogs.models import Catalog, Release

P = RowProblem
CODE_LENGTH, NAME_LENGTH = 60, 500
ENTRY_COLUMNS = (
    "release_id", "row_no", "level", "code", "name", "full_name", "parent_level", "parent_code", "valid_from", "valid_to",
    "closes", "attributes", "folded", "sort_key", "problems", "reused",
)  # fmt: skip
SUCCESSION_COLUMNS = (
    "release_id", "row_no", "old_level", "old_code", "new_level", "new_code", "kind", "effective_on", "legal_basis",
    "area_share", "population_share", "note", "problems",
)  # fmt: skip
NULL = r"\N"
_NO_PROBLEM = "\t{}\tf\t"
"""The flags of a row in its derived half (`RowReader._line`) when nothing is wrong with it."""

_SEP = "\u2502"  # between the values of a row, so that one search looks at all of them
_SPACE_SEP, _SEP_SPACE = f" {_SEP}", f"{_SEP} "
_ONLY_SAID = frozenset({"problems", "closes", "valid_from", "valid_to", "parent_level"})  # seldom said; never on the shortcut
_RISKY = frozenset("'\"=+@-|\uff1d\uff0b\uff20")
_FORMULA = re.compile(rf"(?:\A|{_SEP})['\"\s]*[=+@\uff1d\uff0b\uff20|-]")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_LOCAL = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", re.ASCII)
_FOREIGN_DIGITS = re.compile(r"[^\D0-9]")  # full-width, Arabic, mathematical: `\d` of a pattern would take them for ours


def parse_date(value: object) -> dt.date | None:
    """Return the date of a `date`, an ISO text or a dd/mm/yyyy text; None for an empty one.

    Raises ValueError for a date that does not exist (31/02) or another shape.
    """
    if value is None or value == "":
        return None
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    text = str(value).strip()
    if found := _ISO.fullmatch(text):
        return dt.date(int(found[1]), int(found[2]), int(found[3]))
    if found := _LOCAL.fullmatch(text):
        return dt.date(int(found[3]), int(found[2]), int(found[1]))
    raise ValueError(f"not a date: {text[:30]!r}")


@dataclass(frozen=True)
class LevelRule:
    code: str
    pattern: re.Pattern
    parents: tuple[str, ...]

    def fits(self, code: str) -> bool:
        """True for a code of this level's pattern. Digits are those from 0 to 9, also where the pattern says `\\d`."""
        return self.pattern.fullmatch(code) is not None and (code.isascii() or _FOREIGN_DIGITS.search(code) is None)


class RowReader:
    """Turns rows of one catalog into lines for COPY. `lines` have no release id yet: they are also the content's digest."""

    def __init__(self, catalog: Catalog) -> None:
        self.levels = {
            level["code"]: LevelRule(level["code"], re.compile(level.get("pattern") or ".+"), tuple(level.get("parents", ())))
            for level in catalog.levels
        }
        self.only = next(iter(self.levels)) if len(self.levels) == 1 else None
        self.dates: dict[object, dt.date | None] = {}
        self.parents: dict[tuple[str, str], str] = {}

    def read(self, rows: Iterable[Mapping]) -> list[tuple[str, str]]:
        """(content, derived) of each row: the first part is what the row says, the second what follows from it."""
        plain, line, values = self._plain_line, self._line, self.values
        return [plain(row, position) or line(values(row), row, position) for position, row in enumerate(rows, 1)]

    def _plain_line(self, row: object, position: int) -> tuple[str, str] | None:
        """The shortcut for a row with nothing to mend, refuse or escape: what the long way makes of it. None: go that way."""
        if type(row) is not dict or not _ONLY_SAID.isdisjoint(row):
            return None
        get = row.get
        code, name, parent = get("code"), get("name"), get("parent_code") or ""
        full_name = get("full_name") or name
        if not (type(code) is type(name) is type(parent) is type(full_name) is str):
            return None
        joined = f"{code}{_SEP}{name}{_SEP}{full_name}{_SEP}{parent}"
        if (
            len(joined) > NAME_LENGTH
            or "\\" in joined
            or _is_suspect(joined)
            or code[:1] in _RISKY
            or name[:1] in _RISKY
            or full_name[:1] in _RISKY
            or not unicodedata.is_normalized("NFC", joined)
        ):
            return None
        level = get("level") or self.only
        rule = self.levels.get(level) if type(level) is str else None
        if rule is None or not name or not code or len(code) > CODE_LENGTH or not rule.fits(code):
            return None
        parent_level = ""
        if parent and (parent == code or not (parent_level := self._known_parent_level(level, parent))):
            return None
        attributes = get("attributes") or {}
        if type(attributes) is not dict:
            return None
        problems: list[str] = []
        text = as_json(problems, attributes)
        if problems or "\\" in text:
            return None
        line, key = keys.both(code, name, full_name)
        content = f"{level}\t{code}\t{name}\t{full_name}\t{parent_level}\t{parent}\t{NULL}\t{NULL}\tf\t{text}"
        if "row_no" in row:
            position = _row_number(row, position)
        return content, f"{line}\t{key}{_NO_PROBLEM}{position}"

    def _known_parent_level(self, level: str, parent: str) -> str:
        """The level of a parent that is none of its child's code; empty when it has none. A list has few parents."""
        if (level, parent) not in self.parents:
            odd = parent[0] in _RISKY or len(parent) > CODE_LENGTH
            self.parents[level, parent] = "" if odd else self._parent_level([], level, "", parent, "")
        return self.parents[level, parent]

    @staticmethod
    def _line(values: tuple, row: object, position: int) -> tuple[str, str]:
        level, code, name, full_name, parent_level, parent, start, end, closes, attributes, problems = values
        line, key = keys.both(code, name, full_name)
        content = f"{level}\t{code}\t{name}\t{full_name}\t{parent_level}\t{parent}"
        if "\\" in content:
            texts = (level, code, name, full_name, parent_level, parent)
            content, key = "\t".join([escape(text) for text in texts]), escape(key)
        if "\\" in attributes:
            attributes = escape(attributes)
        flags = f"{{{','.join(dict.fromkeys(problems))}}}" if problems else "{}"
        content = f"{content}\t{start or NULL}\t{end or NULL}\t{'t' if closes else 'f'}\t{attributes}"
        return content, f"{line}\t{key}\t{flags}\tf\t{_row_number(row, position)}"

    def values(self, row: Mapping) -> tuple:
        """(level, code, name, full_name, parent_level, parent_code, from, to, closes, attributes as JSON, problems)."""
        if type(row) is not dict and not isinstance(row, Mapping):
            row = {"problems": [P.WRONG_SHAPE]}
        get = row.get
        problems: list[str] = list(get("problems") or ())
        code, name, parent = get("code"), get("name"), get("parent_code") or ""
        full_name = get("full_name") or name
        if not (type(code) is type(name) is type(parent) is type(full_name) is str):
            code, name, full_name, parent = self._texts(problems, code, name, full_name, parent)
        joined = _SEP.join((code, name, full_name, parent))
        if _is_suspect(joined):
            code, name, full_name, parent = (self._mended(problems, value) for value in (code, name, full_name, parent))
            joined = _SEP.join((code, name, full_name, parent))
        if (code[:1] in _RISKY or name[:1] in _RISKY or full_name[:1] in _RISKY or parent[:1] in _RISKY) and _FORMULA.search(
            joined
        ):
            problems.append(P.FORMULA)
        if not joined.isascii() and not unicodedata.is_normalized("NFC", joined):
            problems.append(P.NOT_NFC)
        if len(joined) > CODE_LENGTH and (
            len(code) > CODE_LENGTH or len(parent) > CODE_LENGTH or len(name) > NAME_LENGTH or len(full_name) > NAME_LENGTH
        ):
            problems.append(P.TOO_LONG)
            code, parent, name, full_name = (
                code[:CODE_LENGTH],
                parent[:CODE_LENGTH],
                name[:NAME_LENGTH],
                full_name[:NAME_LENGTH],
            )
        closes = bool(get("closes"))
        level = self._level(problems, code, get("level") or "")
        if not name and code and not closes:
            problems.append(P.NO_NAME)
        parent_level = self._parent_level(problems, level, code, parent, get("parent_level") or "") if parent else ""
        start, end = self._dates(problems, get("valid_from"), get("valid_to"), closes)
        attributes = as_json(problems, get("attributes"))
        return level, code, name, full_name, parent_level, parent, start, end, closes, attributes, problems

    @staticmethod
    def _texts(problems: list[str], *values: object) -> list[str]:
        """Codes are texts: a number has lost its leading zeros already."""
        if any(value is not None and not isinstance(value, str) for value in values):
            problems.append(P.WRONG_SHAPE)
        return ["" if value is None else str(value) for value in values]

    @staticmethod
    def _mended(problems: list[str], value: str) -> str:
        """Spaces are put right silently; traces of a wrong encoding refuse the row (shown without what cannot be stored)."""
        if GARBLED.search(value) or _SEP in value:
            problems.append(P.WRONG_ENCODING)
        return _tidy(value.replace("\x00", "\ufffd").replace(_SEP, "\ufffd").encode("utf-8", "replace").decode())

    def _level(self, problems: list[str], code: str, level: str) -> str:
        if not code:
            problems.append(P.NO_CODE)
        if not isinstance(level, str):
            problems.append(P.WRONG_SHAPE)
            level = ""
        if not level:
            level = self.only or next((rule.code for rule in self.levels.values() if rule.fits(code)), "")
        rule = self.levels.get(level)
        if rule is None:
            problems.append(P.CODE_PATTERN if not level else P.UNKNOWN_LEVEL)
            return _tidy(str(level))[:30]
        if code and not rule.fits(code):
            problems.append(P.CODE_PATTERN)
        return level

    def _parent_level(self, problems: list[str], level: str, code: str, parent: str, given: str) -> str:
        rule = self.levels.get(level)
        given = given if isinstance(given, str) else "?"
        for candidate in (given,) if given else (rule.parents if rule else ()):
            if candidate in self.levels and self.levels[candidate].fits(parent):
                if parent == code and candidate == level:
                    break
                return candidate
        problems.append(P.SELF_PARENT if parent == code else P.UNKNOWN_PARENT)
        return ""

    def _dates(self, problems: list[str], start: object, end: object, closes: bool) -> tuple[str, str]:
        if start is None and end is None:
            return "", ""
        try:
            days = [self._date(start), self._date(end)]
        except ValueError:
            problems.append(P.IMPOSSIBLE_DATE)
            return "", ""
        if None not in days and days[1] <= days[0] and not closes:
            problems.append(P.ENDS_BEFORE_START)
            return "", ""
        return tuple(day.isoformat() if day else "" for day in days)

    def _date(self, value: object) -> dt.date | None:
        """As `parse_date`, remembered: a list has few different days."""
        if not isinstance(value, (str, dt.date, type(None))):
            raise ValueError("not a date")
        if value not in self.dates:
            self.dates[value] = parse_date(value)
        return self.dates[value]


def _row_number(row: object, position: int) -> int:
    """The row's own number where its reader counted (a file's lines), else its position."""
    number = row.get("row_no") if isinstance(row, Mapping) else None
    return number if type(number) is int and 0 < number < 2**31 else position


def _tidy(text: str) -> str:
    """Inner spaces single, edges trimmed; the letters stay as they came (the judgement wants to see decomposed ones)."""
    return " ".join(text.replace("\u00a0", " ").split())


def _is_suspect(joined: str) -> bool:
    """True when a value may need mending: cheap tests for the one row in thousands."""
    return (
        not joined.isprintable()
        or "  " in joined
        or _SPACE_SEP in joined
        or _SEP_SPACE in joined
        or joined[0] == " "
        or joined[-1] == " "
        or joined.count(_SEP) != 3
        or (not joined.isascii() and may_be_garbled(joined) and TRACES.search(joined) is not None)
    )


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _flags(derived: str) -> str:
    return derived.rsplit("\t", 3)[1]


def digest(lines: list[tuple[str, str]], successions: list[str]) -> str:
    """The identity of a content, whatever the order of its rows: what they say, and what is wrong with them. SHA-256, hex.

    A refused value is not among what a row says; without its problem the row would look like the live one.
    """
    marked = (content if _NO_PROBLEM in derived else f"{content}\t{_flags(derived)}" for content, derived in lines)
    rows = "\n".join(sorted(marked))
    lineage = "\n".join(sorted(successions))
    return hashlib.sha256(f"{rows}\x1e{lineage}".encode("utf-8", "surrogatepass")).hexdigest()


def copy_rows(release: Release, lines: list[tuple[str, str]], successions: list[str]) -> None:
    """Put the lines into the staging tables. Must run inside the verb's transaction."""
    prefix = f"{release.pk}\t"
    _copy(
        "catalogs_stagedentry",
        ("release_id", *ENTRY_COLUMNS[2:], "row_no"),
        (f"{prefix}{content}\t{derived}\n" for content, derived in lines),
    )
    if successions:
        _copy(
            "catalogs_stagedsuccession",
            SUCCESSION_COLUMNS,
            (f"{prefix}{number}\t{line}\n" for number, line in enumerate(successions, 1)),
        )


def _copy(table: str, columns: Iterable[str], lines: Iterable[str], chunk: int = 5000) -> None:
    buffer: list[str] = []
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for line in lines:
            buffer.append(line)
            if len(buffer) >= chunk:
                copy.write("".join(buffer))
                buffer.clear()
        copy.write("".join(buffer))


def read_one(catalog: Catalog, row: Mapping) -> tuple[list[str], dict]:
    """Judge a single row by itself: (problems, the columns of an entry). Used where a person mends one entry."""
    _, code, name, full_name, parent_level, parent_code, start, end, _, attributes, problems = RowReader(catalog).values(row)
    line, key = keys.both(code, name, full_name)
    columns = {
        "name": name, "full_name": full_name, "parent_level": parent_level, "parent_code": parent_code,
        "valid_from": parse_date(start), "valid_to": parse_date(end), "attributes": orjson.loads(attributes),
        "folded": line, "sort_key": key,
    }  # fmt: skip
    return problems, columns
