"""What the legal officer types into the verb of standard clauses."""

from __future__ import annotations

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.agreements.actions.clauses import MAX_TEXT
from apps.core.registers import FollowingForm
from apps.organizations.forms import DAY


class ClauseForm(FollowingForm):
    text = forms.CharField(label=_("text"), max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 10}))
    citation = forms.CharField(label=_("legal basis"), max_length=300, required=False)
    effective_from = forms.DateField(label=_("effective from"), widget=DAY, initial=timezone.localdate)
