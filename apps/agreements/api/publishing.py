"""Steps of services and their versions that concern who uses them: their doors are on the floor that knows who does."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.agreements import actions
from apps.agreements.impact import impact
from apps.core.api.doors import Door, body, step
from apps.organizations.api.serializers import StepReasonSerializer
from apps.registry.api.serializers import (
    DeprecationSerializer,
    DifferenceSerializer,
    ExpectedSerializer,
    ServiceSerializer,
    VersionRefSerializer,
)
from apps.registry.api.views import Services
from apps.registry.models import ServiceVersion


class BreakageSerializer(serializers.Serializer):
    agreement = serializers.CharField(source="agreement.number")
    system = serializers.CharField(source="system.code")
    organization = serializers.CharField(source="system.organization.code")
    changes = DifferenceSerializer(many=True)
    awaits_signatures = serializers.BooleanField(help_text="It is agreed on and not signed by all: none of it runs yet.")


class ImpactSerializer(serializers.Serializer):
    """Whom the draft would break. `unseen` counts systems of agreements the caller may not read."""

    replaces = serializers.UUIDField(source="live.uuid", allow_null=True)
    carried = serializers.IntegerField()
    changes = DifferenceSerializer(many=True)
    breakages = BreakageSerializer(many=True)
    unseen = serializers.IntegerField()


class ServiceLife(Services):
    """The catalog of data sharing services (NĐ 47/2020 Điều 25). Others' drafts are not in it."""

    # What stops, opens or changes what consumers were granted is told to them.
    change = staticmethod(actions.change_service)

    @step(StepReasonSerializer, ServiceSerializer)
    def suspend(self, request, code: str) -> Response:
        """Suspend: no call of it is admitted from the next one on (its provider, or the operator)."""
        return self.move(request, "registry.suspend_service", actions.suspend_service)

    @step(StepReasonSerializer, ServiceSerializer)
    def resume(self, request, code: str) -> Response:
        """Open it again; what the operator suspended only the operator opens."""
        return self.move(request, "registry.resume_service", actions.resume_service)


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

    @step(DeprecationSerializer, VersionRefSerializer)
    def postpone(self, request, uuid) -> Response:
        """Announce a later day than the one announced before; whoever uses the version is told."""
        row = self.get_object()
        self.may("registry.deprecate_version", row)
        facts = body(request, DeprecationSerializer)
        verb = actions.postpone_end_of_version
        return self.answer(verb(row, by=request.user, until=facts["until"], expected=facts.get("version")))

    @step(StepReasonSerializer, VersionRefSerializer)
    def retire(self, request, uuid) -> Response:
        """End a version. While access rests on it, only after the announced day (409 `version_in_use`)."""
        row = self.get_object()
        self.may("registry.retire_version", row)
        facts = body(request, StepReasonSerializer)
        verb = actions.retire_service_version
        return self.answer(verb(row, by=request.user, reason=facts["reason"], expected=facts.get("version")))
