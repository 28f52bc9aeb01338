from __future__ import annotations

from django.contrib import admin

from apps.core.registers import steps
from apps.disputes.closing import close_organization
from apps.organizations.admin.agencies import OrganizationAdmin
from apps.organizations.models import Organization
from apps.organizations.workflow import ORGANIZATION

admin.site.unregister(Organization)


@admin.register(Organization)
class Agencies(OrganizationAdmin):
    """The agencies' page with the step that looks at what they have not finished on the floors above their own."""

    verb_pages = (*OrganizationAdmin.verb_pages, *steps(ORGANIZATION, {"close": close_organization}))
