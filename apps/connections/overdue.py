"""The list of overdue cases, public inside the province (WF-30): on whose desk a case lies, since when it is late.

Whoever works on the platform reads it, so it says no more than that: not who asks, for what, about which service.
"""

from __future__ import annotations

import datetime
import uuid as uuids
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Prefetch

from apps.connections.choices import DecisionStatus, RequestStatus
from apps.connections.models import ConnectionRequest, ProviderDecision
from apps.organizations.roles import roles_of


@dataclass(frozen=True)
class Overdue:
    """`desks` names the agencies that have to act; empty where it is the operator. `uuid` of a case that the reader may open."""

    number: str
    uuid: uuids.UUID | None
    desks: tuple[str, ...]
    received_at: datetime.datetime
    due_at: datetime.datetime
    rule: str
    citation: str


def overdue_rows(user, at: datetime.datetime):
    """The late cases of the whole province as rows, the latest first, for a page of them; none for who has no role anywhere."""
    parts = (
        ProviderDecision.objects.filter(status=DecisionStatus.PENDING).select_related("provider").order_by("provider__sort_key")
    )
    rows = (
        ConnectionRequest.objects.late(at)
        .select_related("deadline_rule")
        .prefetch_related(Prefetch("decisions", parts, to_attr="pending"))
    )
    return rows.order_by("due_at", "-id") if roles_of(user) else rows.none()


def told(rows: Iterable[ConnectionRequest], user) -> list[Overdue]:
    """What the list says to `user` of a page of `overdue_rows`."""
    page = list(rows)
    mine = ConnectionRequest.objects.visible_to(user).filter(pk__in=[row.pk for row in page])
    opened = set(mine.values_list("pk", flat=True))
    return [_told(row, row.uuid if row.pk in opened else None) for row in page]


def _told(request: ConnectionRequest, opened: uuids.UUID | None) -> Overdue:
    waiting = request.pending if request.status == RequestStatus.AWAITING_PROVIDER else []
    rule = request.deadline_rule
    return Overdue(
        request.number, opened, tuple(str(part.provider) for part in waiting), request.received_at, request.due_at,
        rule.name if rule else "", rule.citation if rule else "",
    )  # fmt: skip
