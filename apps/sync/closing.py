"""How a run ends: its row, the source's freshness, the audit row and the people told, in one fenced transaction."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.translation import gettext_noop

from apps.accounts.models import User
from apps.audit.actions import record
from apps.catalogs.models import Release
from apps.core.killpoints import reach
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.sync.choices import RunStatus
from apps.sync.lease import Lease
from apps.sync.models import Source, SyncRun

together = transaction.atomic
"""What is done inside commits with the closing of the run, or not at all."""

HELD = gettext_noop("The run of “%(source)s” is held and waits for a decision.")
FAILED = gettext_noop("The run of “%(source)s” failed: %(code)s.")
STALE = gettext_noop("“%(source)s” has not been synced for more than twice its interval.")


def operators():
    """The people who keep the platform moving."""
    return User.objects.filter(
        is_active=True,
        memberships__role=Role.OPERATOR,
        memberships__ended_at__isnull=True,
        memberships__organization__status="active",
    ).distinct()


@transaction.atomic
def succeed(lease: Lease, status: RunStatus, *, release: Release | None = None, **facts: object) -> None:
    """Close as published, unchanged or held. Raises LostLease, which undoes the caller's transaction too."""
    run, source = lease.run, lease.run.source
    lease.finish(status, release=release, error_code="", error_text="", **facts)
    Source.objects.filter(pk=source.pk).update(last_success_at=Now(), alarmed_at=None)
    reach("sync.closing")
    if status != RunStatus.UNCHANGED:
        record(f"sync_run.{status}", run, by=User.objects.machine("sync"), source=source.code, counts=run.counts)
    if status == RunStatus.HELD:
        notify(operators(), "sync_held", key=_what_is_held(run), message=HELD, url=page_of(run), source=source.name)


def _what_is_held(run: SyncRun) -> str:
    """The same waiting release, or the same difference, is told once, however often the schedule finds it again."""
    what = run.release.uuid if run.release else run.report.get("digest", run.uuid)
    return f"sync.held:{run.source.code[:30]}:{what}"


@transaction.atomic
def fail(lease: Lease, code: str, text: str) -> None:
    """Close as failed and tell the operators."""
    run, source = lease.run, lease.run.source
    lease.finish(RunStatus.FAILED, error_code=code[:60], error_text=text[:500])
    reach("sync.failing")
    record("sync_run.failed", run, by=User.objects.machine("sync"), source=source.code, code=code, attempt=run.attempt)
    notify(
        operators(),
        "sync_failed",
        key=f"sync_run.failed:{run.uuid}",
        message=FAILED,
        url=page_of(run),
        source=source.name,
        code=code,
    )


def postpone(lease: Lease, code: str, text: str, seconds: float) -> None:
    """Give the run back to the queue; what went wrong stays readable on it."""
    lease.postpone(seconds, error_code=code[:60], error_text=text[:500])
    reach("sync.postponed")


def page_of(run: SyncRun) -> str:
    return reverse("admin:sync_syncrun_change", args=[run.uuid])
