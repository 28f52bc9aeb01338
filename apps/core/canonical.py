"""Canonical JSON and its hash: the identity of a content that people sign."""

from __future__ import annotations

import hashlib

import orjson


def canonical_json(content: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; the same content always gives the same bytes."""
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def content_hash(content: object) -> str:
    """Lower-case hex SHA-256 of the canonical JSON (64 characters)."""
    return hashlib.sha256(canonical_json(content)).hexdigest()
