from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone
from django_filters import rest_framework as filters

from apps.gateway.choices import Outcome
from apps.gateway.models import CallIntent, CallRefusal
from apps.gateway.querysets import EARLIEST, LATEST
from apps.registry.choices import Environment

DEFAULT_PERIOD = timedelta(days=31)


class _Period(filters.FilterSet):
    """`from` and `to` in ISO 8601; the range of call ids that goes with it lets PostgreSQL read those months only.

    Without `from` and without a call id the 31 days before `to` (or now) are meant: a search that finds nothing would read every
    month there is.
    """

    call_id = filters.UUIDFilter()

    def filter_queryset(self, queryset):
        return super().filter_queryset(queryset).between(*self.period())

    def period(self) -> tuple[datetime | None, datetime | None]:
        """What is searched: [from, to). Only for a valid form."""
        data = self.form.cleaned_data
        start, end = (
            None if moment is None else max(EARLIEST, min(moment, LATEST)) for moment in (data.get("from"), data.get("to"))
        )
        if start is None and not data.get("call_id"):
            # From the beginning of that day: the same question is answered alike, whenever it is asked on a day.
            start = timezone.localtime(end).replace(hour=0, minute=0, second=0, microsecond=0) - DEFAULT_PERIOD
        return start, end

    def _nothing(self, rows, _name, _value):
        """The period is applied as a whole, by `between`."""
        return rows


# `from` is no Python name, so these two are put into the class bodies below by name.
_PERIOD = {
    "from": filters.IsoDateTimeFilter(
        method="_nothing", label="first moment (inclusive); without it and without call_id 31 days before `to` or now"
    ),
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
