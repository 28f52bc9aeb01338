"""Whether this process may serve (`faults`: /readyz is red) and what will stop it if nobody acts (`warnings`: metrics, /readyz).

A fault takes the process out of the rotation of the proxy in front; each is a stable word that docs/operations.md explains.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

from apps.gateway import descriptors

STALE_SECONDS = 15.0
"""Without a word from the database, or without a look at the epoch, for so long the process is not ready."""
WRITE_SECONDS = 15.0
"""The same for a commit: a heartbeat is written every few seconds, also when nobody calls."""
UNFINISHED_SECONDS = 90
WAITING = 1_000
DISK_WARNING, DISK_FAULT = 80.0, 92.0
"""Per cent in use of a disk that is watched (LGSP_WATCH_DISKS)."""
DESCRIPTORS_WARNING = 80.0
"""Per cent of the descriptors this process may open. When all are, who comes is not let in, not even to ask /readyz."""


def faults(runtime) -> list[str]:
    """Why this process may not serve; empty when it may."""
    now = time.monotonic()
    tests = (
        ("no_policy", runtime.policy is None),
        ("policy_unreadable", bool(runtime.unreadable)),
        ("policy_stale", now - runtime.checked_at > STALE_SECONDS),
        ("database_silent", now - runtime.clock.heard_at > STALE_SECONDS),
        ("database_not_writing", now - runtime.wrote_at > WRITE_SECONDS),
        ("unfinished_calls", runtime.unfinished[1] > UNFINISHED_SECONDS),
        ("no_partition_ahead", not runtime.partitions_ok),
        ("disk_full", any(used >= DISK_FAULT for used in disks(runtime).values())),
        ("overloaded", runtime.ledger.waiting > WAITING or runtime.running > runtime.most_running),
        ("draining", runtime.draining),
    )
    return [name for name, holds in tests if holds]


def warnings(runtime) -> list[str]:
    tests = (
        ("disk_filling", any(used >= DISK_WARNING for used in disks(runtime).values())),
        ("descriptors_short", _per_cent(*descriptors.used()) >= DESCRIPTORS_WARNING),
        ("rows_unreadable", runtime.policy is not None and bool(runtime.policy.unreadable)),
        ("provider_paused", any(endpoint.breaker.is_open for endpoint in runtime.upstreams.known())),
    )
    return [name for name, holds in tests if holds]


def _per_cent(part: int, whole: int) -> float:
    return 100 * part / whole if whole > 0 else 0.0


def unreadable(runtime) -> list[str]:
    """What of the policy cannot be read, by kind and identifier: one row is left out, without a whole kind there is no policy."""
    left_out = runtime.policy.unreadable if runtime.policy is not None else ()
    return [*([runtime.unreadable] if runtime.unreadable else []), *(f"{row.kind} {row.uuid}: {row.why}" for row in left_out)]


def disks(runtime) -> dict[str, float]:
    """Path → per cent in use, as an ordinary user of the machine sees it. A path that is not there is left out."""
    found = {}
    for path in runtime.watched_disks:
        with suppress(OSError):
            usage = shutil.disk_usage(path)
            found[path] = _per_cent(usage.used, usage.used + usage.free)
    return found
