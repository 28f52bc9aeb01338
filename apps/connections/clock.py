"""The clock of a request: it starts at receipt, stands still while the request is returned, and a return lapses.

The rule found at receipt stays with the case; a rule changed tomorrow changes no running case (LEG-01).
"""

from __future__ import annotations

import datetime

from django.utils import timezone

from apps.connections.models import ConnectionRequest
from apps.legal import deadlines

DECIDE = "connection.decide"
COMPLETE = "connection.return_limit"


def moment_of_receipt(request: ConnectionRequest) -> datetime.datetime:
    """Now; for a request on paper that comes in for the first time, the day it was received (WF-17)."""
    if request.received_at is None and request.paper_received_on is not None:
        return datetime.datetime.combine(request.paper_received_on, datetime.time(12), tzinfo=timezone.get_default_timezone())
    return timezone.now()


def receipt(request: ConnectionRequest, at: datetime.datetime) -> dict:
    """Facts to write when the request comes in `at`: for the first time, or again after a return."""
    if request.received_at is None:
        deadline = deadlines.start(DECIDE, at)
        half = deadlines.halfway(at, deadline.due_at)
        return {"received_at": at, "deadline_rule": deadline.rule, "due_at": deadline.due_at, "half_at": half}
    facts = {"paused_at": None, "lapses_at": None}
    if request.paused_at and request.due_at:
        facts["due_at"] = due = deadlines.resume(request.due_at, request.paused_at, at)
        half = deadlines.resume(request.half_at, request.paused_at, at)
        # A reminder at the end of the time reminds nobody.
        facts["half_at"] = half if half < due else deadlines.halfway(at, due)
    return facts


def pause(at: datetime.datetime) -> dict:
    """Facts to write when the request is returned `at`."""
    return {"paused_at": at, "lapses_at": deadlines.start(COMPLETE, at).due_at}


def stop() -> dict:
    """Facts to write when nothing runs any more."""
    return {"paused_at": None, "lapses_at": None}
