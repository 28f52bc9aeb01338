from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.core.registers import VerbPage, facts_of
from apps.legal.stated import stated_lazy
from apps.organizations.registers import AuditedRegister
from apps.registry import actions, forms
from apps.registry.actions.default_lists import RULE
from apps.registry.models import DefaultShareList, Purpose, UsageRegulation


def write(request, _obj, form):
    facts = form.facts()
    return actions.write_terms(facts.pop("organization"), by=request.user, **facts)


def name_purpose(request, _obj, form):
    return actions.name_purpose(form.cleaned_data["code"], form.cleaned_data["name"], by=request.user)


@admin.register(UsageRegulation)
class UsageRegulationAdmin(AuditedRegister):
    """Regulations on use. One signs on the page where the terms are read (`portal:terms`)."""

    list_display = ["number", "title", "organization", "kept_by", "issued_on", "effective_from", "effective_to", "signed"]
    list_select_related = ["organization", "kept_by"]
    search_fields = ["number", "title", "organization__folded"]
    fields = ["organization", "kept_by", "number", "title", "issued_on", "effective_from", "effective_to", "log_retention_months",
              "usage_duration", "terms", "written_by", "terms_signed_by", "terms_signed_at", "terms_hash"]  # fmt: skip
    readonly_fields = ["kept_by", "written_by", "terms_signed_by", "terms_signed_at", "terms_hash"]
    verb_pages = (
        VerbPage("write", _("Write a regulation"), write, "registry.write_terms", forms.TermsForm, "primary", on_list=True,
                 help=_("Who writes the terms does not sign them.")),
        VerbPage("change", _("Change"), facts_of(actions.change_terms), "registry.write_terms", forms.TermsChangeForm,
                 when=lambda row: not row.is_signed),
        VerbPage("end", _("Set its end"), facts_of(actions.end_terms), "registry.write_terms", forms.TermsEndForm, "danger"),
    )  # fmt: skip

    @display(description=_("signed"), boolean=True)
    def signed(self, row):
        return row.is_signed


def decide(request, _obj, form):
    facts = form.facts()
    return actions.decide_default_list(facts.pop("organization"), by=request.user, **facts)


@admin.register(DefaultShareList)
class DefaultShareListAdmin(AuditedRegister):
    """A review makes a new row, also when nothing changed: the newest of a provider is in force."""

    list_display = ["organization", "kept_by", "number", "decided_on", "next_review_on"]
    list_select_related = ["organization", "kept_by"]
    search_fields = ["number", "organization__folded"]
    fields = ["organization", "kept_by", "number", "decided_on", "services", "review_rule", "next_review_on", "note",
              "decided_by"]  # fmt: skip
    readonly_fields = ["kept_by"]
    verb_pages = (
        VerbPage("decide", _("Enter a decision"), decide, "registry.decide_default_list", forms.DefaultListForm, "primary",
                 on_list=True, help=stated_lazy(_("A list is reviewed at least every %(term)s (%(citation)s)."), RULE)),
    )  # fmt: skip


@admin.register(Purpose)
class PurposeAdmin(AuditedRegister):
    public_id = "code"
    list_display = ["code", "name", "is_active"]
    list_filter = ["is_active"]
    search_fields = ["code", "name"]
    fields = ["code", "name", "is_active"]
    verb_pages = (
        VerbPage("name", _("Name a purpose"), name_purpose, "registry.change_purposes", forms.PurposeForm, "primary",
                 on_list=True),
        VerbPage("change", _("Change"), facts_of(actions.change_purpose), "registry.change_purposes", forms.PurposeChangeForm),
    )  # fmt: skip
