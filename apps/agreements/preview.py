"""What approving a request, or signing a version, would open: to be read before deciding.

The part that registry and agreements know: fields by personal-data class, overlaps with what is agreed, load against
capacity, versions whose end is announced. The replay of recorded calls is the gateway's (`gateway.preview`), which adds to this.

What is agreed counts from the day of the agreement, also while it is tested or suspended: it will be called, or called again.
"""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from apps.agreements.choices import AgreementStatus, GrantStatus, VersionState
from apps.agreements.impact import RUNNING
from apps.agreements.models import Agreement, AgreementVersion, Grant, RequestBasis
from apps.agreements.moved_fields import MovedField, answering, moved_fields, what_to_do
from apps.connections.choices import RequestKind
from apps.connections.models import ConnectionRequest
from apps.connections.networks import is_everywhere
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.registry.choices import Environment, PersonalDataClass, VersionStatus
from apps.registry.models import DataService, Operation
from apps.registry.succession import served_as


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
    """A system of the request that was given the operation already, under another agreement."""

    agreement: str
    system: str
    operation: str
    shared_fields: int
    in_test: bool
    """Production is not open yet."""
    is_suspended: bool


class Limits(NamedTuple):
    """The most calls one system may make of one operation, as the gateway counts them; None: no limit is set."""

    per_second: int | None
    per_day: int | None

    def times(self, accesses: int) -> Limits:
        return Limits(*(None if limit is None else limit * accesses for limit in self))


@dataclass(frozen=True)
class Load:
    """The most calls of a service: agreed so far and asked for now (None: no limit is asked), against the capacity the provider
    stated (None: unstated), which is by the second.

    `unlimited` (a second) and `unlimited_per_day` say for how many systems no limit is agreed: these are in no sum.
    """

    service: str
    capacity: int | None
    agreed: int
    unlimited: int
    asked: int | None
    agreed_per_day: int
    unlimited_per_day: int
    asked_per_day: int | None

    @property
    def total(self) -> int:
        return self.agreed + (self.asked or 0)

    @property
    def is_lower_bound(self) -> bool:
        """More may come than the sums say."""
        return bool(self.unlimited or self.unlimited_per_day) or None in (self.asked, self.asked_per_day)

    @property
    def exceeds(self) -> bool:
        return self.capacity is not None and self.total > self.capacity


class Ending(NamedTuple):
    """A version asked for whose end is announced: what is agreed on it ends with it."""

    service: str
    number: str
    day: datetime.date


@dataclass(frozen=True)
class Preview:
    operations: tuple[OperationPreview, ...]
    overlaps: tuple[Overlap, ...]
    loads: tuple[Load, ...]
    networks: tuple[str, ...] = ()
    """From where calls may come; none: from every address."""
    endings: tuple[Ending, ...] = ()
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

    @property
    def is_lower_bound(self) -> bool:
        return any(load.is_lower_bound for load in self.loads)


@dataclass(frozen=True)
class _Asked:
    """One operation asked for: its row, and path → personal-data class of the fields."""

    operation: Operation
    fields: dict[str, str]


def preview(request: ConnectionRequest, user) -> Preview:
    """What approving `request` would open, as far as it is `user`'s to know. Reads only; a constant number of queries."""
    rows = request.requested_operations.select_related("operation__version__service__provider").prefetch_related("fields")
    served = served_as(row.operation for row in rows)
    asked = [
        _Asked(served.get(row.operation_id, row.operation), {field.path: field.personal_data for field in row.fields.all()})
        for row in rows
    ]
    systems = {row.system_id for row in request.request_systems.all()}
    basis = RequestBasis.objects.filter(request=request).select_related("agreement").first()
    agreement = basis.agreement if basis else None
    joins = request.kind == RequestKind.JOIN
    using = systems if agreement is None or joins else systems | {row.pk for row in systems_that_stay(request, agreement)}
    limits = Limits(request.calls_per_second, request.calls_per_day)
    return _preview(
        asked, systems, limits, user, agreement_id=agreement.pk if agreement else None,
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
    limits = Limits(content["method"].get("calls_per_second"), content["method"].get("calls_per_day"))
    found = _preview(
        asked, systems, limits, user, agreement_id=version.agreement_id, using=len(systems),
        networks=content["restrictions"]["source_networks"],
    )  # fmt: skip
    moved = moved_fields(content) if version.state == VersionState.DRAFT else ()
    return replace(found, moved=moved, advice=what_to_do(version.agreement) if moved else "")


def _preview(
    asked: list[_Asked],
    systems: set[int],
    limits: Limits,
    user,
    *,
    agreement_id: int | None,
    using: int,
    adds: bool = False,
    networks=(),
) -> Preview:
    """Loads are a provider's to know, of its own services; what another agreement opens, its parties'. The platform's readers see all.

    `using` systems get `limits` each, in place of what runs under the agreement, or (`adds`: one who joins) beside it.
    """
    sees_all, mine = is_platform_reader(user), organization_ids(user)
    grants = list(
        Grant.objects.open()
        .filter(
            operation__version__service__in={row.operation.version.service_id for row in asked}, agreement__status__in=RUNNING
        )
        .select_related("agreement", "system", "operation__version__service")
    )
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
        loads=tuple(_loads(decided, others, limits, max(using, 1))),
        networks=tuple(networks),
        endings=tuple(_endings(asked)),
    )


