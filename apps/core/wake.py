"""Waking a worker after a commit. The row is the job; a lost wake-up only means that the sweeper finds it later.

A broker that is down, or that accepts and never answers, costs the user at most one short wait: the connection is tried
once with short time-outs (`settings.CELERY_BROKER_TRANSPORT_OPTIONS`), and after a failure this process wakes nobody for
`QUIET_SECONDS`; the schedule finds the rows meanwhile (FI-18).
"""

from __future__ import annotations

import logging
import time

from django.db import transaction

from apps.core.killpoints import reach

log = logging.getLogger(__name__)
QUIET_SECONDS = 15.0
_quiet_until = 0.0


def wake(task, *args) -> None:
    """Send `task` its id when the present transaction commits (at once where there is none).

    A broker that is down never fails the user's act: the failure is logged, the sweeper finds the row.
    """

    def send() -> None:
        global _quiet_until
        reach("core.waking")
        if time.monotonic() < _quiet_until:
            return
        try:
            task.apply_async(args=args, retry=False)
        except Exception as error:  # any broker's any error
            _quiet_until = time.monotonic() + QUIET_SECONDS
            log.warning("wake-up %s not sent: %s", task.name, type(error).__name__)

    transaction.on_commit(send, robust=True)
