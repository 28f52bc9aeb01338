"""Services, versions and their contracts. Doors: find, read, call the verb, answer."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.core.api.doors import Door, body, step
from apps.core.errors import InvalidFact
from apps.organizations.api.serializers import StepReasonSerializer
from apps.organizations.api.views import named
from apps.registry import actions, health
from apps.registry.api import filters, serializers
from apps.registry.completeness import completeness
from apps.registry.contract import contract_of
from apps.registry.differences import differences
from apps.registry.documents import MAX_BYTES
from apps.registry.documents.fetching import fetch_document
from apps.registry.models import DataService, Field, Operation, ServiceVersion, Upstream, UsageRegulation


def _regulation(uuid, user) -> UsageRegulation | None:
    if uuid is None:
        return None
    found = UsageRegulation.objects.visible_to(user).filter(uuid=uuid).first()
    if found is None:
        raise InvalidFact(fields={"usage_regulation": [f"{uuid}: not found"]})
    return found


class Services(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """The catalog of data sharing services (NĐ 47/2020 Điều 25). Others' drafts are not in it."""

    # The floor that knows who has access opens this door, and tells them too (`agreements.api.publishing`).
    change = staticmethod(actions.change_service)
    queryset = DataService.objects.all()
    serializer_class = serializers.ServiceSerializer
    filterset_class = filters.ServiceFilter
    lookup_field = "code"
    lookup_value_regex = r"[a-z0-9-]{2,60}"

    def get_queryset(self):
        shown = ServiceVersion.objects.visible_to(self.request.user).order_by("-major", "-minor")
        return (
            super().get_queryset()
            .select_related("provider", "usage_regulation")
            .prefetch_related(Prefetch("versions", shown, to_attr="shown_versions"))
        )  # fmt: skip

    def answer(self, row, code=status.HTTP_200_OK) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk)).data, status=code)

    @extend_schema(request=serializers.ServiceRegistrationSerializer, responses={201: serializers.ServiceSerializer})
    def create(self, request) -> Response:
        """Register a service of one's own agency (its provider officer)."""
        self.may("registry.register_service")
        facts = body(request, serializers.ServiceRegistrationSerializer)
        provider = named(facts.pop("provider"), request.user, "provider")
        facts["usage_regulation"] = _regulation(facts.get("usage_regulation"), request.user)
        return self.answer(actions.register_service(provider, by=request.user, **facts), status.HTTP_201_CREATED)

    @step(serializers.ServiceChangeSerializer(partial=True), serializers.ServiceSerializer)
    def partial_update(self, request, code: str) -> Response:
        row = self.get_object()
        self.may("registry.change_service", row)
        facts = body(request, serializers.ServiceChangeSerializer, partial=True)
        if "usage_regulation" in facts:
            facts["usage_regulation"] = _regulation(facts["usage_regulation"], request.user)
        self.change(row, by=request.user, **facts)
        return self.answer(row)

    @step(StepReasonSerializer, serializers.ServiceSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, request, code: str) -> Response:
        return self.move(request, "registry.retire_service", actions.retire_service)

    def move(self, request, permission: str, verb) -> Response:
        row = self.get_object()
        self.may(permission, row)
        return self.answer(verb(row, by=request.user, **body(request, StepReasonSerializer)))

    @extend_schema(request=serializers.NewVersionSerializer, responses={201: serializers.VersionRefSerializer})
    @action(detail=True, methods=["post"])
    def versions(self, request, code: str) -> Response:
        """Open the next draft version, with the contract and addresses of the newest."""
        row = self.get_object()
        self.may("registry.add_version", row)
        made = actions.add_version(row, by=request.user, **body(request, serializers.NewVersionSerializer))
        return Response(serializers.VersionRefSerializer(made).data, status=status.HTTP_201_CREATED)


ROW_VERSION = OpenApiParameter("version", OpenApiTypes.INT, description="Row version the caller saw (stale: 409).")
"""Where the body is the contract or a file, the address says what the caller decided on."""


def _version_seen(request) -> int | None:
    seen = serializers.ExpectedSerializer(data=request.query_params)
    seen.is_valid(raise_exception=True)
    return seen.validated_data.get("version")


OPERATIONS = Operation.objects.prefetch_related("parameters", Prefetch("fields", Field.objects.order_by("position", "id")))


