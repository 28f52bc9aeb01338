"""Reminders at half of the time, escalation to the operator when a case is late. Each is sent once a clock.

A returned request has a clock of its own, until it lapses: of that one its consumer is reminded, once a return.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.connections.actions import lapse_request
from apps.connections.announcements import HALF, LATE, moment, people, tell, tell_filers
from apps.connections.choices import RequestStatus
from apps.connections.models import ConnectionRequest
from apps.core import ticks
from apps.core.errors import DomainError
from apps.organizations.choices import Role

CLOCK = "clock"


def run_clock(limit: int = 500) -> dict[str, int]:
    """Whatever is due now: lapses, reminders, escalations. A second run does nothing. Returns how many of each.

    What somebody holds is left for the next tick, and stops nothing else (`ticks`).
    """
    machine = get_user_model().objects.machine(CLOCK)
    now = timezone.now()
    returned = ConnectionRequest.objects.filter(status=RequestStatus.RETURNED)
    return {
        "lapsed": ticks.each(returned.filter(lapses_at__lte=now)[:limit], lambda request: _lapse(request, machine)),
        "recalled": ticks.each(returned.filter(return_half_at__lte=now)[:limit], lambda request: _recall(request, machine)),
        # Late already: that is what is told.
        "reminded": ticks.each(
            running().filter(half_at__lte=now, due_at__gt=now, reminded_at__isnull=True)[:limit],
            lambda request: _remind(request, now),
        ),
        "escalated": ticks.each(
            running().filter(due_at__lte=now, escalated_at__isnull=True)[:limit], lambda request: _escalate(request, now)
        ),
    }


def running():
    """Cases whose clock runs, the most urgent first."""
    return ConnectionRequest.objects.running().order_by("due_at")


def _lapse(request: ConnectionRequest, machine) -> int:
    try:
        lapse_request(request, by=machine)
    except DomainError:
        return 0  # somebody submitted it or withdrew it at the same moment
    return 1


@transaction.atomic
def _recall(request: ConnectionRequest, machine) -> int:
    """Half of the time to complete a returned request has passed."""
    rows = ConnectionRequest.objects.filter(pk=request.pk, status=RequestStatus.RETURNED, return_half_at=request.return_half_at)
    if not rows.update(return_half_at=None):
        return 0
    tell_filers("recalled", request, N_("Request %(number)s was returned: not completed by %(lapses)s, it is withdrawn by itself."),
                by=machine, lapses=moment(request.lapses_at))  # fmt: skip
    return 1


@transaction.atomic
def _remind(request: ConnectionRequest, now) -> int:
    if not running().filter(pk=request.pk, reminded_at__isnull=True).update(reminded_at=now):
        return 0
    request.refresh_from_db()  # it may lie on another desk than a moment ago
    tell(handlers(request), "half", request, HALF, due=moment(request.due_at))
    return 1


@transaction.atomic
def _escalate(request: ConnectionRequest, now) -> int:
    if not running().filter(pk=request.pk, escalated_at__isnull=True).update(escalated_at=now):
        return 0
    request.refresh_from_db()
    tell([*handlers(request), *people(Role.OPERATOR)], "late", request, LATE, due=moment(request.due_at))
    return 1


def handlers(request: ConnectionRequest) -> list:
    """On whose desk the case lies: the named handler while they hold the role there, or everybody who may take the next step."""
    if request.status != RequestStatus.AWAITING_PROVIDER:
        return _desk(request.handler_id, people(Role.OPERATOR))
    parts = request.decisions.filter(status="pending")
    return [person for part in parts for person in _desk(part.handler_id, people(Role.PROVIDER_OFFICER, [part.provider_id]))]


def _desk(handler_id: int | None, colleagues) -> list:
    return list(colleagues.filter(pk=handler_id)) or list(colleagues)
