"""Wake-ups of the outbox. What is due is decided by the rows, never by a message."""

from celery import shared_task

from apps.notices.outbox import deliver_due


@shared_task(name="notices.deliver_outbox")
def deliver_outbox() -> int:
    return deliver_due()
