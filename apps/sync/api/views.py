from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.core.api.views import VisibleRows
from apps.sync import actions
from apps.sync.api.filters import RunFilter, SourceFilter
from apps.sync.api.serializers import (
    RunDetailSerializer,
    RunSerializer,
    SourceChangeSerializer,
    SourceSerializer,
)
from apps.sync.models import Source, SyncRun


class Sources(VisibleRows, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Where shared data comes from and goes to, and when. For operator, legal officer and auditor."""

    queryset = Source.objects.select_related("catalog")
    serializer_class = SourceSerializer
    filterset_class = SourceFilter
    lookup_field = "code"
    lookup_value_regex = "[a-z0-9-]+"

    @extend_schema(request=SourceChangeSerializer, responses=SourceSerializer)
    def partial_update(self, request, code: str) -> Response:
        """Change schedule, address, credential or settings of a source (operator)."""
        source = self.get_object()
        given = SourceChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        changed = actions.change_source(source, by=request.user, **given.validated_data)
        return Response(SourceSerializer(changed).data)

    @extend_schema(request=None, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def run(self, request, code: str) -> Response:
        """Run the source now (operator). 409 `run_already_open` while a run waits or works."""
        run = actions.request_run(self.get_object(), by=request.user)
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)


class Runs(VisibleRows, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Runs with live progress."""

    queryset = SyncRun.objects.select_related("source", "requested_by", "release", "approves")
    filterset_class = RunFilter

    def get_serializer_class(self):
        return RunDetailSerializer if self.action == "retrieve" else RunSerializer

    @extend_schema(request=None, responses={202: RunSerializer})
    @action(detail=True, methods=["post"], url_path="approve-push")
    def approve_push(self, request, uuid) -> Response:
        """Send what a held outgoing run found, if it is still exactly that when it is sent (operator)."""
        run = actions.approve_push(self.get_object(), by=request.user)
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED)
