from __future__ import annotations

from django.contrib import admin
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from apps.agreements import forms
from apps.agreements.actions.clauses import change_clause
from apps.agreements.models import StandardClause
from apps.core.registers import Register, VerbPage


def _change(request, obj, form):
    return change_clause(obj.code, by=request.user, seen=obj, **form.facts())


@admin.register(StandardClause)
class StandardClauseAdmin(Register):
    """Standard texts of agreements between their dates. They are followed by another text, never edited."""

    list_display = ["code", "shown_text", "citation", "in_force"]
    search_fields = ["code", "text", "citation"]
    ordering = ["code", "-effective_from"]
    fields = ["code", "text", "citation", "effective_from", "effective_to"]
    verb_pages = (
        VerbPage("change", _("Give it another text"), _change, "agreements.change_clause", forms.ClauseForm, "primary",
                 when=lambda row: row.effective_to is None,
                 help=_("From the day you name new contents are made with it; agreements that exist keep their own.")),
    )  # fmt: skip

    @admin.display(description=_("text"))
    def shown_text(self, obj):
        return Truncator(obj.text).words(24)

    @admin.display(description=_("in force"), ordering="effective_from")
    def in_force(self, obj):
        first = date_format(obj.effective_from, "d/m/Y")
        return f"{first} – {date_format(obj.effective_to, 'd/m/Y')}" if obj.effective_to else f"{first} –"