class Versions(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Versions of services: a draft is its provider's, a published one everybody's and final."""

    queryset = ServiceVersion.objects.select_related("service__provider")
    serializer_class = serializers.VersionSerializer
    filterset_class = filters.VersionFilter
    lookup_field = "uuid"
    lookup_value_converter = "uuid"

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.prefetch_related(Prefetch("operations", OPERATIONS)) if self.action == "retrieve" else rows

    def get_serializer_class(self):
        return serializers.VersionRefSerializer if self.action == "list" else serializers.VersionSerializer

    def answer(self, row) -> Response:
        row.refresh_from_db()
        return Response(serializers.VersionRefSerializer(row).data)

    @extend_schema(methods=["get"], responses={200: serializers.ContractSerializer}, filters=False)
    @extend_schema(
        methods=["put"], request=serializers.ContractSerializer, responses={200: serializers.VersionRefSerializer},
        parameters=[ROW_VERSION],
    )  # fmt: skip
    @action(detail=True, methods=["get", "put"])
    def contract(self, request, uuid) -> Response:
        """The whole contract as data (GET), or set it for a draft (PUT)."""
        row = self.get_object()
        if request.method == "GET":
            return Response(contract_of(row).as_data())
        self.may("registry.change_version", row)
        actions.define_contract(row, request.data, by=request.user, expected=_version_seen(request))
        return self.answer(row)

    @extend_schema(
        request={"multipart/form-data": serializers.DocumentFileSerializer}, responses={200: serializers.ReadingSerializer},
        parameters=[ROW_VERSION],
    )  # fmt: skip
    @action(detail=True, methods=["post"], parser_classes=[MultiPartParser])
    def document(self, request, uuid) -> Response:
        """Set a draft's contract from an OpenAPI or WSDL document.

        What was completed by hand of its operations is kept; operations that it does not name go, also those written by hand.
        """
        row = self.get_object()
        self.may("registry.change_version", row)
        seen, given = _version_seen(request), body(request, serializers.DocumentFileSerializer)
        file, url = given.get("file"), given.get("url", "")
        content = file.read(MAX_BYTES + 1) if file is not None else fetch_document(url)
        source = file.name if file is not None else url
        reading = actions.import_document(row, content, by=request.user, source=source, expected=seen)
        codes = [operation["code"] for operation in reading.data["operations"]]
        return Response({"kind": reading.kind, "notes": reading.notes, "operations": codes})

    @extend_schema(responses={200: serializers.DifferenceSerializer(many=True)}, filters=False)
    @action(detail=True, pagination_class=None)
    def differences(self, request, uuid) -> Response:
        """What this version changes for those who use the live one of the same major, breaking changes first."""
        row = self.get_object()
        live = row.service.versions.live().filter(major=row.major).exclude(pk=row.pk).first()
        found = differences(contract_of(live), contract_of(row)) if live else []
        return Response(serializers.DifferenceSerializer(found, many=True).data)

    @extend_schema(responses={200: serializers.CompletenessSerializer}, filters=False)
    @action(detail=True)
    def completeness(self, request, uuid) -> Response:
        """What is there and what is missing before it can be published, each with its article."""
        row = self.get_object()
        self.may("registry.read_completeness", row)
        return Response(serializers.CompletenessSerializer(completeness(row)).data)

    @step(serializers.ReadinessSerializer, serializers.VersionRefSerializer)
    @action(detail=True, methods=["post"])
    def ready(self, request, uuid) -> Response:
        """Say that the service works: the working day for publishing runs from here."""
        row = self.get_object()
        self.may("registry.change_version", row)
        return self.answer(actions.mark_ready(row, by=request.user, **body(request, serializers.ReadinessSerializer)))

    @step(serializers.ExpectedSerializer, serializers.VersionRefSerializer)
    @action(detail=True, methods=["post"])
    def discard(self, request, uuid) -> Response:
        """Close a draft nobody wants."""
        row = self.get_object()
        self.may("registry.change_version", row)
        seen = body(request, serializers.ExpectedSerializer).get("version")
        return self.answer(actions.discard_version(row, by=request.user, expected=seen))

    @extend_schema(responses={200: serializers.HealthSerializer(many=True)}, filters=False)
    @action(detail=True, pagination_class=None)
    def health(self, request, uuid) -> Response:
        """How the provider's addresses answered in the last day, without saying where they are."""
        rows = self.get_object().upstreams.order_by("environment")
        found = [
            {"environment": row.environment, "is_healthy": row.is_healthy, "since": row.health_since, **health.summary(row),
             "recent": row.probes.all()[:50]}
            for row in rows
        ]  # fmt: skip
        return Response(serializers.HealthSerializer(found, many=True).data)

    @extend_schema(responses={200: serializers.UpstreamSerializer(many=True)}, filters=False)
    @action(detail=True, pagination_class=None)
    def upstreams(self, request, uuid) -> Response:
        """Where the provider answers. Empty for whoever is neither of the provider nor a platform reader."""
        rows = Upstream.objects.visible_to(request.user).filter(version=self.get_object())
        return Response(serializers.UpstreamSerializer(rows, many=True).data)

    @extend_schema(
        request=serializers.UpstreamChangeSerializer, responses={200: serializers.UpstreamSerializer},
        parameters=[OpenApiParameter("environment", OpenApiTypes.STR, OpenApiParameter.PATH, enum=serializers.ENVIRONMENTS)],
    )  # fmt: skip
    @action(detail=True, methods=["put"], url_path="upstreams/<slug:environment>")
    def set_upstream(self, request, uuid, environment: str) -> Response:
        """Set the address of an environment; the secret is write-only and kept when left out."""
        row = self.get_object()
        self.may("registry.set_upstream", row)
        if environment not in serializers.ENVIRONMENTS:
            raise Http404
        made = actions.set_upstream(row, environment, by=request.user, **body(request, serializers.UpstreamChangeSerializer))
        return Response(serializers.UpstreamSerializer(made).data)


class Operations(mixins.RetrieveModelMixin, Door):
    """One operation with its parameters and the tree of its answer."""

    queryset = OPERATIONS
    serializer_class = serializers.OperationSerializer
    lookup_field = "uuid"
    lookup_value_converter = "uuid"
