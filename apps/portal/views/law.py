"""The deadline calculator: when a term of working days ends, and which days were skipped on the way and why."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import DomainError
from apps.legal import deadlines
from apps.legal.choices import Unit
from apps.legal.models import LegalRule
from apps.portal.doors import page, said


class CalculatorForm(forms.Form):
    """A moment of receipt, and either a number of working days or a rule that sets it."""

    received = forms.DateTimeField(
        label=gettext_lazy("Received"),
        widget=forms.DateTimeInput(attrs={"class": "short", "placeholder": gettext_lazy("dd/mm/yyyy hh:mm"), "autocomplete": "off"}),
    )  # fmt: skip
    days = forms.IntegerField(
        label=gettext_lazy("Working days"), min_value=0, max_value=1000, required=False,
        help_text=gettext_lazy("A number of days, or a rule below."),
    )  # fmt: skip
    rule = forms.ChoiceField(label=gettext_lazy("Rule"), required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        rows = LegalRule.objects.filter(unit=Unit.WORKING_DAYS).order_by("code", "effective_from")
        named = {row.code: row.name for row in rows}
        self.fields["rule"].choices = [("", "–"), *sorted(named.items(), key=lambda pair: pair[1])]

    def clean(self) -> dict:
        given = super().clean()
        if given.get("days") is None and not given.get("rule") and "days" not in self.errors:
            self.add_error("days", _("Give a number of days or choose a rule."))
        return given

    def answer(self) -> deadlines.Deadline:
        """Raises InvalidFact when no such rule was in force that day."""
        at, days = self.cleaned_data["received"], self.cleaned_data["days"]
        return deadlines.working_days(days, at) if days is not None else deadlines.start(self.cleaned_data["rule"], at)


@page
def calculator(request: HttpRequest) -> HttpResponse:
    asked = "received" in request.GET
    now = timezone.localtime().strftime("%d/%m/%Y %H:%M")
    form = CalculatorForm(request.GET if asked else None, initial={"received": now, "days": 2})
    found, refusal = None, ""
    if asked and form.is_valid():
        try:
            found = form.answer()
        except DomainError as error:
            refusal = said(error)
    context = {
        "title": _("Deadline calculator"),
        "crumbs": [(_("Home"), reverse("home"))],
        "form": form,
        "found": found,
        "refusal": refusal,
    }
    return render(request, "portal/calculator.html", context)
