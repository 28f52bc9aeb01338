"""What approving a request, or signing a version, would open: to be read before deciding.

The part that registry and agreements know: fields by personal-data class, overlaps with agreements in force, load
against capacity. The replay of recorded calls is the gateway's (`gateway.preview`), which adds to this.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.agreements.models import Grant
from apps.connections.models import ConnectionRequest
from apps.registry.choices import Environment


@dataclass(frozen=True)
class OperationPreview:
    """One operation: fields asked by class (`{"none": 3, "basic": 1}`), and those no system of the request has yet."""

    service: str
    operation: str
    provider: str
    classes: dict[str, int]
    new_fields: tuple[str, ...]


@dataclass(frozen=True)
class Overlap:
    """A system of the request that reads the operation already, under another agreement in force."""

    agreement: str
    system: str
    operation: str
    shared_fields: int


@dataclass(frozen=True)
class Load:
    """Calls per second agreed so far in production and asked for now, against the capacity the provider stated (None: unstated)."""

    service: str
    capacity: int | None
    agreed: int
    asked: int

    @property
    def exceeds(self) -> bool:
        return self.capacity is not None and self.agreed + self.asked > self.capacity


@dataclass(frozen=True)
class Preview:
    operations: tuple[OperationPreview, ...]
    overlaps: tuple[Overlap, ...]
    loads: tuple[Load, ...]


def preview(request: ConnectionRequest) -> Preview:
    """What approving `request` would open. Reads only; a constant number of queries."""
    rows = list(request.requested_operations.select_related("operation__version__service__provider").prefetch_related("fields"))
    systems = [row.system_id for row in request.request_systems.all()]
    grants = list(
        Grant.objects.filter(
            operation__version__service__in={row.operation.version.service_id for row in rows}, environment=Environment.PRODUCTION,
            agreement__status=AgreementStatus.IN_FORCE,
        ).exclude(status=GrantStatus.ENDED).select_related("agreement", "system", "operation__version__service")
    )  # fmt: skip
    held = [grant for grant in grants if grant.system_id in systems]
    return Preview(
        operations=tuple(_operation(row, held) for row in rows),
        overlaps=tuple(overlap for row in rows for overlap in _overlaps(row, held)),
        loads=tuple(_loads(request, rows, grants, len(systems))),
    )


def _operation(row, held: list[Grant]) -> OperationPreview:
    fields = list(row.fields.all())
    known = {path for grant in held if grant.operation_id == row.operation_id for path in grant.fields}
    return OperationPreview(
        service=row.operation.version.service.name, operation=row.operation.name,
        provider=row.operation.version.service.provider.name, classes=dict(Counter(field.personal_data for field in fields)),
        new_fields=tuple(sorted(field.path for field in fields if field.path not in known)),
    )  # fmt: skip


def _overlaps(row, held: list[Grant]) -> list[Overlap]:
    asked = {field.path for field in row.fields.all()}
    same = [grant for grant in held if grant.operation_id == row.operation_id]
    return [
        Overlap(grant.agreement.number, grant.system.name, row.operation.name, len(asked & set(grant.fields))) for grant in same
    ]


def _loads(request: ConnectionRequest, rows, grants: list[Grant], systems: int) -> list[Load]:
    """Each system's grant may be used up to its own rate, so rates add up; one system's operations share one rate."""
    found = []
    for service in {row.operation.version.service for row in rows}:
        rates: dict[tuple[int, int], int] = {}
        for grant in grants:
            if grant.operation.version.service_id == service.pk:
                key = (grant.agreement_id, grant.system_id)
                rates[key] = max(rates.get(key, 0), grant.rate_per_second or 0)
        asked = (request.calls_per_second or 0) * max(systems, 1)
        found.append(Load(service.name, service.capacity_rps, sum(rates.values()), asked))
    return sorted(found, key=lambda load: load.service)
