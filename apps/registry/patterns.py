"""Patterns of parameters run in the gateway on every call: only those that can be judged in linear time are taken.

Refused: back references, look-around, conditional groups, and an unbounded repeat inside another repeat
(the shapes of catastrophic backtracking), and more open repeats in a row than `_WORK` steps could try.
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
        return _("The pattern is refused: no look-around, no back references, no repeats inside repeats.")
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
        return any(_dangerous(branch, inside_repeat=inside_repeat) for branch in argument[1])
    return op is getattr(sre, "ATOMIC_GROUP", None) and _dangerous(argument, inside_repeat=inside_repeat)


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
