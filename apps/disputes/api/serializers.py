from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.connections.api.serializers import OrganizationRefSerializer
from apps.core.api.moments import Moment
from apps.core.api.steps import StepSerializer, VersionSerializer, steps_for
from apps.disputes.choices import DisputeCategory, TicketKind
from apps.disputes.models import Answer, Dispute, Maintenance, Ticket
from apps.disputes.workflow import DISPUTE, TICKET

LONG = 10_000


class AnswerSerializer(serializers.ModelSerializer):
    author = serializers.StringRelatedField()

    class Meta:
        model = Answer
        fields = ["uuid", "level", "author", "text", "document_number", "document_date", "created_at"]


class DisputeListSerializer(serializers.ModelSerializer):
    raised_for = OrganizationRefSerializer(read_only=True)
    respondent = OrganizationRefSerializer(read_only=True)
    agreement = serializers.SlugRelatedField(slug_field="number", read_only=True)
    request = serializers.SlugRelatedField(slug_field="number", read_only=True)

    class Meta:
        model = Dispute
        fields = [
            "uuid", "number", "category", "status", "title", "raised_for", "respondent", "agreement", "request", "due_at", "created_at",
        ]  # fmt: skip


class DisputeDetailSerializer(DisputeListSerializer):
    answers = AnswerSerializer(many=True, read_only=True)
    deadline_rule = serializers.StringRelatedField()
    deadline_citation = serializers.CharField(source="deadline_rule.citation", default="", read_only=True)
    available_actions = serializers.SerializerMethodField()

    class Meta(DisputeListSerializer.Meta):
        fields = [
            *DisputeListSerializer.Meta.fields,
            "version",
            "deadline_rule",
            "deadline_citation",
            "description",
            "outcome",
            "resolved_at",
            "sent_to",
            "sent_number",
            "sent_date",
            "answers",
            "available_actions",
        ]

    @extend_schema_field(StepSerializer(many=True))
    def get_available_actions(self, dispute) -> list[dict]:
        return steps_for(DISPUTE, dispute, self.context["request"].user)


class DisputeInputSerializer(serializers.Serializer):
    """About an agreement or a refused request, by its number."""

    agreement = serializers.CharField(max_length=30, required=False)
    request = serializers.CharField(max_length=30, required=False)
    respondent = serializers.CharField(
        max_length=35, required=False, help_text="Code; needed where several are on the other side."
    )
    category = serializers.ChoiceField(choices=DisputeCategory.choices)
    title = serializers.CharField(max_length=300)
    description = serializers.CharField(max_length=LONG)


class DisputeAnswerSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=LONG)
    document_number = serializers.CharField(max_length=100, required=False, allow_blank=True)
    document_date = serializers.DateField(required=False, allow_null=True)


class SentDocumentSerializer(VersionSerializer):
    sent_to = serializers.CharField(max_length=300)
    number = serializers.CharField(max_length=100)
    day = serializers.DateField()


class DisputeReasonSerializer(VersionSerializer):
    reason = serializers.CharField(max_length=LONG)


class OutcomeSerializer(VersionSerializer):
    outcome = serializers.CharField(max_length=LONG)


class TicketListSerializer(serializers.ModelSerializer):
    asked_by = OrganizationRefSerializer(read_only=True)
    asked_of = OrganizationRefSerializer(read_only=True)
    agreement = serializers.SlugRelatedField(slug_field="number", read_only=True)
    service = serializers.SlugRelatedField(slug_field="code", read_only=True)

    class Meta:
        model = Ticket
        fields = ["uuid", "number", "kind", "status", "agreement", "service", "asked_by", "asked_of", "due_at", "created_at"]


class TicketDetailSerializer(TicketListSerializer):
    deadline_rule = serializers.StringRelatedField()
    deadline_citation = serializers.CharField(source="deadline_rule.citation", default="", read_only=True)
    answered_by = serializers.StringRelatedField()
    available_actions = serializers.SerializerMethodField()

    class Meta(TicketListSerializer.Meta):
        fields = [
            *TicketListSerializer.Meta.fields,
            "version",
            "deadline_rule",
            "deadline_citation",
            "text",
            "answer",
            "answered_by",
            "answered_at",
            "available_actions",
        ]

    @extend_schema_field(StepSerializer(many=True))
    def get_available_actions(self, ticket) -> list[dict]:
        return steps_for(TICKET, ticket, self.context["request"].user)


class TicketInputSerializer(serializers.Serializer):
    agreement = serializers.CharField(max_length=30)
    kind = serializers.ChoiceField(choices=TicketKind.choices)
    asked_of = serializers.CharField(max_length=35)
    text = serializers.CharField(max_length=LONG)
    due_at = Moment(required=False, allow_null=True)
    service = serializers.CharField(max_length=60, required=False, help_text="Code of a service under the agreement.")
    record_key = serializers.CharField(max_length=200, required=False, write_only=True, help_text="Kept as a keyed hash only.")


class TicketAnswerSerializer(VersionSerializer):
    answer = serializers.CharField(max_length=LONG)


class TicketTextSerializer(VersionSerializer):
    text = serializers.CharField(max_length=LONG)


class MaintenanceSerializer(serializers.ModelSerializer):
    service = serializers.SlugRelatedField(slug_field="code", read_only=True)
    service_name = serializers.CharField(source="service.name", read_only=True)

    class Meta:
        model = Maintenance
        fields = ["uuid", "service", "service_name", "starts_at", "ends_at", "reason", "ended_at", "cancelled_at"]


class MaintenanceInputSerializer(serializers.Serializer):
    service = serializers.CharField(max_length=60, help_text="the service's code")
    starts_at = Moment()
    ends_at = Moment()
    reason = serializers.CharField(max_length=LONG)


class NothingSerializer(serializers.Serializer):
    """A step that needs no facts."""
