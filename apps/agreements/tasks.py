"""The clock of agreements: a wake-up a minute; what is due is decided by the rows."""

from celery import shared_task

from apps.agreements.clock import run_clock


@shared_task(name="agreements.clock")
def clock() -> dict[str, int]:
    return run_clock()
