"""Usage regulations with their standard terms, default-share lists, and the coded purposes."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.accounts.reauthentication import prove
from apps.core.api.doors import Door, body, step
from apps.core.errors import InvalidFact
from apps.organizations.api.views import named
from apps.registry import actions
from apps.registry.api import filters, serializers
from apps.registry.models import DataService, DefaultShareList, Purpose, UsageRegulation


class Regulations(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """Regulations on use (NĐ 47/2020 Điều 22). Unsigned ones are their own agency's."""

    queryset = UsageRegulation.objects.select_related("organization", "kept_by")
    serializer_class = serializers.RegulationSerializer
    filterset_class = filters.RegulationFilter
    lookup_field = "uuid"
    lookup_value_converter = "uuid"

    @extend_schema(request=serializers.RegulationWritingSerializer, responses={201: serializers.RegulationSerializer})
    def create(self, request) -> Response:
        """Write a regulation of one's own agency (its provider officer). Who writes does not sign."""
        self.may("registry.write_terms")
        facts = body(request, serializers.RegulationWritingSerializer)
        owner = named(facts.pop("organization"), request.user)
        row = actions.write_terms(owner, by=request.user, **facts)
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)

    @step(serializers.RegulationChangeSerializer(partial=True), serializers.RegulationSerializer)
    def partial_update(self, request, uuid) -> Response:
        """Edit a regulation nobody has signed yet."""
        row = self.get_object()
        self.may("registry.write_terms", row)
        actions.change_terms(row, by=request.user, **body(request, serializers.RegulationChangeSerializer, partial=True))
        return Response(self.get_serializer(row).data)

    @step(serializers.TermsSigningSerializer, serializers.RegulationSerializer)
    @action(detail=True, methods=["post"])
    def sign(self, request, uuid) -> Response:
        """Sign the standard terms, once: the provider's standing signature of default sharing (its signer, who proves it)."""
        row = self.get_object()
        self.may("registry.sign_terms", row)
        facts = body(request, serializers.TermsSigningSerializer)
        prove(request.user, facts.pop("password"))
        return Response(self.get_serializer(actions.sign_terms(row, by=request.user, **facts)).data)

    @step(serializers.RegulationEndSerializer, serializers.RegulationSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request, uuid) -> Response:
        """Set the day from which it no longer holds."""
        row = self.get_object()
        self.may("registry.write_terms", row)
        facts = body(request, serializers.RegulationEndSerializer)
        return Response(self.get_serializer(actions.end_terms(row, by=request.user, **facts)).data)


class Purposes(mixins.ListModelMixin, Door):
    """Coded purposes of use; a call names one of those its agreement names (AG-16)."""

    queryset = Purpose.objects.all()
    serializer_class = serializers.PurposeSerializer
    filterset_fields = ["is_active"]
    lookup_field = "code"
    lookup_value_regex = r"[a-z0-9-]{2,60}"

    @extend_schema(request=serializers.PurposeNamingSerializer, responses={201: serializers.PurposeSerializer})
    def create(self, request) -> Response:
        self.may("registry.change_purposes")
        facts = body(request, serializers.PurposeNamingSerializer)
        row = actions.name_purpose(facts["code"], facts["name"], by=request.user)
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)

    @step(serializers.PurposeChangeSerializer(partial=True), serializers.PurposeSerializer)
    def partial_update(self, request, code: str) -> Response:
        row = self.get_object()
        self.may("registry.change_purposes")
        actions.change_purpose(row, by=request.user, **body(request, serializers.PurposeChangeSerializer, partial=True))
        return Response(self.get_serializer(row).data)


class DefaultLists(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """What providers share by default, by decision; reviewed as often as the rule `default_list.review` says (NĐ 47/2020 Điều 34)."""

    queryset = DefaultShareList.objects.select_related("organization", "kept_by").prefetch_related("services")
    serializer_class = serializers.DefaultListSerializer
    filterset_class = filters.DefaultListFilter
    lookup_field = "uuid"
    lookup_value_converter = "uuid"

    @extend_schema(request=serializers.DefaultListDecisionSerializer, responses={201: serializers.DefaultListSerializer})
    def create(self, request) -> Response:
        """Enter the decision of one's own agency (its provider officer)."""
        self.may("registry.decide_default_list")
        facts = body(request, serializers.DefaultListDecisionSerializer)
        owner = named(facts.pop("organization"), request.user)
        codes = facts.pop("services")
        services = list(DataService.objects.visible_to(request.user).filter(code__in=codes))
        if missing := set(codes) - {row.code for row in services}:
            raise InvalidFact(fields={"services": [f"{code[:60]}: not found" for code in sorted(missing)]})
        row = actions.decide_default_list(owner, by=request.user, services=services, **facts)
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)
