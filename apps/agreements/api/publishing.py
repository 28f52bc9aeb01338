"""Publishing, announcing an end and ending of service versions: doors on the floor that knows who uses them."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.agreements import actions
from apps.agreements.impact import impact
from apps.core.api.doors import Door, body, step
from apps.organizations.api.serializers import StepReasonSerializer
from apps.registry.api.serializers import DeprecationSerializer, DifferenceSerializer, ExpectedSerializer, VersionRefSerializer
from apps.registry.models import ServiceVersion


class BreakageSerializer(serializers.Serializer):
    agreement = serializers.CharField(source="agreement.number")
    system = serializers.CharField(source="system.code")
    organization = serializers.CharField(source="system.organization.code")
    changes = DifferenceSerializer(many=True)


class ImpactSerializer(serializers.Serializer):
    """Whom the draft would break. `unseen` counts systems of agreements the caller may not read."""

    replaces = serializers.UUIDField(source="live.uuid", allow_null=True)
    carried = serializers.IntegerField()
    changes = DifferenceSerializer(many=True)
    breakages = BreakageSerializer(many=True)
    unseen = serializers.IntegerField()


class VersionLife(Door):
    """Steps of a version that touch agreements."""

    queryset = ServiceVersion.objects.select_related("service__provider")
    serializer_class = VersionRefSerializer
    lookup_field = "uuid"
    lookup_value_converter = "uuid"

    def answer(self, row) -> Response:
        row.refresh_from_db()
        return Response(VersionRefSerializer(row).data)

    @extend_schema(responses={200: ImpactSerializer}, filters=False)
    def impact(self, request, uuid) -> Response:
        """Who would break if this draft were published, and by which changes, before it is (the provider's officer)."""
        row = self.get_object()
        self.may("registry.publish_version", row)
        found = impact(row)
        shown, unseen = found.visible_to(request.user)
        data = {"live": found.live, "carried": found.carried, "changes": found.changes, "breakages": shown, "unseen": unseen}
        return Response(ImpactSerializer(data).data)

    @step(ExpectedSerializer, VersionRefSerializer)
    def publish(self, request, uuid) -> Response:
        """Publish a complete draft; a live minor of the same major is replaced unless that breaks what is agreed (409)."""
        row = self.get_object()
        self.may("registry.publish_version", row)
        seen = body(request, ExpectedSerializer).get("version")
        return self.answer(actions.publish_service_version(row, by=request.user, expected=seen))

    @step(DeprecationSerializer, VersionRefSerializer)
    def deprecate(self, request, uuid) -> Response:
        """Announce the day after which the version will be retired; whoever uses it is told."""
        row = self.get_object()
        self.may("registry.deprecate_version", row)
        facts = body(request, DeprecationSerializer)
        verb = actions.announce_end_of_version
        return self.answer(verb(row, by=request.user, until=facts["until"], expected=facts.get("version")))

    @step(StepReasonSerializer, VersionRefSerializer)
    def retire(self, request, uuid) -> Response:
        """End a version. While access rests on it, only after the announced day (409 `version_in_use`)."""
        row = self.get_object()
        self.may("registry.retire_version", row)
        facts = body(request, StepReasonSerializer)
        verb = actions.retire_service_version
        return self.answer(verb(row, by=request.user, reason=facts["reason"], expected=facts.get("version")))
