"""Patterns of parameters run in the gateway on every call: only those that can be judged in linear time are taken.

Refused: back references, look-around, conditional groups; inside a repeat, an open repeat and alternatives that can begin alike
(the shapes of catastrophic backtracking); and more open repeats in a row than `_WORK` steps could try.
"""

from __future__ import annotations

import re
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]

from django.utils.translation import gettext as _

LONGEST = 200
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, getattr(sre, "POSSESSIVE_REPEAT", None))
_REFUSED = (sre.GROUPREF, sre.GROUPREF_EXISTS, sre.ASSERT, sre.ASSERT_NOT)
_WORK = 5_000_000
"""Ways to divide the longest value among the repeats: what the slowest match may have to try."""


def fault(pattern: str, max_length: int = LONGEST) -> str:
    """Why `pattern` cannot be taken for values of `max_length` characters; empty when it can."""
    if len(pattern) > LONGEST:
        return _("The pattern is too long.")
    try:
        re.compile(pattern)
        tree = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return _("The pattern cannot be read: %(error)s") % {"error": error}
    if _dangerous(tree, inside_repeat=False):
        return _(
            "The pattern is refused: no look-around, no back references; inside a repeat no open repeats and no alternatives that begin alike."
        )
    if _ways(tree, max_length) > _WORK:
        return _("The pattern is refused: too many open repeats one after the other.")
    return ""


def _dangerous(tree, *, inside_repeat: bool) -> bool:
    return any(_node(op, argument, inside_repeat) for op, argument in tree)


def _node(op, argument, inside_repeat: bool) -> bool:
    if op in _REFUSED:
        return True
    if op in _REPEATS:
        low, high, body = argument
        # A repeat of a fixed length divides nothing: [0-9]{3} inside a repeat is harmless.
        return (inside_repeat and low != high) or _dangerous(body, inside_repeat=inside_repeat or high > 1)
    if op is sre.SUBPATTERN:
        return _dangerous(argument[-1], inside_repeat=inside_repeat)
    if op is sre.BRANCH:
        if inside_repeat and _begin_alike(argument[1]):
            return True
        return any(_dangerous(branch, inside_repeat=inside_repeat) for branch in argument[1])
    return op is getattr(sre, "ATOMIC_GROUP", None) and _dangerous(argument, inside_repeat=inside_repeat)


_ASCII = [chr(number) for number in range(128)]
_OTHERS = {"\u0080", "i", "k", "s"}
"""Stands for all beyond ASCII, some of which is an i, k or s where case counts for nothing."""
_CATEGORIES = {
    sre.CATEGORY_DIGIT: str.isdigit,
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
}


def _begin_alike(branches) -> bool:
    """Whether two alternatives may begin with one character: inside a repeat each such place doubles the ways to match."""
    seen: set[str] = set()
    for branch in branches:
        first = _first(branch)
        if not first or not seen.isdisjoint(first):
            return True
        seen |= first
    return False


def _first(tree) -> set[str]:
    """The characters `tree` may begin with: ASCII in small letters, of all else `_OTHERS`. Empty where it cannot be told."""
    if not len(tree):
        return set()
    op, argument = tree[0]
    if op is sre.SUBPATTERN:
        return _first(argument[-1])
    if op in _REPEATS:
        return _first(argument[2]) if argument[0] else set()
    if op is sre.IN and argument[0][0] is not sre.NEGATE:
        parts = [_first([item]) for item in argument]
        return set().union(*parts) if all(parts) else set()
    if op is sre.LITERAL:
        return {chr(argument).lower()} if argument < 128 else _OTHERS
    if op is sre.RANGE:
        low, high = argument
        return {c.lower() for c in _ASCII if low <= ord(c) <= high} | (_OTHERS if high > 127 else set())
    if op is sre.CATEGORY and argument in _CATEGORIES:
        return {c.lower() for c in _ASCII if _CATEGORIES[argument](c)} | {"\u0080"}
    return set()


def _ways(tree, max_length: int) -> int:
    ways = 1
    for op, argument in tree:
        if op in _REPEATS:
            low, high, body = argument
            ways *= max(1, min(high, max_length) - low + 1) * _ways(body, max_length)
        elif op is sre.SUBPATTERN:
            ways *= _ways(argument[-1], max_length)
        elif op is sre.BRANCH:
            ways *= sum(_ways(branch, max_length) for branch in argument[1])
        if ways > _WORK:
            return ways
    return ways
