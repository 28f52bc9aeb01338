"""The national business registration database as a source: dossier lists in windows of at most five days, from a watermark.

The watermark is the last day that is completely recorded. Each window and its watermark are one transaction: a worker killed
between two windows continues with the next, one killed inside a window reads it again, and a dossier number is stored once.
Only complete days (before today) move the watermark; today's list is read too, so that the feed is fresh, and again tomorrow.
What is kept is the code that changed, when, and by which dossier: never the company's record.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.catalogs.staging import parse_date
from apps.core.killpoints import reach
from apps.core.outbound import PermanentError
from apps.sync import closing
from apps.sync.choices import RunStatus, Stage
from apps.sync.clients import client_for
from apps.sync.lease import Lease
from apps.sync.models import EnterpriseChange, Source
from apps.sync.plans import ChangesPlan, changes_plan

ONE = datetime.timedelta(days=1)


def windows(
    plan: ChangesPlan, watermark: datetime.date | None, today: datetime.date
) -> Iterator[tuple[datetime.date, datetime.date]]:
    """The days not yet complete, oldest first, in windows of at most `plan.window_days`; the last ends today."""
    first = max(plan.start, watermark + ONE) if watermark else plan.start
    while first <= today:
        last = min(first + ONE * (plan.window_days - 1), today)
        yield first, last
        first = last + ONE


def sync_changes(lease: Lease) -> None:
    """Catch up to today. Published when something new was recorded, unchanged otherwise."""
    source = lease.run.source
    plan, client, today = changes_plan(source.settings), client_for(source), timezone.localdate()
    todo = list(windows(plan, source.watermark, today))
    lease.progress(Stage.FETCHING, windows=len(todo), windows_done=0, fetched=0, recorded=0)
    fetched = recorded = 0
    for done, (first, last) in enumerate(todo, start=1):
        rows = client.dossiers(
            first, last, plan.page_size, lambda n, before=fetched: lease.progress(Stage.FETCHING, fetched=before + n)
        )
        fetched += len(rows)
        reach("sync.window_fetched")
        with lease.fenced():
            recorded += record_changes(source, rows)
            reach("sync.window_recording")
            complete = min(last, today - ONE)
            if complete >= first:
                Source.objects.filter(pk=source.pk).update(watermark=complete, updated_at=Now())
        reach("sync.window_recorded")
        lease.progress(Stage.FETCHING, windows_done=done, fetched=fetched, recorded=recorded)
    closing.succeed(lease, RunStatus.PUBLISHED if recorded else RunStatus.UNCHANGED)


def record_changes(source: Source, rows: list[dict]) -> int:
    """Store the dossiers not stored yet; return how many were new. Raises PermanentError `wrong_shape`."""
    changes = [_change(source, row) for row in rows]
    numbers = {change.journal_no for change in changes}
    known = set(source.enterprise_changes.filter(journal_no__in=numbers).values_list("journal_no", flat=True))
    fresh = [change for change in changes if change.journal_no not in known]
    EnterpriseChange.objects.bulk_create(fresh)
    return len(fresh)


def _change(source: Source, row: dict) -> EnterpriseChange:
    code, number = row.get("ENTERPRISE_GDT_CODE"), row.get("IN_JOURNAL_NO")
    try:
        day = parse_date(row.get("RECEIPT_DATE"))
    except ValueError:
        day = None
    if not isinstance(code, str) or not isinstance(number, str | int) or not code or day is None:
        raise PermanentError(_("The answer does not have the expected shape."), code="wrong_shape")
    kind = str(row.get("DOCUMENT_TYPE") or "")[:60]
    return EnterpriseChange(
        source=source, enterprise_code=code[:100], journal_no=str(number)[:60], document_type=kind, received_on=day
    )
