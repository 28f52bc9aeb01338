"""Who may read the feed of changed enterprises, and what of it: the grant that allows the dossier list decides.

A change in the feed says no more than the dossier list would have said to the same system; therefore the right to the one is the
right to the other, judged from the grant's rows at every reading: state, dates, hours, networks, and field by field.
"""

from __future__ import annotations

import ipaddress

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.agreements.models import Grant
from apps.core.errors import NotPermitted
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment, ServiceStatus, VersionStatus
from apps.sync.models import EnterpriseChange, Source
from apps.sync.plans import changes_plan

FIELD = {"ENTERPRISE_GDT_CODE": "enterprise_code", "DOCUMENT_TYPE": "document_type", "RECEIPT_DATE": "received_on"}
"""The provider's field → what the feed calls it."""


class FeedNotGranted(NotPermitted):
    """No agreement in force gives this system the list of changed enterprises."""

    code = "feed_not_granted"
    title = _("No agreement in force allows this system to read the changes.")


def granted_members(source: Source, system: InformationSystem, environment: str, address: str) -> frozenset[str]:
    """The members of a change that `system` may see now, from `address`. Raises FeedNotGranted when it may not see the codes."""
    if environment != Environment.PRODUCTION:
        raise FeedNotGranted(_("The feed holds production data; a test account does not open it."))
    now = timezone.localtime()
    fields: set[str] = set()
    for grant in _grants(source, system, now):
        if _holds_at(grant, now.time()) and _holds_from(grant, address):
            fields |= {path.rpartition(".")[2] for path in grant.fields}
    members = frozenset(ours for theirs, ours in FIELD.items() if theirs in fields)
    if "enterprise_code" not in members:
        raise FeedNotGranted()
    return members


def _grants(source: Source, system: InformationSystem, now) -> QuerySet[Grant]:
    plan = changes_plan(source.settings)
    return Grant.objects.filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=now),
        system=system,
        environment=Environment.PRODUCTION,
        status=GrantStatus.ACTIVE,
        valid_from__lte=now,
        agreement__status=AgreementStatus.IN_FORCE,
        operation__code=plan.operation,
        operation__version__status__in=(VersionStatus.PUBLISHED, VersionStatus.DEPRECATED),
        operation__version__service__code=plan.service,
        operation__version__service__status=ServiceStatus.ACTIVE,
    )


def _holds_at(grant: Grant, clock) -> bool:
    return (grant.hours_from is None or grant.hours_from <= clock) and (grant.hours_to is None or clock < grant.hours_to)


def _holds_from(grant: Grant, address: str) -> bool:
    if not grant.networks:
        return True
    try:
        caller = ipaddress.ip_address(address)
        return any(caller in ipaddress.ip_network(network) for network in grant.networks)
    except (ValueError, TypeError):
        return False


def read(source: Source, since: int, limit: int) -> tuple[list[EnterpriseChange], bool]:
    """The next `limit` changes after position `since`, and whether there are more. Positions rise with the order of recording."""
    rows = list(source.enterprise_changes.filter(id__gt=since).order_by("id")[: limit + 1])
    return rows[:limit], len(rows) > limit
