"""Wake-ups of the outbox. What is due is decided by the rows, never by a message."""

from celery import shared_task

from apps.core.wake import wake
from apps.notices.outbox import TURN, deliver_due


@shared_task(name="notices.deliver_outbox")
def deliver_outbox() -> int:
    """Send what is due, a turn at a time: after a full turn the next one is asked for, so that other tasks come between."""
    done = deliver_due(TURN)
    if done == TURN:
        wake(deliver_outbox)
    return done
