"""A document fetched from an address: by the platform's own outbound door, so only from hosts on its list."""

from __future__ import annotations

from apps.core import outbound
from apps.registry.documents.limits import MAX_BYTES

SECONDS = 20.0


def fetch_document(url: str) -> bytes:
    """The bytes behind `url`, at most one document's worth, outside any transaction.

    Raises EgressRefused, and OutboundError when nothing whole came back (no redirect is followed).
    """
    return outbound.get(url, total=SECONDS, max_bytes=MAX_BYTES).checked().body
