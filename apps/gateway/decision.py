"""May this call pass? Pure: a policy, a call, an instant in; an admission or a `Refused` out. No I/O, no clock.

The answer holds an interval of time: the database judges it by its own clock in the statement that admits.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from datetime import datetime, timezone

from msgspec import Struct

from apps.gateway.codes import addressed
from apps.gateway.paths import canonical_path, canonical_query
from apps.gateway.policy import Policy, Route
from apps.gateway.policy_kinds import (
    FOREVER,
    LIVE_VERSIONS,
    Agreement,
    Credential,
    Grant,
    Operation,
    Organization,
    Service,
    System,
    Upstream,
    network_of,
    pattern_of,
)
from apps.gateway.refusals import Refused

DAY = 86_400
VIETNAM = 7 * 3600
"""Vietnamese time has no summer time: UTC+7 all year (Asia/Ho_Chi_Minh since 1975)."""
SAFE_METHODS = ("GET", "HEAD")


class Call(Struct, gc=False):
    """What the consumer asked, taken apart but not judged."""

    method: str
    service: str
    major: int
    segments: tuple[str, ...]
    pairs: list[tuple[str, str]]
    purpose: str
    source: str
    certificate_hash: str = ""


class Token(Struct, frozen=True, gc=False):
    """A known access token: whose it is, until when, and to which certificate it is bound (empty: to none)."""

    credential_id: int
    expires_at: float
    certificate_hash: str
    revoked: bool = False


class Caller(Struct, frozen=True, gc=False):
    credential: Credential
    system: System
    organization: Organization


class Admission(Struct, gc=False):
    """A call that may pass while the database's clock is in [not_before, not_after)."""

    caller: Caller
    service: Service
    route: Route
    operation: Operation
    grant: Grant
    agreement: Agreement
    upstream: Upstream
    path: str
    query: str
    subject: str
    not_before: float
    not_after: float


def identify(policy: Policy, token: Token, certificate_hash: str, now: float) -> Caller:
    """Whose token this is, if the account, its system and its organization may call at all. Raises Refused.

    LookupError where the system or the organization could not be read.
    """
    credential = policy.rows["credential"].get(token.credential_id)
    if credential is None and policy.is_unreadable("credential", token.credential_id):
        raise Refused("not_ready")
    if credential is None or credential.status != "active":
        raise Refused("credential_revoked")
    # Before the token, which ends with its account: a new one would not help.
    if credential.expires_at <= now:
        raise Refused("credential_expired")
    if token.revoked or token.expires_at <= now:
        raise Refused("token_expired")
    for bound in (token.certificate_hash, credential.certificate_hash):
        if bound and bound != certificate_hash:
            raise Refused("certificate_mismatch")
    system = policy.rows["informationsystem"][credential.system_id]
    if system.status != "active":
        raise Refused("system_not_active")
    organization = policy.rows["organization"][system.organization_id]
    if organization.status != "active":
        raise Refused("consumer_not_active")
    return Caller(credential, system, organization)


class Right(Struct, frozen=True, gc=False):
    """What a policy gives one account for one operation and purpose, with the interval in which it does.

    Kept with the policy once a full decision has passed; nothing in it depends on the call but the hours of its day.
    """

    caller: Caller
    service: Service
    grant: Grant
    agreement: Agreement
    upstream: Upstream
    not_before: float
    not_after: float


REMEMBERED = 200_000
_LIFTED_BY_A_RIGHT = frozenset({
    "grant_missing", "environment_mismatch", "purpose_not_granted", "grant_suspended", "grant_ended", "grant_expired",
    "grant_not_yet_valid", "agreement_suspended", "agreement_not_in_force", "agreement_expired", "maintenance",
    "outside_hours", "network_not_allowed",
})  # fmt: skip
"""Refusals that another right of the same system for the same operation would lift: not told while one of them cannot be read."""


def decide(policy: Policy, token: Token, call: Call, now: float) -> Admission:
    """Let the call pass, or raise Refused with the first reason in the order of the table."""
    route = _route_of(policy, call)
    if route is not None:
        operation, path_pairs = _match(route, call)
        right = policy.rights.get((token.credential_id, operation.id, call.purpose)) if operation is not None else None
        if right is not None and right.not_before <= now < right.not_after and _still(right, token, call, now):
            query, subject = _parameters(operation, path_pairs, call.pairs)
            path = canonical_path(call.segments)
            if right.grant.codes_day:
                path, query = addressed(policy, right.grant, operation, call.segments, call.pairs)
            return Admission(
                right.caller, right.service, route, operation, right.grant, right.agreement, right.upstream, path, query, subject, right.not_before, min(right.not_after, token.expires_at),
            )  # fmt: skip
    return _decide_fully(policy, token, call, now)


def _route_of(policy: Policy, call: Call) -> Route | None:
    service = policy.service_codes.get(call.service)
    return policy.routes.get((service.id, call.major)) if service is not None else None


def _match(route: Route, call: Call) -> tuple[Operation | None, tuple[tuple[str, str], ...]]:
    methods, pairs = route.match(call.segments)
    return methods.get(call.method), pairs


