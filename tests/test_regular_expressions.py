"""RL-03: no regular expression of ours can be made to work for long by a text that was made for it.

Every one is found in the syntax trees, as it is used (`fullmatch` of a text is not `search` in it), and gets long texts pumped from its
own repeats (100 KB in the full run). What is linear takes milliseconds of CPU; what is quadratic takes many times the limit, which ends it.
"""

from __future__ import annotations

import ast
import importlib
import math
import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from re import _constants as sre
from re import _parser

import pytest
from django.urls import get_resolver
from django.urls.resolvers import RegexPattern

from apps.catalogs.first_releases import CATALOGS
from apps.registry import patterns
from apps.sync import advice
from tests.test_static_rules import CODE, ROOT

SIZE, LIMIT = (100_000, 1.0) if os.environ.get("LGSP_FULL") == "1" else (40_000, 0.25)
"""Characters of a text, and seconds of CPU for it: no measure of speed (the slowest we have takes a twentieth), but the fuse of what
is not linear, which takes three times the limit and more."""
WAYS = {"match", "fullmatch", "search", "sub", "subn", "findall", "split", "finditer"}
MADE_ELSEWHERE = {
    "apps/gateway/policy_kinds.py": "parameters of operations: `patterns.fault` judged them, see below",
    "apps/registry/patterns.py": "the judge itself",
    "apps/catalogs/staging.py": "levels of catalogs: the platform's own, see `_others`",
    "apps/registry/soap.py": "the names of a few constants, one or the other",
    "apps/sync/advice.py": "a table of the module, see `_others`",
}
"""File → why a pattern in it is no constant expression."""


@dataclass(frozen=True)
class Expression:
    where: str
    pattern: re.Pattern
    ways: frozenset[str]


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _written() -> tuple[list[Expression], set[str]]:
    """Every regular expression in the code, and the files with one that only exists at run time."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in CODE}
    used: dict[str, set[str]] = {}
    for node in (node for tree in trees.values() for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and node.attr in WAYS:
            used.setdefault(_name(node.value).rpartition(".")[2], set()).add(node.attr)
    found, elsewhere = [], set()
    for path, tree in trees.items():
        names = {id(node.value): _name(node.targets[0]) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
        for node in ast.walk(tree):
            module, _dot, called = _name(node.func).rpartition(".") if isinstance(node, ast.Call) else ("", "", "")
            if called != "RegexValidator" and not (module == "re" and called in {*WAYS, "compile"}):
                continue
            name = names.get(id(node), "")
            pattern = _pattern(path, node, name)
            if pattern is None:
                elsewhere.add(str(path.relative_to(ROOT)))
                continue
            # Kept under a name that nobody asks (in a table): asked in the way that costs most.
            ways = used.get(name, {"search"}) if called == "compile" else {called} & WAYS or {"search"}
            found.append(Expression(f"{path.relative_to(ROOT)}:{node.lineno}", pattern, frozenset(ways)))
    return found, elsewhere


def _pattern(path, node: ast.Call, name: str) -> re.Pattern | None:
    """What the module keeps under `name`, or the constant that is given; None when it is neither."""
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    value = getattr(importlib.import_module(dotted), name, None) if name.isidentifier() else None
    value = getattr(value, "regex", value)
    if isinstance(value, re.Pattern):
        return value
    given = node.args[0]
    return re.compile(given.value) if isinstance(given, ast.Constant) else None


def _routes(found=None) -> Iterator[re.Pattern]:
    """Addresses that are written as patterns; those that the API's routers make differ by plain words only."""
    for entry in get_resolver().url_patterns if found is None else found:
        by_router = "basename" in getattr(getattr(entry, "callback", None), "initkwargs", ())
        if isinstance(entry.pattern, RegexPattern) and not by_router:
            yield entry.pattern.regex
        yield from _routes(getattr(entry, "url_patterns", ()))


def _others() -> Iterator[Expression]:
    for pattern in {*_routes()}:
        yield Expression("an address", pattern, frozenset({"search"}))
    for pattern, _advice in advice._PATTERNS:
        yield Expression("apps/sync/advice.py", pattern, frozenset({"fullmatch"}))
    for level in (level for catalog in CATALOGS for level in catalog["levels"]):
        yield Expression("apps/catalogs/first_releases.py", re.compile(level["pattern"] or ".+"), frozenset({"fullmatch"}))


