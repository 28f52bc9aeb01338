from __future__ import annotations

from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.connections.choices import AttachmentKind, SharingMethod
from apps.connections.completeness import missing
from apps.connections.content import request_hash
from apps.connections.models import (
    Attachment,
    Comment,
    ConnectionRequest,
    ProviderDecision,
    Remark,
    RequestedOperation,
    RequestSignature,
)
from apps.connections.scope import operations_named, systems_named
from apps.connections.workflow import REQUEST
from apps.core.api.moments import Moment
from apps.core.api.steps import StepSerializer, VersionSerializer, steps_for
from apps.legal.models import RefusalGround
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import is_operator, organization_ids
from apps.registry.models import Purpose


class OrganizationRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = Organization
        fields = ["uuid", "code", "name"]


class SystemRefSerializer(serializers.ModelSerializer):
    organization = OrganizationRefSerializer(read_only=True)

    class Meta:
        model = InformationSystem
        fields = ["uuid", "code", "name", "organization"]


class RequestListSerializer(serializers.ModelSerializer):
    consumer = OrganizationRefSerializer(read_only=True)

    class Meta:
        model = ConnectionRequest
        fields = [
            "uuid", "number", "kind", "channel", "status", "title", "consumer", "received_at", "due_at", "paused_at", "created_at",
        ]  # fmt: skip


class RequestedOperationSerializer(serializers.ModelSerializer):
    operation = serializers.UUIDField(source="operation.uuid")
    code = serializers.CharField(source="operation.code")
    service = serializers.CharField(source="operation.version.service.code")
    service_version = serializers.CharField(source="operation.version.major")
    fields_asked = serializers.SerializerMethodField()

    class Meta:
        model = RequestedOperation
        fields = ["operation", "code", "service", "service_version", "fields_asked"]

    def get_fields_asked(self, row) -> list[str]:
        return sorted(field.path for field in row.fields.all())


class DecisionSerializer(serializers.ModelSerializer):
    provider = OrganizationRefSerializer(read_only=True)
    decided_by = serializers.StringRelatedField()
    handler = serializers.SerializerMethodField()

    class Meta:
        model = ProviderDecision
        fields = ["uuid", "provider", "status", "handler", "decided_by", "decided_at", "comment"]

    def get_handler(self, decision) -> str | None:
        """Who handles this part: said to the provider's own people."""
        mine = organization_ids(self.context["request"].user)
        return str(decision.handler) if decision.handler and decision.provider_id in mine else None


class RemarkSerializer(serializers.ModelSerializer):
    author = serializers.StringRelatedField()

    class Meta:
        model = Remark
        fields = ["uuid", "field", "text", "author", "created_at"]


class RequestSignatureSerializer(serializers.ModelSerializer):
    organization = OrganizationRefSerializer(read_only=True)
    signer = serializers.StringRelatedField()

    class Meta:
        model = RequestSignature
        fields = ["uuid", "organization", "signer", "content_hash", "signed_at"]


class GapSerializer(serializers.Serializer):
    field = serializers.CharField()
    text = serializers.CharField()


class AttachmentSerializer(serializers.ModelSerializer):
    class Meta:
        model = Attachment
        fields = ["uuid", "kind", "name", "media_type", "size", "sha256", "created_at", "removed_at"]


