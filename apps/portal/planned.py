"""Planned suspensions where people look: their home, their accounts and systems, the page of a service (WF-40).

Only those of agreements the reader may see: that others will be suspended is theirs to know.
"""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from apps.agreements.choices import GrantStatus
from apps.agreements.models import Grant, PlannedSuspension
from apps.organizations.models import Organization
from apps.registry.models import DataService

MOST = 5


def planned_suspensions(user, *, service: DataService | None = None, agency: Organization | None = None) -> dict:
    """What the banner shows, soonest first: those announced and not over, of `service` or of `agency`'s systems alone."""
    rows = PlannedSuspension.objects.open().visible_to(user)
    grants = Grant.objects.filter(agreement=OuterRef("agreement")).exclude(status=GrantStatus.ENDED)
    if service is not None:
        rows = rows.filter(Exists(grants.filter(operation__version__service=service)))
    if agency is not None:
        rows = rows.filter(Exists(grants.filter(system__organization=agency)))
    found = list(rows.select_related("agreement").order_by("starts_at", "id")[: MOST + 1])
    services = _services([row.agreement_id for row in found])
    for row in found:
        row.services = services.get(row.agreement_id, [])
    return {"planned": found[:MOST], "more_planned": len(found) > MOST}


def _services(agreements: list[int]) -> dict[int, list[DataService]]:
    """Agreement → the services that access under it reads."""
    if not agreements:
        return {}
    pairs = Grant.objects.filter(agreement__in=agreements).exclude(status=GrantStatus.ENDED)
    pairs = list(pairs.values_list("agreement_id", "operation__version__service_id").distinct().order_by())
    known = DataService.objects.in_bulk({service for _agreement, service in pairs})
    found: dict[int, list[DataService]] = {}
    for agreement, service in pairs:
        found.setdefault(agreement, []).append(known[service])
    return found
