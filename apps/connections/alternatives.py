"""Default services that come near what is asked of special ones (NĐ 47/2020 Điều 36(1), WF-33).

Special sharing is only for what default sharing does not give. So the services that share the same items by default
are looked up and shown; the request keeps which of them were considered, and is complete only when all were.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db.models import Q

from apps.connections.models import ConnectionRequest
from apps.core.text import fold
from apps.registry.choices import SharingForm
from apps.registry.models import DataService, Field, Operation

MOST = 10


@dataclass(frozen=True)
class Near:
    """A default service, and the paths of the asked fields that it has too."""

    service: DataService
    covered: tuple[str, ...]
    asked: int


def near(request: ConnectionRequest) -> list[Near]:
    """The default services that hold at least one item asked of a special service; those that hold most come first."""
    asked = _asked(request)
    if not asked:
        return []
    found: dict[int, set[str]] = defaultdict(set)
    for field in _candidates(request, asked):
        found[field.operation.version.service_id] |= {row.path for row in asked if _same(row, field)}
    services = DataService.objects.select_related("provider").in_bulk([pk for pk, paths in found.items() if paths])
    rows = [Near(service, tuple(sorted(found[pk])), len(asked)) for pk, service in services.items()]
    return sorted(rows, key=lambda row: (-len(row.covered), row.service.sort_key))[:MOST]


def _asked(request: ConnectionRequest) -> list[Field]:
    wanted = request.requested_operations.filter(operation__version__service__sharing_form=SharingForm.SPECIAL)
    rows = Field.objects.filter(pk__in=wanted.values("fields"), is_envelope=False)
    return list(rows.order_by("path").distinct())


def _candidates(request: ConnectionRequest, asked: list[Field]):
    """Fields of live default services that are named like one of those asked."""
    labels = {row.label for row in asked if row.label}
    catalogs = {row.catalog_code for row in asked if row.catalog_code}
    live = Operation.objects.live().filter(version__service__sharing_form=SharingForm.DEFAULT)
    alike = Q(name__in={row.name for row in asked}) | Q(label__in=labels) | Q(catalog_code__in=catalogs)
    rows = Field.objects.filter(alike, operation__in=live, is_envelope=False)
    return rows.select_related("operation__version")


def _same(asked: Field, other: Field) -> bool:
    """The same item: bound to the same catalog, or called the same (tones and case aside)."""
    if asked.catalog_code and asked.catalog_code == other.catalog_code:
        return True
    return bool(asked.label and fold(asked.label) == fold(other.label)) or asked.name == other.name


def not_considered(request: ConnectionRequest) -> list[Near]:
    """Near services that the request does not say it has looked at."""
    return [row for row in near(request) if row.service.code not in request.alternatives]
