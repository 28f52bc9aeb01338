from __future__ import annotations

import uuid as uuids

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.connections import actions
from apps.connections.api import serializers
from apps.connections.api.filters import RequestFilter
from apps.connections.models import ConnectionRequest
from apps.core.api.steps import TakesSteps, VersionSerializer
from apps.core.api.views import VisibleRows
from apps.core.errors import InvalidFact
from apps.organizations.models import Organization

DETAIL = serializers.RequestDetailSerializer
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", OpenApiTypes.UUID, OpenApiParameter.HEADER, description="Sent twice, it makes one object."
)


def idempotency_key(request) -> uuids.UUID | None:
    """The caller's key, which becomes the new object's uuid. Raises InvalidFact when it is no UUID."""
    given = request.headers.get("Idempotency-Key", "")
    try:
        return uuids.UUID(given) if given else None
    except ValueError as error:
        raise InvalidFact("Idempotency-Key must be a UUID.", code="idempotency_key") from error


class Requests(VisibleRows, TakesSteps, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Connection requests that the caller's organizations file, decide or watch over."""

    queryset = ConnectionRequest.objects.select_related("consumer")
    serializer_class = serializers.RequestListSerializer
    detail_serializer_class = DETAIL
    filterset_class = RequestFilter

    def get_queryset(self):
        rows = super().get_queryset()
        if self.action == "list":
            return rows
        return rows.select_related("purpose", "deadline_rule", "refusal_ground").prefetch_related(
            "systems__organization", "requested_operations__operation__version__service", "requested_operations__fields",
            "decisions__provider", "decisions__decided_by", "remarks__author", "signatures__organization", "signatures__signer",
        )  # fmt: skip

    @extend_schema(responses=DETAIL)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return Response(self.shown(self.get_object()))

    def shown(self, obj) -> dict:
        """Read the row again: a verb may have changed what was prefetched."""
        return super().shown(self.get_queryset().get(pk=obj.pk))

    @extend_schema(request=serializers.RequestDraftSerializer, responses={201: DETAIL}, parameters=[IDEMPOTENCY_KEY])
    def create(self, request) -> Response:
        given = serializers.RequestDraftSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        consumer = Organization.objects.visible_to(request.user).filter(code=given.validated_data["consumer"]).first()
        if consumer is None:
            raise InvalidFact(code="unknown_organization", fields={"consumer": [given.validated_data["consumer"]]})
        facts = given.facts(request.user, consumer)
        made = actions.draft_request(consumer, by=request.user, uuid=idempotency_key(request), **facts)
        return Response(self.shown(made), status=status.HTTP_201_CREATED)

    @extend_schema(request=serializers.RequestSaveSerializer, responses=DETAIL)
    def partial_update(self, request, uuid=None) -> Response:
        obj = self.get_object()
        given = serializers.RequestSaveSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = given.facts(request.user, obj.consumer)
        actions.save_draft(obj, by=request.user, version=given.validated_data.get("version"), **facts)
        return Response(self.shown(obj))

    @extend_schema(request=serializers.SigningSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def sign(self, request, uuid=None) -> Response:
        return self.act(request, serializers.SigningSerializer, actions.sign_request)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def submit(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.submit_request)

    @extend_schema(request=serializers.ReturnSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"], url_path="return")
    def give_back(self, request, uuid=None) -> Response:
        return self.act(request, serializers.ReturnSerializer, actions.return_request)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def forward(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.forward_request)

    @extend_schema(request=serializers.RefusalSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def refuse(self, request, uuid=None) -> Response:
        return self.act(request, serializers.RefusalSerializer, actions.refuse_request)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def withdraw(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.withdraw_request)
