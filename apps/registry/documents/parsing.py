"""JSON or YAML to plain values, with caps on depth and number, and no YAML aliases (the billion laughs of YAML)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import yaml

from apps.core.text import is_storable
from apps.registry.documents.limits import MAX_DEPTH, MAX_NODES, DocumentRefused

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_json_or_yaml(text: str) -> dict:
    """The document's top object. Raises DocumentRefused."""
    value = _json(text) if text.lstrip()[:1] in ("{", "[") else _yaml(text)
    if not isinstance(value, dict):
        raise DocumentRefused("unknown")
    _check_shape(value)
    return value


def _json(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise DocumentRefused("too_deep") from None
    except ValueError as error:
        raise DocumentRefused("malformed", error) from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _yaml(text: str) -> object:
    """Events are counted before anything is built: an alias or a depth bomb costs nothing."""
    loader = None
    try:
        for _event in _checked_events(text):
            pass
        loader = _LOADER(text)
        return _plain(loader.get_single_data())
    except DocumentRefused:
        raise
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise DocumentRefused("malformed", getattr(error, "problem_mark", "")) from None
    finally:
        if loader is not None:
            loader.dispose()


def _checked_events(text: str) -> Iterator[object]:
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise DocumentRefused("aliases")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise DocumentRefused("too_deep")
        if count > 4 * MAX_NODES:
            raise DocumentRefused("too_many")
        yield event


def _plain(value: object) -> object:
    """YAML knows dates and numbers as keys; JSON does not: keys become text, dates their ISO form."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _check_shape(value: object) -> None:
    stack, count = [(value, 1)], 0
    while stack:
        item, depth = stack.pop()
        count += 1
        if depth > MAX_DEPTH:
            raise DocumentRefused("too_deep")
        if count > MAX_NODES:
            raise DocumentRefused("too_many")
        if not isinstance(item, dict | list) and not is_storable(item):
            raise DocumentRefused("unstorable", str(item).encode("ascii", "backslashreplace").decode())
        if isinstance(item, dict) and not all(map(is_storable, item)):
            raise DocumentRefused("unstorable")
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        stack.extend((child, depth + 1) for child in children)
