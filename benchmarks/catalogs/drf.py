"""The plain baseline: a DRF ModelViewSet over the same table, Django's connection pool on, no middleware.

`gunicorn benchmarks.catalogs.drf:application`.
"""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.catalogs.drf_settings")
django.setup()

from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db.models import Q  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import serializers, viewsets  # noqa: E402
from rest_framework.pagination import PageNumberPagination  # noqa: E402
from rest_framework.permissions import AllowAny  # noqa: E402
from rest_framework.routers import SimpleRouter  # noqa: E402

from apps.catalogs.models import Entry  # noqa: E402


class EntrySerializer(serializers.ModelSerializer):
    class Meta:
        model = Entry
        fields = [
            "code",
            "level",
            "name",
            "full_name",
            "parent_level",
            "parent_code",
            "valid_from",
            "valid_to",
            "attributes",
            "recorded_in",
        ]


class Pages(PageNumberPagination):
    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 5000


class Entries(viewsets.ModelViewSet):
    serializer_class = EntrySerializer
    pagination_class = Pages
    permission_classes = [AllowAny]
    authentication_classes = []
    filter_backends = []
    lookup_field = "code"

    def get_queryset(self):
        day = timezone.localdate()
        ends = Q(valid_to__isnull=True) | Q(valid_to__gt=day)
        rows = Entry.objects.filter(ends, catalog__code="administrative-units", superseded_in__isnull=True, valid_from__lte=day)
        return rows.filter(level="commune").order_by("code")


router = SimpleRouter(trailing_slash=False)
router.register("items", Entries, "items")
urlpatterns = [path("", include(router.urls))]
application = WSGIHandler()
