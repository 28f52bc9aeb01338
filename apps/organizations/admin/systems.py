from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.core.registers import VerbPage, facts_of, steps
from apps.organizations import actions, forms
from apps.organizations.admin.agencies import COLORS
from apps.organizations.choices import SystemStatus
from apps.organizations.models import InformationSystem
from apps.organizations.registers import AuditedRegister
from apps.organizations.workflow import SYSTEM


def register(request, _obj, form):
    facts = form.facts()
    return actions.register_system(facts.pop("organization"), by=request.user, **facts)


@admin.register(InformationSystem)
class InformationSystemAdmin(AuditedRegister):
    public_id = "code"
    list_display = ["name", "code", "organization", "kind", "network", "security_level", "security_expires_on", "shown_status"]
    list_filter = ["kind", "network", "status"]
    list_select_related = ["organization"]
    search_fields = ["name"]
    search_help_text = _("name or code; tones not needed")
    fields = ["name", "code", "organization", "kind", "network", "security_level", "security_decision", "security_expires_on",
              "status"]  # fmt: skip
    verb_pages = (
        VerbPage("register", _("Register a system"), register, "organizations.register_system", forms.SystemForm, "primary",
                 on_list=True),
        VerbPage("change", _("Change"), facts_of(actions.change_system), "organizations.change_system", forms.SystemChangeForm,
                 when=lambda row: row.status != SystemStatus.RETIRED),
        *steps(SYSTEM, {
            "suspend": actions.suspend_system,
            "resume": actions.resume_system,
            "retire": actions.retire_system,
        }),
    )  # fmt: skip

    @display(description=_("status"), label=COLORS, ordering="status")
    def shown_status(self, row):
        return row.status, row.get_status_display()
