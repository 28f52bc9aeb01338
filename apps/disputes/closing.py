"""Closing an agency that is no more and that nothing takes the place of: the verb that the doors call.

Nobody acts for a closed agency, and no step leads back: what only its people can bring to an end would stay for ever. So all of it is
finished first, as before a merge, and what a merge would carry over has ended too. The agency's own verb is on the organizations' floor.
"""

from __future__ import annotations

from django.db import transaction

from apps.agreements.actions import reorganization as below
from apps.agreements.actions.fallen import drafts_of, drop_orphans_of
from apps.agreements.models import Agreement
from apps.disputes.models import Dispute, Ticket
from apps.organizations import actions as organizations
from apps.organizations.models import Organization
from apps.organizations.workflow import ORGANIZATION
from apps.registry.choices import ServiceStatus


@transaction.atomic
def close_organization(organization: Organization, *, by, reason: str, version: int | None = None) -> Organization:
    """Close an agency; what it had only drafted is withdrawn. Raises as `organizations.close_organization`, and Conflict
    (`unfinished`) that names what is to be finished first.
    """
    ORGANIZATION.check(organization, "close", by=by, version=version)
    # As `agreements.locks`. What takes its turn on the agency's row finds it closed: an approval, an obstacle, a question, a service, a
    # system, a regulation, a list, a focal point. What does not is nobody's burden: a draft falls by the clock (`fallen.orphaned`), a
    # paper is with the operator, a role gives nothing there (`organizations.roles`), an agency entered under it is moved.
    for rows in (Organization.objects.filter(pk=organization.pk), drafts_of(organization)):
        list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    below.require_finished(unfinished(organization))
    organizations.close_organization(organization, by=by, reason=reason, version=version)
    drop_orphans_of(organization, by=by)
    return organization


def unfinished(organization: Organization) -> list[str]:
    """Numbers of open requests, agreements that live or owe it something, disputes and questions; codes of services that are not retired."""
    bound = {"parties__organization": organization, "parties__left_at__isnull": True, "parties__is_joining": False}
    running = Agreement.objects.filter(status__in=below.LIVE, **bound)
    cases = (row for model in (Dispute, Ticket) for row in model.objects.unclosed().of([organization]))
    services = organization.services.exclude(status=ServiceStatus.RETIRED)
    numbers = {*below.unfinished_alone(organization), *(row.number for row in (*running, *cases))}
    return [*sorted(numbers), *services.order_by("code").values_list("code", flat=True)]
