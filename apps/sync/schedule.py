"""The tick: which sources are due, which runs need a worker, which sources went stale. Rows and the database's clock decide.

Any number of ticks may run at once: a slot is taken by one conditional UPDATE, so each gives one run. A schedule that slept for
hours gives one run for what was missed, not one a slot (FI-26).
"""

from __future__ import annotations

import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, Func
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.actions import record
from apps.core import ticks
from apps.notices.actions import notify
from apps.sync.choices import OPEN_STATUSES, Trigger
from apps.sync.closing import STALE, operators
from apps.sync.models import Source, SyncRun, WorkerHeartbeat

HEARTBEAT = "worker"
_NEXT_SLOT = (
    "(next_run_at + make_interval(mins => interval_minutes)"
    " * (floor(extract(epoch FROM statement_timestamp() - next_run_at) / (interval_minutes * 60)) + 1))"
)
ALIVE_FOR = datetime.timedelta(seconds=90)


def tick() -> list[UUID]:
    """Do what is due; return the runs that a worker should be woken for. A source that somebody holds has its turn at the next."""
    beat()
    ticks.each(Source.objects.due(), plan_run)
    ticks.each(Source.objects.stale().filter(alarmed_at__isnull=True), raise_alarm)
    return list(SyncRun.objects.claimable().order_by("next_attempt_at").values_list("uuid", flat=True))


@transaction.atomic
def plan_run(source: Source) -> bool:
    """Queue a scheduled run for a due source and move its next slot; False when another tick did."""
    moved = Source.objects.due().filter(pk=source.pk).update(next_run_at=next_slot())
    if moved != 1 or source.runs.filter(status__in=OPEN_STATUSES).exists():
        return False
    SyncRun.objects.bulk_create([SyncRun(source=source, trigger=Trigger.SCHEDULE)], ignore_conflicts=True)
    return True


def next_slot():
    """The first slot after now as SQL. Slots keep their hour: what was planned for 02:00 stays at 02:00, whatever a run takes."""
    return Func(template=_NEXT_SLOT, output_field=DateTimeField())


@transaction.atomic
def raise_alarm(source: Source) -> bool:
    """Tell the operators once that the source is stale; the next success clears it (SY-07)."""
    if Source.objects.filter(pk=source.pk, alarmed_at__isnull=True).update(alarmed_at=Now()) != 1:
        return False
    source.refresh_from_db()
    record("sync_source.went_stale", source, by=User.objects.machine("sync"), last_success=str(source.last_success_at or ""))
    key = f"sync_source.stale:{source.uuid}:{source.alarmed_at.timestamp()}"
    notify(
        operators(),
        "sync_stale",
        key=key,
        message=STALE,
        url=reverse("admin:sync_source_change", args=[source.code]),
        source=source.name,
    )
    return True


def beat() -> None:
    """Write that a worker is alive."""
    WorkerHeartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": timezone.now()})


def worker_is_alive() -> bool:
    """True when a tick was done within the last 90 seconds."""
    return WorkerHeartbeat.objects.filter(name=HEARTBEAT, at__gt=timezone.now() - ALIVE_FOR).exists()