# --- texts made for a pattern ----------------------------------------------------------------------------

_SPECIAL = "\x00\t\n a0A-=.\u1ea1"
_CATEGORIES: dict[object, Callable[[str], bool]] = {
    sre.CATEGORY_DIGIT: str.isdigit, sre.CATEGORY_NOT_DIGIT: lambda c: not c.isdigit(),
    sre.CATEGORY_SPACE: str.isspace, sre.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    sre.CATEGORY_WORD: lambda c: c.isalnum() or c == "_", sre.CATEGORY_NOT_WORD: lambda c: not (c.isalnum() or c == "_"),
}  # fmt: skip


def _takes(op, argument, char: str) -> bool:
    """Whether a node of one character takes `char`."""
    if op is sre.LITERAL:
        return ord(char) == argument
    if op is sre.NOT_LITERAL:
        return ord(char) != argument
    if op is sre.RANGE:
        return argument[0] <= ord(char) <= argument[1]
    if op is sre.CATEGORY:
        return _CATEGORIES[argument](char)
    if op is sre.IN:
        negated = argument[0][0] is sre.NEGATE
        return negated != any(_takes(*item, char) for item in argument[negated:])
    return op is sre.ANY and char != "\n"


def _letters(tree) -> Iterator[str]:
    """The characters a pattern names, first of each range."""
    for op, argument in tree:
        if op in (sre.LITERAL, sre.NOT_LITERAL):
            yield chr(argument)
        elif op is sre.RANGE:
            yield chr(argument[0])
        elif op is sre.IN:
            yield from _letters(argument)
        elif op is sre.SUBPATTERN:
            yield from _letters(argument[-1])
        elif op is sre.BRANCH:
            yield from (letter for branch in argument[1] for letter in _letters(branch))
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            yield from _letters(argument[2])


def _samples(tree, letters: str, most: int = 4) -> list[str]:
    """Some texts that `tree` takes (as far as look-around allows)."""
    texts = [""]
    for op, argument in tree:
        if op is sre.SUBPATTERN:
            parts = _samples(argument[-1], letters)
        elif op is sre.BRANCH:
            parts = [text for branch in argument[1] for text in _samples(branch, letters, 2)]
        elif op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            parts = [text * max(argument[0], 1) for text in _samples(argument[2], letters)]
        elif op in (sre.AT, sre.ASSERT, sre.ASSERT_NOT):
            parts = [""]
        else:
            parts = [letter for letter in letters if _takes(op, argument, letter)][:most]
        texts = [text + part for text in texts[:most] for part in parts[:most]]
    return texts[:most]


def _repeats(tree, letters: str, before: str = "") -> Iterator[tuple[str, str]]:
    """(what comes before, what is repeated) of every repeat that has no small end."""
    for place, (op, argument) in enumerate(tree):
        prefix = before + "".join(_samples(tree[:place], letters)[:1])
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            if argument[1] > 20:
                yield from ((prefix, text) for text in _samples(argument[2], letters, 12) if text)
            yield from _repeats(argument[2], letters, prefix)
        elif op is sre.SUBPATTERN:
            yield from _repeats(argument[-1], letters, prefix)
        elif op is sre.BRANCH:
            yield from (found for branch in argument[1] for found in _repeats(branch, letters, prefix))


