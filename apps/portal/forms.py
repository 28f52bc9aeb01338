"""Forms of the daily pages. They read what was typed; whether it may be is the verbs' to say."""

from __future__ import annotations

import re
import uuid as uuids

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.connections.actions import AMENDING
from apps.connections.models import ConnectionRequest
from apps.core.registers import ShowsRefusal
from apps.core.text import clean
from apps.legal.models import RefusalGround
from apps.organizations.models import InformationSystem, Organization
from apps.registry.models import Purpose

LONGEST = 10_000
"""Characters of a text that people write, as in the API."""


def date_input() -> forms.DateInput:
    """Day/month/year as typed in Vietnam; a browser's own date control would show its own country's order."""
    return forms.DateInput(
        attrs={"class": "short", "inputmode": "numeric", "placeholder": _("dd/mm/yyyy"), "autocomplete": "off"}
    )


class LinesField(forms.CharField):
    """A list typed one a line (commas and semicolons divide too); becomes a list of clean texts."""

    widget = forms.Textarea(attrs={"rows": 3})
    divider = re.compile(r"[\n,;]+")

    def prepare_value(self, value):
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value) -> list[str]:
        return [part for part in map(clean, self.divider.split(value or "")) if part]

    def has_changed(self, initial, data) -> bool:
        return self.to_python(data) != (initial or [])

    def validate(self, value) -> None:
        if self.required and not value:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value) -> None:
        """The texts inside are checked by the model's own fields."""


class SentencesField(LinesField):
    """The same of sentences, in which commas and semicolons divide nothing."""

    divider = re.compile(r"\n+")


class SystemChoice(forms.ModelMultipleChoiceField):
    widget = forms.CheckboxSelectMultiple

    def label_from_instance(self, system: InformationSystem) -> str:
        return f"{system.name} – {system.organization}"


class WhoForm(ShowsRefusal, forms.Form):
    """Step 1: for which agency, and which of its systems shall read."""

    consumer = forms.ModelChoiceField(Organization.objects.none(), label=_("Requesting agency"), empty_label=None)
    title = forms.CharField(
        label=_("Title of the request"), max_length=300, required=False,
        help_text=_("In a few words, so that everybody recognizes the case. For example: “Look up companies for construction permits”."),
    )  # fmt: skip
    systems = SystemChoice(
        InformationSystem.objects.none(), label=_("Systems that shall read the data"), required=False,
        help_text=_("Only a system of your agency, recorded in the directory, can be given access."),
    )  # fmt: skip
    uuid = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args, agencies, systems, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["consumer"].queryset = agencies
        self.fields["systems"].queryset = systems


class KeyForm(forms.Form):
    """The key of one rendering of a form: sent twice, it makes one object (CC-05)."""

    uuid = forms.UUIDField(widget=forms.HiddenInput)


class RepeatableForm(forms.Form):
    """As `KeyForm`, for a form that is one of several on a page: it makes its key itself, anew at each rendering."""

    uuid = forms.UUIDField(widget=forms.HiddenInput, initial=uuids.uuid4, required=False)


class PaperForm(ShowsRefusal, KeyForm):
    """A request that came on paper (WF-17): from whom, when it was received, who signed it."""

    consumer = forms.ModelChoiceField(Organization.objects.none(), label=_("Requesting agency"))
    received_on = forms.DateField(
        label=_("Date of receipt"), widget=date_input(), help_text=_("The deadline runs from this day, not from today.")
    )
    paper_signer = forms.CharField(
        label=_("Signed on paper by"), max_length=200, help_text=_("Name and position of who signed the paper.")
    )
    title = forms.CharField(label=_("Title of the request"), max_length=300)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["consumer"].queryset = Organization.objects.active().order_by("sort_key")


class NearForm(ShowsRefusal, forms.Form):
    """Why the default services that come near do not suffice (NĐ 47/2020 Điều 36(1))."""

    special_reason = forms.CharField(
        label=_("Why default sharing does not suffice"),
        max_length=10_000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )


