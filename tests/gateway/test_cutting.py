"""No field leaves that was not granted: 100,000 generated answers against a slow reference that shares no code."""

from __future__ import annotations

import json
import random
from decimal import Decimal

import pytest

from apps.gateway.cutting import Cutter, NotWellFormed

NAMES = ["a", "b", "A", "a.b", "ñame", "Dữ_liệu", "x-y", "c", 'q"t']
CANARY = "CANARY"


# --- the reference: plain, slow, by the promise in the docstring of `cutting` ---------------------


def reference(value, tree: dict):
    """The granted part of a decoded value; `tree` maps names to sub-trees, {} is a leaf. `...` when nothing is kept."""
    if isinstance(value, list):
        return [kept for item in value if (kept := reference(item, tree)) is not ...]
    if isinstance(value, dict):
        if tree.get("leaf"):
            return ...
        kept = {name: reference(value[name], sub) for name, sub in tree["names"].items() if name in value}
        return {name: part for name, part in kept.items() if part is not ...}
    return value if tree.get("leaf") or value is None else ...


def tree_of(paths: list[str]) -> dict:
    root: dict = {"names": {}}
    for path in paths:
        node = root
        for part in path.removeprefix("[].").split("."):
            node = node["names"].setdefault(part.replace("[]", ""), {"names": {}})
    _mark(root)
    root.pop("leaf", None)
    return root


def _mark(node: dict) -> None:
    for sub in node["names"].values():
        _mark(sub)
    if not node["names"]:
        node["leaf"] = True


def decode(text: bytes):
    return json.loads(text, parse_float=Decimal, parse_int=lambda digits: Decimal(digits))


# --- generated worlds ----------------------------------------------------------------------------


def random_paths(rng: random.Random) -> list[str]:
    """Leaf paths that are no prefix of each other, with lists declared at random places."""
    plain = [name for name in NAMES if "." not in name]

    def grow(depth: int) -> list[str]:
        found = []
        for name in rng.sample(plain, rng.randint(1, 4)):
            part = name + "[]" * rng.choice([0, 0, 0, 1, 2])
            inner = grow(depth + 1) if depth < 3 and rng.random() < 0.4 else []
            found += [f"{part}.{path}" for path in inner] or [part]
        return found

    prefix = "[]." if rng.random() < 0.1 else ""
    return [prefix + path for path in grow(0)]


def random_value(rng: random.Random, tree: dict | None, depth: int = 0):
    """A value that mostly follows `tree` (None: not granted at all), with canaries wherever nothing is granted."""
    roll = rng.random()
    if depth < 6 and roll < 0.12:
        return [random_value(rng, tree, depth + 1) for _number in range(rng.randint(0, 3))]
    if tree is None:
        if depth < 5 and roll < 0.4:
            return {rng.choice(NAMES): random_value(rng, None, depth + 1)}
        return f"{CANARY}-{rng.choice(['', '{', '[', chr(34), 'ế'])}"
    if roll < 0.18:
        return None
    if tree.get("leaf"):
        if roll < 0.30 and depth < 6:
            return {rng.choice(NAMES): random_value(rng, None, depth + 1)}
        return rng.choice(["text", "{[}", "Đường Nguyễn Huệ", 7, 1.50, 10**30, True, False, "", "\u2028\\", -0.0])
    if roll < 0.22:
        return f"{CANARY} where a group was declared"
    names = list(tree["names"]) + rng.sample(NAMES, rng.randint(0, 3))
    return {name: random_value(rng, tree["names"].get(name), depth + 1) for name in names if rng.random() < 0.85}


