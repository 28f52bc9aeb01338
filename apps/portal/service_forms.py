"""What people type on a service's page: a question, an answer, a trial call."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.agreements.models import Credential
from apps.portal.forms import RepeatableForm
from apps.registry.models import Operation


class QuestionForm(RepeatableForm):
    text = forms.CharField(
        label=_("Your question or suggestion"), max_length=5_000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Everybody who sees this service reads it: name no person and no record."),
    )  # fmt: skip


class AnswerForm(forms.Form):
    answer = forms.CharField(label=_("Answer"), max_length=5_000, widget=forms.Textarea(attrs={"rows": 3}))


class TrialForm(forms.Form):
    """One operation's parameters, the account, and its secret: a password box that is always empty again."""

    account = forms.ModelChoiceField(
        Credential.objects.none(), label=_("Test account"), to_field_name="client_id", empty_label=None
    )
    secret = forms.CharField(
        label=_("Secret of the account"), strip=False, max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=_("Used for this one call; neither kept nor written down anywhere."),
    )  # fmt: skip

    def __init__(self, *args, accounts, operation: Operation, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"].queryset = accounts
        self.parameters = list(operation.parameters.all())
        for parameter in self.parameters:
            self.fields[f"v-{parameter.name}"] = forms.CharField(
                label=parameter.label or parameter.name, required=parameter.required, max_length=parameter.max_length,
                initial=parameter.example, help_text=parameter.name if parameter.label else "",
                widget=forms.TextInput(attrs={"autocomplete": "off"}),
            )  # fmt: skip

    def parameter_fields(self) -> list:
        return [self[f"v-{parameter.name}"] for parameter in self.parameters]

    def values(self) -> dict[str, str]:
        return {parameter.name: self.cleaned_data[f"v-{parameter.name}"] for parameter in self.parameters}
