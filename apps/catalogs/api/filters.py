from __future__ import annotations

from django_filters import rest_framework as filters

from apps.catalogs.models import Release


class ReleaseFilter(filters.FilterSet):
    source = filters.CharFilter(method="by_source")

    class Meta:
        model = Release
        fields = ["status", "source", "number", "effective_on"]

    def by_source(self, rows, name: str, value: str):
        return rows.from_source(value, user=self.request.user)
