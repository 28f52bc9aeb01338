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

from apps.catalogs.choices import RowProblem, Share, SuccessionKind
from apps.catalogs.models import Catalog, Release
from apps.core.text import clean, sort_key, words

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

# Bytes read in the wrong encoding leave such traces; no Vietnamese text holds them.
_GARBLED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1e\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffd\ud800-\udfff]"
    "|[ÃÄÂÆ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|á[º»]"
)
_ODD = re.compile(r"[^\S ]|  |\A | \Z| \x1f|\x1f |[\\\u00a0]")
_FORMULA = re.compile(r"(?:\A|\x1f)['\"\s]*[=+@\uff1d\uff0b\uff20|-]")
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_LOCAL = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")


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


class RowReader:
    """Turns rows of one catalog into lines for COPY. `lines` have no release id yet: they are also the content's digest."""

    def __init__(self, catalog: Catalog) -> None:
        self.levels = {
            level["code"]: LevelRule(level["code"], re.compile(level.get("pattern") or ".+"), tuple(level.get("parents", ())))
            for level in catalog.levels
        }
        self.only = next(iter(self.levels)) if len(self.levels) == 1 else None
        self.dates: dict[object, dt.date | None] = {}

    def read(self, rows: Iterable[Mapping]) -> list[tuple[str, str]]:
        """(content, derived) of each row: the first part is what the row says, the second what follows from it."""
        return [self._line(row, position) for position, row in enumerate(rows, 1)]

    def _line(self, row: Mapping, position: int) -> tuple[str, str]:
        if not isinstance(row, Mapping):
            row = {"problems": [P.WRONG_SHAPE]}
        problems: list[str] = list(row.get("problems") or ())
        get = row.get
        code, name, parent = get("code"), get("name"), get("parent_code") or ""
        full_name = get("full_name") or name
        if not (type(code) is type(name) is type(parent) is type(full_name) is str):
            code, name, full_name, parent = self._texts(problems, code, name, full_name, parent)
        joined = f"{code}\x1f{name}\x1f{full_name}\x1f{parent}"
        if _ODD.search(joined) or not joined.isprintable() or _GARBLED.search(joined):
            code, name, full_name, parent = self._mended(problems, joined)
            joined = f"{code}\x1f{name}\x1f{full_name}\x1f{parent}"
        if _FORMULA.search(joined):
            problems.append(P.FORMULA)
        if not joined.isascii() and not unicodedata.is_normalized("NFC", joined):
            problems.append(P.NOT_NFC)
        if len(code) > CODE_LENGTH or len(parent) > CODE_LENGTH or len(name) > NAME_LENGTH or len(full_name) > NAME_LENGTH:
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
        parent_level = self._parent_level(problems, level, code, parent, get("parent_level") or "")
        start, end = self._dates(problems, get("valid_from"), get("valid_to"), closes)
        attributes = self._attributes(problems, get("attributes"))
        content = "\t".join(
            (level, code, name, full_name, parent_level, parent, start, end, "t" if closes else "f", attributes)
        )
        if "\\" in joined:
            content = "\t".join(
                (
                    *(_escape(v) for v in (level, code, name, full_name, parent_level, parent)),
                    start,
                    end,
                    "t" if closes else "f",
                    attributes,
                )
            )
        folded = (
            f" {' '.join(words(f'{code} {full_name}'))}"
            if full_name == name or name in full_name
            else _folded(code, name, full_name)
        )
        flags = f"{{{','.join(dict.fromkeys(problems))}}}"
        return content, "\t".join((folded, _escape(sort_key(name)), flags, "f", str(get("row_no") or position)))

    @staticmethod
    def _texts(problems: list[str], *values: object) -> list[str]:
        """Codes are texts: a number has lost its leading zeros already."""
        if any(value is not None and not isinstance(value, str) for value in values):
            problems.append(P.WRONG_SHAPE)
        return ["" if value is None else str(value) for value in values]

    @staticmethod
    def _mended(problems: list[str], joined: str) -> list[str]:
        """Spaces are put right silently; traces of a wrong encoding refuse the row (shown without what cannot be stored)."""
        if _GARBLED.search(joined):
            problems.append(P.WRONG_ENCODING)
        safe = joined.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
        return [_tidy(part) for part in safe.split("\x1f", 3)]

    def _level(self, problems: list[str], code: str, level: str) -> str:
        if not code:
            problems.append(P.NO_CODE)
        if not level:
            level = self.only or next((rule.code for rule in self.levels.values() if rule.pattern.fullmatch(code)), "")
        rule = self.levels.get(level)
        if rule is None:
            problems.append(P.CODE_PATTERN if not level else P.UNKNOWN_LEVEL)
            return _tidy(str(level))[:30]
        if code and not rule.pattern.fullmatch(code):
            problems.append(P.CODE_PATTERN)
        return level

    def _parent_level(self, problems: list[str], level: str, code: str, parent: str, given: str) -> str:
        if not parent:
            return ""
        rule = self.levels.get(level)
        for candidate in (given,) if given else (rule.parents if rule else ()):
            if candidate in self.levels and self.levels[candidate].pattern.fullmatch(parent):
                if parent == code and candidate == level:
                    break
                return candidate
        problems.append(P.SELF_PARENT if parent == code else P.UNKNOWN_PARENT)
        return ""

    def _dates(self, problems: list[str], start: object, end: object, closes: bool) -> tuple[str, str]:
        if start is None and end is None:
            return NULL, NULL
        days = []
        for value in (start, end):
            if value not in self.dates:
                try:
                    self.dates[value] = parse_date(value)
                except ValueError:
                    self.dates[value] = dt.date.min
            days.append(self.dates[value])
        if dt.date.min in days:
            problems.append(P.IMPOSSIBLE_DATE)
            return NULL, NULL
        if None not in days and days[1] <= days[0] and not closes:
            problems.append(P.ENDS_BEFORE_START)
            return NULL, NULL
        return tuple(day.isoformat() if day else NULL for day in days)

    @staticmethod
    def _attributes(problems: list[str], attributes: object) -> str:
        if not attributes:
            return "{}"
        try:
            text = orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS).decode()
        except (TypeError, ValueError):
            problems.append(P.WRONG_SHAPE)
            return "{}"
        if not isinstance(attributes, Mapping):
            problems.append(P.WRONG_SHAPE)
            return "{}"
        if "\\" in text:
            if "\\u0000" in text:
                problems.append(P.WRONG_ENCODING)
                return "{}"
            text = text.replace("\\", "\\\\")
        return text


