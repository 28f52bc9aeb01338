"""The clock of requests: a wake-up a minute; what is due is decided by the rows."""

from celery import shared_task

from apps.connections.reminders import run_clock


@shared_task(name="connections.clock")
def clock() -> dict[str, int]:
    return run_clock()
