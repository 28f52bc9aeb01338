"""Whether the portal may serve, what will stop the platform if nobody acts, and the same in numbers.

`/readyz` is red for a fault only: what answers people must not leave the rotation of the proxy because a national feed is late or
mail does not leave. Those are warnings there, and `/metrics` tells a watcher how old the oldest of them is (FI-42).
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, F, Min, Q
from django.db.models.functions import Coalesce, Extract, Now
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.gateway.fitness import DISK_WARNING, disks
from apps.notices.models import OutboxMessage
from apps.notices.querysets import GIVEN_UP
from apps.sync.models import Source, SyncRun, WorkerHeartbeat
from apps.sync.schedule import worker_is_alive


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 when the database answers with our schema in it, else 503; the warnings beside it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT epoch FROM core_policyepoch")
        found = warnings()
    except DatabaseError:
        return JsonResponse({"ready": False, "faults": ["database"], "warnings": []}, status=503)
    return JsonResponse({"ready": True, "faults": [], "warnings": found})


def warnings() -> list[str]:
    """Stable words that docs/operations.md explains."""
    tests = (
        ("outbox_late", OutboxMessage.objects.waiting().stuck().exists()),
        ("sync_stale", Source.objects.stale().exists()),
        ("worker_silent", not worker_is_alive()),
        ("disk_filling", any(used >= DISK_WARNING for used in _disks().values())),
    )
    return [name for name, holds in tests if holds]


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text, for the machine itself and its watchers: what came through a proxy gets 404."""
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        raise Http404
    lines = [
        line for name, rows in _gauges() for line in (f"# TYPE {name} gauge", *(f"{name}{labels} {n}" for labels, n in rows))
    ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


def _gauges() -> Iterator[tuple[str, list[tuple[str, float]]]]:
    waits = Q(sent_at__isnull=True, failed_at__isnull=True)
    rows = OutboxMessage.objects.filter(sent_at__isnull=True)
    box = rows.aggregate(
        waiting=Count("pk", filter=waits), given_up=Count("pk", filter=GIVEN_UP),
        oldest=Extract(Now() - Min("created_at", filter=waits), "epoch"),
    )  # fmt: skip
    yield "lgsp_outbox_waiting", [("", box["waiting"])]
    yield "lgsp_outbox_oldest_seconds", [("", _rounded(box["oldest"]))]
    yield "lgsp_outbox_given_up", [("", box["given_up"])]
    ages = Source.objects.filter(enabled=True).order_by("code").annotate(
        seconds=Extract(Now() - Coalesce(F("last_success_at"), F("created_at")), "epoch")
    )  # fmt: skip
    sources = list(ages)
    stale = set(Source.objects.stale().values_list("pk", flat=True))
    yield "lgsp_sync_success_age_seconds", [(_of(row), _rounded(row.seconds)) for row in sources]
    yield "lgsp_sync_interval_seconds", [(_of(row), row.interval_minutes * 60) for row in sources]
    yield "lgsp_sync_stale", [(_of(row), int(row.pk in stale)) for row in sources]
    yield "lgsp_sync_runs_open", [("", SyncRun.objects.open().count())]
    beat = WorkerHeartbeat.objects.aggregate(age=Extract(Now() - Min("at"), "epoch"))["age"]
    yield "lgsp_worker_age_seconds", [("", _rounded(beat, never=-1))]
    yield "lgsp_disk_used_percent", [(f'{{path="{path}"}}', round(used, 1)) for path, used in _disks().items()]
    found = warnings()
    yield "lgsp_portal_warning", [(f'{{warning="{name}"}}', 1) for name in found]


def _of(source: Source) -> str:
    return f'{{source="{source.code}"}}'


def _rounded(seconds, never: float = 0) -> float:
    return never if seconds is None else round(float(seconds), 1)


def _disks() -> dict[str, float]:
    return disks(SimpleNamespace(watched_disks=settings.WATCHED_DISKS))
