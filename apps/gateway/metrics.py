"""Prometheus text. Names of services appear, names of consumers and people do not."""

from __future__ import annotations

import time
from collections import Counter

from apps.gateway import descriptors, fitness
from apps.gateway.runtime import Runtime


def render(runtime: Runtime) -> str:
    policy, counts = runtime.policy, runtime.counts
    lines = []

    def put(name: str, kind: str, rows: list[tuple[str, float]]) -> None:
        lines.append(f"# TYPE {name} {kind}")
        lines.extend(f"{name}{labels} {value}" for labels, value in rows)

    calls = runtime.tally.calls()
    put("lgsp_gateway_calls_total", "counter", [(f'{{service="{k[0]}",outcome="{k[1]}"}}', count) for k, count in calls])
    refused = sorted(key for key in counts if key[0] == "refused")
    put("lgsp_gateway_refused_total", "counter", [(f'{{code="{k[1]}"}}', counts[k]) for k in refused])
    lines += runtime.tally.times()
    put("lgsp_gateway_running", "gauge", [("", runtime.running)])
    put("lgsp_gateway_policy_epoch", "gauge", [("", policy.epoch if policy else -1)])
    put("lgsp_gateway_policy_grants", "gauge", [("", len(policy.rows["grant"]) if policy else 0)])
    left_out = Counter(row.kind for row in policy.unreadable) if policy else {}
    put("lgsp_gateway_policy_unreadable_rows", "gauge", [(f'{{kind="{kind}"}}', n) for kind, n in sorted(left_out.items())])
    put("lgsp_gateway_policy_unreadable_total", "counter", [("", counts["policy_unreadable",])])
    put("lgsp_gateway_policy_verified_total", "counter", [("", counts["policy_verified",])])
    put("lgsp_gateway_policy_not_verified_total", "counter", [("", counts["policy_not_verified",])])
    commits = (runtime.ledger, runtime.keyed)
    put("lgsp_gateway_commits_total", "counter", [(f'{{kind="{c.name}"}}', c.batches) for c in commits])
    put("lgsp_gateway_committed_rows_total", "counter", [(f'{{kind="{c.name}"}}', c.items) for c in commits])
    put("lgsp_gateway_waiting", "gauge", [(f'{{kind="{c.name}"}}', c.waiting) for c in commits])
    put("lgsp_gateway_unfinished_calls", "gauge", [("", runtime.unfinished[0])])
    put("lgsp_gateway_unfinished_oldest_seconds", "gauge", [("", runtime.unfinished[1])])
    put("lgsp_gateway_closed_unknown_total", "counter", [("", runtime.closed_unknown)])
    _isolation(runtime, put)
    _fitness(runtime, put)
    return "\n".join(lines) + "\n"


def _isolation(runtime: Runtime, put) -> None:
    """Providers: calls on their way, and breakers (by service code, summed over versions and environments)."""
    running, paused = Counter(), Counter()
    for endpoint in runtime.upstreams.known():
        service = _service_of(runtime, endpoint.row.id)
        running[service] += endpoint.running
        paused[service] += endpoint.breaker.is_open
    put("lgsp_gateway_provider_running", "gauge", [(f'{{service="{name}"}}', n) for name, n in sorted(running.items())])
    put("lgsp_gateway_provider_paused", "gauge", [(f'{{service="{name}"}}', n) for name, n in sorted(paused.items())])
    turns = sorted(key for key in runtime.counts if key[0] == "breaker")
    put("lgsp_gateway_breaker_turns_total", "counter",
        [(f'{{service="{k[1]}",to="{k[2]}"}}', runtime.counts[k]) for k in turns])  # fmt: skip


def _service_of(runtime: Runtime, upstream_id: int) -> str:
    if runtime.policy is None:
        return "unknown"
    for version in runtime.policy.rows["serviceversion"].values():
        if any(row.id == upstream_id for row in version.upstreams):
            service = runtime.policy.rows["dataservice"].get(version.service_id)
            return service.code if service is not None else "unknown"
    return "unknown"


def _fitness(runtime: Runtime, put) -> None:
    now = time.monotonic()
    faults = fitness.faults(runtime)
    put("lgsp_gateway_ready", "gauge", [("", int(not faults))])
    put("lgsp_gateway_fault", "gauge", [(f'{{fault="{name}"}}', 1) for name in faults])
    put("lgsp_gateway_policy_age_seconds", "gauge", [("", round(now - runtime.checked_at, 3) if runtime.checked_at else -1)])
    put(
        "lgsp_gateway_database_age_seconds",
        "gauge",
        [("", round(now - runtime.clock.heard_at, 3) if runtime.clock.heard_at else -1)],
    )
    in_use, allowed = descriptors.used()
    put("process_open_fds", "gauge", [("", in_use)])
    put("process_max_fds", "gauge", [("", allowed)])
    put("lgsp_gateway_disk_used_percent", "gauge",
        [(f'{{path="{path}"}}', round(used, 1)) for path, used in fitness.disks(runtime).items()])  # fmt: skip
