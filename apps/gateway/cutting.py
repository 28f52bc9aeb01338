"""Cut an answer to the granted tree. What is not granted is never materialised.

The rule, the same at every depth: lists are looked through; of an object only the granted names are kept; at a granted
leaf only a scalar (or a list of scalars) is kept, so an object hidden where text was declared does not pass. Names are
compared exactly: a case variant is another name. Of duplicate keys the last one counts and one is written.
What is not well-formed JSON in UTF-8 raises `NotWellFormed`: fail closed, nothing is passed on.

Two ways give the same result. The fast one decodes into msgspec Structs of `Raw` made once a tree (msgspec checks the
syntax of what it skips) and then proves by counting that the text holds exactly the braces and brackets of the granted
structure. Where the shape is not the declared one, or the count differs (a brace inside a text), the slow one walks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter

import msgspec
from msgspec import UNSET, Raw, Struct

DEEPEST = 64
"""Lists inside lists beyond this are not an answer."""


class NotWellFormed(ValueError):
    """The answer is not JSON in UTF-8, or not an object or list: nothing of it may be passed on."""


class Node:
    """A name of the granted tree. A leaf has no children. `lists` is how many lists are declared around it."""

    __slots__ = ("bit", "children", "lists")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.lists = 0
        self.bit = 0


class Cutter:
    """Compiled from the granted leaf paths of one operation. Immutable; shared by all grants with the same fields."""

    content_type = b"application/json"

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths: tuple[str, ...] = tuple(sorted(set(paths)))
        self.root = tree_of(self.paths)
        try:
            self._fast = _compile(self.root) if self.root.children else None
        except ValueError:  # a name msgspec cannot write (quotes, backslashes): the slow way alone
            self._fast = None

    def cut(self, body: bytes) -> tuple[bytes, int]:
        """The granted part of `body` and the mask of granted leaves that were there. Raises NotWellFormed."""
        try:
            result = self._fast(body) if self._fast else None
            if result is None:
                result = _walk_root(body, self.root)
            if not result[0].isascii():
                result[0].decode("utf-8")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise NotWellFormed(type(error).__name__) from None
        return result

    def delivered(self, mask: int) -> tuple[str, ...]:
        """The leaf paths of a mask."""
        return tuple([path for number, path in enumerate(self.paths) if mask >> number & 1])


@lru_cache(maxsize=20_000)
def cutter(paths: tuple[str, ...]) -> Cutter:
    return Cutter(paths)


def tree_of(paths: tuple[str, ...]) -> Node:
    root = Node()
    for number, path in enumerate(paths):
        node = root
        while path.startswith("[]"):
            root.lists, path = max(root.lists, 1), path[2:].lstrip(".")
        # Nothing left: the answer is a list of plain values.
        for part in path.split(".") if path else ():
            name = part.rstrip("[]") if part.endswith("[]") else part
            child = node.children.setdefault(name, Node())
            child.lists = max(child.lists, (len(part) - len(name)) // 2)
            node = child
        node.bit = 1 << number
    _forget_inner_leaves(root)
    return root


def _forget_inner_leaves(node: Node) -> None:
    """A path that is the beginning of another one is a group, not a leaf: it grants nothing by itself."""
    if node.children:
        node.bit = 0
        for child in node.children.values():
            _forget_inner_leaves(child)


# --- the fast way -------------------------------------------------------------------------------

_ENCODE = msgspec.json.Encoder().encode


def _compile(root: Node) -> Callable[[bytes], tuple[bytes, int] | None]:
    decode = msgspec.json.Decoder(_wrap(_struct(root), root.lists)).decode
    look = _look(root)
    full = _full(root)
    whole = _compile_whole(root, full)

    def fast(body: bytes) -> tuple[bytes, int] | None:
        if whole is not None and (result := whole(body)) is not None:
            return result
        try:
            value = decode(body)
        except msgspec.ValidationError:
            return None
        curly, square, mask = look(value, full)
        out = _ENCODE(value)
        return (out, mask) if _count(out, b"{") == curly and _count(out, b"[") == square else None

    return fast


_REST = 64
"""So many answers are not tried as whole ones after one that was not."""


def _compile_whole(root: Node, full: int) -> Callable[[bytes], tuple[bytes, int] | None] | None:
    """For trees without lists: the answer that has every granted leaf, of which nothing must be looked for. Else None."""
    groups = _groups_without_lists(root)
    if groups is None:
        return None
    decode = msgspec.json.Decoder(_struct(root, whole=True)).decode
    rest = 0

    def whole(body: bytes) -> tuple[bytes, int] | None:
        nonlocal rest
        if rest:
            rest -= 1
            return None
        try:
            out = _ENCODE(decode(body))
        except msgspec.ValidationError:
            rest = _REST
            return None
        return (out, full) if _count(out, b"{") == groups and b"[" not in out else None

    return whole


def _groups_without_lists(node: Node) -> int | None:
    """How many objects a whole answer has; None where lists are declared."""
    found = [_groups_without_lists(child) for child in node.children.values() if child.children]
    if node.lists or None in found or any(child.lists for child in node.children.values()):
        return None
    return 1 + sum(found)


def _count(text: bytes, sign: bytes) -> int:
    """How many there are of one byte. `bytes.count` looks at every byte; taking it out goes from one to the next, ten times as fast."""
    return len(text) - len(text.replace(sign, b""))


def _full(node: Node) -> int:
    return node.bit if not node.children else sum(_full(child) for child in node.children.values())


def _struct(node: Node, *, whole: bool = False) -> type[Struct]:
    """A Struct whose fields are the granted names: `Raw` at leaves, Structs at groups, everything may be absent or null.

    With `whole` nothing may be absent, and no group null.
    """
    fields, rename = [], {}
    for number, (name, child) in enumerate(node.children.items()):
        attribute = f"f{number}"
        rename[attribute] = name
        if whole:
            fields.append((attribute, _struct(child, whole=True) if child.children else Raw))
            continue
        kind = _wrap(_struct(child), child.lists) if child.children else _wrap(Raw, child.lists)
        fields.append((attribute, kind if kind is Raw else kind | msgspec.UnsetType, UNSET))
    return msgspec.defstruct("Granted", fields, rename=rename, gc=False)


def _wrap(kind, lists: int):
    kind = kind if kind is Raw else kind | None
    for _number in range(lists):
        kind = list[kind] | None
    return kind


def _look(node: Node) -> Callable[[object, int], tuple[int, int, int]]:
    """A function (value, bits still looked for) → (objects, lists, bits of the leaves that are there)."""
    leaves = [(f"f{n}", child.bit) for n, child in enumerate(node.children.values()) if not child.children and not child.lists]
    groups = [(f"f{n}", _look(child)) for n, child in enumerate(node.children.values()) if child.children]
    lists = [(f"f{n}", child.bit) for n, child in enumerate(node.children.values()) if not child.children and child.lists]
    own = sum(bit for _name, bit in leaves)
    # All at once: mostly they are all there. Twice, because of one name alone it would not give a tuple.
    all_leaves = attrgetter(*[name for name, _bit in leaves * 2]) if leaves else None

    def look_object(value, want: int) -> tuple[int, int, int]:
        curly, square, mask = 1, 0, 0
        if want & own:
            if UNSET not in all_leaves(value):
                mask = own
            else:
                mask = sum([bit for name, bit in leaves if getattr(value, name) is not UNSET])
        for name, look in groups:
            inner = getattr(value, name)
            if inner is not UNSET and inner is not None:
                c, s, m = look(inner, want)
                curly, square, mask = curly + c, square + s, mask | m
        for name, bit in lists:
            inner = getattr(value, name)
            if inner is not UNSET:
                square, mask = square + _count_lists(inner), mask | bit
        return curly, square, mask

    def look(value, want: int) -> tuple[int, int, int]:
        if value is None:
            return 0, 0, 0
        if type(value) is not list:
            return look_object(value, want)
        if not groups and not lists and (not value or type(value[0]) is not list):
            return look_flat(value, want)
        curly, square, mask = 0, 1, 0
        for item in value:
            c, s, m = look(item, want & ~mask)
            curly, square, mask = curly + c, square + s, mask | m
        return curly, square, mask

    def look_flat(value: list, want: int) -> tuple[int, int, int]:
        """A list of objects that hold leaves only: once every leaf has been seen, only their number matters."""
        mask, nulls = 0, value.count(None)
        for item in value:
            if mask == own:
                break
            if type(item) is list:
                return look_slowly(value, want)
            if item is not None:
                mask |= look_object(item, own)[2]
        return len(value) - nulls, 1, mask

    def look_slowly(value: list, want: int) -> tuple[int, int, int]:
        curly, square, mask = 0, 1, 0
        for item in value:
            c, s, m = look(item, want)
            curly, square, mask = curly + c, square + s, mask | m
        return curly, square, mask

    return look


def _count_lists(value) -> int:
    return 1 + sum(_count_lists(item) for item in value) if type(value) is list else 0


# --- the slow way -------------------------------------------------------------------------------

_OBJECT = msgspec.json.Decoder(dict[str, Raw]).decode
_LIST = msgspec.json.Decoder(list[Raw]).decode
_ANY = msgspec.json.Decoder(Raw).decode


def _walk_root(body: bytes, root: Node) -> tuple[bytes, int]:
    text = bytes(_ANY(body))
    out, mask = _walk(text, root, 0)
    if out is None:
        raise NotWellFormed("not an object or list")
    return out, mask


def _walk(text: bytes, node: Node, depth: int) -> tuple[bytes | None, int]:
    """The granted part of one value, or None when nothing of it may be kept."""
    if depth > DEEPEST:
        raise NotWellFormed("too deep")
    first = text[:1]
    if first == b"[":
        kept = [_walk(bytes(item), node, depth + 1) for item in _LIST(text)]
        mask = 0 if node.children else node.bit
        for out, bits in kept:
            mask |= bits if out is not None else 0
        return b"[" + b",".join([out for out, _bits in kept if out is not None]) + b"]", mask
    if first == b"{":
        return _walk_object(text, node, depth) if node.children or depth == 0 else (None, 0)
    if node.children or depth == 0:
        return (text, 0) if text == b"null" else (None, 0)
    # Without a bit nothing is granted here: the root of an access without a field.
    return (text, node.bit) if node.bit else (None, 0)


def _walk_object(text: bytes, node: Node, depth: int) -> tuple[bytes, int]:
    given, parts, mask = _OBJECT(text), [], 0
    for name, child in node.children.items():
        value = given.get(name)
        if value is None:
            continue
        out, bits = _walk(bytes(value), child, depth + 1)
        if out is not None:
            parts.append(_ENCODE(name) + b":" + out)
            mask |= bits
    return b"{" + b",".join(parts) + b"}", mask
