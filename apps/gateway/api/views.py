from __future__ import annotations

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from apps.core.api.moments import Moment
from apps.core.api.views import VisibleRows
from apps.gateway import actions
from apps.gateway.api.filters import CallFilter, RefusalFilter
from apps.gateway.api.serializers import (
    CallsAboutSerializer,
    CallSerializer,
    PauseSerializer,
    ProcessSerializer,
    RefusalSerializer,
    SubjectSearchSerializer,
)
from apps.gateway.export import EXPORTED, csv_response
from apps.gateway.isolation import paused_providers
from apps.gateway.models import CallIntent, CallRefusal, GatewayProcess


class NewestFirst(CursorPagination):
    """By call id, whose order is time. No count: the log may have a hundred million rows."""

    ordering = "-call_id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_paginated_response_schema(self, schema: dict) -> dict:
        """With the period that was searched."""
        page = super().get_paginated_response_schema(schema)
        moment = {"type": "string", "format": "date-time", "nullable": True}
        return page | {"properties": page["properties"] | {"from": moment, "to": moment}}


class _Log(VisibleRows, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """A log of the data plane: each read of it is recorded, by whom and with which filters."""

    lookup_field = "call_id"
    lookup_value_converter = "uuid"
    pagination_class = NewestFirst
    what = ""

    def get_queryset(self):
        return super().get_queryset().for_reading()

    def _note(self, rows: int, **asked: str) -> None:
        given = {name: self.request.query_params.getlist(name) for name in self.request.query_params}
        asked |= {name: ",".join(values)[:200] for name, values in given.items() if name in self.filterset_class.base_filters}
        actions.note_reading(self.what, by=self.request.user, asked=asked, rows=rows)

    def list(self, request, *args, **kwargs) -> Response:
        """Newest first. `from` and `to` of the answer are the period that was searched: 31 days when none was asked for."""
        response = super().list(request, *args, **kwargs)
        response.data["from"], response.data["to"] = self._period()
        self._note(len(response.data["results"]))
        return response

    def _period(self) -> list[str | None]:
        asked = self.filterset_class(self.request.query_params, queryset=self.queryset.none(), request=self.request)
        return (
            [Moment().to_representation(moment) if moment else None for moment in asked.period()]
            if asked.is_valid()
            else [None, None]
        )

    def retrieve(self, request, *args, **kwargs) -> Response:
        response = super().retrieve(request, *args, **kwargs)
        self._note(1, call_id=str(kwargs["call_id"]))
        return response

    @extend_schema(responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.STR)})
    @action(detail=False, methods=["get"], pagination_class=None)
    def export(self, request) -> StreamingHttpResponse:
        """The same rows as CSV (UTF-8 with a mark for spreadsheets), newest first, at most 100,000."""
        rows = self.filter_queryset(self.get_queryset()).order_by("-call_id")[:EXPORTED]
        self._note(min(rows.count(), EXPORTED), export="csv")
        return csv_response(rows, self.serializer_class, self.what)


class CallLog(_Log):
    """Admitted calls: consumers see their own, providers those of their services, platform readers all."""

    queryset = CallIntent.objects.all()
    serializer_class = CallSerializer
    filterset_class = CallFilter
    what = "calls"

    @extend_schema(request=SubjectSearchSerializer, responses=CallsAboutSerializer)
    @action(detail=False, methods=["post"], url_path="about-a-person", pagination_class=None, filterset_class=None)
    def about_a_person(self, request) -> Response:
        """Who read about one person: the newest 500 calls one may see. The search is recorded without the identifier."""
        given = SubjectSearchSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        found, more = actions.search_calls_about(by=request.user, **given.validated_data)
        return Response(CallsAboutSerializer({"results": found, "more": more}).data)


class RefusalLog(_Log):
    """Refused calls of known systems, under the same scope."""

    queryset = CallRefusal.objects.all()
    serializer_class = RefusalSerializer
    filterset_class = RefusalFilter
    what = "call-refusals"


class Processes(VisibleRows, mixins.ListModelMixin, viewsets.GenericViewSet):
    """Gateway processes that run, for platform readers."""

    queryset = GatewayProcess.objects.all()
    serializer_class = ProcessSerializer
    pagination_class = None

    def get_queryset(self):
        return super().get_queryset().alive()


class Pauses(viewsets.GenericViewSet):
    """Providers whose circuit breaker is open in some gateway process, among the services one may see."""

    permission_classes = [IsAuthenticated]
    queryset = GatewayProcess.objects.none()
    serializer_class = PauseSerializer
    pagination_class = None

    @extend_schema(responses=PauseSerializer(many=True))
    def list(self, request) -> Response:
        return Response(PauseSerializer(paused_providers(request.user), many=True).data)
