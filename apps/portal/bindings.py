"""Which services are bound to a shared catalog: the fact behind "use the table that most systems use"."""

from __future__ import annotations

from collections.abc import Iterable

from apps.registry.choices import VersionStatus
from apps.registry.models import Field, Parameter

IN_USE = (VersionStatus.PUBLISHED, VersionStatus.DEPRECATED)


def services_bound_to(catalogs: Iterable[str]) -> dict[str, int]:
    """Catalog code → services of which a field or parameter is bound to it (or to one of its levels): two queries."""
    services: dict[str, set[int]] = {code: set() for code in catalogs}
    if not services:
        return {}
    for model in (Field, Parameter):
        bound_ones = model.objects.filter(operation__version__status__in=IN_USE).exclude(catalog_code="")
        rows = bound_ones.values_list("catalog_code", "operation__version__service_id").distinct()
        for bound, service in rows:
            code = bound.partition("/")[0]
            if code in services:
                services[code].add(service)
    return {code: len(found) for code, found in services.items()}
