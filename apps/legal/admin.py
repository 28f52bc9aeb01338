from __future__ import annotations

from django import forms
from django.contrib import admin
from django.template.defaultfilters import floatformat
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminDateWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.core.admin import ReadOnlyAdmin
from apps.core.errors import DomainError
from apps.core.registers import Register, VerbPage
from apps.legal import actions
from apps.legal.forms import BasisChangeForm, GroundChangeForm, GroundEndForm, GroundForm
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround


def _period(obj) -> str:
    first = date_format(obj.effective_from, "d/m/Y")
    return f"{first} – {date_format(obj.effective_to, 'd/m/Y')}" if obj.effective_to else f"{first} –"


class RuleChangeForm(forms.ModelForm):
    """The next value of a rule. The row shown is not edited: a new one follows it."""

    class Meta:
        model = LegalRule
        fields = ["value", "citation", "effective_from", "evidence"]
        widgets = {
            "value": UnfoldAdminTextInputWidget,
            "citation": UnfoldAdminTextInputWidget,
            "effective_from": UnfoldAdminDateWidget,
            "evidence": UnfoldAdminSelectWidget,
        }

    def _post_clean(self):
        """The instance stays as it is; only the fields are checked."""


@admin.register(LegalRule)
class LegalRuleAdmin(ReadOnlyAdmin):
    form = RuleChangeForm
    list_display = ["titled", "amount", "citation", "in_force", "evidence"]
    ordering = ["code", "-effective_from"]
    list_filter = ["unit", "evidence"]
    search_fields = ["code", "name", "citation"]

    @admin.display(description=_("name"), ordering="code")
    def titled(self, obj):
        return format_html("{}<br><small>{}</small>", obj.name, obj.code)

    @admin.display(description=_("value"), ordering="value")
    def amount(self, obj):
        return f"{floatformat(obj.value, '-2g')} {obj.get_unit_display()}"

    @admin.display(description=_("in force"), ordering="effective_from")
    def in_force(self, obj):
        return _period(obj)

    def has_change_permission(self, request, obj=None) -> bool:
        return obj is not None and obj.effective_to is None and request.user.has_perm("legal.change_rule")

    def save_model(self, request, obj, form, change):
        try:
            actions.change_rule(obj.code, by=request.user, **form.cleaned_data)
        except DomainError as error:
            self.tell(request, error)


def _add(request, _obj, form):
    facts = form.facts()
    return actions.add_ground(facts.pop("code"), by=request.user, **facts)


def _change(request, obj, form):
    return actions.change_ground(obj.code, by=request.user, **form.facts())


def _end(request, obj, form):
    return actions.end_ground(obj.code, by=request.user, **form.facts())


def _change_basis(request, obj, form):
    return actions.change_basis(obj.code, by=request.user, **form.facts())


def _is_open(row: RefusalGround | LegalBasis) -> bool:
    return row.effective_to is None


@admin.register(RefusalGround)
class RefusalGroundAdmin(Register):
    """Grounds on which a request may be refused. They are followed by another wording or ended, never edited."""

    list_display = ["code", "name", "citation", "in_force"]
    search_fields = ["code", "name", "citation"]
    ordering = ["code", "-effective_from"]
    fields = ["code", "name", "citation", "effective_from", "effective_to"]
    verb_pages = (
        VerbPage("add", _("Add a ground"), _add, "legal.change_rule", GroundForm, "primary", on_list=True,
                 help=_("With the provision of law that limits sharing (NĐ 194/2025/NĐ-CP Điều 16(2)).")),
        VerbPage("change", _("Give it another wording"), _change, "legal.change_rule", GroundChangeForm, "primary", when=_is_open,
                 help=_("From the day you name; what was refused before keeps the old wording.")),
        VerbPage("end", _("End the ground"), _end, "legal.change_rule", GroundEndForm, "danger", when=_is_open,
                 help=_("From that day on nobody refuses on it.")),
    )  # fmt: skip

    @admin.display(description=_("in force"), ordering="effective_from")
    def in_force(self, obj):
        return _period(obj)


@admin.register(LegalBasis)
class LegalBasisAdmin(Register):
    """The provisions that the gateway's refusals cite. They are followed by another one, never edited."""

    list_display = ["name", "code", "citation", "in_force"]
    search_fields = ["code", "name", "citation"]
    ordering = ["code", "-effective_from"]
    fields = ["code", "name", "citation", "effective_from", "effective_to"]
    verb_pages = (
        VerbPage("change", _("Cite another provision"), _change_basis, "legal.change_rule", BasisChangeForm, "primary", when=_is_open,
                 help=_("From the day you name, refusals of calls cite it.")),
    )  # fmt: skip

    @admin.display(description=_("in force"), ordering="effective_from")
    def in_force(self, obj):
        return _period(obj)


class CalendarDayForm(forms.ModelForm):
    class Meta:
        model = CalendarException
        fields = ["day", "is_working", "reason", "citation"]
        help_texts = {"citation": _("The decision or notice of the Government.")}


@admin.register(CalendarException)
class CalendarExceptionAdmin(ReadOnlyAdmin):
    form = CalendarDayForm
    list_display = ["day", "is_working", "reason", "citation"]

    def has_add_permission(self, request) -> bool:
        return request.user.has_perm("legal.change_rule")

    def save_model(self, request, obj, form, change):
        given = dict(form.cleaned_data)
        row = actions.set_calendar_day(given.pop("day"), by=request.user, **given)
        obj.pk = row.pk