def _still(right: Right, token: Token, call: Call, now: float) -> bool:
    """What a remembered right cannot know: the token's own life and certificate, and the address of the caller."""
    if token.revoked or token.expires_at <= now or right.grant.networks:
        return False
    return not (token.certificate_hash or right.caller.credential.certificate_hash)


def _decide_fully(policy: Policy, token: Token, call: Call, now: float) -> Admission:
    caller = identify(policy, token, call.certificate_hash, now)
    service, route = _route(policy, call)
    operation, path_pairs = _operation(route, call)
    grant = None
    try:
        query, subject = _parameters(operation, path_pairs, call.pairs)
        grant = _grant(policy, caller, operation, call.purpose, now)
        right = _right(policy, caller, service, route, operation, grant, call.source, now)
        path = canonical_path(call.segments)
        if grant.codes_day:
            path, query = addressed(policy, grant, operation, call.segments, call.pairs)
    except Refused as refused:
        if refused.code in _LIFTED_BY_A_RIGHT and policy.is_unreadable("grant", caller.system.id, operation.id):
            refused = Refused("not_ready")
        refused.operation, refused.grant = operation, grant
        raise refused from None
    if len(policy.rights) < REMEMBERED:
        policy.rights[token.credential_id, operation.id, call.purpose] = right
    return Admission(
        caller, service, route, operation, grant, right.agreement, right.upstream, path, query, subject,
        right.not_before, min(right.not_after, token.expires_at),
    )  # fmt: skip


def _right(
    policy: Policy, caller: Caller, service: Service, route: Route, operation: Operation, grant: Grant, source: str, now: float
) -> Right:
    """What `grant` gives at this instant to a call from `source`; Refused with the reason when it gives nothing."""
    agreement = policy.rows["agreement"][grant.agreement_id]
    _check_rights(grant, agreement, now)
    _check_provider(policy, service, now)
    if operation.kind != "read":
        raise Refused("kind_not_open")
    if grant.networks and not _in_networks(source, grant.networks):
        raise Refused("network_not_allowed", source=source, networks=list(grant.networks))
    opens, closes = (0.0, FOREVER) if grant.hours is None else _hours(grant.hours, now)
    if not opens <= now < closes:
        raise Refused("outside_hours", hours=[clock_text(part) for part in grant.hours])
    upstream = route.upstream(grant.environment)
    if upstream is None:
        raise Refused("upstream_not_configured")
    not_before = max(opens, grant.valid_from, agreement.valid_from)
    not_after = min(closes, grant.valid_to, agreement.valid_to, caller.credential.expires_at)
    for pause in (agreement.pause, service.pause):
        if pause is not None:
            # It begins and ends at the announced instants, by the database's clock, whenever the state follows.
            begins, ends = pause
            not_before, not_after = (max(not_before, ends), not_after) if ends <= now else (not_before, min(not_after, begins))
    return Right(caller, service, grant, agreement, upstream, not_before, not_after)


def _route(policy: Policy, call: Call) -> tuple[Service, Route]:
    service = policy.service_codes.get(call.service)
    route = policy.routes.get((service.id, call.major)) if service is not None else None
    if route is None and _is_there(policy, service, call):
        raise Refused("not_ready")
    if route is None or route.version.status == "draft":
        raise Refused("service_unknown")
    if route.version.status not in LIVE_VERSIONS or service.status == "retired":
        raise Refused("version_retired")
    return service, route


def _is_there(policy: Policy, service: Service | None, call: Call) -> bool:
    """Whether the service, or its version, that was not found is one that could not be read."""
    if service is None:
        return policy.is_unreadable("dataservice", call.service)
    return policy.is_unreadable("serviceversion", service.id, call.major)


def _operation(route: Route, call: Call) -> tuple[Operation, tuple[tuple[str, str], ...]]:
    methods, pairs = route.match(call.segments)
    if not methods:
        raise Refused("operation_unknown")
    operation = methods.get(call.method)
    if operation is None:
        raise Refused("method_not_allowed", allowed=sorted(methods))
    return operation, pairs


def _parameters(operation: Operation, path_pairs: Iterable[tuple[str, str]], pairs: list[tuple[str, str]]) -> tuple[str, str]:
    """The canonical query (in the declared order) and the value that names the data subject ("" when none does)."""
    given = dict(pairs) if pairs else {}
    if len(given) != len(pairs):
        raise Refused("parameter_repeated")
    in_path = dict(path_pairs)
    kept, subject = [], ""
    for parameter in operation.parameters:
        name = parameter.name
        source = in_path if parameter.location == "path" else given
        value = source.pop(name, None)
        if value is None:
            if parameter.required and parameter.location == "query":
                raise Refused("parameter_missing", parameter=name)
            continue
        if len(value) > parameter.max_length or (parameter.pattern and not _matches(parameter.pattern, value)):
            raise Refused("parameter_invalid", parameter=name)
        if parameter.location == "query":
            kept.append((name, value))
        if parameter.is_subject:
            subject = f"{subject}\x1f{value}" if subject else value
    if given:
        raise Refused("parameter_undeclared", parameter=min(given)[:80])
    if in_path and any(len(value) > 200 for value in in_path.values()):
        raise Refused("parameter_invalid", parameter=min(in_path)[:80])
    return canonical_query(kept) if kept else "", subject


