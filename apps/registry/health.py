"""Is anybody there? Live addresses are looked at in turn; what was found is history, never a decision.

A probe is a plain GET of the base address without our credentials: any answer below 500 means that the provider's
system answers. One failure may be a lost packet: the state turns after two in a row, and people are told once a turn.
"""

from __future__ import annotations

import datetime
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Avg, Count, F, Q
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.accounts.models import User
from apps.core import outbound, ticks
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.organizations.models import Membership
from apps.registry.models import HealthProbe, Upstream

EVERY = datetime.timedelta(minutes=5)
KEPT = datetime.timedelta(days=30)
AT_ONCE = 100
"""A tick a minute: so many addresses are looked at as often as `EVERY` says, five times over."""
LOOKERS = 20
SECONDS = 8.0
"""A tick of silent addresses only takes `AT_ONCE` / `LOOKERS` times as long."""


@dataclass(frozen=True)
class Finding:
    """What one look found. `status` is None when nothing answered, `error` then says why."""

    answered: bool
    latency_ms: int
    status: int | None = None
    error: str = ""


def probe_due(now: datetime.datetime | None = None) -> int:
    """Look at the addresses that are due, those never looked at first; return how many. Safe to run twice at once."""
    now = now or timezone.now()
    due = list(Upstream.objects.due(now).order_by(F("next_probe_at").asc(nulls_first=True), "pk")[:AT_ONCE])
    mine = [upstream for upstream in due if ticks.take(upstream, lambda row: _claimed(row, now))]
    # Looking is waiting: many wait together, and what they found is written here, by one connection.
    with ThreadPoolExecutor(LOOKERS) as lookers:
        for upstream, finding in zip(mine, lookers.map(look, [row.base_url for row in mine]), strict=True):
            ticks.take(upstream, functools.partial(record, finding=finding))
    HealthProbe.objects.filter(at__lt=now - KEPT).delete()
    return len(mine)


def _claimed(upstream: Upstream, now: datetime.datetime) -> bool:
    """The row is the job: who moves its next moment looks, everybody else goes on."""
    claim = Upstream.objects.filter(pk=upstream.pk, next_probe_at=upstream.next_probe_at)
    return claim.update(next_probe_at=now + EVERY) == 1


def look(url: str) -> Finding:
    """One GET, outside any transaction; never raises."""
    begun = time.monotonic()
    try:
        answer = outbound.get(url, total=SECONDS, max_bytes=1_000_000)
    except outbound.OutboundError as error:
        return Finding(False, _since(begun), error=error.code[:60])
    return Finding(answer.status < 500, _since(begun), answer.status, "" if answer.status < 500 else f"http_{answer.status}")


def _since(begun: float) -> int:
    return int((time.monotonic() - begun) * 1000)


@transaction.atomic
def record(upstream: Upstream, finding: Finding) -> HealthProbe:
    """Keep what was found, and turn the state when two looks in a row agree against it."""
    row = Upstream.objects.select_for_update(no_key=True).get(pk=upstream.pk)
    before = row.probes.order_by("-id").values_list("answered", flat=True).first()
    probe = HealthProbe.objects.create(
        upstream=row, answered=finding.answered, status=finding.status, latency_ms=finding.latency_ms, error=finding.error
    )
    agreed = finding.answered or before is False
    if row.is_healthy != finding.answered and agreed:
        Upstream.objects.filter(pk=row.pk).update(is_healthy=finding.answered, health_since=probe.at)
        if not (row.is_healthy is None and finding.answered):
            _tell(row, probe, finding)
    return probe


def _tell(upstream: Upstream, probe: HealthProbe, finding: Finding) -> None:
    service = upstream.version.service
    held = Membership.objects.current().filter(
        Q(role=Role.PROVIDER_OFFICER, organization_id=service.provider_id) | Q(role=Role.OPERATOR)
    )
    message = (
        gettext_noop("“%(service)s” answers again.")
        if finding.answered
        else gettext_noop("“%(service)s” does not answer (%(error)s).")
    )
    notify(
        User.objects.filter(pk__in=held.values("user_id")), "upstream.up" if finding.answered else "upstream.down",
        key=f"upstream.health:{upstream.uuid}:{probe.pk}", message=message, url=f"/portal/services/{service.code}/",
        service=service.name, error=finding.error,
    )  # fmt: skip


def summary(upstream: Upstream, *, hours: int = 24) -> dict:
    """The last `hours` of one address: looks, per cent answered (None without any look), average time of the answers (None without one)."""
    rows = upstream.probes.filter(at__gte=timezone.now() - datetime.timedelta(hours=hours))
    found = rows.aggregate(
        looks=Count("id"), good=Count("id", filter=Q(answered=True)), average=Avg("latency_ms", filter=Q(answered=True))
    )
    return {
        "looks": found["looks"],
        "answered_percent": round(100 * found["good"] / found["looks"], 2) if found["looks"] else None,
        "average_ms": round(found["average"]) if found["average"] is not None else None,
    }


@dataclass(frozen=True)
class Hour:
    """One hour of one address: `at` its beginning; percent and time None where nobody looked (time: nothing answered)."""

    at: datetime.datetime
    looks: int
    answered_percent: float | None
    average_ms: int | None


def hours(upstream: Upstream, number: int = 24) -> list[Hour]:
    """The last `number` hours, oldest first, the present one last; one query."""
    last = timezone.localtime().replace(minute=0, second=0, microsecond=0)
    first = last - datetime.timedelta(hours=number - 1)
    rows = upstream.probes.filter(at__gte=first).annotate(hour=TruncHour("at")).order_by().values("hour")
    found = {
        row["hour"]: row
        for row in rows.annotate(
            looks=Count("id"), good=Count("id", filter=Q(answered=True)), average=Avg("latency_ms", filter=Q(answered=True))
        )
    }
    return [_hour(first + datetime.timedelta(hours=n), found) for n in range(number)]


def _hour(at: datetime.datetime, found: dict) -> Hour:
    row = found.get(at)
    if row is None:
        return Hour(at, 0, None, None)
    average = round(row["average"]) if row["average"] is not None else None
    return Hour(at, row["looks"], round(100 * row["good"] / row["looks"], 1), average)
