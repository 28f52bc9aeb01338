"""The clock of a request: it starts at receipt, stands still while the request is returned, and a return lapses.

The rule found at receipt stays with the case; a rule changed tomorrow changes no running case (LEG-01).
"""

from __future__ import annotations

import datetime

from django.utils import timezone

from apps.connections.models import ConnectionRequest
from apps.legal import deadlines
from apps.legal.models import LegalRule

DECIDE = "connection.decide"
COMPLETE = "connection.return_limit"


def receipt_of_paper(day: datetime.date) -> dict:
    """Facts to write when a paper that was received on `day` is entered: its clock has run since then (WF-17).

    Raises InvalidFact (`no_legal_rule`) for a day before every rule.
    """
    return first_receipt(datetime.datetime.combine(day, datetime.time(12), tzinfo=timezone.get_default_timezone()))


def first_receipt(at: datetime.datetime) -> dict:
    deadline = deadlines.start(DECIDE, at)
    half = deadlines.halfway(at, deadline.due_at)
    return {"received_at": at, "deadline_rule": deadline.rule, "due_at": deadline.due_at, "half_at": half}


def receipt(request: ConnectionRequest, at: datetime.datetime) -> dict:
    """Facts to write when the request is submitted `at`: it comes in, or again after a return, or its paper came in before."""
    if request.received_at is None:
        # A paper that was entered before its clock ran from then on.
        return receipt_of_paper(request.paper_received_on) if request.paper_received_on else first_receipt(at)
    facts = stop()
    if request.paused_at and request.due_at:
        facts["due_at"] = due = deadlines.resume(request.due_at, request.paused_at, at)
        half = deadlines.resume(request.half_at, request.paused_at, at)
        # A reminder at the end of the time reminds nobody.
        facts["half_at"] = half if half < due else deadlines.halfway(at, due)
    return facts


def pause(at: datetime.datetime) -> dict:
    """Facts to write when the request is returned `at`."""
    lapses = deadlines.start(COMPLETE, at).due_at
    return {"paused_at": at, "lapses_at": lapses, "return_half_at": deadlines.halfway(at, lapses)}


def return_rule(request: ConnectionRequest) -> LegalRule | None:
    """The rule by which a returned request lapses: the one in force when it was returned. None for one that is not."""
    if request.paused_at is None or request.lapses_at is None:
        return None
    rules = LegalRule.objects.in_force(timezone.localdate(request.paused_at)).filter(code=COMPLETE)
    return rules.order_by("-effective_from").first()


def stop() -> dict:
    """Facts to write when the time to complete a return does not run any more."""
    return {"paused_at": None, "lapses_at": None, "return_half_at": None}
