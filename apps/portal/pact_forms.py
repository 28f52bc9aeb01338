"""Forms of an agreement's page. They read what was typed; whether it may be is the verbs' to say."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import SuspensionKind, TerminationGround
from apps.agreements.suspensions import VIOLATION_NOTICE
from apps.legal.stated import stated
from apps.organizations.models import InformationSystem
from apps.portal.forms import LinesField, SentencesField, date_input


class AcceptanceForm(forms.Form):
    """The record of the test (biên bản kiểm thử)."""

    system = forms.ModelChoiceField(InformationSystem.objects.none(), label=_("System"), to_field_name="code", empty_label=None)
    tested_on = forms.DateField(label=_("Tested on"), widget=date_input())
    summary = forms.CharField(
        label=_("What was tested, with what result"), widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Calls made, answers compared, errors seen and mended."),
    )  # fmt: skip

    def __init__(self, *args, systems, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["system"].queryset = systems


def determined_at(**more) -> forms.DateTimeField:
    widget = forms.DateTimeInput(attrs={"class": "short", "placeholder": _("dd/mm/yyyy hh:mm")})
    return forms.DateTimeField(label=_("Violation determined at"), widget=widget, **more)


class SuspendForm(forms.Form):
    """Suspending at once: force majeure, or a violation with how it is handled and what restores the connection."""

    kind = forms.ChoiceField(
        label=_("Kind of suspension"),
        choices=[(value, label) for value, label in SuspensionKind.choices if value != SuspensionKind.PLANNED],
    )
    violation = forms.CharField(label=_("What happened or was violated"), widget=forms.Textarea(attrs={"rows": 3}))
    plan = forms.CharField(label=_("How it is handled"), widget=forms.Textarea(attrs={"rows": 2}))
    restore_conditions = forms.CharField(
        label=_("What restores the connection"), required=False, widget=forms.Textarea(attrs={"rows": 2})
    )
    determined_at = determined_at(required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["determined_at"].help_text = stated(
            _("Of a violation; left empty: now. The parties are told at once; the law allows %(term)s from this moment (%(citation)s)."),
            VIOLATION_NOTICE,
        )  # fmt: skip


class LeaveForm(forms.Form):
    consumer = forms.ChoiceField(label=_("Who leaves"), required=False)
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args, consumers=(), **kwargs):
        super().__init__(*args, **kwargs)
        if len(consumers) > 1:
            self.fields["consumer"].choices = [(row.code, str(row)) for row in consumers]
        else:
            del self.fields["consumer"]


class TerminateForm(forms.Form):
    # That the term is over is the clock's to say.
    ground = forms.ChoiceField(
        label=_("Ground of termination"),
        choices=[row for row in TerminationGround.choices if row[0] != TerminationGround.EXPIRED],
    )
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}))


class DutyForm(forms.Form):
    """How a duty was done, with the paper that shows it."""

    note = forms.CharField(label=_("How it was done"), widget=forms.Textarea(attrs={"rows": 2}))
    certificate = forms.FileField(
        label=_("Certificate"), required=False, help_text=_("PDF, PNG, JPEG, DOCX or XLSX, at most 20 MB."),
        widget=forms.FileInput(attrs={"accept": ".pdf,.png,.jpg,.jpeg,.docx,.xlsx"}),
    )  # fmt: skip

    def __init__(self, *args, needs_certificate: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["certificate"].required = needs_certificate


class PlannedForm(forms.Form):
    """A planned suspension, announced before it begins (NĐ 47/2020 Điều 43(3))."""

    starts_at = forms.DateTimeField(
        label=_("Begins"), widget=forms.DateTimeInput(attrs={"class": "short", "placeholder": _("dd/mm/yyyy hh:mm")})
    )
    ends_at = forms.DateTimeField(
        label=_("Expected end"), widget=forms.DateTimeInput(attrs={"class": "short", "placeholder": _("dd/mm/yyyy hh:mm")})
    )
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 2}))


class ProposalForm(forms.Form):
    """What may be negotiated: words, limits, days, and which of the fields and systems asked for stay. A wider scope is a new
    request.

    Nobody types what is computed: where data is used, its networks and the security levels follow from the systems that stay,
    protocols from the services.
    """

    kept_fields = forms.MultipleChoiceField(
        label=_("Fields that are shared"), required=False, widget=forms.CheckboxSelectMultiple
    )
    kept_systems = forms.MultipleChoiceField(label=_("Systems that read"), required=False, widget=forms.CheckboxSelectMultiple)
    calls_per_day = forms.IntegerField(
        label=_("Calls per day"),
        required=False,
        min_value=1,
        help_text=_("Left empty, the default quota of the services applies."),
    )
    calls_per_second = forms.IntegerField(label=_("Calls per second"), required=False, min_value=1)
    hours_from = forms.TimeField(
        label=_("From (hour)"),
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"class": "short", "placeholder": "07:00"}),
    )
    hours_to = forms.TimeField(
        label=_("Until (hour)"),
        required=False,
        widget=forms.TimeInput(format="%H:%M", attrs={"class": "short", "placeholder": "19:00"}),
    )
    source_networks = LinesField(label=_("Addresses the calls will come from"), required=False)
    exchange_point = forms.CharField(
        label=_("Place of exchange"), required=False, widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("Through what the data is passed on. Where it is used follows from the systems that read."),
    )  # fmt: skip
    valid_from = forms.DateField(
        label=_("Valid from"), required=False, widget=date_input(),
        help_text=_("Left empty, the agreement is valid from the day on which all parties have signed."),
    )  # fmt: skip
    valid_to = forms.DateField(
        label=_("Valid until"), required=False, widget=date_input(), help_text=_("Left empty, the agreement has no end.")
    )
    usage_duration = SentencesField(
        label=_("Use of received data"), required=False,
        help_text=_("How long received data may be used, one rule a line; at first as the usage regulations say it."),
    )  # fmt: skip
    post_processing = forms.CharField(
        label=_("Processing after receipt"), required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    restrictions = forms.CharField(label=_("Conditions and limits"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    commitments = forms.CharField(
        label=_("Commitments on protecting the data"), required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    security = forms.CharField(label=_("Security and authentication"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    storage = forms.CharField(label=_("Storage"), required=False, widget=forms.Textarea(attrs={"rows": 2}))
    derived_data = forms.CharField(label=_("Derived data"), required=False, widget=forms.Textarea(attrs={"rows": 2}))
    disposal = forms.CharField(label=_("Deletion and destruction"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    disposal_deadline = forms.CharField(label=_("Deletion: by when"), required=False, max_length=300)
    other_terms = forms.CharField(label=_("Other terms"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    open_to_join = forms.BooleanField(label=_("Open to join"), required=False)
    note = forms.CharField(label=_("What changes and why"), widget=forms.Textarea(attrs={"rows": 2}))

    def __init__(
        self, *args, fields: list[tuple[str, str]], systems: list[tuple[str, str]], levels: list[tuple[str, str]], **kwargs
    ):
        """`levels` are (name of the field, name of the service), one for each service level of the content."""
        super().__init__(*args, **kwargs)
        self.fields["kept_fields"].choices = fields
        self.fields["kept_systems"].choices = systems
        for name, service in levels:
            self.fields[name] = forms.CharField(
                label=_("Service level: %(service)s") % {"service": service}, required=False,
                widget=forms.Textarea(attrs={"rows": 2}),
                help_text=_("What the provider promises: availability, time to answer, support."),
            )  # fmt: skip
        self.order_fields([name for name in self.fields if name != "note"])  # why all that changes is said last

    def clean(self):
        given = super().clean()
        if bool(given.get("hours_from")) != bool(given.get("hours_to")):
            self.add_error("hours_to", _("Give both hours, or none."))
        return given


class ConsumerSuspendForm(forms.Form):
    """Suspending one consumer for a violation (NĐ 47/2020 Điều 43(2), (5))."""

    party = forms.ChoiceField(label=_("Consumer"))
    violation = forms.CharField(label=_("What was violated, or is unsafe"), widget=forms.Textarea(attrs={"rows": 3}))
    plan = forms.CharField(label=_("How it is handled"), widget=forms.Textarea(attrs={"rows": 2}))
    restore_conditions = forms.CharField(label=_("What restores the connection"), widget=forms.Textarea(attrs={"rows": 2}))
    determined_at = determined_at()

    def __init__(self, *args, parties, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["determined_at"].help_text = stated(
            _("The consumer is told at once; the law allows %(term)s from this moment (%(citation)s)."), VIOLATION_NOTICE
        )
        self.fields["party"].choices = [(str(party.organization.uuid), str(party.organization)) for party in parties]


class SignedFileForm(forms.Form):
    """The document given out, signed with one's own token."""

    file = forms.FileField(label=_("The signed PDF"), widget=forms.FileInput(attrs={"accept": ".pdf,application/pdf"}))
