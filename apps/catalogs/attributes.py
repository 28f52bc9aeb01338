"""The attributes of a row: JSON for the staging table, judged text by text as names are.

An unknown column of a file becomes an attribute, and goes live and out again as one: what no name may hold, it may not either.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

import orjson

from apps.catalogs.choices import RowProblem
from apps.catalogs.garbled import GARBLED, may_be_garbled

MOST_LETTERS = 2_000
"""The longest text of an attribute."""

_FORMULA = re.compile(r"\A['\"\s]*[=+@|\uff1d\uff0b\uff20\uff0d-]")
# A negative number, a telephone number, a dash for nothing: they run nothing.
_NUMBER = re.compile(r"[+-]?[0-9][0-9\s.,()/-]*|[\s-]*")
# How a formula begins in JSON, behind the mark that opens its text.
_RISKY = re.compile(r"\"['\s=+@|\uff1d\uff0b\uff20\uff0d-]")


def as_json(problems: list[str], attributes: object) -> str:
    """`attributes` (a mapping, or empty) as JSON with sorted keys; "{}" for what cannot be kept. Adds to `problems` why."""
    if not attributes:
        return "{}"
    try:
        text = orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS).decode()
    except (TypeError, ValueError):
        problems.append(RowProblem.WRONG_SHAPE)
        return "{}"
    if type(attributes) is not dict and not isinstance(attributes, Mapping):
        problems.append(RowProblem.WRONG_SHAPE)
        return "{}"
    if not _is_suspect(text):
        return text
    found = {problem for part in _texts(attributes) for problem in _problems(part)}
    problems.extend(sorted(found))
    return "{}" if found & {RowProblem.WRONG_ENCODING, RowProblem.TOO_LONG} else text


def _is_suspect(text: str) -> bool:
    """True when a text in the JSON may be refused: cheap tests for the one row in hundreds."""
    return (
        len(text) > MOST_LETTERS
        or "\\" in text
        or not text.isprintable()
        or (("=" in text or "-" in text or "+" in text or "@" in text or "|" in text) and _RISKY.search(text) is not None)
        or not (text.isascii() or _is_plain(text))
    )


def _is_plain(text: str) -> bool:
    wide = "\uff1d" in text or "\uff0b" in text or "\uff20" in text or "\uff0d" in text
    return not wide and not may_be_garbled(text) and unicodedata.is_normalized("NFC", text)


def _problems(text: str) -> Iterator[RowProblem]:
    if len(text) > MOST_LETTERS:
        yield RowProblem.TOO_LONG
    if GARBLED.search(text):
        yield RowProblem.WRONG_ENCODING
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        yield RowProblem.FORMULA
    if not unicodedata.is_normalized("NFC", text):
        yield RowProblem.NOT_NFC


def _texts(value: object) -> Iterator[str]:
    """Every text in a value of JSON, names of attributes too."""
    rest = [value]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            rest += [*value.keys(), *value.values()]
        elif isinstance(value, (list, tuple)):
            rest += value
