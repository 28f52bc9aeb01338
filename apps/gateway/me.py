"""GET /gw/me: what a credential may call, until when, and what is left of its quota.

`complete` is false while a right of the system cannot be read (its calls get `not_ready`): it is missing from the list.
"""

from __future__ import annotations

from datetime import datetime, timezone

from apps.gateway.decision import Caller, Token, clock_text
from apps.gateway.policy import Policy
from apps.gateway.policy_kinds import FOREVER, Grant
from apps.gateway.runtime import Runtime

USED = """
SELECT grant_id, CASE WHEN day = ((floor(extract(epoch FROM now()))::bigint + 25200) / 86400)::int THEN in_day ELSE 0 END AS in_day,
       CASE WHEN month = (extract(year FROM now() AT TIME ZONE 'Asia/Ho_Chi_Minh') * 12
                          + extract(month FROM now() AT TIME ZONE 'Asia/Ho_Chi_Minh'))::int THEN in_month ELSE 0 END AS in_month
FROM gateway_quotause WHERE grant_id = ANY($1::bigint[])
"""


async def describe(runtime: Runtime, caller: Caller, token: Token) -> dict:
    policy = runtime.policy
    tables = policy.by_system.get(caller.system.id, {})
    kept = [
        g for found in tables.values() for g in found if g.environment == caller.credential.environment and g.status != "ended"
    ]  # fmt: skip
    grants = [grant for grant in kept if _is_whole(policy, grant)]
    async with runtime.pool.acquire(timeout=3) as connection:
        rows = await connection.fetch(USED, [grant.id for grant in grants])
    used = {row["grant_id"]: row for row in rows}
    return {
        "organization": caller.organization.code,
        "system": caller.system.code,
        "environment": caller.credential.environment,
        "client_id": caller.credential.client_id,
        "token_expires_at": _moment(token.expires_at),
        "credential_expires_at": _moment(caller.credential.expires_at),
        "complete": len(grants) == len(kept) and not _has_unreadable(policy, caller),
        "grants": [_grant(policy, grant, used.get(grant.id)) for grant in sorted(grants, key=lambda g: g.id)],
    }


def _is_whole(policy: Policy, grant: Grant) -> bool:
    """Whether everything it rests on could be read; without that it lets nothing through."""
    route = policy.by_operation.get(grant.operation_id)
    return (
        route is not None
        and grant.agreement_id in policy.rows["agreement"]
        and route.version.service_id in policy.rows["dataservice"]
    )


def _has_unreadable(policy: Policy, caller: Caller) -> bool:
    """Whether a right of the caller's system is there that could not be read."""
    return any(row.kind == "grant" and row.about[0] == caller.system.id for row in policy.unreadable)


def _grant(policy: Policy, grant: Grant, used) -> dict:
    route = policy.by_operation[grant.operation_id]
    operation = route.operations[grant.operation_id]
    service = policy.rows["dataservice"][route.version.service_id]
    agreement = policy.rows["agreement"][grant.agreement_id]
    granted, withheld = route.cut_set(operation, grant.fields)
    left = {}
    for name, cap, column in (("day", grant.per_day, "in_day"), ("month", grant.per_month, "in_month")):
        if cap is not None:
            left[name] = max(0, cap - (used[column] if used else 0))
    return {
        "agreement": agreement.number,
        "agreement_status": agreement.status,
        "service": service.code,
        "operation": operation.code,
        "method": operation.method,
        "path": f"/gw/{service.code}/v{route.version.major}{operation.path_template}",
        "parameters": [
            {"name": p.name, "in": p.location, "required": p.required or p.location == "path"} for p in operation.parameters
        ],
        "purpose": grant.purpose,
        "status": grant.status,
        "valid_from": _moment(max(grant.valid_from, agreement.valid_from)),
        "valid_until": _moment(min(grant.valid_to, agreement.valid_to)),
        "hours": None if grant.hours is None else [clock_text(part) for part in grant.hours],
        "networks": list(grant.networks),
        "codes_day": grant.codes_day or None,
        "fields": list(granted),
        "not_permitted": list(withheld),
        "quota": {"per_second": grant.per_second, "per_day": grant.per_day, "per_month": grant.per_month},
        "left": left,
    }


def _moment(seconds: float) -> str | None:
    return None if seconds == FOREVER else datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
