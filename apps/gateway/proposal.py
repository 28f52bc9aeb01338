"""The policy as it would be: what runs today for some systems, with the grants a request or a version would open.

Built from the rows by Django for people who decide; the gateway's own policy comes from `policy_source`. Both make the
same immutable `Policy`, so `decision` cannot tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import prefetch_related_objects

from apps.agreements import grants as agreements_grants
from apps.agreements.choices import GrantStatus
from apps.agreements.models import Agreement as AgreementRow
from apps.agreements.models import AgreementVersion
from apps.agreements.models import Grant as GrantRow
from apps.agreements.preview import systems_that_stay
from apps.connections.choices import RequestKind
from apps.connections.models import ConnectionRequest
from apps.gateway import policy_kinds as p
from apps.gateway.decision import Token
from apps.gateway.policy import Policy
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment
from apps.registry.models import Operation as OperationRow
from apps.registry.models import ServiceVersion
from apps.registry.succession import served_as

PROPOSED = 0
"""The key of the agreement that is not yet: no row has it."""


@dataclass(frozen=True)
class Scope:
    """One operation as it would be granted to every system of the proposal."""

    operation: OperationRow
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Proposal:
    """What would be opened, and the agreement whose present grants it takes the place of (None: it only adds)."""

    systems: list[InformationSystem]
    scopes: list[Scope]
    purpose: str
    per_day: int | None = None
    per_second: int | None = None
    hours: tuple[int, int] | None = None
    networks: tuple[str, ...] = ()
    replaces: AgreementRow | None = None
    environments: tuple[str, ...] = field(default=tuple(Environment.values))


def of_request(request: ConnectionRequest) -> Proposal:
    """What approving `request` would come to, once its tests are accepted."""
    rows = request.requested_operations.select_related("operation__version__service").prefetch_related("fields")
    # A minor version may have taken the place of the one that was named: its operation is the one that is called.
    served = served_as(row.operation for row in rows)
    asked = [(served.get(row.operation_id, row.operation), row.fields.all()) for row in rows]
    prefetch_related_objects([operation for operation, _fields in asked], "fields")
    basis = getattr(request, "basis", None)
    amends = basis is not None and request.kind in (RequestKind.CHANGE, RequestKind.RENEWAL)
    # Hours are negotiated; a request says nothing of them and leaves them as they are.
    running = basis.agreement.current_version if basis is not None else None
    systems = [row.system for row in request.request_systems.select_related("system__organization")]
    return Proposal(
        systems=[*systems, *(systems_that_stay(request, basis.agreement) if amends else ())],
        scopes=[_scope(operation, [{"path": field.path} for field in fields]) for operation, fields in asked],
        purpose=request.purpose.code if request.purpose else "", per_day=request.calls_per_day,
        per_second=request.calls_per_second, networks=tuple(request.source_networks),
        hours=_hours(running.content["restrictions"].get("hours") or {}) if running else None,
        replaces=basis.agreement if amends else None,
    )  # fmt: skip


def of_version(version: AgreementVersion) -> Proposal:
    """What putting `version` in force would come to. Raises FactMissing when an operation of it is gone."""
    content = version.content
    limits, method = content["restrictions"], content["method"]
    codes = [row["code"] for row in content["systems"]]
    return Proposal(
        systems=list(InformationSystem.objects.filter(code__in=codes).select_related("organization")),
        scopes=[_scope(agreements_grants.operation_of(row), row["fields"]) for row in content["scope"]],
        purpose=content["purpose"]["code"], per_day=method.get("calls_per_day"), per_second=method.get("calls_per_second"),
        hours=_hours(limits.get("hours") or {}), networks=tuple(limits.get("source_networks") or ()), replaces=version.agreement,
    )  # fmt: skip


def _scope(operation: OperationRow, fields: list[dict]) -> Scope:
    return Scope(operation, tuple(agreements_grants.granted_paths(operation, {"fields": fields})))


def _hours(given: dict) -> tuple[int, int] | None:
    if not given.get("from") or not given.get("to"):
        return None
    return tuple(_seconds(given[name]) for name in ("from", "to"))  # type: ignore[return-value]


def _seconds(clock: str) -> int:
    hours, minutes, *_rest = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * 60


# --- the policy ----------------------------------------------------------------------------------


def policy_of(proposal: Proposal, present: Iterable[GrantRow]) -> tuple[Policy, dict[tuple[int, str], Token]]:
    """The policy after the proposal, and a token of each system (id, environment); every account counts as collected.

    `present` are the grants of today that concern the same systems and operations; those of the agreement that is replaced fall away.
    """
    kept = [grant for grant in present if proposal.replaces is None or grant.agreement_id != proposal.replaces.pk]
    systems = {row.pk: row for row in [*proposal.systems, *(grant.system for grant in present)]}
    versions = {scope.operation.version_id for scope in proposal.scopes} | {grant.operation.version_id for grant in present}
    contracts = list(
        ServiceVersion.objects.filter(pk__in=versions).select_related("service__provider").prefetch_related(
            "operations__fields", "upstreams"
        )
    )  # fmt: skip
    accounts = {
        (system, environment): number
        for number, (system, environment) in enumerate((s, e) for s in systems for e in Environment.values)
    }
    services = {row.service_id: row.service for row in contracts}
    parties = {row.organization for row in systems.values()} | {row.provider for row in services.values()}
    rows = {
        "organization": {row.pk: p.Organization(row.pk, str(row.uuid), row.code, row.status) for row in parties},
        "informationsystem": {row.pk: _system(row) for row in systems.values()},
        "credential": {number: _credential(number, *key) for key, number in accounts.items()},
        "agreement": _agreements(kept),
        "dataservice": {row.pk: _service(row) for row in services.values()},
        "serviceversion": {row.pk: _version(row) for row in contracts},
        "grant": {grant.id: grant for grant in [*map(_present, kept), *_proposed(proposal)]},
    }
    tokens = {key: Token(number, p.FOREVER, "") for key, number in accounts.items()}
    return Policy(0, rows), tokens


def _system(row: InformationSystem) -> p.System:
    return p.System(row.pk, str(row.uuid), row.code, row.organization_id, row.status)


def _credential(number: int, system_id: int, environment: str) -> p.Credential:
    return p.Credential(number, str(number), str(number), system_id, environment, "", "", "active", p.FOREVER)


def _service(row) -> p.Service:
    return p.Service(row.pk, str(row.uuid), row.code, row.provider_id, row.status, row.protocol)


def _version(row: ServiceVersion) -> p.Version:
    operations = tuple(_operation(operation) for operation in row.operations.all())
    # Only whether there is an address matters here; it is never called, and its secret stays where it is.
    upstreams = tuple(_upstream(up) for up in row.upstreams.all())
    return p.Version(row.pk, str(row.uuid), row.service_id, row.major, row.minor, row.status, operations, upstreams)


def _upstream(row) -> p.Upstream:
    return p.Upstream(
        id=row.pk, environment=row.environment, base_url=row.base_url, auth_kind="none", auth_settings="", secret="", timeout_ms=0,
        max_response_bytes=0, max_concurrency=0,
    )  # fmt: skip


def _operation(row: OperationRow) -> p.Operation:
    leaves = [field for field in row.fields.all() if field.is_leaf]
    envelope = tuple(sorted(field.path for field in leaves if field.is_envelope))
    fields = tuple(sorted(field.path for field in leaves))
    return p.Operation(
        id=row.pk, code=row.code, method=row.method, path_template=row.path_template, kind=row.kind, parameters=(), fields=fields,
        envelope=envelope,
    )  # fmt: skip


def _agreements(grants: Iterable[GrantRow]) -> dict[int, p.Agreement]:
    rows = {grant.agreement_id: grant.agreement for grant in grants}
    found = {
        row.pk: p.Agreement(row.pk, str(row.uuid), row.number, row.status, 0.0, row.valid_to.timestamp() if row.valid_to else p.FOREVER)
        for row in rows.values()
    }  # fmt: skip
    return {**found, PROPOSED: p.Agreement(PROPOSED, "", "", "in_force", 0.0, p.FOREVER)}


def _present(row: GrantRow) -> p.Grant:
    hours = None
    if row.hours_from is not None and row.hours_to is not None and row.hours_from != row.hours_to:
        hours = tuple((time.hour * 60 + time.minute) * 60 + time.second for time in (row.hours_from, row.hours_to))
    return p.Grant(
        row.pk, str(row.uuid), row.agreement_id, row.system_id, row.operation_id, row.environment, row.purpose.code, row.status, 0.0,
        row.valid_to.timestamp() if row.valid_to else p.FOREVER, tuple(row.fields), row.rate_per_second, row.quota_per_day,
        row.quota_per_month, hours, tuple(row.networks),
    )  # fmt: skip


def _proposed(proposal: Proposal) -> Iterable[p.Grant]:
    """Grants with negative keys, which no row has."""
    number = 0
    for system in proposal.systems:
        for scope in proposal.scopes:
            for environment in proposal.environments:
                number -= 1
                yield p.Grant(
                    number, str(number), PROPOSED, system.pk, scope.operation.pk, environment, proposal.purpose, "active", 0.0, p.FOREVER,
                    scope.fields, proposal.per_second, proposal.per_day, None, proposal.hours, proposal.networks,
                )  # fmt: skip


def present_grants(proposal: Proposal) -> list[GrantRow]:
    """Open grants of the proposal's systems on its operations, and all of the agreement it takes the place of."""
    rows = GrantRow.objects.exclude(status=GrantStatus.ENDED).select_related(
        "agreement", "purpose", "system__organization", "operation"
    )
    found = list(rows.filter(system__in=proposal.systems, operation__in=[scope.operation.pk for scope in proposal.scopes]))
    if proposal.replaces is not None:
        known = {row.pk for row in found}
        found += [row for row in rows.filter(agreement=proposal.replaces) if row.pk not in known]
    return found
