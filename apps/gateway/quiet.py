"""A service that falls silent without an error: its callers stopped, or every answer is empty. Nobody is refused, so nobody complains.

Read from the log: answers that held something granted, in the last ten minutes against the same ten minutes of yesterday and of a
week ago, whichever had fewer (a Saturday is no Friday). Told once a day and service; nothing is decided from it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db.models import Count, F, Q
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.connections.announcements import people
from apps.disputes.models import Maintenance
from apps.gateway.choices import Outcome
from apps.gateway.models import CallIntent
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.registry.choices import Environment
from apps.registry.models import DataService

WINDOW = datetime.timedelta(minutes=10)
"""With a look every five minutes a fall is told within fifteen."""
BEFORE = (datetime.timedelta(days=1), datetime.timedelta(days=7))
LEAST = 20
"""Fewer answers than this in a window are too few to miss any."""
SHARE = 0.5
QUIET = N_(
    "The service %(service)s gave %(answers)s answers with data in the last ten minutes; %(usual)s are usual at this time."
)


@dataclass(frozen=True)
class Fall:
    service: DataService
    answers: int
    usual: int


def falls(now: datetime.datetime) -> list[Fall]:
    """Active services without announced maintenance whose answers with data are down to a half of what is usual, by code."""
    present, *earlier = (_answers(now - back) for back in (datetime.timedelta(0), *BEFORE))
    usual = {service: min(window.get(service, 0) for window in earlier) for service in earlier[0]}
    fallen = [service for service, n in usual.items() if n >= LEAST and present.get(service, 0) <= SHARE * n]
    paused = Maintenance.objects.filter(cancelled_at__isnull=True, starts_at__lt=now, ends_at__gt=now - WINDOW)
    rows = (
        DataService.objects.filter(pk__in=fallen, status="active").exclude(pk__in=paused.values("service_id")).order_by("code")
    )
    return [Fall(row, present.get(row.pk, 0), usual[row.pk]) for row in rows]


def _answers(end: datetime.datetime) -> dict[int, int]:
    """Service → answers of production with at least one granted value (where the right names any) in the window before `end`."""
    holds_something = Q(outcome__delivered__names__overlap=F("grant__fields")) | Q(grant__fields=[])
    calls = CallIntent.objects.between(end - WINDOW, end).filter(
        holds_something, outcome__outcome=Outcome.DELIVERED, grant__environment=Environment.PRODUCTION
    )
    counted = calls.order_by().values("grant__operation__version__service_id").annotate(n=Count("pk"))
    return {row["grant__operation__version__service_id"]: row["n"] for row in counted}


def tell_falls(now: datetime.datetime) -> int:
    """Tell the operators of every fall, once a day and service. Returns how many there are."""
    found = falls(now)
    operators = list(people(Role.OPERATOR)) if found else []
    for fall in found:
        notify(
            operators,
            "service.quiet",
            key=f"service.quiet:{fall.service.uuid}:{timezone.localdate(now)}",
            message=QUIET,
            url="/portal/gateway/",
            service=fall.service.code,
            answers=fall.answers,
            usual=fall.usual,
        )
    return len(found)
