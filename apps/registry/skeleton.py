"""A sample answer drawn from the tree of fields, for the provider to fill in: the right shape, no real person in it."""

from __future__ import annotations

from apps.registry.contract import OperationSpec

_VALUES = {"number": 0, "boolean": True, "date": "2026-01-01"}


def skeleton(operation: OperationSpec) -> object:
    """An answer with every leaf of `operation` once, lists with one entry."""
    root: dict = {}
    for path, spec in operation.leaves().items():
        _place(root, path.split("."), _VALUES.get(spec.type, ""))
    return [root["[]"]] if list(root) == ["[]"] else root


def _place(node: dict, parts: list[str], value: object) -> None:
    for part in parts[:-1]:
        node = _below(node, part)
    last = parts[-1]
    if last.endswith("[]"):
        node.setdefault(last.removesuffix("[]") or "[]", [value] if last != "[]" else value)
    else:
        node[last] = value


def _below(node: dict, part: str) -> dict:
    if not part.endswith("[]"):
        return node.setdefault(part, {})
    if part == "[]":
        return node.setdefault("[]", {})
    return node.setdefault(part.removesuffix("[]"), [{}])[0]
