"""What the legal officer types into the verbs of refusal grounds and of provisions on calls."""

from __future__ import annotations

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.core.registers import VerbForm

DAY = forms.DateInput(attrs={"type": "text", "placeholder": _("dd/mm/yyyy"), "inputmode": "numeric"})


class GroundForm(VerbForm):
    code = forms.CharField(label=_("code"), max_length=10, help_text=_("A capital letter and digits: R7."))
    name = forms.CharField(label=_("ground"), max_length=300)
    citation = forms.CharField(label=_("legal basis"), max_length=300, help_text=_("Instrument, article and clause."))
    effective_from = forms.DateField(label=_("effective from"), widget=DAY, initial=timezone.localdate)


class GroundChangeForm(GroundForm):
    """Begins with the present wording."""

    code = None

    def __init__(self, *args, obj=None, **kwargs) -> None:
        kwargs["initial"] = {"name": obj.name, "citation": obj.citation, **kwargs.get("initial", {})}
        super().__init__(*args, obj=obj, **kwargs)


class BasisChangeForm(VerbForm):
    """Begins with the present citation."""

    citation = forms.CharField(label=_("legal basis"), max_length=300, help_text=_("Instrument, article and clause."))
    effective_from = forms.DateField(label=_("effective from"), widget=DAY, initial=timezone.localdate)

    def __init__(self, *args, obj=None, **kwargs) -> None:
        kwargs["initial"] = {"citation": obj.citation, **kwargs.get("initial", {})}
        super().__init__(*args, obj=obj, **kwargs)


class GroundEndForm(VerbForm):
    effective_to = forms.DateField(label=_("no longer from"), widget=DAY, initial=timezone.localdate)
