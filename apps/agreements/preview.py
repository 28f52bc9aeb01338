"""What approving a request, or signing a version, would open: to be read before deciding.

The part that registry and agreements know: fields by personal-data class, overlaps with agreements in force, load
against capacity. The replay of recorded calls is the gateway's (`gateway.preview`), which adds to this.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from apps.agreements.choices import AgreementStatus, GrantStatus, VersionState
from apps.agreements.models import Agreement, AgreementVersion, Grant, RequestBasis
from apps.agreements.moved_fields import MovedField, answering, moved_fields, what_to_do
from apps.connections.choices import RequestKind
from apps.connections.models import ConnectionRequest
from apps.connections.networks import is_everywhere
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.registry.choices import Environment, PersonalDataClass
from apps.registry.models import Operation


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
    def total(self) -> int:
        return self.agreed + self.asked

    @property
    def exceeds(self) -> bool:
        return self.capacity is not None and self.total > self.capacity


@dataclass(frozen=True)
class Preview:
    operations: tuple[OperationPreview, ...]
    overlaps: tuple[Overlap, ...]
    loads: tuple[Load, ...]
    networks: tuple[str, ...] = ()
    """From where calls may come; none: from every address."""
    moved: tuple[MovedField, ...] = ()
    """Fields of a version that waits which its service changed since: nobody signs it (`fields_changed`)."""
    advice: str = ""
    """What to do about these."""

    @property
    def is_everywhere(self) -> bool:
        return is_everywhere(self.networks)

    @property
    def classes(self) -> list[tuple[str, object, int]]:
        """(class, its name, number of fields) over all operations."""
        total = sum((Counter(row.classes) for row in self.operations), Counter())
        return [(value, label, total[value]) for value, label in PersonalDataClass.choices]

    @property
    def opens_sensitive(self) -> bool:
        return any(row.classes.get(PersonalDataClass.SENSITIVE) for row in self.operations)

    @property
    def exceeds(self) -> bool:
        return any(load.exceeds for load in self.loads)


@dataclass(frozen=True)
class _Asked:
    """One operation asked for: its row, and path → personal-data class of the fields."""

    operation: Operation
    fields: dict[str, str]


def preview(request: ConnectionRequest, user) -> Preview:
    """What approving `request` would open, as far as it is `user`'s to know. Reads only; a constant number of queries."""
    rows = request.requested_operations.select_related("operation__version__service__provider").prefetch_related("fields")
    asked = [_Asked(row.operation, {field.path: field.personal_data for field in row.fields.all()}) for row in rows]
    systems = {row.system_id for row in request.request_systems.all()}
    basis = RequestBasis.objects.filter(request=request).select_related("agreement").first()
    agreement = basis.agreement if basis else None
    joins = request.kind == RequestKind.JOIN
    using = systems if agreement is None or joins else systems | {row.pk for row in systems_that_stay(request, agreement)}
    return _preview(
        asked, systems, request.calls_per_second, user, agreement_id=agreement.pk if agreement else None,
        using=len(using), adds=joins, networks=request.source_networks,
    )  # fmt: skip


def systems_that_stay(request: ConnectionRequest, agreement: Agreement) -> list[InformationSystem]:
    """Systems of the consumers that take no part in a change: they go on under the next content (`amendment.keep_the_others`)."""
    asking = set(Organization.objects.filter(pk__in=request.consumer_ids()).values_list("code", flat=True))
    rows = agreement.current_version.content["systems"]
    codes = [row["code"] for row in rows if row["organization"] not in asking]
    return list(InformationSystem.objects.filter(code__in=codes).select_related("organization"))


def preview_of(version: AgreementVersion, user) -> Preview:
    """What signing `version` would open, beside what its own agreement and others open already, as far as `user` may know."""
    content = version.content
    asked = [
        _Asked(operation, {field["path"]: field["personal_data"] for field in row["fields"]})
        for operation, row in answering(content)
    ]
    codes = [row["code"] for row in content["systems"]]
    systems = set(InformationSystem.objects.filter(code__in=codes).values_list("pk", flat=True))
    rate = content["method"].get("calls_per_second")
    found = _preview(
        asked, systems, rate, user, agreement_id=version.agreement_id, using=len(systems),
        networks=content["restrictions"]["source_networks"],
    )  # fmt: skip
    moved = moved_fields(content) if version.state == VersionState.DRAFT else ()
    return replace(found, moved=moved, advice=what_to_do(version.agreement) if moved else "")


def _preview(
    asked: list[_Asked],
    systems: set[int],
    rate: int | None,
    user,
    *,
    agreement_id: int | None,
    using: int,
    adds: bool = False,
    networks=(),
) -> Preview:
    """Loads are a provider's to know, of its own services; what another agreement opens, its parties'. The platform's readers see all.

    `using` systems get `rate` each, in place of what runs under the agreement, or (`adds`: one who joins) beside it.
    """
    sees_all, mine = is_platform_reader(user), organization_ids(user)
    grants = list(
        Grant.objects.filter(
            operation__version__service__in={row.operation.version.service_id for row in asked},
            environment=Environment.PRODUCTION, agreement__status=AgreementStatus.IN_FORCE,
        ).exclude(status=GrantStatus.ENDED).select_related("agreement", "system", "operation__version__service")
    )  # fmt: skip
    seen = [
        grant for grant in grants
        if sees_all or grant.system.organization_id in mine or grant.operation.version.service.provider_id in mine
    ]  # fmt: skip
    held = [grant for grant in seen if grant.system_id in systems]
    decided = [row for row in asked if sees_all or row.operation.version.service.provider_id in mine]
    # The agreement that is being changed makes room for itself: its own grants are replaced, not added to.
    others = [grant for grant in grants if adds or grant.agreement_id != agreement_id]
    return Preview(
        operations=tuple(_operation(row, held) for row in asked),
        overlaps=tuple(overlap for row in asked for overlap in _overlaps(row, held, agreement_id)),
        loads=tuple(_loads(decided, others, (rate or 0) * max(using, 1))),
        networks=tuple(networks),
    )


def _operation(row: _Asked, held: list[Grant]) -> OperationPreview:
    known = {path for grant in held if grant.operation_id == row.operation.pk for path in grant.fields}
    service = row.operation.version.service
    return OperationPreview(
        service=service.name, operation=row.operation.name, provider=service.provider.name,
        classes=dict(Counter(row.fields.values())), new_fields=tuple(sorted(path for path in row.fields if path not in known)),
    )  # fmt: skip


def _overlaps(row: _Asked, held: list[Grant], agreement_id: int | None) -> list[Overlap]:
    same = [grant for grant in held if grant.operation_id == row.operation.pk and grant.agreement_id != agreement_id]
    asked = set(row.fields)
    return [
        Overlap(grant.agreement.number, grant.system.name, row.operation.name, len(asked & set(grant.fields))) for grant in same
    ]


def _loads(asked: list[_Asked], grants: list[Grant], rate: int) -> list[Load]:
    """Each system's grant may be used up to its own rate, so rates add up; one system's operations share one rate."""
    found = []
    for service in {row.operation.version.service for row in asked}:
        rates: dict[tuple[int, int], int] = {}
        for grant in grants:
            if grant.operation.version.service_id == service.pk:
                key = (grant.agreement_id, grant.system_id)
                rates[key] = max(rates.get(key, 0), grant.rate_per_second or 0)
        found.append(Load(service.name, service.capacity_rps, sum(rates.values()), rate))
    return sorted(found, key=lambda load: load.service)
