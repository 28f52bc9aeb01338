"""Wake-ups of the outbox. What is due is decided by the rows, never by a message."""

from celery import shared_task

from apps.accounts.models import User
from apps.core.wake import wake
from apps.notices.outbox import TURN, deliver_due
from apps.notices.retention import forget_old


@shared_task(name="notices.deliver_outbox")
def deliver_outbox() -> int:
    """Send what is due, a turn at a time: after a full turn the next one is asked for, so that other tasks come between."""
    done = deliver_due(TURN)
    if done == TURN:
        wake(deliver_outbox)
    return done


@shared_task(name="notices.keep_house")
def keep_house() -> int:
    """Drop what left long ago."""
    return forget_old(by=User.objects.machine("clock"))