def write(rng: random.Random, value) -> str:
    """JSON by hand: duplicate keys with canaries before the real one, spaces, escapes in names."""
    if isinstance(value, dict):
        parts = []
        for name, item in value.items():
            if rng.random() < 0.1:
                parts.append(f'{json.dumps(name)}: "{CANARY}"')
            key = json.dumps(name, ensure_ascii=rng.random() < 0.5)
            if rng.random() < 0.1:
                key = '"' + "".join(f"\\u{ord(ch):04x}" for ch in name) + '"'
            parts.append(f"{key}{rng.choice(['', ' '])}:{write(rng, item)}")
        return "{" + f"{rng.choice(['', ' ', chr(10)])}".join(["", ",".join(parts), ""]) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(write(rng, item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=rng.random() < 0.5)


def check(seed: int) -> bool:
    """Cut one generated answer; True when it was one that can be answered at all."""
    rng = random.Random(seed)
    paths = random_paths(rng)
    tree = tree_of(paths)
    body = write(rng, random_value(rng, tree)).encode()
    expected = reference(decode(body), tree)
    try:
        out, mask = Cutter(paths).cut(body)
    except NotWellFormed:
        assert expected is ..., (seed, body)
        return False
    assert decode(out) == expected, (seed, paths, body, out)
    assert CANARY.encode() not in out, (seed, paths, body, out)
    assert Cutter(paths).delivered(mask) == tuple(sorted(present(expected, tree, paths))), (seed, paths, body)
    return True


def present(value, tree: dict, paths: list[str]) -> set[str]:
    """Granted leaves that are there, told from the expected answer."""
    found = set()

    def walk(value, trail: tuple[str, ...], node: dict) -> None:
        if node.get("leaf"):
            found.add(trail)
        elif isinstance(value, list):
            for item in value:
                walk(item, trail, node)
        elif isinstance(value, dict):
            for name, item in value.items():
                walk(item, (*trail, name), node["names"][name])

    walk(value, (), tree)
    return {path for path in paths if tuple(p.replace("[]", "") for p in path.removeprefix("[].").split(".")) in found}


def test_generated_answers_leak_nothing_and_equal_the_reference():
    answered = sum(check(seed) for seed in range(1_500))
    assert answered > 1_200


@pytest.mark.full
def test_a_hundred_thousand_generated_answers_leak_nothing():
    answered = sum(check(seed) for seed in range(10_000, 110_000))
    print(f"AZ-06: 100000 generated JSON answers, {answered} answerable, all equal to the slow reference, 0 leaks")


# --- the named cases -----------------------------------------------------------------------------

KNIFE = Cutter(["Data.NAME", "Data.List[].CODE", "Status"])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ('{"Data":{"NAME":"x","name":"c","Name":"c"}}', '{"Data":{"NAME":"x"}}'),
        ('{"Data":{"NAME":"c","NAME":"x"}}', '{"Data":{"NAME":"x"}}'),
        ('{"Data":{"NAME":{"deep":"c"}}}', '{"Data":{}}'),
        ('{"Data":{"NAME":["x",{"deep":"c"},["y"]]}}', '{"Data":{"NAME":["x",["y"]]}}'),
        ('{"Data":[{"NAME":"x","Z":"c"}]}', '{"Data":[{"NAME":"x"}]}'),
        ('{"Data":{"List":{"CODE":1,"Z":"c"}}}', '{"Data":{"List":{"CODE":1}}}'),
        ('{"Data":{"List":[[{"CODE":1,"Z":"c"}]]}}', '{"Data":{"List":[[{"CODE":1}]]}}'),
        ('{"Data":"c"}', "{}"),
        ('{"Data":null,"Status":null}', '{"Data":null,"Status":null}'),
        ('{"Data":{"NAME":"{{{"}}', '{"Data":{"NAME":"{{{"}}'),
        ('{"Data":{"NAME":12345678901234567890.10}}', '{"Data":{"NAME":12345678901234567890.10}}'),
        ("[]", "[]"),
        ("null", "null"),
        ("{}", "{}"),
    ],
)
def test_named_shapes(given, kept):
    assert KNIFE.cut(given.encode())[0].decode().replace(" ", "") == kept or decode(KNIFE.cut(given.encode())[0]) == decode(
        kept.encode()
    )


@pytest.mark.parametrize(
    "given",
    [
        b"", b"   ", b"<html>", b'"c"', b"7", b"{", b'{"a":}', b'{"Data":{"NAME":"x"}', b'{"a":1}{"b":2}', b'{"Status":"\xff"}',
        b'{"Status":"\xc3\x28"}', b'\xef\xbb\xbf{"Status":"1"}', b'{"Status":NaN}', b'{"x":NaN}', b'{"Status":01}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"Data":' + b"[" * 70 + b"1" + b"]" * 70 + b"}",
        b'{"Status":"\x00"}', b'{"Status":"\\ud800"}',
    ],
)  # fmt: skip
def test_what_is_not_well_formed_is_refused_whole(given):
    with pytest.raises(NotWellFormed):
        KNIFE.cut(given)


def test_a_path_that_begins_another_grants_nothing_by_itself():
    assert Cutter(["Data", "Data.NAME"]).cut(b'{"Data":"c"}')[0] == b"{}"


@pytest.mark.parametrize(
    ("given", "left"),
    [('{"Data":"c"}', "{}"), ('["CANARY",1,{"a":"CANARY"},["CANARY"],null]', "[[]]"), ("[[[true]]]", "[[[]]]")],
)
def test_without_fields_nothing_is_left(given, left):
    assert Cutter([]).cut(given.encode()) == (left.encode(), 0)


def test_a_list_of_plain_values_is_given_where_it_is_what_was_granted():
    assert Cutter(["[]"]).cut(b'["a", 1, {"x":"CANARY"}, null]') == (b'["a",1,null]', 1)
    with pytest.raises(NotWellFormed):
        Cutter(["[]"]).cut(b'"a"')
