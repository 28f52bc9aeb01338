"""What the home page counts and shows beside the work that waits: tiles, bars, running cases, newest decisions."""

from __future__ import annotations

from django.db.models import Count, F, Q
from django.utils import timezone
from django.utils.formats import number_format

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import Agreement
from apps.connections.choices import RequestStatus
from apps.connections.models import ConnectionRequest
from apps.core.paging import MOST_COUNTED


def running(user, number: int = 10):
    """Cases in process that the person may see, most urgent first; those whose clock stands still come last."""
    rows = ConnectionRequest.objects.visible_to(user).open().select_related("consumer")
    return rows.order_by(F("paused_at").asc(nulls_first=True), "due_at", "id")[:number]


def _counted(rows) -> int | str:
    """How many, or "1.000+": a tile is not worth counting a million rows."""
    count = rows.order_by()[: MOST_COUNTED + 1].count()
    return count if count <= MOST_COUNTED else f"{number_format(MOST_COUNTED, force_grouping=True)}+"


def figures(user) -> dict[str, int | str]:
    """Counts of the tiles, over what the person may see."""
    visible = ConnectionRequest.objects.visible_to(user)
    running = visible.running()
    now = timezone.now()
    midnight = timezone.localtime(now).replace(hour=23, minute=59, second=59)
    return {
        "open": _counted(visible.open()),
        "due_today": _counted(running.filter(due_at__gte=now, due_at__lte=midnight)),
        "late": _counted(running.filter(due_at__lt=now)),
        "in_force": _counted(Agreement.objects.visible_to(user).in_status([AgreementStatus.IN_FORCE], user)),
    }


def by_status(user) -> list[dict]:
    """Requests by state, for the bars; each with its number and its share of the largest."""
    visible = ConnectionRequest.objects.visible_to(user)
    counts = dict(visible.order_by().values_list("status").annotate(n=Count("pk")))
    largest = max(counts.values(), default=0)
    return [
        {"status": value, "label": label, "n": counts[value], "largest": largest}
        for value, label in RequestStatus.choices
        if value in counts
    ]


def decided(user, number: int = 6):
    """The newest decisions the person may see."""
    rows = ConnectionRequest.objects.visible_to(user).filter(Q(status=RequestStatus.APPROVED) | Q(status=RequestStatus.REFUSED))
    return rows.filter(decided_at__isnull=False).select_related("consumer", "refusal_ground").order_by("-decided_at")[:number]
