"""Taking turns on agencies: before all other rows (`agreements.locks`), and before what is read to decide."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import connection
from django.utils.translation import gettext as _

from apps.core.errors import Conflict
from apps.core.workflow import came_second
from apps.organizations.choices import OrganizationStatus
from apps.organizations.models import Organization


def lock_tree() -> None:
    """Two moves that together would make a circle wait for each other. Before any agency is held."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('organizations.tree'))")


def hold_organizations(pks: Iterable[int]) -> None:
    """Keep these agencies as they are until this transaction ends; of several the older first."""
    list(Organization.objects.filter(pk__in=set(pks)).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def hold_active(organization: Organization) -> None:
    """Take turns with whoever suspends, merges or closes the agency; the caller's object follows the row as committed.

    Raises Conflict (`organization_not_active`): what is begun with one in which nobody acts would lie there for good.
    """
    organization.refresh_from_db(from_queryset=Organization.objects.select_for_update(no_key=True))
    if organization.status != OrganizationStatus.ACTIVE:
        raise came_second(organization, _("The agency is not active."), Conflict, code="organization_not_active")
