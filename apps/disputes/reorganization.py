"""Merging an agency into another, with what it has not settled: the verb that the doors call.

Agreements, systems and services are carried over by `agreements.actions.reorganization`, one floor below. A dispute or a
ticket that is not closed goes on between the successor and the other party, under the clock it has; who raised and answered
it stays on the record. One between the two agencies themselves is finished first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.agreements import actions as agreements
from apps.agreements.actions import reorganization as below
from apps.agreements.choices import Side
from apps.agreements.models import Agreement
from apps.audit import actions as audit
from apps.core.workflow import require
from apps.disputes.actions import tell
from apps.disputes.models import Dispute, Ticket
from apps.organizations.models import Organization

GOES_ON = {
    Dispute: N_("Dispute %(number)s goes on with %(successor)s, the successor of %(source)s."),
    Ticket: N_("The question %(number)s goes on with %(successor)s, the successor of %(source)s."),
}


@dataclass(frozen=True)
class MergePlan(below.MergePlan):
    disputes: list[Dispute]
    tickets: list[Ticket]


def plan_merge(source: Organization, into: Organization, *, by) -> MergePlan:
    """Read only: what `merge_organizations` would do now. Raises NotPermitted, InvalidFact (`not_mergeable`)."""
    plan = agreements.plan_merge(source, into, by=by)
    disputes, tickets = (list(model.objects.unclosed().of([source]).order_by("pk")) for model in GOES_ON)
    between = [case.number for case in (*disputes, *tickets) if into.pk in _sides(case).values()]
    facts = {field.name: getattr(plan, field.name) for field in fields(plan)} | {
        "unfinished": sorted({*plan.unfinished, *between}),
        "missing_roles": below.missing_roles(_sides_taken(source, plan.agreements, disputes, tickets), into),
    }
    return MergePlan(**facts, disputes=disputes, tickets=tickets)


@transaction.atomic
def merge_organizations(source: Organization, into: Organization, *, by, instrument: str) -> MergePlan:
    """Carry everything of `source` over to `into` by force of the legal `instrument`, then close `source`.

    Returns what was carried over. Raises as the verb below, and Conflict naming disputes and tickets between the two.
    """
    require(by, "agreements.merge_organizations", source)
    # As `agreements.locks`: the agencies first, and these cases before the first row that raises the epoch.
    below.hold_agencies(source, into)
    for model in GOES_ON:
        list(model.objects.unclosed().of([source]).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    plan = plan_merge(source, into, by=by)
    below.require_finished(plan.unfinished)
    for case in (*plan.disputes, *plan.tickets):
        _carry_over(case, source, into, by=by, instrument=instrument.strip())
    return replace(plan, agreements=agreements.merge_organizations(source, into, by=by, instrument=instrument))


def _carry_over(case: Dispute | Ticket, source: Organization, into: Organization, *, by, instrument: str) -> None:
    """`into` stands where `source` stood. Whoever had the page of before is told that it is old."""
    side = next(name for name, organization in _sides(case).items() if organization == source.pk)
    rows = type(case).objects.filter(pk=case.pk)
    rows.update(**{side: into}, version=F("version") + 1, updated_at=timezone.now())
    case.refresh_from_db()
    kind, both = case._meta.model_name, [getattr(case, name) for name in _sides(case)]
    audit.record(f"{kind}.carried_over", case, by=by, organizations=[source, *both], successor=into.code, instrument=instrument)
    tell(case, "carried_over", GOES_ON[type(case)], [row.pk for row in both], source=source.name, successor=into.name)


def _sides(case: Dispute | Ticket) -> dict[str, int]:
    """Name of each side → its organization."""
    return {name: getattr(case, f"{name}_id") for name in type(case).objects.all().sides}


def _sides_taken(source: Organization, rows: list[Agreement], disputes: list[Dispute], tickets: list[Ticket]) -> set[str]:
    """On which sides of agreements and refused requests `source` acts in what is carried over."""
    under = {*(row.pk for row in rows), *(case.agreement_id for case in (*disputes, *tickets) if case.agreement_id)}
    refused = {Side.CONSUMER if case.raised_for_id == source.pk else Side.PROVIDER for case in disputes if case.request_id}
    return below.sides_of(source, under) | refused
