"""The operator merges an agency into another by force of a legal instrument: what that would carry over, and the step."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from apps.agreements.models import Agreement
from apps.connections.api.serializers import OrganizationRefSerializer, SystemRefSerializer
from apps.core.errors import InvalidFact
from apps.core.workflow import require
from apps.disputes.models import Dispute, Ticket
from apps.disputes.reorganization import merge_organizations, plan_merge
from apps.organizations.models import Organization
from apps.registry.models import DataService, DefaultShareList, UsageRegulation

ROLES = "Officers' roles that nobody holds in the successor: give them to somebody."


class MergePairSerializer(serializers.Serializer):
    source = serializers.CharField(max_length=35, help_text="Code of the agency that ends.")
    into = serializers.CharField(max_length=35, help_text="Code of the agency that succeeds it.")


class MergeSerializer(MergePairSerializer):
    instrument = serializers.CharField(max_length=300, help_text="The legal instrument, e.g. a resolution's number and date.")


class MergedSerializer(serializers.Serializer):
    agreements = serializers.ListField(child=serializers.CharField())
    disputes = serializers.ListField(child=serializers.CharField())
    tickets = serializers.ListField(child=serializers.CharField())
    missing_roles = serializers.ListField(child=serializers.CharField(), help_text=ROLES)


class ServiceRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = DataService
        fields = ["code", "name"]


class CarriedAgreementSerializer(serializers.ModelSerializer):
    class Meta:
        model = Agreement
        fields = ["uuid", "number", "title", "status"]


class CarriedDisputeSerializer(serializers.ModelSerializer):
    class Meta:
        model = Dispute
        fields = ["uuid", "number", "title", "status"]


class CarriedTicketSerializer(serializers.ModelSerializer):
    class Meta:
        model = Ticket
        fields = ["uuid", "number", "kind", "status"]


class CarriedRegulationSerializer(serializers.ModelSerializer):
    class Meta:
        model = UsageRegulation
        fields = ["uuid", "number", "title"]


class CarriedListSerializer(serializers.ModelSerializer):
    class Meta:
        model = DefaultShareList
        fields = ["uuid", "number", "decided_on"]


class MergePlanSerializer(serializers.Serializer):
    """What a merge would carry over now. `unfinished` and `children` come first: while there are any, nothing is carried."""

    systems = SystemRefSerializer(many=True)
    services = ServiceRefSerializer(many=True)
    agreements = CarriedAgreementSerializer(many=True)
    regulations = CarriedRegulationSerializer(many=True)
    default_lists = CarriedListSerializer(many=True)
    disputes = CarriedDisputeSerializer(many=True)
    tickets = CarriedTicketSerializer(many=True)
    unfinished = serializers.ListField(
        child=serializers.CharField(), help_text="Numbers of requests, agreements, and disputes and tickets between the two."
    )
    children = OrganizationRefSerializer(many=True, help_text="Open agencies under the one that ends.")
    missing_roles = serializers.ListField(child=serializers.CharField(), help_text=ROLES)


class Reorganizations(viewsets.GenericViewSet):
    """The operator merges an agency into another by force of a legal instrument."""

    permission_classes = [IsAuthenticated]
    queryset = Organization.objects.all()
    serializer_class = MergeSerializer

    @extend_schema(parameters=[MergePairSerializer], responses=MergePlanSerializer)
    def plan(self, request) -> Response:
        """What merging `source` into `into` would carry over, and what is to be finished first. Nothing is written."""
        require(request.user, "agreements.merge_organizations")
        plan = plan_merge(*self._pair(request, MergePairSerializer(data=request.query_params)), by=request.user)
        return Response(MergePlanSerializer(plan).data)

    @extend_schema(request=MergeSerializer, responses=MergedSerializer)
    def create(self, request) -> Response:
        given = MergeSerializer(data=request.data)
        source, into = self._pair(request, given)
        made = merge_organizations(source, into, by=request.user, instrument=given.validated_data["instrument"])
        numbers = {name: [row.number for row in getattr(made, name)] for name in ("agreements", "disputes", "tickets")}
        return Response({**numbers, "missing_roles": made.missing_roles})

    @staticmethod
    def _pair(request, given: serializers.Serializer) -> tuple[Organization, Organization]:
        given.is_valid(raise_exception=True)
        rows = Organization.objects.visible_to(request.user)
        source, into = (rows.filter(code=given.validated_data[name]).first() for name in ("source", "into"))
        if source is None or into is None:
            raise InvalidFact(code="unknown_organization")
        return source, into
