"""The national business registration database as a source: dossier lists in windows of at most five days, from a watermark.

The watermark is the last day that is completely recorded. Each window and its watermark are one transaction: a worker killed
between two windows continues with the next, one killed inside a window reads it again, and a dossier number is stored once.
Only complete days (before today) move the watermark; today's list is read too, so that the feed is fresh, and again tomorrow.
What is kept is the code that changed, when, and by which dossier: never the company's record.

The days before the watermark are read once more at the end of a run: a dossier that got its enterprise code, or was entered, days
after it was received is told then. A dossier that cannot be recorded is left out, counted and named with its reason in the run's
report (`{"refused": [{"number", "reason"}]}`); a list in which nothing can be read is a changed contract, and the run fails.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.catalogs.staging import parse_date
from apps.core.killpoints import reach
from apps.core.outbound import PermanentError
from apps.sync import closing
from apps.sync.choices import DossierProblem, RunStatus, Stage
from apps.sync.clients import client_for
from apps.sync.lease import Lease
from apps.sync.models import EnterpriseChange, Source
from apps.sync.plans import ChangesPlan, changes_plan

ONE = datetime.timedelta(days=1)
COLUMNS = ("ENTERPRISE_GDT_CODE", "IN_JOURNAL_NO", "RECEIPT_DATE")
FEW = 5
"""So many dates of receipt, and none of them readable: it is not the dossiers that are wrong."""
REPORTED = 100
"""Refused dossiers that a run's report names; all are counted."""


def windows(
    plan: ChangesPlan, watermark: datetime.date | None, today: datetime.date
) -> Iterator[tuple[datetime.date, datetime.date]]:
    """The days not yet complete, oldest first, in windows of at most `plan.window_days`; the last ends today."""
    first = max(plan.start, watermark + ONE) if watermark else plan.start
    while first <= today:
        last = min(first + ONE * (plan.window_days - 1), today)
        yield first, last
        first = last + ONE


def lately(plan: ChangesPlan, watermark: datetime.date | None) -> list[tuple[datetime.date, datetime.date]]:
    """The last complete days as one window more: dossiers change, and come late, after their day."""
    if watermark is None or watermark < plan.start:
        return []
    return [(max(plan.start, watermark - ONE * (plan.window_days - 1)), watermark)]


def sync_changes(lease: Lease) -> None:
    """Catch up to today. Published when something new was recorded, unchanged otherwise."""
    source = lease.run.source
    plan, client, today = changes_plan(source.settings), client_for(source), timezone.localdate()
    todo = [*windows(plan, source.watermark, today), *lately(plan, source.watermark)]
    lease.progress(Stage.FETCHING, windows=len(todo), windows_done=0, fetched=0, recorded=0, refused=0)
    fetched = recorded = 0
    refused: list[Refusal] = []
    for done, (first, last) in enumerate(todo, start=1):
        rows = client.dossiers(
            first, last, plan.page_size, lambda n, before=fetched: lease.progress(Stage.FETCHING, fetched=before + n)
        )
        fetched += len(rows)
        reach("sync.window_fetched")
        with lease.fenced():
            new, left_out = record_changes(source, rows)
            reach("sync.window_recording")
            if (complete := min(last, today - ONE)) >= first:
                ahead = Q(watermark__isnull=True) | Q(watermark__lt=complete)
                Source.objects.filter(ahead, pk=source.pk).update(watermark=complete, updated_at=Now())
        reach("sync.window_recorded")
        recorded, refused = recorded + new, [*refused, *left_out]
        lease.progress(Stage.FETCHING, windows_done=done, fetched=fetched, recorded=recorded, refused=len(refused))
    report = {"refused": [{"number": number, "reason": reason} for number, reason in refused[:REPORTED]]} if refused else {}
    closing.succeed(lease, RunStatus.PUBLISHED if recorded else RunStatus.UNCHANGED, report=report)


Refusal = tuple[str, DossierProblem]
"""The dossier's number (empty where it has none) and why it is left out."""


def record_changes(source: Source, rows: list[dict]) -> tuple[int, list[Refusal]]:
    """Store the dossiers not stored yet, and anew (at the end of the feed) those that say something else now.

    Returns how many were stored, and what was left out. Raises PermanentError `wrong_shape` for a list that is none of dossiers.
    """
    _check_shape(rows)
    changes: dict[str, EnterpriseChange] = {}
    refused: list[Refusal] = []
    for row in rows:
        change, problem = _change(source, row)
        if change is not None and change.journal_no in changes:
            problem = DossierProblem.TWICE
        if problem:
            refused.append((_text(row.get("IN_JOURNAL_NO")).replace("\x00", "\ufffd")[:60], problem))
        else:
            changes[change.journal_no] = change
    known = {change.journal_no: change for change in source.enterprise_changes.filter(journal_no__in=list(changes))}
    fresh = [change for number, change in changes.items() if number not in known or _says(known[number]) != _says(change)]
    source.enterprise_changes.filter(journal_no__in=[change.journal_no for change in fresh]).delete()
    EnterpriseChange.objects.bulk_create(fresh)
    return len(fresh), refused


def _check_shape(rows: list[dict]) -> None:
    """A column that no row has, or dates none of which can be read, are the platform's change, not the dossiers' fault."""
    days = [row["RECEIPT_DATE"] for row in rows if row.get("RECEIPT_DATE")]
    no_column = rows and not all(any(name in row for row in rows) for name in COLUMNS)
    if no_column or (len(days) >= FEW and not any(_day(day) for day in days)):
        raise PermanentError(_("The answer does not have the expected shape."), code="wrong_shape")


def _change(source: Source, row: dict) -> tuple[EnterpriseChange | None, DossierProblem | None]:
    code, number, kind = (_text(row.get(name)) for name in ("ENTERPRISE_GDT_CODE", "IN_JOURNAL_NO", "DOCUMENT_TYPE"))
    day = _day(row.get("RECEIPT_DATE"))
    if not number:
        return None, DossierProblem.NO_NUMBER
    if not code:
        return None, DossierProblem.NO_CODE
    if day is None:
        return None, DossierProblem.NO_DAY
    if len(code) > 100 or len(number) > 60 or "\x00" in code + number + kind:
        return None, DossierProblem.UNREADABLE
    return EnterpriseChange(
        source=source, enterprise_code=code, journal_no=number, document_type=kind[:60], received_on=day
    ), None  # fmt: skip


def _says(change: EnterpriseChange) -> tuple:
    return change.enterprise_code, change.document_type, change.received_on


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _day(value: object) -> datetime.date | None:
    try:
        return parse_date(value)
    except ValueError:
        return None
