from __future__ import annotations

from django_filters import rest_framework as filters

from apps.gateway.choices import Outcome
from apps.gateway.models import CallIntent, CallRefusal
from apps.registry.choices import Environment


class _Period(filters.FilterSet):
    """`from` and `to` in ISO 8601; the range of call ids that goes with it lets PostgreSQL read those months only."""

    call_id = filters.UUIDFilter()

    def filter_queryset(self, queryset):
        data = self.form.cleaned_data
        return super().filter_queryset(queryset).between(data.get("from"), data.get("to"))

    def _nothing(self, rows, _name, _value):
        """The period is applied as a whole, by `between`."""
        return rows


# `from` is no Python name, so these two are put into the class bodies below by name.
_PERIOD = {
    "from": filters.IsoDateTimeFilter(method="_nothing", label="first moment (inclusive)"),
    "to": filters.IsoDateTimeFilter(method="_nothing", label="last moment (exclusive)"),
}


class CallFilter(_Period):
    locals().update(_PERIOD)
    consumer = filters.CharFilter(
        field_name="grant__system__organization__code", max_length=35, label="code of the consuming organization"
    )
    system = filters.CharFilter(field_name="grant__system__code", max_length=60)
    provider = filters.CharFilter(
        field_name="grant__operation__version__service__provider__code",
        max_length=35,
        label="code of the providing organization",
    )
    service = filters.CharFilter(field_name="grant__operation__version__service__code", max_length=60)
    operation = filters.CharFilter(field_name="grant__operation__code", max_length=80)
    agreement = filters.CharFilter(field_name="grant__agreement__number", max_length=30)
    environment = filters.ChoiceFilter(field_name="grant__environment", choices=Environment.choices)
    outcome = filters.MultipleChoiceFilter(field_name="outcome__outcome", choices=Outcome.choices)
    code = filters.CharFilter(field_name="outcome__code", max_length=40)

    class Meta:
        model = CallIntent
        fields: list[str] = []


class RefusalFilter(_Period):
    locals().update(_PERIOD)
    consumer = filters.CharFilter(
        field_name="system__organization__code", max_length=35, label="code of the calling organization"
    )
    system = filters.CharFilter(field_name="system__code", max_length=60)
    provider = filters.CharFilter(
        field_name="service__provider__code", max_length=35, label="code of the providing organization"
    )
    service = filters.CharFilter(field_name="service__code", max_length=60)
    agreement = filters.CharFilter(field_name="grant__agreement__number", max_length=30)
    code = filters.CharFilter(max_length=40)

    class Meta:
        model = CallRefusal
        fields: list[str] = []
