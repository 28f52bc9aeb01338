"""Patterns of parameters run in the gateway on every call: only those that can be judged in linear time are taken.

Refused: back references, look-around, conditional groups, and an unbounded repeat inside another repeat
(the shapes of catastrophic backtracking). What remains is matched against at most `max_length` characters.
"""

from __future__ import annotations

import re
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]

from django.utils.translation import gettext as _

LONGEST = 200
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, getattr(sre, "POSSESSIVE_REPEAT", None))
_REFUSED = (sre.GROUPREF, sre.GROUPREF_EXISTS, sre.ASSERT, sre.ASSERT_NOT)
_MANY = 20
"""A bounded repeat above this counts as unbounded when it is nested."""


def fault(pattern: str) -> str:
    """Why `pattern` cannot be taken; empty when it can."""
    if len(pattern) > LONGEST:
        return _("The pattern is too long.")
    try:
        re.compile(pattern)
        tree = _parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return _("The pattern cannot be read: %(error)s") % {"error": error}
    if _dangerous(tree, inside_repeat=False):
        return _("The pattern is refused: no look-around, no back references, no repeats inside repeats.")
    return ""


def _dangerous(tree, *, inside_repeat: bool) -> bool:
    return any(_node(op, argument, inside_repeat) for op, argument in tree)


def _node(op, argument, inside_repeat: bool) -> bool:
    if op in _REFUSED:
        return True
    if op in _REPEATS:
        _low, high, body = argument
        repeated = high == sre.MAXREPEAT or high > _MANY
        # Two open repeats one inside the other, or one beside an optional copy of itself, blow up.
        return (inside_repeat and (repeated or high > 1)) or _dangerous(body, inside_repeat=inside_repeat or high > 1)
    if op is sre.SUBPATTERN:
        return _dangerous(argument[-1], inside_repeat=inside_repeat)
    if op is sre.BRANCH:
        return any(_dangerous(branch, inside_repeat=inside_repeat) for branch in argument[1])
    if op is getattr(sre, "ATOMIC_GROUP", object()):
        return _dangerous(argument, inside_repeat=inside_repeat)
    return False