class RequestDetailSerializer(RequestListSerializer):
    systems = SystemRefSerializer(many=True, read_only=True)
    scope = RequestedOperationSerializer(source="requested_operations", many=True, read_only=True)
    purpose = serializers.SlugRelatedField(slug_field="code", read_only=True)
    decisions = DecisionSerializer(many=True, read_only=True)
    remarks = RemarkSerializer(many=True, read_only=True)
    signatures = RequestSignatureSerializer(many=True, read_only=True)
    attachments = AttachmentSerializer(many=True, read_only=True)
    refusal_ground = serializers.SlugRelatedField(slug_field="code", read_only=True)
    deadline_rule = serializers.StringRelatedField()
    deadline_citation = serializers.CharField(source="deadline_rule.citation", default="", read_only=True)
    handler = serializers.SerializerMethodField()
    content_hash = serializers.SerializerMethodField()
    missing = serializers.SerializerMethodField()
    available_actions = serializers.SerializerMethodField()

    class Meta(RequestListSerializer.Meta):
        fields = [
            *RequestListSerializer.Meta.fields, "version", "systems", "scope", "purpose", "purpose_text", "solution", "legal_basis",
            "procedures", "method", "calls_per_day", "calls_per_second", "source_networks", "wanted_from", "wanted_to",
            "paper_received_on", "paper_signer", "codes_day", "technician", "exemption_reason", "special_reason", "alternatives", "note", "change_reason", "decisions", "remarks", "signatures", "attachments", "deadline_rule",
            "deadline_citation", "lapses_at", "decided_at", "refusal_ground", "refusal_reason", "refusal_citation", "content_hash",
            "handler", "missing", "available_actions",
        ]  # fmt: skip

    def get_handler(self, request) -> str | None:
        """Who handles the case at the operator's: said to operators."""
        return str(request.handler) if request.handler and is_operator(self.context["request"].user) else None

    def get_content_hash(self, request) -> str:
        return request_hash(request)

    @extend_schema_field(GapSerializer(many=True))
    def get_missing(self, request) -> list[dict]:
        """What keeps the request from being complete now; empty when complete."""
        return [{"field": field, "text": str(text)} for field, text in missing(request)]

    @extend_schema_field(StepSerializer(many=True))
    def get_available_actions(self, request) -> list[dict]:
        return steps_for(REQUEST, request, self.context["request"].user)


class ScopeRowSerializer(serializers.Serializer):
    """An operation and the paths of the fields asked for."""

    operation = serializers.UUIDField()
    fields = serializers.ListField(child=serializers.CharField(max_length=300), max_length=2000)  # type: ignore[assignment]


class AlternativeSerializer(serializers.Serializer):
    """A default service that comes near, and the fields asked for that it has too."""

    code = serializers.CharField(source="service.code")
    name = serializers.CharField(source="service.name")
    provider = OrganizationRefSerializer(source="service.provider")
    fields_covered = serializers.ListField(child=serializers.CharField(), source="covered")
    fields_asked = serializers.IntegerField(source="asked")


class OverdueSerializer(serializers.Serializer):
    """An overdue case: with whom it lies and since when it is late; not who asks, for what, about which service."""

    number = serializers.CharField()
    uuid = serializers.UUIDField(allow_null=True, help_text="Null: a case that is not the caller's to read.")
    desks = serializers.ListField(
        child=serializers.CharField(), help_text="Agencies that have to act. Empty: the operator of the platform."
    )
    received_at = Moment()
    due_at = Moment()
    rule = serializers.CharField(allow_blank=True)
    citation = serializers.CharField(allow_blank=True)


