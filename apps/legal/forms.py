"""What the legal officer types into the verbs of refusal grounds and of provisions on calls."""

from __future__ import annotations

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.registers import ChangeForm, FollowingForm, VerbForm
from apps.legal.choices import Evidence
from apps.legal.models import CalendarException

DAY = forms.DateInput(attrs={"type": "text", "placeholder": _("dd/mm/yyyy"), "inputmode": "numeric"})


class GroundForm(VerbForm):
    code = forms.CharField(label=_("code"), max_length=10, help_text=_("A capital letter and digits: R7."))
    name = forms.CharField(label=_("ground"), max_length=300)
    citation = forms.CharField(label=_("legal basis"), max_length=300, help_text=_("Instrument, article and clause."))
    effective_from = forms.DateField(label=_("effective from"), widget=DAY, initial=timezone.localdate)


class GroundChangeForm(FollowingForm, GroundForm):
    code = None


class GroundEndForm(FollowingForm):
    effective_to = forms.DateField(label=_("no longer from"), widget=DAY)

    def __init__(self, *args, obj, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        self.initial["effective_to"] = timezone.localdate()


class BasisChangeForm(FollowingForm):
    citation = forms.CharField(label=_("legal basis"), max_length=300, help_text=_("Instrument, article and clause."))
    effective_from = forms.DateField(label=_("effective from"), widget=DAY, initial=timezone.localdate)


class RuleChangeForm(FollowingForm):
    """The next value of a rule. The row shown is not edited: a new one follows it."""

    value = forms.DecimalField(label=_("value"), min_value=0, max_digits=10, decimal_places=2)
    citation = forms.CharField(label=_("legal basis"), max_length=300)
    effective_from = forms.DateField(label=_("effective from"), widget=DAY, initial=timezone.localdate)
    evidence = forms.ChoiceField(label=_("evidence"), choices=Evidence.choices)

    def __init__(self, *args, obj, **kwargs) -> None:
        super().__init__(*args, obj=obj, **kwargs)
        self.initial["value"] = f"{obj.value.normalize():f}"


class CalendarDayForm(VerbForm):
    day = forms.DateField(label=_("day"), widget=DAY)
    is_working = forms.BooleanField(label=_("is a working day"), required=False)
    reason = forms.CharField(label=_("reason"), max_length=300)
    citation = forms.CharField(label=_("legal basis"), max_length=300, help_text=_("The decision or notice of the Government."))

    def facts(self) -> dict:
        return {**self.cleaned_data, "version": 0}

    def standing(self) -> dict:
        row = CalendarException.objects.get(day=self.cleaned_data["day"])
        return {name: getattr(row, name) for name in self.fields}


class CalendarChangeForm(ChangeForm, CalendarDayForm):
    day = None

    def facts(self) -> dict:
        return dict(self.cleaned_data)
