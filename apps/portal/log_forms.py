"""The search of the log of calls: what may be asked, and the same filters the API has."""

from __future__ import annotations

import datetime

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.agreements.models import Grant
from apps.gateway.api.filters import DEFAULT_PERIOD, CallFilter, RefusalFilter
from apps.gateway.choices import Outcome
from apps.gateway.models import CallIntent, CallRefusal
from apps.gateway.querysets import EARLIEST
from apps.gateway.refusals import FAILURES, REFUSALS
from apps.registry.choices import Environment

PERIOD = datetime.timedelta(hours=24)
MOMENTS = ("%d/%m/%Y %H:%M", "%d/%m/%Y")


def moment_input() -> forms.DateTimeInput:
    attrs = {"inputmode": "numeric", "placeholder": _("dd/mm/yyyy"), "autocomplete": "off"}
    return forms.DateTimeInput(format=MOMENTS[0], attrs=attrs)


class LogForm(forms.Form):
    """Everything may be empty; without a period and a call id the last 24 hours are shown, with its end alone the 31 days before it."""

    call_id = forms.UUIDField(label=_("Call id"), required=False)
    since = forms.DateTimeField(label=_("From"), required=False, input_formats=MOMENTS, widget=moment_input())
    until = forms.DateTimeField(label=_("To (not included)"), required=False, input_formats=MOMENTS, widget=moment_input())
    consumer = forms.ChoiceField(label=_("Consumer"), required=False)
    service = forms.ChoiceField(label=_("Service"), required=False)
    agreement = forms.CharField(label=_("Agreement"), required=False, max_length=30)
    code = forms.ChoiceField(label=_("Reason"), required=False)

    def __init__(self, data, *, user) -> None:
        super().__init__(data)
        grants = Grant.objects.visible_to(user)
        consumers = grants.values_list("system__organization__code", "system__organization__name")
        services = grants.values_list("operation__version__service__code", "operation__version__service__name")
        self.fields["consumer"].choices = _choices(consumers.order_by("system__organization__name"))
        self.fields["service"].choices = _choices(services.order_by("operation__version__service__name"))
        self.fields["code"].choices = [("", _("all")), *((row.code, f"{row.title} ({row.code})") for row in self.reasons)]

    reasons = ()

    def clean(self) -> dict:
        given = super().clean()
        if not self.errors and not any(given.get(name) for name in ("since", "until", "call_id")):
            given["since"] = timezone.now() - PERIOD
        elif not self.errors and given.get("until") and not given.get("since") and not given.get("call_id"):
            given["since"] = max(given["until"], EARLIEST) - DEFAULT_PERIOD
        return given

    def asked(self) -> dict[str, str]:
        """The criteria in words, for the record of the reading."""
        return {name: str(value) for name, value in self.cleaned_data.items() if value}

    def rows(self, user):
        """The rows that fit, as far as `user` may see them. Only for a valid form."""
        given = self.cleaned_data
        data = {name: given[name] for name in self.filters.base_filters if given.get(name)}
        data |= {"from": _iso(given.get("since")), "to": _iso(given.get("until"))}
        found = self.filters(data=data, queryset=self.model.objects.visible_to(user).for_reading())
        return found.qs.order_by("-call_id") if found.is_valid() else self.model.objects.none()


class CallForm(LogForm):
    environment = forms.ChoiceField(label=_("Environment"), required=False, choices=[("", _("all")), *Environment.choices])
    outcome = forms.ChoiceField(label=_("Outcome"), required=False, choices=[("", _("all")), *Outcome.choices])
    filters, model, reasons = CallFilter, CallIntent, tuple(FAILURES.values())

    def clean(self) -> dict:
        given = super().clean()
        given["outcome"] = [given["outcome"]] if given.get("outcome") else []
        return given


class RefusalForm(LogForm):
    filters, model, reasons = RefusalFilter, CallRefusal, tuple(row for row in REFUSALS.values() if row.durable)


class PersonForm(forms.Form):
    """Who read about one person. Sent by POST: an identifier has no place in an address."""

    identifier = forms.CharField(
        label=_("Identifier of the person"), max_length=500, widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("As systems give it in their calls; where an operation asks for several values, all of them, with a semicolon between."),
    )  # fmt: skip
    reason = forms.CharField(
        label=_("Request that is answered"),
        min_length=5,
        max_length=300,
        help_text=_("Number and day of the request; it is recorded."),
    )
    since = forms.DateTimeField(label=_("From"), input_formats=MOMENTS, widget=moment_input())
    until = forms.DateTimeField(label=_("To (not included)"), required=False, input_formats=MOMENTS, widget=moment_input())
    service = forms.ChoiceField(label=_("Service"), required=False)

    def __init__(self, *args, user, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        services = Grant.objects.visible_to(user).values_list(
            "operation__version__service__code", "operation__version__service__name"
        )
        self.fields["service"].choices = _choices(services.order_by("operation__version__service__name"))

    def facts(self) -> dict:
        """What `search_calls_about` takes."""
        given = dict(self.cleaned_data)
        identifiers = [part.strip() for part in given.pop("identifier").split(";") if part.strip()]
        return {**given, "identifiers": identifiers}

    def clean_identifier(self) -> str:
        given = self.cleaned_data["identifier"]
        if not 1 <= len([part for part in given.split(";") if part.strip()]) <= 5:
            raise forms.ValidationError(_("One to five values."), code="values")
        return given


def _choices(rows) -> list[tuple[str, object]]:
    return [("", _("all")), *rows.distinct()]


def _iso(moment: datetime.datetime | None) -> str:
    return moment.isoformat() if moment else ""
