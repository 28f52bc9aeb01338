"""Anonymous readers are counted in the process: a look-up in the shared cache would cost more than the answer."""

from __future__ import annotations

from django.core.cache.backends.locmem import LocMemCache
from rest_framework.throttling import AnonRateThrottle


class CatalogThrottle(AnonRateThrottle):
    scope = "anon"
    cache = LocMemCache("catalog-readers", {"OPTIONS": {"MAX_ENTRIES": 20_000}})


class DearThrottle(CatalogThrottle):
    """Besides the other: for answers that are made of a whole list each time (files, differences)."""

    scope = "dear"
