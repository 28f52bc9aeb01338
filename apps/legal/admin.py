from __future__ import annotations

from django.contrib import admin
from django.template.defaultfilters import floatformat
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from apps.core.registers import Register, VerbPage
from apps.legal import actions
from apps.legal.forms import (
    BasisChangeForm,
    CalendarChangeForm,
    CalendarDayForm,
    GroundChangeForm,
    GroundEndForm,
    GroundForm,
    RuleChangeForm,
)
from apps.legal.models import CalendarException, LegalBasis, LegalRule, RefusalGround


class BetweenDatesRegister(Register):
    """Rows of law, the newest of a code first. They are followed by another row or ended, never edited."""

    ordering = ["code", "-effective_from"]
    search_fields = ["code", "name", "citation"]

    @admin.display(description=_("in force"), ordering="effective_from")
    def in_force(self, obj):
        first = date_format(obj.effective_from, "d/m/Y")
        return f"{first} – {date_format(obj.effective_to, 'd/m/Y')}" if obj.effective_to else f"{first} –"


def _is_open(row: LegalRule | RefusalGround | LegalBasis) -> bool:
    return row.effective_to is None


def _change_rule(request, obj, form):
    return actions.change_rule(obj.code, by=request.user, seen=obj, **form.facts())


@admin.register(LegalRule)
class LegalRuleAdmin(BetweenDatesRegister):
    """Values the law sets, between their dates. They are followed by another value, never edited."""

    list_display = ["titled", "amount", "citation", "in_force", "evidence"]
    list_filter = ["unit", "evidence"]
    fields = ["name", "code", "amount", "citation", "effective_from", "effective_to", "evidence"]
    readonly_fields = ["amount"]
    verb_pages = (
        VerbPage("change", _("Give it another value"), _change_rule, "legal.change_rule", RuleChangeForm, "primary",
                 when=_is_open,
                 help=_("From the day you name; cases that run already keep the value they began under.")),
    )  # fmt: skip

    @admin.display(description=_("name"), ordering="code")
    def titled(self, obj):
        return format_html("{}<br><small>{}</small>", obj.name, obj.code)

    @admin.display(description=_("value"), ordering="value")
    def amount(self, obj):
        return f"{floatformat(obj.value, '-2g')} {obj.get_unit_display()}"


def _add(request, _obj, form):
    facts = form.facts()
    return actions.add_ground(facts.pop("code"), by=request.user, **facts)


def _change(request, obj, form):
    return actions.change_ground(obj.code, by=request.user, seen=obj, **form.facts())


def _end(request, obj, form):
    return actions.end_ground(obj.code, by=request.user, seen=obj, **form.facts())


def _change_basis(request, obj, form):
    return actions.change_basis(obj.code, by=request.user, seen=obj, **form.facts())


@admin.register(RefusalGround)
class RefusalGroundAdmin(BetweenDatesRegister):
    """Grounds on which a request may be refused. They are followed by another wording or ended, never edited."""

    list_display = ["code", "name", "citation", "in_force"]
    fields = ["code", "name", "citation", "effective_from", "effective_to"]
    verb_pages = (
        VerbPage("add", _("Add a ground"), _add, "legal.change_rule", GroundForm, "primary", on_list=True,
                 help=_("With the provision of law that limits sharing (NĐ 194/2025/NĐ-CP Điều 16(2)).")),
        VerbPage("change", _("Give it another wording"), _change, "legal.change_rule", GroundChangeForm, "primary", when=_is_open,
                 help=_("From the day you name; what was refused before keeps the old wording.")),
        VerbPage("end", _("End the ground"), _end, "legal.change_rule", GroundEndForm, "danger", when=_is_open,
                 help=_("From that day on nobody refuses on it.")),
    )  # fmt: skip


@admin.register(LegalBasis)
class LegalBasisAdmin(BetweenDatesRegister):
    """The provisions that the gateway's refusals cite. They are followed by another one, never edited."""

    list_display = ["name", "code", "citation", "in_force"]
    fields = ["code", "name", "citation", "effective_from", "effective_to"]
    verb_pages = (
        VerbPage("change", _("Cite another provision"), _change_basis, "legal.change_rule", BasisChangeForm, "primary", when=_is_open,
                 help=_("From the day you name, refusals of calls cite it.")),
    )  # fmt: skip


def _set_day(request, _obj, form):
    facts = form.facts()
    return actions.set_calendar_day(facts.pop("day"), by=request.user, **facts)


def _change_day(request, obj, form):
    return actions.set_calendar_day(obj.day, by=request.user, **form.facts())


@admin.register(CalendarException)
class CalendarExceptionAdmin(Register):
    list_display = ["day", "is_working", "reason", "citation"]
    fields = ["day", "is_working", "reason", "citation"]
    verb_pages = (
        VerbPage("set", _("Enter a day"), _set_day, "legal.change_rule", CalendarDayForm, "primary", on_list=True,
                 help=_("A day the Government made a working day or a day off. Cases already running keep their due moment.")),
        VerbPage("change", _("Change"), _change_day, "legal.change_rule", CalendarChangeForm),
    )  # fmt: skip
