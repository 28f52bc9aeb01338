"""Wake-ups. Which run may run, and whether a source is due, is decided by the rows."""

from celery import shared_task

from apps.core.wake import wake
from apps.sync import schedule
from apps.sync.walk import run_sync


@shared_task(name="sync.run")
def sync_source(run_uuid: str) -> str | None:
    return run_sync(run_uuid)


@shared_task(name="sync.tick")
def tick() -> int:
    """Plan what is due and wake a worker for each run that waits; return how many."""
    runs = schedule.tick()
    for run_uuid in runs:
        wake(sync_source, str(run_uuid))
    return len(runs)
