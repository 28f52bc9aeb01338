"""Every endpoint the portal process has: read from the URL resolver, so that none can be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("get", "post", "put", "patch", "delete")
_CONVERTER = re.compile(r"<(?:[a-z_]+:)?([a-zA-Z_0-9]+)>")
_NAMED = re.compile(r"\(\?P<([a-zA-Z_0-9]+)>")


def endpoints() -> set[tuple[str, str]]:
    """(METHOD, "/route/{kwarg}") of every view. A plain Django view counts as GET and POST."""
    return {(method.upper(), route) for route, view in _views(get_resolver().url_patterns, "/") for method in _methods(view)}


def _views(patterns, prefix: str) -> Iterator[tuple[str, object]]:
    for pattern in patterns:
        route = prefix + _readable(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


def _readable(pattern: str) -> str:
    text = pattern
    while (match := _NAMED.search(text)) is not None:
        text = text[: match.start()] + "{" + match[1] + "}" + text[_end_of_group(text, match.start()) :]
    text = _CONVERTER.sub(r"{\1}", text)
    return text.lstrip("^").replace("\\Z", "").replace("$", "").replace("\\.", ".").replace("\\-", "-")


def _end_of_group(text: str, start: int) -> int:
    """The index after the parenthesis that closes the group opened at `start`."""
    depth = 0
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    raise ValueError(text)


def _methods(view) -> tuple[str, ...]:
    if hasattr(view, "actions") and view.actions:
        return tuple(method for method in METHODS if method in view.actions)
    cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if cls is not None:
        return tuple(method for method in METHODS if hasattr(cls, method))
    return ("get", "post")
