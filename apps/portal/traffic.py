"""What passed the gateway lately, over what the person may see: counts, times, reasons. Read from the durable log."""

from __future__ import annotations

import datetime

from django.db.models import Aggregate, Count, FloatField, Q
from django.utils import timezone

from apps.gateway.choices import Outcome
from apps.gateway.deciding import worded
from apps.gateway.models import CallIntent, CallRefusal

PERIOD = datetime.timedelta(hours=24)
LINES = 15


class Percentile(Aggregate):
    """`percentile_disc` of an expression: an observed value, not one in between."""

    function = "percentile_disc"
    template = "%(function)s(%(fraction)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def overview(user) -> dict:
    """The last 24 hours. Times in milliseconds; `share` is the percentage of admitted calls that were answered."""
    since = timezone.now() - PERIOD
    calls = CallIntent.objects.visible_to(user).between(since, None)
    refused = CallRefusal.objects.visible_to(user).between(since, None)
    times = {f"p{part}": Percentile("outcome__total_us", fraction=part / 100) for part in (50, 95, 99)}
    sums = calls.order_by().aggregate(
        n=Count("pk"), delivered=Count("pk", filter=Q(outcome__outcome=Outcome.DELIVERED)), **times
    )
    reasons = list(refused.order_by().values("code").annotate(n=Count("pk")).order_by("-n", "code"))
    consumers = calls.order_by().values("grant__system__name", "grant__system__organization__name").annotate(n=Count("pk"))
    return {
        "calls": sums["n"],
        "refused": sum(row["n"] for row in reasons),
        "share": round(100 * sums["delivered"] / sums["n"], 1) if sums["n"] else None,
        "times": [(name, round(sums[name] / 1000, 1)) for name in times if sums[name] is not None],
        "reasons": [{**row, "title": worded(row["code"])} for row in reasons[:LINES]],
        "most_reasons": max((row["n"] for row in reasons), default=0),
        "consumers": list(consumers.order_by("-n", "grant__system__name")[:LINES]),
        "recent": list(calls.for_reading().order_by("-call_id")[:LINES]),
        "recent_refused": [_worded(row) for row in refused.for_reading().order_by("-call_id")[:LINES]],
    }


def _worded(row: CallRefusal) -> CallRefusal:
    row.title = worded(row.code)
    return row
