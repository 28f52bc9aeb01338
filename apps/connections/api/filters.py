from __future__ import annotations

from django.utils import timezone
from django_filters import rest_framework as filters

from apps.connections.choices import RequestKind, RequestStatus
from apps.connections.models import ConnectionRequest
from apps.core.api.moments import MomentFilter


class RequestFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=RequestStatus.choices)
    kind = filters.ChoiceFilter(choices=RequestKind.choices)
    consumer = filters.CharFilter(field_name="consumer__code", max_length=35, label="code of the requesting organization")
    late = filters.BooleanFilter(method="only_late", label="only cases whose deadline has passed")
    due_before = MomentFilter(field_name="due_at", lookup_expr="lt")
    q = filters.CharFilter(
        method="search",
        max_length=100,
        label="words of number, title, agencies and services, the last may be a beginning; tones not needed",
    )
    ordering = filters.OrderingFilter(fields=["due_at", "received_at", "created_at", "number"])

    class Meta:
        model = ConnectionRequest
        fields: list[str] = []

    def only_late(self, rows, _name, late: bool):
        return rows.late(timezone.now()) if late else rows

    def search(self, rows, _name, text: str):
        return rows.search(text)
