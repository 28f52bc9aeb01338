"""What happens to an agreement in force: suspensions, and the duties before it ends."""

from __future__ import annotations

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.agreements import actions
from apps.agreements.api import inputs, serializers
from apps.agreements.models import (
    ConsumerSuspension,
    Duty,
    DutyCertificate,
    PlannedSuspension,
)
from apps.connections.api.views import download, read_upload
from apps.core.api.parsers import BoundedJSONParser
from apps.core.api.steps import TakesSteps
from apps.core.api.views import VisibleRows


class PlannedSuspensions(VisibleRows, TakesSteps, mixins.ListModelMixin, viewsets.GenericViewSet):
    """Announced suspensions."""

    queryset = PlannedSuspension.objects.select_related("agreement", "provider")
    serializer_class = serializers.PlannedSuspensionSerializer
    detail_serializer_class = serializers.PlannedSuspensionSerializer
    filterset_fields = {"started_at": ["isnull"], "ended_at": ["isnull"], "cancelled_at": ["isnull"]}

    @extend_schema(request=inputs.EmptySerializer, responses=serializers.PlannedSuspensionSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request, uuid=None) -> Response:
        return self.act(request, inputs.EmptySerializer, actions.cancel_suspension)


class ConsumerSuspensions(VisibleRows, TakesSteps, mixins.ListModelMixin, viewsets.GenericViewSet):
    """Consumers suspended under an agreement, open and lifted."""

    queryset = ConsumerSuspension.objects.select_related("agreement", "party__organization", "provider")
    serializer_class = serializers.ConsumerSuspensionSerializer
    detail_serializer_class = serializers.ConsumerSuspensionSerializer
    filterset_fields = {"lifted_at": ["isnull"], "agreement__uuid": ["exact"]}

    @extend_schema(request=inputs.LiftSerializer, responses=serializers.ConsumerSuspensionSerializer)
    @action(detail=True, methods=["post"])
    def lift(self, request, uuid=None) -> Response:
        return self.act(request, inputs.LiftSerializer, actions.lift_consumer_suspension)


class Duties(VisibleRows, TakesSteps, mixins.ListModelMixin, viewsets.GenericViewSet):
    """What is to be done before agreements end."""

    queryset = Duty.objects.select_related("party__organization", "done_by", "agreement", "certificate")
    serializer_class = serializers.DutySerializer
    detail_serializer_class = serializers.DutySerializer
    filterset_fields = {"done_at": ["isnull"]}

    @extend_schema(
        request={"multipart/form-data": inputs.DutyDoneSerializer, "application/json": inputs.NoteSerializer},
        responses=serializers.DutySerializer,
    )
    @action(detail=True, methods=["post"], parser_classes=[MultiPartParser, BoundedJSONParser])
    def complete(self, request, uuid=None) -> Response:
        """Say how a duty was done; that received data is deleted is shown by a certificate (a file, 20 MB at most)."""
        duty = self.get_object()
        given = inputs.DutyDoneSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        file = read_upload(given.validated_data.get("certificate"))
        actions.complete_duty(duty, by=request.user, note=given.validated_data["note"], file=file)
        return Response(self.shown(duty))

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True)
    def certificate(self, request, uuid=None) -> HttpResponse:
        """The paper that shows how the duty was done, as a download."""
        found = DutyCertificate.objects.filter(duty=self.get_object()).first()
        if found is None:
            raise Http404
        return download(found)