class RequestContentSerializer(serializers.Serializer):
    """The content of NĐ 47/2020 Điều 35(2), each part optional until the request is submitted."""

    title = serializers.CharField(max_length=300, required=False, allow_blank=True)
    systems = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=500, help_text="Codes of systems."
    )
    scope = ScopeRowSerializer(many=True, required=False)
    purpose = serializers.SlugRelatedField(
        slug_field="code", queryset=Purpose.objects.filter(is_active=True), required=False, allow_null=True
    )
    purpose_text = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    solution = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    legal_basis = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    procedures = serializers.ListField(child=serializers.CharField(max_length=60), required=False, max_length=200)
    method = serializers.ChoiceField(choices=SharingMethod.choices, required=False)
    calls_per_day = serializers.IntegerField(min_value=1, max_value=2_000_000_000, required=False, allow_null=True)
    calls_per_second = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False, allow_null=True)
    source_networks = serializers.ListField(child=serializers.CharField(max_length=50), required=False, max_length=50)
    wanted_from = serializers.DateField(required=False, allow_null=True)
    wanted_to = serializers.DateField(required=False, allow_null=True)
    codes_day = serializers.DateField(
        required=False, allow_null=True, help_text="The day whose administrative codes the systems use; the gateway translates."
    )
    technician = serializers.CharField(max_length=300, required=False, allow_blank=True)
    exemption_reason = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    special_reason = serializers.CharField(required=False, allow_blank=True, max_length=10_000)
    alternatives = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=50,
        help_text="Codes of the default services considered (`GET …/alternatives`).",
    )  # fmt: skip
    note = serializers.CharField(
        required=False, allow_blank=True, max_length=10_000, help_text="Becomes the other terms of the agreement."
    )
    change_reason = serializers.CharField(
        required=False, allow_blank=True, max_length=10_000,
        help_text="Of a change or renewal: why; the note of the new version, not one of its terms.",
    )  # fmt: skip

    def validate_scope(self, rows: list[dict]) -> list[dict]:
        """Two rows of one operation would not be added up: the one that is read last would count alone."""
        if len({row["operation"] for row in rows}) != len(rows):
            raise serializers.ValidationError(_("Name each operation once."))
        return rows

    def facts(self, user, consumer) -> dict:
        """The body as the verbs take it: rows instead of codes, only rows the person may name."""
        given = dict(self.validated_data)
        for name in ("consumer", "version"):
            given.pop(name, None)
        if "systems" in given:
            given["systems"] = systems_named(given["systems"], user, consumer)
        if "scope" in given:
            given["scope"] = operations_named({row["operation"]: row["fields"] for row in given["scope"]}, user)
        return given


class RequestDraftSerializer(RequestContentSerializer):
    consumer = serializers.CharField(max_length=35, help_text="Code of the requesting organization.")


class RequestSaveSerializer(RequestContentSerializer, VersionSerializer):
    pass


class SigningSerializer(serializers.Serializer):
    content_hash = serializers.CharField(max_length=64, min_length=64, help_text="What the signer has read.")
    password = serializers.CharField(max_length=200, write_only=True, help_text="Proof of who is signing.")


class RemarkInputSerializer(serializers.Serializer):
    field = serializers.CharField(max_length=60)
    text = serializers.CharField(max_length=2000)


class ReturnSerializer(VersionSerializer):
    remarks = RemarkInputSerializer(many=True)

    def validate_remarks(self, rows) -> list[tuple[str, str]]:
        return [(row["field"], row["text"]) for row in rows]


class GroundField(serializers.SlugRelatedField):
    """A ground by its code, as it reads today."""

    def get_queryset(self):
        return RefusalGround.objects.in_force(timezone.localdate())


class RefusalSerializer(VersionSerializer):
    ground = GroundField(slug_field="code", queryset=RefusalGround.objects.all())
    reason = serializers.CharField(max_length=10_000)
    citation = serializers.CharField(max_length=300)


class CommentSerializer(serializers.ModelSerializer):
    author = serializers.StringRelatedField()
    organization = OrganizationRefSerializer(read_only=True)

    class Meta:
        model = Comment
        fields = ["uuid", "author", "organization", "is_internal", "text", "created_at"]


class CommentInputSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=5000)
    is_internal = serializers.BooleanField(required=False)


class HandlerSerializer(serializers.Serializer):
    handler = serializers.SlugRelatedField(
        slug_field="uuid", queryset=get_user_model().objects.filter(is_active=True, is_machine=False)
    )


class AttachmentInputSerializer(serializers.Serializer):
    file = serializers.FileField()
    kind = serializers.ChoiceField(choices=AttachmentKind.choices, required=False)


class PaperRequestSerializer(RequestDraftSerializer):
    received_on = serializers.DateField()
    paper_signer = serializers.CharField(max_length=200, help_text="Name and position of who signed on paper.")
