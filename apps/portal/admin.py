"""Registers of libraries that nobody keeps here (roles are memberships, addresses belong to the account), and the audit log.

The audit log stands on the lowest floor, which knows neither roles nor words of events; its page is up here.
"""

from __future__ import annotations

from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Group
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.audit.models import AuditEvent
from apps.core.admin import ReadOnlyAdmin
from apps.organizations.choices import Role
from apps.organizations.roles import has_role
from apps.portal import events
from apps.portal.templatetags.portal import pretty_json

admin.site.unregister([Group, EmailAddress])


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what to which case, refusals included. Auditors alone read it whole; a case shows its own history."""

    list_display = ["at", "actor", "words", "object_label", "shown_outcome"]
    list_filter = ["outcome"]
    list_select_related = ["actor"]
    search_fields = ["event", "object_label", "object_ref", "actor__username", "actor__full_name"]
    search_help_text = _("person, event, or number of the case")
    fields = [
        "at",
        "actor",
        "words",
        "outcome",
        "object_label",
        "object_type",
        "object_ref",
        "shown_facts",
        "request_id",
        "uuid",
    ]
    ordering = ["-id"]
    show_full_result_count = False

    def has_module_permission(self, request) -> bool:
        return super().has_module_permission(request) and has_role(request.user, Role.AUDITOR)

    def has_view_permission(self, request, obj=None) -> bool:
        return super().has_view_permission(request, obj) and has_role(request.user, Role.AUDITOR)

    @admin.display(description=_("event"), ordering="event")
    def words(self, row: AuditEvent):
        label = events.label(row.event)
        return label if label == row.event else format_html("{}<br><small>{}</small>", label, row.event)

    @display(description=_("outcome"), label={"done": "success", "refused": "danger"})
    def shown_outcome(self, row: AuditEvent):
        return row.outcome, row.get_outcome_display()

    @admin.display(description=_("facts"))
    def shown_facts(self, row: AuditEvent):
        return format_html('<pre class="whitespace-pre-wrap">{}</pre>', pretty_json(row.facts))
