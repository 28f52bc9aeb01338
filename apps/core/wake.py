"""Waking a worker after a commit. The row is the job; a lost wake-up only means that the sweeper finds it later."""

from __future__ import annotations

import logging

from django.db import transaction

log = logging.getLogger(__name__)


def wake(task, *args) -> None:
    """Send `task` its id when the present transaction commits. A broker that is down never fails the user's act (FI-18)."""

    def send() -> None:
        try:
            task.apply_async(args=args, retry=False)
        except Exception as error:  # any broker's any error: the sweeper will find the row
            log.warning("wake-up %s not sent: %s", task.name, type(error).__name__)

    transaction.on_commit(send, robust=True)