def attacks(pattern: re.Pattern, size: int = SIZE) -> list[str]:
    """Texts of about `size` characters: each repeat of the pattern pumped, alone and by turns with another, and an end that fails."""
    tree = _parser.parse(pattern.pattern, pattern.flags & (re.IGNORECASE | re.DOTALL | re.VERBOSE | re.ASCII))
    letters = "".join(dict.fromkeys([*_letters(tree), *_SPECIAL]))
    found = list(dict.fromkeys(_repeats(tree, letters)))
    pumps = list(dict.fromkeys([*(pump for _before, pump in found), "a", " ", "0"]))
    texts = {letter * size for letter in "a 0-\n\x00"}
    for before, pump in found:
        times = size // len(pump)
        texts |= {start + pump * times + end for start in {before, ""} for end in ("\x00", "\n", "")}
        texts.add((before + pump) * (size // len(before + pump)) + "\x00")
        for other in pumps[:4]:
            both = pump + other
            texts |= {
                before + both * (size // len(both)) + "\x00",
                before + pump * (times // 2) + other * (size // 2 // len(other)) + "\x00",
            }
    return sorted(texts)


# --- the fuse --------------------------------------------------------------------------------------------


class TooLong(Exception):
    """The CPU that one text may take is used up."""


@contextmanager
def fuse(seconds: float = LIMIT) -> Iterator[None]:
    """Raises TooLong when the block takes more CPU than that, also inside a match; other processes do not count."""

    def blow(_number, _frame) -> None:
        raise TooLong

    old = signal.signal(signal.SIGVTALRM, blow)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


def run(pattern: re.Pattern, way: str, text: str) -> None:
    given = text.encode() if isinstance(pattern.pattern, bytes) else text
    if way in {"sub", "subn"}:
        getattr(pattern, way)(given[:0], given)
    else:
        found = getattr(pattern, way)(given)
        list(found) if way == "finditer" else found


def slowest(pattern: re.Pattern, ways, size: int = SIZE) -> tuple[float, str]:
    """The most CPU one text took and how: infinity, with beginning and end of the text, where the fuse had to end it."""
    worst = 0.0, ""
    for way in sorted(ways):
        for text in attacks(pattern, size):
            began = time.thread_time()
            try:
                with fuse():
                    run(pattern, way, text)
            except TooLong:
                return math.inf, f"{way} of {pattern.pattern!r} in {text[:12]!r}…{text[-6:]!r}"
            worst = max(worst, (time.thread_time() - began, way))
    return worst


# --- the tests -------------------------------------------------------------------------------------------


def test_no_expression_of_ours_works_long_for_a_text_made_for_it():
    found, elsewhere = _written()
    assert elsewhere == set(MADE_ELSEWHERE)
    assert len(found) > 60
    everything = {(e.pattern, e.ways): e for e in (*found, *_others())}
    took = sorted((*slowest(e.pattern, e.ways), e.where) for e in everything.values())
    assert [f"{where}: {how}" for seconds, how, where in took if seconds == math.inf] == []
    seconds, way, where = took[-1]
    print(
        f"RL-03: {len(everything)} expressions, texts of {SIZE} characters, the slowest {1000 * seconds:.0f} ms ({way}, {where})"
    )


@pytest.mark.parametrize(
    ("pattern", "way"),
    [(r"(a+)+$", "match"), (r"(a|a)*b", "match"), (r"(\w+\s?)*$", "match"), (r"^(\d+)*\.$", "search"), (r"\s+$", "search"),
     (r"[\r\n]['\"\s]*[=+]", "search"), (r"a*a*b", "match"), (r"%\((\w+)\)[#0\- +]*[\d.]*[a-z]", "search"), (r"<!--.*?-->", "search"),
     (rb"(?:[a-z]|%[0-9]{2}|a+)*x", "fullmatch")],
)  # fmt: skip
def test_the_texts_find_what_is_not_linear(pattern, way):
    assert slowest(re.compile(pattern), {way})[0] == math.inf


def _generated(rng: random.Random, depth: int = 0) -> str:
    atom = rng.choice(["a", "b", "[ab]", "[0-9]", r"\w", r"\d", ".", "[^a]", r"\."])
    if depth < 2 and rng.random() < 0.4:
        parts = [_generated(rng, depth + 1) for _n in range(rng.randint(1, 2))]
        atom = f"({'|'.join(parts)})"
    atom += rng.choice(["", "", "*", "+", "?", "{1,9}", "{3}", "{0,40}", "{2,}"])
    return atom if rng.random() < 0.5 else atom + _generated(rng, depth + 1) if depth < 3 else atom


def test_a_pattern_of_a_parameter_that_is_taken_never_works_long():
    """`patterns.fault` judges what a provider declares; the gateway runs it on every call, for values of the declared length."""
    rng = random.Random(20261127)
    taken, refused, worst = 0, 0, 0.0
    for _n in range(300):
        text = _generated(rng)
        if patterns.fault(text, 200):
            refused += 1
            continue
        taken += 1
        worst = max(worst, slowest(re.compile(text), {"fullmatch"}, 200)[0])
        assert worst < LIMIT, text
    assert min(taken, refused) > 30
    print(
        f"RL-03: {taken} generated patterns taken, {refused} refused, the slowest match of 200 characters {1000 * worst:.1f} ms"
    )
