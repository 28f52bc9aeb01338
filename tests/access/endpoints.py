"""Every endpoint the portal process has: read from the URL resolver, so that none can be forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("get", "post", "put", "patch", "delete")
_CONVERTER = re.compile(r"<(?:[a-z_]+:)?([a-zA-Z_]+)>")
_NAMED = re.compile(r"\(\?P<([a-zA-Z_]+)>[^()]*(?:\([^()]*\)[^()]*)*\)")


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
    text = _CONVERTER.sub(r"{\1}", pattern)
    text = _NAMED.sub(r"{\1}", text)
    return text.lstrip("^").replace("\\Z", "").replace("$", "").replace("\\.", ".").replace("\\-", "-")


def _methods(view) -> tuple[str, ...]:
    if hasattr(view, "actions") and view.actions:
        return tuple(method for method in METHODS if method in view.actions)
    cls = getattr(view, "cls", None) or getattr(view, "view_class", None)
    if cls is not None:
        return tuple(method for method in METHODS if hasattr(cls, method))
    return ("get", "post")