def _tidy(text: str) -> str:
    """Inner spaces single, edges trimmed; the letters stay as they came (the judgement wants to see decomposed ones)."""
    return " ".join(text.replace("\u00a0", " ").split())


def _folded(code: str, name: str, full_name: str) -> str:
    return f" {' '.join(words(f'{code} {full_name} {name}'))}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def digest(lines: list[tuple[str, str]], successions: list[str]) -> str:
    """The identity of a content, whatever the order of its rows. SHA-256, hex."""
    rows = "\n".join(sorted(content for content, derived in lines))
    lineage = "\n".join(sorted(successions))
    return hashlib.sha256(f"{rows}\x1e{lineage}".encode("utf-8", "surrogatepass")).hexdigest()


def read_successions(catalog: Catalog, successions: Iterable[Mapping]) -> list[str]:
    """Lines of lineage. A row is a mapping of the columns of `Succession`; `new_code` empty with kind `ended`."""
    known = {level["code"] for level in catalog.levels}
    only = next(iter(known)) if len(known) == 1 else ""
    return [_succession_line(row, known, only) for row in successions]


def _succession_line(row: Mapping, known: set[str], only: str) -> str:
    problems = []
    kind = row.get("kind") or ""
    new_code = row.get("new_code") or ""
    old_level = row.get("old_level") or only
    new_level = (row.get("new_level") or only) if new_code else ""
    shares = [row.get(key) or Share.ALL for key in ("area_share", "population_share")]
    if (
        kind not in SuccessionKind.values
        or (kind == SuccessionKind.ENDED) == bool(new_code)
        or old_level not in known
        or (new_code and new_level not in known)
        or any(share not in Share.values for share in shares)
    ):
        problems.append(P.WRONG_SHAPE)
        kind = kind if kind in SuccessionKind.values else SuccessionKind.KEPT
        shares = [share if share in Share.values else Share.NONE for share in shares]
    try:
        day = parse_date(row.get("effective_on"))
    except ValueError:
        day = None
        problems.append(P.IMPOSSIBLE_DATE)
    texts = [
        _escape(clean(str(row.get(key) or "").replace("\x00", "\ufffd")))[:limit]
        for key, limit in (("old_code", CODE_LENGTH), ("legal_basis", 300), ("note", 5000))
    ]
    code = _escape(clean(str(new_code)))[:CODE_LENGTH]
    return "\t".join(
        (old_level[:30], texts[0], new_level[:30], code, kind, day.isoformat() if day else NULL, texts[1], *shares, texts[2],
         f"{{{','.join(problems)}}}")
    )  # fmt: skip


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
    content, derived = RowReader(catalog)._line(row, 1)
    _level, _code, name, full_name, parent_level, parent_code, start, end, _closes, _attributes = content.split("\t")
    folded, key, flags, _reused, _number = derived.split("\t")
    problems = [flag for flag in flags.strip("{}").split(",") if flag]
    columns = {
        "name": name, "full_name": full_name, "parent_level": parent_level, "parent_code": parent_code,
        "valid_from": parse_date("" if start == NULL else start), "valid_to": parse_date("" if end == NULL else end),
        "attributes": dict(row.get("attributes") or {}), "folded": folded, "sort_key": key,
    }  # fmt: skip
    return problems, columns
