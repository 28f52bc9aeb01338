from __future__ import annotations

from django_filters import rest_framework as filters

from apps.sync.choices import RunStatus
from apps.sync.models import Source, SyncRun


class SourceFilter(filters.FilterSet):
    stale = filters.BooleanFilter(
        field_name="alarmed_at", lookup_expr="isnull", exclude=True, label="alarm of freshness raised"
    )

    class Meta:
        model = Source
        fields = ["kind", "adapter", "enabled"]


class RunFilter(filters.FilterSet):
    source = filters.CharFilter(field_name="source__code")
    status = filters.MultipleChoiceFilter(choices=RunStatus.choices)

    class Meta:
        model = SyncRun
        fields = ["trigger"]
