"""One run from claim to close: fetch → compare → stage and judge → publish or hold. The walk of `design/house.md`, section 5."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from apps.accounts.models import User
from apps.catalogs.actions import judge_if_moved, publish_release, stage_release
from apps.catalogs.choices import ReleaseStatus
from apps.core.errors import DomainError
from apps.core.killpoints import reach
from apps.core.outbound import PassingError
from apps.sync import closing, push, windows
from apps.sync.choices import RunStatus, SourceKind, Stage
from apps.sync.clients import client_for
from apps.sync.lease import Lease, LostLease, claim
from apps.sync.plans import catalog_parts
from apps.sync.rows import canonical, live_entries

log = logging.getLogger(__name__)
LONGEST_WAIT = 3600
_PASSING_REFUSALS = frozenset({"conflict", "transition_not_allowed", "stale_version"})


def run_sync(run_uuid: UUID | str) -> str | None:
    """Do the run if it is ours to do; return the status it ended in, None when another worker has it or took it over.

    Raises nothing that a worker should see: every failure is written into the row.
    """
    lease = claim(run_uuid)
    if lease is None:
        return None
    if lease.run.attempt > settings.SYNC_ATTEMPTS:
        return _closed(closing.fail, lease, "budget_spent", "")
    with lease.kept():
        try:
            WALKS[SourceKind(lease.run.source.kind)](lease)
        except LostLease:
            log.warning("sync run %s was taken over", run_uuid)
            return None
        except Exception as error:  # whatever a foreign platform provokes, the row must be closed or planned again
            return _after_failure(lease, error)
    return lease.run.status


def sync_catalog(lease: Lease) -> None:
    """A list of the other side becomes a release: published when harmless, held when not, unchanged when the same."""
    source = lease.run.source
    machine = User.objects.machine("sync")
    parts, client = catalog_parts(source.settings), client_for(source)
    lease.progress(Stage.FETCHING, fetched=0, parts=len(parts))
    fetched: list[tuple] = []
    for part in parts:
        before = sum(len(rows) for _part, rows in fetched)
        fetched.append((part, client.rows(part.category, lambda n, b=before: lease.progress(Stage.FETCHING, fetched=b + n))))
        reach("sync.part_fetched")
    lease.progress(Stage.COMPARING)
    reach("sync.comparing")
    live = live_entries(source.catalog, timezone.localdate())
    rows = [row for part, raw in fetched for row in canonical(part, raw, live)]
    reach("sync.fetched")
    lease.progress(Stage.STAGING, rows=len(rows))
    with lease.fenced():
        release = stage_release(
            source.catalog, rows, by=machine, source=f"sync:{source.code}", levels=[part.level for part in parts if part.level]
        )
        reach("sync.staging")
        release = judge_if_moved(release, by=machine)
    reach("sync.staged")
    lease.progress(Stage.PUBLISHING, **{name: int(n) for name, n in release.counts.items() if isinstance(n, int)})
    reach("sync.deciding")
    with closing.together():
        # Another release may have been published since: what is harmless is decided on what is live, under the catalog's lock.
        release = judge_if_moved(release, by=machine)
        if release.status == ReleaseStatus.READY and source.catalog.publishes_itself:
            publish_release(release, by=machine)
            reach("sync.publishing")
        closing.succeed(lease, ENDS.get(ReleaseStatus(release.status), RunStatus.HELD), release=release)
    if release.status == ReleaseStatus.PUBLISHED:
        reach("sync.published")


ENDS = {ReleaseStatus.PUBLISHED: RunStatus.PUBLISHED, ReleaseStatus.UNCHANGED: RunStatus.UNCHANGED}
"""What became of the list → how its run ends; whatever else it is, it waits for a person."""


WALKS: dict[SourceKind, Callable[[Lease], None]] = {
    SourceKind.CATALOG: sync_catalog,
    SourceKind.CHANGES: windows.sync_changes,
    SourceKind.PUSH: push.sync_push,
}


def _after_failure(lease: Lease, error: Exception) -> str | None:
    """Try again later when it may pass and the budget allows; otherwise fail and tell the operator."""
    code = getattr(error, "code", "") if isinstance(error, DomainError) else ""
    text = str(getattr(error, "detail", "") or getattr(error, "title", "")) if code else type(error).__name__
    passing = isinstance(error, PassingError | OperationalError) or code in _PASSING_REFUSALS or not code
    if not code:
        log.exception("sync run %s failed unexpectedly", lease.run.uuid)
    if passing and lease.run.attempt < settings.SYNC_ATTEMPTS:
        wait = backoff(lease.run.attempt, getattr(error, "retry_after", None))
        return _closed(closing.postpone, lease, code or "unexpected", text, wait)
    return _closed(closing.fail, lease, code or "unexpected", text)


def _closed(close: Callable, lease: Lease, *facts: object) -> str | None:
    try:
        close(lease, *facts)
    except LostLease:
        return None
    return lease.run.status


def backoff(attempt: int, retry_after: float | None) -> float:
    """Seconds to wait after the `attempt`-th failure: doubling with jitter, at most an hour, never less than was asked."""
    wait = min(settings.SYNC_BACKOFF_SECONDS * 2 ** (attempt - 1), LONGEST_WAIT)
    return max(wait * random.uniform(0.7, 1.3), retry_after or 0)  # noqa: S311
