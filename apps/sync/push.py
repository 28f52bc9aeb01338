"""Outgoing: our agencies' identifiers into the national shared catalog (QĐ 20/2020 Điều 10; DM-04), the difference shown first.

A scheduled or requested run only compares and is held with its report. A person approves exactly that report; the run made by the
approval reads the other side again, sends only if the difference is still the approved one, and reads back what was stored.
So a lost acknowledgement costs nothing: the next reading finds the rows there, and nothing is sent twice (SY-05).
"""

from __future__ import annotations

from django.db.models import F, Q

from apps.core.canonical import content_hash
from apps.core.killpoints import reach
from apps.core.outbound import PassingError, PermanentError
from apps.core.text import clean
from apps.organizations.models import Organization
from apps.sync import closing
from apps.sync.choices import RunStatus, Stage
from apps.sync.clients import Client, client_for
from apps.sync.lease import Lease
from apps.sync.plans import PushPlan, push_plan

SHOWN = 500
"""Rows of each kind kept in a report."""


def our_rows(plan: PushPlan) -> list[dict]:
    """The active agencies of our branch in the other side's columns; empty texts are null, as on the wire."""
    branch = Q(code=plan.under) | Q(code__startswith=f"{plan.under}.")
    wanted = {ours: F("parent__code") if ours == "parent_code" else F(ours) for ours in set(plan.columns.values())}
    named = {f"out_{ours}": value for ours, value in wanted.items()}
    agencies = Organization.objects.active().filter(branch).order_by("code").values(**named)
    return [{theirs: agency[f"out_{ours}"] or None for theirs, ours in plan.columns.items()} for agency in agencies]


def difference(plan: PushPlan, ours: list[dict], theirs: list[dict]) -> dict:
    """What is to be added, what differs (the interface cannot change rows: a person writes to them), what only they have."""
    there = {row.get(plan.key): row for row in theirs}
    here = {row[plan.key] for row in ours}
    add = [row for row in ours if row[plan.key] not in there]
    differ = [
        {"key": row[plan.key], "column": column, "ours": row[column], "theirs": there[row[plan.key]].get(column)}
        for row in ours
        if row[plan.key] in there
        for column in plan.columns
        if clean(str(row[column] or "")) != clean(str(there[row[plan.key]].get(column) or ""))
    ]
    return {"add": add, "differ": differ, "only_there": sorted(str(key) for key in there if key not in here)}


def report_of(found: dict) -> dict:
    """What a person sees and approves: the rows (shortened lists carry their full counts) and the digest of what would be sent."""
    counts = {name: len(rows) for name, rows in found.items()}
    return {**{name: rows[:SHOWN] for name, rows in found.items()}, "counts": counts, "digest": content_hash(found["add"])}


def sync_push(lease: Lease) -> None:
    """Compare; send when an approval covers exactly what would be sent."""
    run, source = lease.run, lease.run.source
    plan, client = push_plan(source.settings), client_for(source)
    lease.progress(Stage.FETCHING)
    found = _compare(lease, plan, client)
    report = report_of(found)
    reach("sync.push_compared")
    if not found["add"]:
        closing.succeed(lease, RunStatus.PUBLISHED if run.approves_id else RunStatus.UNCHANGED, report=report)
        return
    if run.approves is None or run.approves.report.get("digest") != report["digest"]:
        closing.succeed(lease, RunStatus.HELD, report=report)
        return
    lease.progress(Stage.SENDING, to_send=len(found["add"]))
    reach("sync.push_sending")
    client.insert(plan.category, found["add"])
    reach("sync.push_sent")
    lease.progress(Stage.VERIFYING, sent=len(found["add"]))
    reach("sync.push_verifying")
    after = _compare(lease, plan, client)
    if after["add"]:
        raise PassingError(code="not_stored") if len(after["add"]) < len(found["add"]) else PermanentError(code="not_stored")
    closing.succeed(lease, RunStatus.PUBLISHED, report=report)


def _compare(lease: Lease, plan: PushPlan, client: Client) -> dict:
    theirs = client.rows(plan.category, lambda n: lease.progress(lease.run.stage, fetched=n))
    ours = our_rows(plan)
    lease.progress(lease.run.stage, ours=len(ours))
    return difference(plan, ours, theirs)
