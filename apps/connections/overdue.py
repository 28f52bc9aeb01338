"""The list of overdue cases, public inside the province (WF-30): on whose desk a case lies, since when it is late.

Whoever works on the platform reads it, so it says no more than that: not who asks, for what, about which service.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db.models import Prefetch

from apps.connections.choices import DecisionStatus, RequestStatus
from apps.connections.models import ConnectionRequest, ProviderDecision


@dataclass(frozen=True)
class Overdue:
    """`desks` names the agencies that have to act; empty where it is the operator."""

    number: str
    desks: tuple[str, ...]
    received_at: datetime.datetime
    due_at: datetime.datetime
    rule: str
    citation: str


def overdue_rows(at: datetime.datetime):
    """The late cases as rows, the latest first: for a page of them."""
    parts = (
        ProviderDecision.objects.filter(status=DecisionStatus.PENDING).select_related("provider").order_by("provider__sort_key")
    )
    rows = (
        ConnectionRequest.objects.late(at)
        .select_related("deadline_rule")
        .prefetch_related(Prefetch("decisions", parts, to_attr="pending"))
    )
    return rows.order_by("due_at", "-id")


def told(request: ConnectionRequest) -> Overdue:
    """What the list says of a row of `overdue_rows`."""
    waiting = request.pending if request.status == RequestStatus.AWAITING_PROVIDER else []
    rule = request.deadline_rule
    return Overdue(
        request.number, tuple(str(part.provider) for part in waiting), request.received_at, request.due_at,
        rule.name if rule else "", rule.citation if rule else "",
    )  # fmt: skip