class WhyForm(ShowsRefusal, forms.ModelForm):
    """Step 3: what for, on what ground, how often. Everything may still be empty while it is a draft."""

    procedures = LinesField(
        label=_("Procedures served"), required=False,
        help_text=_("Codes of the administrative procedures, one a line. For example: 1.001612"),
    )  # fmt: skip
    source_networks = LinesField(
        label=_("Addresses the calls will come from"), required=False,
        help_text=_("Addresses or networks, one a line, for example 10.1.2.0/24. Left empty, every address is allowed."),
    )  # fmt: skip

    class Meta:
        model = ConnectionRequest
        fields = [
            "purpose", "purpose_text", "solution", "legal_basis", "procedures", "calls_per_day", "calls_per_second",
            "wanted_from", "wanted_to", "source_networks", "codes_day", "technician", "exemption_reason", "note",
            "change_reason",
        ]  # fmt: skip
        widgets = {
            "wanted_from": date_input(),
            "wanted_to": date_input(),
            "codes_day": date_input(),
            "purpose_text": forms.Textarea(attrs={"rows": 3}),
            "solution": forms.Textarea(attrs={"rows": 3}),
            "legal_basis": forms.Textarea(attrs={"rows": 3}),
            "exemption_reason": forms.Textarea(attrs={"rows": 3}),
            "note": forms.Textarea(attrs={"rows": 3}),
            "change_reason": forms.Textarea(attrs={"rows": 3}),
        }
        help_texts = {
            "purpose_text": _("Which work of your agency needs the data, and why it is not enough to ask the citizen."),
            "legal_basis": _("The laws, decrees and decisions that give your agency this task, one a line."),
            "solution": _("What your system does with the data, where it is kept, when it is deleted."),
            "calls_per_day": _("The most calls you expect on a busy day; it becomes the quota."),
            "technician": _("Name, telephone and e-mail of the person who connects the system."),
            "wanted_to": _("Left empty, the agreement has no end."),
        }

    def __init__(self, *args, default_quota: int | None = None, **kwargs):
        """`default_quota` is offered as the number of calls a day; it is the draft's when the officer has sent it."""
        offered = {"calls_per_day": default_quota} if default_quota else {}
        super().__init__(*args, initial=offered, **kwargs)
        if offered:
            self.fields["calls_per_day"].help_text = _(
                "Entered is the default quota of the services; write the most calls you expect on a busy day."
            )
        self.fields["purpose"].queryset = Purpose.objects.filter(is_active=True)
        self.fields["purpose"].empty_label = _("– choose –")
        self._tell_terms_from_reason()
        for name, field in self.fields.items():
            field.required = False
            if isinstance(field.widget, forms.Textarea) and not isinstance(field, LinesField):
                self.fields[name] = forms.CharField(
                    label=field.label, help_text=field.help_text, required=False, max_length=LONGEST, widget=field.widget
                )

    def _tell_terms_from_reason(self) -> None:
        """Where something runs, the note is a term of it that was agreed; why it changes is another box."""
        if self.instance.kind not in AMENDING:
            del self.fields["change_reason"]
            return
        terms = self.fields["note"]
        terms.label = _("Other terms")
        terms.help_text = _("An item of the agreement, as it was agreed. Left as it is, it stays.")

    def _post_clean(self):
        """The verb writes, not the form: the instance stays as it was read."""


class ReturnForm(forms.Form):
    """What is missing, field by field: a text beside each part that lacks something."""

    def __init__(self, *args, parts: list[tuple[str, str]], **kwargs):
        super().__init__(*args, **kwargs)
        for name, label in parts:
            self.fields[f"on_{name}"] = forms.CharField(
                label=label, required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2})
            )

    def remarks(self) -> list[tuple[str, str]]:
        given = ((name.removeprefix("on_"), text.strip()) for name, text in self.cleaned_data.items())
        return [(name, text) for name, text in given if text]


class GroundSelect(forms.Select):
    """Each ground carries its citation, so that choosing one can fill the next field."""

    def create_option(self, name, value, label, selected, index, subindex=None, attrs=None):
        option = super().create_option(name, value, label, selected, index, subindex, attrs)
        if getattr(value, "instance", None) is not None:
            option["attrs"]["data-citation"] = value.instance.citation
        return option


class RefuseForm(forms.Form):
    """A refusal: coded ground, reason, legal provision (NĐ 194/2025 Điều 16(2))."""

    ground = forms.ModelChoiceField(
        RefusalGround.objects.none(), label=_("Ground"), to_field_name="code",
        widget=GroundSelect(attrs={"data-fills": "id_refuse-citation"}),
    )  # fmt: skip
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 4}))
    citation = forms.CharField(label=_("Legal provision"), max_length=300)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["ground"].queryset = RefusalGround.objects.in_force(timezone.localdate())


class CommentForm(forms.Form):
    comment = forms.CharField(label=_("Comment"), required=False, widget=forms.Textarea(attrs={"rows": 2}))


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}))


class PasswordForm(forms.Form):
    """Proof, at the moment of signing, that it is the signer who sits there."""

    password = forms.CharField(
        label=_("Your password, as your signature"), widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class ThreadForm(RepeatableForm):
    text = forms.CharField(label=_("Comment"), max_length=5000, widget=forms.Textarea(attrs={"rows": 3}))
    is_internal = forms.BooleanField(label=_("only for my own agency"), required=False)


class JoinForm(KeyForm):
    """An outsider's wish to join an agreement in force (NĐ 47/2020 Điều 36(4))."""

    number = forms.CharField(
        label=_("Number of the agreement"), max_length=30, widget=forms.TextInput(attrs={"placeholder": "TT-2026-000001"}),
        help_text=_("It stands in the public register and on the document."),
    )  # fmt: skip
    consumer = forms.ModelChoiceField(Organization.objects.none(), label=_("Requesting agency"), empty_label=None)

    def __init__(self, *args, agencies, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["consumer"].queryset = agencies


class MergeForm(forms.Form):
    """Merging one agency into another by force of a legal instrument."""

    source = forms.ModelChoiceField(Organization.objects.none(), label=_("Agency that ends"), to_field_name="code")
    into = forms.ModelChoiceField(Organization.objects.none(), label=_("Agency that succeeds it"), to_field_name="code")
    instrument = forms.CharField(
        label=_("Legal instrument"), max_length=300, help_text=_("Number, date and issuer of the resolution or decision.")
    )

    def __init__(self, *args, agencies, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = self.fields["into"].queryset = agencies
