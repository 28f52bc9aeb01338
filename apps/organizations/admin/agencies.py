from __future__ import annotations

import base64

from django.contrib import admin
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.core.registers import VerbPage, facts_of, steps
from apps.organizations import actions, forms, imports
from apps.organizations.choices import OrganizationStatus
from apps.organizations.models import FocalPoint, Organization
from apps.organizations.registers import AuditedRegister
from apps.organizations.workflow import ORGANIZATION

COLORS = {"active": "success", "suspended": "danger", "closed": "info", "retired": "info"}


def register(request, _obj, form):
    facts = form.facts()
    return actions.register_organization(facts.pop("code"), facts.pop("name"), by=request.user, **facts)


def run_import(request, _obj, form):
    """Preview first; the page then carries the same bytes and the preview's digest back to be applied."""
    given = form.cleaned_data
    kind, content, digest = given["kind"], given["bytes"], given["digest"]
    if digest:
        plan = imports.apply(kind, content, by=request.user, digest=digest)
    else:
        plan = imports.preview(kind, content, by=request.user)
    context = {
        "title": str(_("Import from a file")), "plan": plan, "applied": bool(digest), "shown": plan.rows[:200],
        "content": base64.b64encode(content).decode(), "form": form,
    }  # fmt: skip
    return render(request, "organizations/import_plan.html", context)


@admin.register(Organization)
class OrganizationAdmin(AuditedRegister):
    public_id = "code"
    list_display = ["name", "code", "old_code", "kind", "parent", "shown_status", "focal_point"]
    list_filter = ["kind", "status"]
    list_select_related = ["parent"]
    search_fields = ["name"]
    search_help_text = _("name or identifier; tones not needed")
    fields = ["name", "short_name", "code", "old_code", "kind", "parent", "status", "email", "phone", "address",
              "focal_point", "systems_here"]  # fmt: skip
    readonly_fields = ["focal_point", "systems_here"]
    verb_pages = (
        VerbPage("register", _("Enter an agency"), register, "organizations.register_organization", forms.OrganizationForm,
                 "primary", on_list=True),
        VerbPage("import", _("Import from a file"), run_import, "organizations.import_file", forms.ImportForm, on_list=True,
                 help=_("The file is looked at first; nothing is written before you have seen what would happen.")),
        VerbPage("change", _("Change"), facts_of(actions.change_organization), "organizations.change_organization",
                 forms.OrganizationChangeForm),
        VerbPage("name-focal-point", _("Name the focal point"), facts_of(actions.name_focal_point),
                 "organizations.name_focal_point", forms.FocalPointForm, "primary",
                 help=_("NĐ 47/2020/NĐ-CP Điều 7: name, position, function, phone and e-mail are published inside the platform."),
                 when=lambda row: row.status != OrganizationStatus.CLOSED),
        *steps(ORGANIZATION, {
            "suspend": actions.suspend_organization,
            "resume": actions.resume_organization,
        }),
    )  # fmt: skip

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("focal_points")

    @display(description=_("status"), label=COLORS, ordering="status")
    def shown_status(self, row):
        return row.status, row.get_status_display()

    @display(description=_("focal point"))
    def focal_point(self, row):
        current = row.current_focal_points
        return f"{current[0].name}, {current[0].position}, {current[0].phone}, {current[0].email}" if current else "–"

    def get_object(self, request, object_id, from_field=None):
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            # Which systems an agency runs is its own and the platform's to know.
            row.shown_systems = row.systems.visible_to(request.user).order_by("sort_key")
        return row

    @display(description=_("information systems"))
    def systems_here(self, row):
        return ", ".join(row.shown_systems.values_list("name", flat=True)) or "–"


@admin.register(FocalPoint)
class FocalPointAdmin(AuditedRegister):
    """The directory (WF-01). One names a focal point on the agency's page."""

    list_display = ["organization", "name", "position", "function", "phone", "email", "since", "until"]
    list_select_related = ["organization"]
    search_fields = ["name", "organization__folded"]
    ordering = ["organization__sort_key", "-id"]
    fields = ["organization", "name", "position", "function", "phone", "email", "since", "until"]
    readonly_fields = ["since", "until"]

    @display(description=_("named on"), ordering="created_at")
    def since(self, row):
        return row.created_at

    @display(description=_("ended at"), ordering="ended_at")
    def until(self, row):
        return row.ended_at
