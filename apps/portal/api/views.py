from __future__ import annotations

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.audit.models import AuditEvent
from apps.organizations.audit_scope import events_visible_to
from apps.organizations.models import Membership


class HeldRoleSerializer(serializers.ModelSerializer):
    organization = serializers.CharField(source="organization.code")
    organization_name = serializers.CharField(source="organization.name")

    class Meta:
        model = Membership
        fields = ["role", "organization", "organization_name"]


class MeSerializer(serializers.Serializer):
    username = serializers.CharField()
    full_name = serializers.CharField()
    roles = HeldRoleSerializer(many=True)


class Me(APIView):
    """Who the caller is, and what they may be where."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=MeSerializer)
    def get(self, request) -> Response:
        roles = request.user.memberships.current().select_related("organization").order_by("pk")
        body = {"username": request.user.username, "full_name": request.user.full_name, "roles": roles}
        return Response(MeSerializer(body).data)


class AuditEventSerializer(serializers.ModelSerializer):
    actor = serializers.CharField(source="actor.username", default=None)

    class Meta:
        model = AuditEvent
        fields = ["uuid", "at", "actor", "event", "outcome", "object_type", "object_ref", "object_label", "facts", "request_id"]


class AuditEventFilter(filters.FilterSet):
    at = filters.IsoDateTimeFromToRangeFilter()
    actor = filters.CharFilter(field_name="actor__username")

    class Meta:
        model = AuditEvent
        fields = ["event", "outcome", "object_type", "object_ref", "request_id"]


class AuditEvents(mixins.ListModelMixin, viewsets.GenericViewSet):
    """Who did what, newest first: everything for auditors and operators, one's own organizations for members."""

    permission_classes = [IsAuthenticated]
    queryset = AuditEvent.objects.none()
    serializer_class = AuditEventSerializer
    filterset_class = AuditEventFilter

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return self.queryset
        return events_visible_to(self.request.user).select_related("actor")