def _matches(pattern: str, value: str) -> bool:
    compiled = pattern_of(pattern)
    return compiled is not None and compiled.fullmatch(value) is not None


def right_of(policy: Policy, token: Token, operation_id: int, purpose: str, source: str, now: float) -> Right:
    """What `decide` says of a call whose path and parameters are as declared. Raises Refused.

    For calls that are known from the log only (`preview`), which keeps neither paths nor parameters.
    """
    caller = identify(policy, token, token.certificate_hash, now)
    route = policy.by_operation.get(operation_id)
    if route is None or route.version.status not in LIVE_VERSIONS:
        raise Refused("version_retired")
    operation, service = route.operations[operation_id], policy.rows["dataservice"][route.version.service_id]
    grant = _grant(policy, caller, operation, purpose, now)
    return _right(policy, caller, service, route, operation, grant, source, now)


def _grant(policy: Policy, caller: Caller, operation: Operation, purpose: str, now: float) -> Grant:
    """The caller's grant for this operation, environment and purpose; the reason when there is none."""
    found = policy.by_system.get(caller.system.id, {}).get(operation.id, ())
    here = [grant for grant in found if grant.environment == caller.credential.environment]
    if not here:
        if any(grant.status != "ended" for grant in found):
            raise Refused("environment_mismatch")
        raise Refused("grant_missing")
    if not purpose and any(grant.status == "active" for grant in here):
        raise Refused("purpose_missing")
    fitting = [grant for grant in here if grant.purpose == purpose]
    if not fitting and any(grant.status == "active" for grant in here):
        raise Refused("purpose_not_granted")
    # Grants are kept in the order of preference (active first); an agreement in force beats one that is not, and a right whose
    # time it is one that has not begun or is over (its state follows later).
    agreements = policy.rows["agreement"]

    def order(grant: Grant) -> tuple[bool, bool, bool]:
        agreement = agreements[grant.agreement_id]
        return grant.status != "active", agreement.status != "in_force", not _is_its_time(grant, agreement, now)

    return min(fitting or here, key=order)


def _is_its_time(grant: Grant, agreement: Agreement, now: float) -> bool:
    return max(grant.valid_from, agreement.valid_from) <= now < min(grant.valid_to, agreement.valid_to)


def _check_rights(grant: Grant, agreement: Agreement, now: float) -> None:
    if _is_paused(agreement, now):
        ends = agreement.pause[1]
        raise Refused(
            "maintenance", agreement=agreement.number, until=_moment(ends), retry_after=max(30, math.ceil(ends - now))
        )
    if agreement.status == "suspended":
        raise Refused("agreement_suspended", agreement=agreement.number)
    if agreement.status == "expired" or agreement.valid_to <= now:
        raise Refused("agreement_expired", agreement=agreement.number)
    if grant.status == "suspended":
        raise Refused("grant_suspended", agreement=agreement.number)
    if grant.status != "active":
        raise Refused("grant_ended", agreement=agreement.number)
    if agreement.status != "in_force":
        raise Refused("agreement_not_in_force", agreement=agreement.number)
    if grant.valid_to <= now:
        raise Refused("grant_expired", agreement=agreement.number)
    if grant.valid_from > now or agreement.valid_from > now:
        raise Refused("grant_not_yet_valid", agreement=agreement.number)


def _is_paused(agreement: Agreement, now: float) -> bool:
    """Whether an announced suspension is what stops this agreement now."""
    if agreement.pause is None:
        return False
    if agreement.status == "suspended":
        return agreement.is_pause
    return agreement.status == "in_force" and agreement.pause[0] <= now < agreement.pause[1]


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def _check_provider(policy: Policy, service: Service, now: float) -> None:
    if service.status != "active":
        raise Refused("service_not_active")
    if service.pause is not None and service.pause[0] <= now < service.pause[1]:
        ends = service.pause[1]
        raise Refused("service_maintenance", until=_moment(ends), retry_after=max(1, math.ceil(ends - now)))
    if policy.rows["organization"][service.provider_id].status != "active":
        raise Refused("provider_not_active")


def _in_networks(source: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    found = [network_of(text) for text in networks]
    return any(network is not None and network.version == address.version and address in network for network in found)


def _hours(hours: tuple[int, int], now: float) -> tuple[float, float]:
    """The window of today's agreed hours around `now`; one that ends before it begins goes over midnight."""
    begins, ends = hours
    midnight = (now + VIETNAM) // DAY * DAY - VIETNAM
    if begins < ends:
        return midnight + begins, midnight + ends
    if now < midnight + ends:
        return midnight - DAY + begins, midnight + ends
    return midnight + begins, midnight + DAY + ends


def clock_text(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds % 3600 // 60:02d}"
