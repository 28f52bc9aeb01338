from __future__ import annotations

from django.contrib import admin
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.core.registers import VerbPage, steps
from apps.organizations.registers import AuditedRegister
from apps.registry import actions, forms
from apps.registry.choices import ServiceStatus
from apps.registry.models import DataService, ServiceVersion
from apps.registry.workflow import SERVICE

COLORS = {"active": "success", "suspended": "danger", "retired": "info", "draft": "warning", "published": "success",
          "deprecated": "warning"}  # fmt: skip


def register(request, _obj, form):
    facts = form.facts()
    return actions.register_service(facts.pop("provider"), by=request.user, **facts)


def add_version(request, service, form):
    made = actions.add_version(service, by=request.user, **form.facts())
    return HttpResponseRedirect(reverse("admin:registry_serviceversion_change", args=(made.uuid,)))


@admin.register(DataService)
class DataServiceAdmin(AuditedRegister):
    """Changing, suspending and resuming tell those who have access: their doors are in the portal (`portal:offer`)."""

    public_id = "code"
    list_display = ["name", "code", "provider", "sharing_form", "protocol", "is_master_data", "shown_status"]
    list_filter = ["sharing_form", "protocol", "status", "is_master_data"]
    list_select_related = ["provider"]
    search_fields = ["name"]
    search_help_text = _("name, code, description or provider; tones not needed")
    fields = ["name", "code", "provider", "description", "sharing_form", "classification", "protocol", "is_master_data",
              "account_issuing_delegated", "capacity_rps", "daily_quota", "usage_regulation", "contact", "sla", "status",
              "versions"]  # fmt: skip
    readonly_fields = ["versions"]
    verb_pages = (
        VerbPage("register", _("Register a service"), register, "registry.register_service", forms.ServiceForm, "primary",
                 on_list=True),
        VerbPage("add-version", _("Open a new version"), add_version, "registry.add_version", forms.NewVersionForm, "primary",
                 when=lambda row: row.status != ServiceStatus.RETIRED),
        *steps(SERVICE, {"retire": actions.retire_service}),
    )  # fmt: skip

    def get_object(self, request, object_id, from_field=None):
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            found.shown_versions = ServiceVersion.objects.visible_to(request.user).filter(service=found)
        return found

    @display(description=_("status"), label=COLORS, ordering="status")
    def shown_status(self, row):
        return row.status, row.get_status_display()

    @display(description=_("versions"))
    def versions(self, row):
        rows = [
            (reverse("admin:registry_serviceversion_change", args=(v.uuid,)), v.number, v.get_status_display())
            for v in getattr(row, "shown_versions", ())
        ]
        return format_html_join(", ", '<a href="{}">{}</a> – {}', rows) if rows else "–"