def _operation(row: _Asked, held: list[Grant]) -> OperationPreview:
    known = {path for grant in held if grant.operation_id == row.operation.pk and _is_open(grant) for path in grant.fields}
    service = row.operation.version.service
    return OperationPreview(
        service=service.name, operation=row.operation.name, provider=service.provider.name,
        classes=dict(Counter(row.fields.values())), new_fields=tuple(sorted(path for path in row.fields if path not in known)),
    )  # fmt: skip


def _is_open(grant: Grant) -> bool:
    """What is tested or stands still with its agreement is agreed, but opens no data today."""
    return grant.environment == Environment.PRODUCTION and grant.agreement.status == AgreementStatus.IN_FORCE


def _overlaps(row: _Asked, held: list[Grant], agreement_id: int | None) -> list[Overlap]:
    """One for each system under each other agreement, whatever it has of the operation: test, production, a later version."""
    same = _by_access(grant for grant in held if grant.operation_id == row.operation.pk and grant.agreement_id != agreement_id)
    return [_overlap(row, grants) for grants in same]


def _overlap(row: _Asked, grants: list[Grant]) -> Overlap:
    one = grants[0]
    given = {path for grant in grants for path in grant.fields}
    return Overlap(
        one.agreement.number, one.system.name, row.operation.name, len(given & set(row.fields)),
        in_test=all(grant.environment == Environment.TEST for grant in grants),
        is_suspended=one.agreement.status == AgreementStatus.SUSPENDED
        or all(grant.status == GrantStatus.SUSPENDED for grant in grants),
    )  # fmt: skip


def _by_access(grants: Iterable[Grant]) -> list[list[Grant]]:
    """The grants of each system on each operation under each agreement, in whatever versions of the service."""
    found: dict[tuple[int, int, int, str], list[Grant]] = defaultdict(list)
    for grant in grants:
        operation = grant.operation
        found[grant.agreement_id, grant.system_id, operation.version.service_id, operation.code].append(grant)
    return list(found.values())


def _loads(asked: list[_Asked], grants: list[Grant], limits: Limits, using: int) -> list[Load]:
    """The gateway counts each operation of each system by itself, so the limits of all add up."""
    operations = Counter(row.operation.version.service for row in asked)
    accesses = _by_access(grants)
    return [
        _load(
            service, [rows for rows in accesses if rows[0].operation.version.service_id == service.pk], limits.times(using * n)
        )
        for service, n in sorted(operations.items(), key=lambda row: row[0].name)
    ]


def _load(service: DataService, accesses: list[list[Grant]], wanted: Limits) -> Load:
    agreed, unlimited = _sum(accesses, "rate_per_second")
    agreed_per_day, unlimited_per_day = _sum(accesses, "quota_per_day")
    return Load(
        service.name, service.capacity_rps, agreed, unlimited, wanted.per_second, agreed_per_day, unlimited_per_day, wanted.per_day
    )  # fmt: skip


def _sum(accesses: list[list[Grant]], limit: str) -> tuple[int, int]:
    """What the limits come to, and how many systems have an operation without one."""
    most = [(rows[0].system_id, _most(rows, limit)) for rows in accesses]
    return sum(value for _system, value in most if value is not None), len({system for system, value in most if value is None})


def _most(grants: list[Grant], limit: str) -> int | None:
    """The most there may be at one time of one access; None: there is no limit.

    What is tested counts until production is open, and what a later version plans in place of what runs: the one follows the other.
    """
    counted = [grant for grant in grants if grant.environment == Environment.PRODUCTION] or grants
    stages = [[getattr(grant, limit) for grant in counted if grant.is_planned == planned] for planned in (False, True)]
    return None if any(None in stage for stage in stages) else max(map(sum, stages))


def _endings(asked: list[_Asked]) -> list[Ending]:
    ending = {row.operation.version for row in asked if row.operation.version.status == VersionStatus.DEPRECATED}
    return sorted(Ending(version.service.name, version.number, version.deprecated_on) for version in ending)
