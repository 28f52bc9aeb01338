"""Reminders at half of the time, escalation to the operator when a case is late. Each is sent once a clock."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.connections.actions import lapse_request
from apps.connections.announcements import people, tell
from apps.connections.choices import RequestStatus
from apps.connections.models import ConnectionRequest
from apps.core.errors import DomainError
from apps.organizations.choices import Role

CLOCK = "clock"


def run_clock(limit: int = 500) -> dict[str, int]:
    """Whatever is due now: lapses, reminders, escalations. A second run does nothing. Returns how many of each."""
    machine = get_user_model().objects.machine(CLOCK)
    now = timezone.now()
    return {
        "lapsed": sum(_lapse(request, machine) for request in ConnectionRequest.objects.filter(
            status=RequestStatus.RETURNED, lapses_at__lte=now)[:limit]),
        "reminded": sum(_remind(request, now) for request in running().filter(half_at__lte=now, reminded_at__isnull=True)[:limit]),
        "escalated": sum(_escalate(request, now) for request in running().filter(due_at__lte=now, escalated_at__isnull=True)[:limit]),
    }  # fmt: skip


def running():
    """Cases whose clock runs."""
    return ConnectionRequest.objects.filter(
        status__in=(RequestStatus.CHECKING, RequestStatus.AWAITING_PROVIDER), paused_at__isnull=True
    ).order_by("due_at")


def _lapse(request: ConnectionRequest, machine) -> int:
    try:
        lapse_request(request, by=machine)
    except DomainError:
        return 0  # somebody submitted it or withdrew it at the same moment
    return 1


@transaction.atomic
def _remind(request: ConnectionRequest, now) -> int:
    if not running().filter(pk=request.pk, reminded_at__isnull=True).update(reminded_at=now):
        return 0
    tell(handlers(request), "half", request, N_("Half of the time for request %(number)s has passed; it is due on %(due)s."),
         due=timezone.localtime(request.due_at).strftime("%d/%m/%Y %H:%M"))  # fmt: skip
    return 1


@transaction.atomic
def _escalate(request: ConnectionRequest, now) -> int:
    if not running().filter(pk=request.pk, escalated_at__isnull=True).update(escalated_at=now):
        return 0
    everybody = [*handlers(request), *people(Role.OPERATOR)]
    tell(everybody, "late", request, N_("Request %(number)s is late: it was due on %(due)s."),
         due=timezone.localtime(request.due_at).strftime("%d/%m/%Y %H:%M"))  # fmt: skip
    return 1


def handlers(request: ConnectionRequest) -> list:
    """On whose desk the case lies: the named handler while they hold the role there, or everybody who may take the next step."""
    if request.status == RequestStatus.CHECKING:
        return _desk(request.handler_id, people(Role.OPERATOR))
    parts = request.decisions.filter(status="pending")
    return [person for part in parts for person in _desk(part.handler_id, people(Role.PROVIDER_OFFICER, [part.provider_id]))]


def _desk(handler_id: int | None, colleagues) -> list:
    return list(colleagues.filter(pk=handler_id)) or list(colleagues)
