"""Forms of disputes and tickets. They read what was typed; whether it may be is the verbs' to say."""

from __future__ import annotations

import datetime

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.agreements.models import Agreement
from apps.disputes.actions import LEVEL_1
from apps.disputes.choices import DisputeCategory
from apps.legal.stated import stated
from apps.organizations.models import Organization
from apps.portal.forms import RepeatableForm, date_input
from apps.registry.models import DataService

LONG = 10_000


def text(label, *, rows: int = 4, help_text="") -> forms.CharField:
    return forms.CharField(label=label, max_length=LONG, help_text=help_text, widget=forms.Textarea(attrs={"rows": rows}))


class DisputeForm(forms.Form):
    """An obstacle: of which of the six kinds (NĐ 47/2020 Điều 47), in short, and in full."""

    uuid = forms.UUIDField(widget=forms.HiddenInput)
    respondent = forms.ModelChoiceField(Organization.objects.none(), label=_("Other party"), empty_label=None)
    category = forms.ChoiceField(label=_("Kind"), choices=DisputeCategory.choices)
    title = forms.CharField(label=_("In a few words"), max_length=300)
    description = text(_("What the obstacle is, and what your agency proposes"), rows=6)

    def __init__(self, *args, others, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["respondent"].queryset = others
        self.fields["description"].help_text = stated(
            _("The other party has %(term)s to answer (%(citation)s); after that, or when the answer does not settle it, you can take it one level up."),
            LEVEL_1,
        )  # fmt: skip


class DisputeAnswerForm(RepeatableForm):
    text = text(_("Answer"), rows=5)


class ReplyForm(DisputeAnswerForm):
    """The reply of the body in charge: by a document, whose number and date are kept."""

    document_number = forms.CharField(label=_("Number of the reply"), max_length=100)
    document_date = forms.DateField(label=_("Date of the reply"), widget=date_input())


class SentForm(forms.Form):
    """The document that was sent at level 3."""

    sent_to = forms.CharField(
        label=_("Sent to"), max_length=300, help_text=_("The ministry in charge, or the Prime Minister (NĐ 47/2020 Điều 48).")
    )
    number = forms.CharField(label=_("Number of the document"), max_length=100)
    day = forms.DateField(label=_("Date of the document"), widget=date_input())


class EscalateForm(forms.Form):
    reason = text(_("Why the present level does not settle it"), rows=3)


class OutcomeForm(forms.Form):
    outcome = text(_("How it was settled"), rows=3)


class AgreementChoice(forms.ModelChoiceField):
    def label_from_instance(self, agreement: Agreement) -> str:
        return f"{agreement.number} – {agreement.title}"


class ServiceChoice(forms.ModelChoiceField):
    def label_from_instance(self, service: DataService) -> str:
        return f"{service.name} ({service.code})"


class TicketForm(forms.Form):
    """A question to the other party of an agreement."""

    uuid = forms.UUIDField(widget=forms.HiddenInput)
    agreement = AgreementChoice(Agreement.objects.none(), label=_("Agreement"), empty_label=None, to_field_name="uuid")
    asked_of = forms.ModelChoiceField(
        Organization.objects.none(), label=_("Agency asked"), required=False,
        help_text=_("Needed only where several agencies are on the other side."),
    )  # fmt: skip

    def __init__(self, *args, agreements, others, services, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["agreement"].queryset = agreements
        if "service" in self.fields:
            self.fields["service"].queryset = services
        self.fields["asked_of"].queryset = others
        if len(others) < 2:
            del self.fields["asked_of"]


class WrongDataForm(TicketForm):
    """Wrong data found in what was received (NĐ 47/2020 Điều 52(2)(c))."""

    field_order = ("uuid", "agreement", "service", "asked_of")
    service = ServiceChoice(
        DataService.objects.none(), label=_("Service"), required=False, empty_label=_("none in particular"),
        to_field_name="code", help_text=_("The service whose data is wrong: one of those under the agreement."),
    )  # fmt: skip
    record_key = forms.CharField(
        label=_("Key of the record"), max_length=200, required=False,
        help_text=_("For example the enterprise code. Only its fingerprint is kept: name the record to the provider by other means if needed."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    text = text(_("What is wrong, and what it should be"))


class ExplanationForm(TicketForm):
    """Explain your use (NĐ 47/2020 Điều 51(1)(b))."""

    due_at = forms.DateTimeField(
        label=_("To be answered by"),
        widget=forms.DateTimeInput(attrs={"class": "short", "placeholder": _("dd/mm/yyyy hh:mm"), "autocomplete": "off"}),
    )
    text = text(_("What is to be explained"))

    def clean_due_at(self) -> datetime.datetime:
        """A day without an hour is over at its end, not at its first minute."""
        due = timezone.localtime(self.cleaned_data["due_at"])
        return due if due.time() != datetime.time() else due.replace(hour=23, minute=59)


class TicketAnswerForm(forms.Form):
    answer = text(_("Answer"))


class AskAgainForm(forms.Form):
    text = text(_("What is still missing"), rows=3)
