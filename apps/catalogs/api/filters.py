from __future__ import annotations

from django_filters import rest_framework as filters

from apps.catalogs.models import Release


class ReleaseFilter(filters.FilterSet):
    class Meta:
        model = Release
        fields = ["status", "source", "number", "effective_on"]
