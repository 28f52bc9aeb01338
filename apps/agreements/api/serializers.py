from __future__ import annotations

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    AgreementVersion,
    Consent,
    ConsumerSuspension,
    Credential,
    Duty,
    DutyCertificate,
    Grant,
    Party,
    PlannedSuspension,
    Signature,
    StepClock,
    Suspension,
)
from apps.agreements.reading import as_read, read, reads_in_full, version_for
from apps.agreements.suspensions import has_suspended
from apps.agreements.workflow import ACCEPTANCE, AGREEMENT, CREDENTIAL, GRANT
from apps.connections.api.serializers import OrganizationRefSerializer, SystemRefSerializer
from apps.core.api.moments import Moment
from apps.core.api.steps import StepSerializer, steps_for
from apps.core.workflow import Workflow


class WithSteps(serializers.ModelSerializer):
    """A row with the steps its reader may take now."""

    available_actions = serializers.SerializerMethodField()
    workflow: Workflow

    @extend_schema_field(StepSerializer(many=True))
    def get_available_actions(self, obj) -> list[dict]:
        return steps_for(self.workflow, obj, self.context["request"].user)


class WithSuspensionSteps(WithSteps):
    """The same, without the step to suspend for whoever has suspended it already."""

    @extend_schema_field(StepSerializer(many=True))
    def get_available_actions(self, obj) -> list[dict]:
        steps = super().get_available_actions(obj)
        hidden = {"suspend"} if has_suspended(obj, self.context["request"].user) else set()
        return [step for step in steps if step["verb"] not in hidden]


class PartySerializer(serializers.ModelSerializer):
    organization = OrganizationRefSerializer(read_only=True)
    left_at = Moment(source="left_as_read", read_only=True, allow_null=True)

    class Meta:
        model = Party
        fields = ["organization", "side", "joined_at", "left_at"]


class SignatureSerializer(serializers.ModelSerializer):
    party = PartySerializer(read_only=True)
    signer = serializers.StringRelatedField()

    class Meta:
        model = Signature
        fields = ["uuid", "party", "signer", "basis", "signed_hash", "signed_at"]


class AgreementVersionSerializer(serializers.ModelSerializer):
    signatures = SignatureSerializer(many=True, read_only=True)
    drafted_by = serializers.StringRelatedField()
    agreed_by = serializers.SerializerMethodField()

    class Meta:
        model = AgreementVersion
        fields = [
            "uuid", "number", "state", "content", "content_hash", "drafted_by", "change_note", "begins_at", "agreed_by", "signatures", "created_at",
        ]  # fmt: skip

    def get_agreed_by(self, version) -> list[str]:
        """Codes of the parties whose officers agreed to this content (special sharing)."""
        return sorted(consent.party.organization.code for consent in version.consents.all())


def versions_read_by(user):
    """Versions with those of their signatures and consents whose parties the reader sees."""
    seen = Party.objects.visible_to(user)
    parties = seen.values("pk")
    return AgreementVersion.objects.visible_to(user).select_related("agreement", "drafted_by").prefetch_related(
        Prefetch("signatures", Signature.objects.filter(party__in=parties).select_related("signer")),
        Prefetch("signatures__party", seen.select_related("organization")),
        Prefetch("consents", Consent.objects.filter(party__in=parties).select_related("party__organization")),
    )  # fmt: skip


class AgreementListSerializer(serializers.ModelSerializer):
    parties = PartySerializer(many=True, read_only=True)

    class Meta:
        model = Agreement
        fields = ["uuid", "number", "title", "sharing_form", "status", "valid_from", "valid_to", "in_force_at", "parties"]

    def to_representation(self, agreement) -> dict:
        return super().to_representation(as_read(agreement))


class StandingSuspensionSerializer(serializers.ModelSerializer):
    """Who suspended it and why. They lift it, or the operator does; nothing opens while another stands."""

    provider = OrganizationRefSerializer(read_only=True, help_text="Null: the operator.")

    class Meta:
        model = Suspension
        fields = ["uuid", "provider", "kind", "reason", "handling_plan", "restore_conditions", "since", "determined_at",
                  "notice_due_at", "was_told_late"]  # fmt: skip


class GrantListSerializer(serializers.ModelSerializer):
    agreement = serializers.SlugRelatedField(slug_field="uuid", read_only=True)
    system = SystemRefSerializer(read_only=True)
    service = serializers.CharField(source="operation.version.service.code")
    operation = serializers.CharField(source="operation.code")
    purpose = serializers.SlugRelatedField(slug_field="code", read_only=True)
    suspensions = StandingSuspensionSerializer(source="standing_suspensions", many=True, read_only=True)

    class Meta:
        model = Grant
        fields = [
            "uuid", "agreement", "system", "service", "operation", "environment", "purpose", "fields", "quota_per_day",
            "quota_per_month", "rate_per_second", "hours_from", "hours_to", "networks", "valid_from", "valid_to", "status",
            "status_reason", "suspensions", "is_planned", "version",
        ]  # fmt: skip


class GrantDetailSerializer(WithSuspensionSteps, GrantListSerializer):
    workflow = GRANT

    class Meta(GrantListSerializer.Meta):
        fields = [*GrantListSerializer.Meta.fields, "available_actions"]


class AcceptanceListSerializer(serializers.ModelSerializer):
    agreement = serializers.SlugRelatedField(slug_field="uuid", read_only=True)
    system = SystemRefSerializer(read_only=True)
    recorded_by = serializers.StringRelatedField()
    decided_by = serializers.StringRelatedField()

    class Meta:
        model = AcceptanceRecord
        fields = [
            "uuid", "agreement", "system", "status", "tested_on", "summary", "recorded_by", "decided_by", "decided_at", "comment",
            "created_at", "version",
        ]  # fmt: skip


class AcceptanceDetailSerializer(WithSteps, AcceptanceListSerializer):
    workflow = ACCEPTANCE

    class Meta(AcceptanceListSerializer.Meta):
        fields = [*AcceptanceListSerializer.Meta.fields, "available_actions"]


class CredentialListSerializer(serializers.ModelSerializer):
    """Never the secret, nor its hash."""

    system = SystemRefSerializer(read_only=True)

    class Meta:
        model = Credential
        fields = [
            "uuid", "system", "environment", "client_id", "status", "claimed_at", "expires_at", "revoked_at", "created_at", "version",
        ]  # fmt: skip


class CredentialDetailSerializer(WithSteps, CredentialListSerializer):
    workflow = CREDENTIAL

    class Meta(CredentialListSerializer.Meta):
        fields = [*CredentialListSerializer.Meta.fields, "available_actions"]


class ClaimedSerializer(serializers.Serializer):
    """The secret is here once and nowhere else."""

    client_id = serializers.CharField()
    client_secret = serializers.CharField()
    expires_at = Moment()


class DutyCertificateSerializer(serializers.ModelSerializer):
    class Meta:
        model = DutyCertificate
        fields = ["name", "media_type", "size", "sha256", "created_at"]


class DutySerializer(serializers.ModelSerializer):
    party = PartySerializer(read_only=True)
    done_by = serializers.StringRelatedField()
    certificate = DutyCertificateSerializer(read_only=True, allow_null=True, default=None)

    class Meta:
        model = Duty
        fields = ["uuid", "party", "kind", "done_at", "done_by", "note", "certificate"]


class StepClockSerializer(serializers.ModelSerializer):
    """A step that is waited for. While the agreement is suspended the clock stands still (`paused_at`) and nothing is late."""

    system = SystemRefSerializer(read_only=True, allow_null=True, help_text="Of a test or its record; null otherwise.")
    rule = serializers.CharField(source="deadline_rule.name", read_only=True)
    citation = serializers.CharField(source="deadline_rule.citation", read_only=True)
    is_late = serializers.BooleanField(read_only=True)

    class Meta:
        model = StepClock
        fields = read_only_fields = [
            "step", "system", "begun_at", "due_at", "extended_at", "paused_at", "is_late", "rule", "citation",
        ]  # fmt: skip


class AgreementDetailSerializer(WithSuspensionSteps, AgreementListSerializer):
    workflow = AGREEMENT
    current_version = serializers.SerializerMethodField()
    requests = serializers.SerializerMethodField()
    suspensions = StandingSuspensionSerializer(source="standing_suspensions", many=True, read_only=True)
    grants = GrantListSerializer(many=True, read_only=True)
    acceptances = AcceptanceListSerializer(many=True, read_only=True)
    duties = DutySerializer(many=True, read_only=True)
    deadlines = StepClockSerializer(source="clocks", many=True, read_only=True)

    class Meta(AgreementListSerializer.Meta):
        fields = [
            *AgreementListSerializer.Meta.fields, "version", "suspension_kind", "suspended_at", "violation", "handling_plan",
            "restore_conditions", "suspensions", "termination_ground", "status_reason", "ended_at", "current_version", "requests", "grants",
            "acceptances", "duties", "deadlines", "available_actions",
        ]  # fmt: skip

    @extend_schema_field(AgreementVersionSerializer(allow_null=True))
    def get_current_version(self, agreement) -> dict | None:
        """The content in force (the newest proposal while there is none), for one who left the one in force then; for one who
        joins the version it is to sign."""
        user = self.context["request"].user
        version = version_for(agreement, user)
        if version is None:
            return None
        return AgreementVersionSerializer(read(versions_read_by(user).get(pk=version.pk), user)).data

    def get_requests(self, agreement) -> list[str]:
        """Numbers of the requests the agreement rests on."""
        return [basis.request.number for basis in agreement.bases.all()]

    def to_representation(self, agreement) -> dict:
        shown = super().to_representation(agreement)
        if not reads_in_full(agreement, self.context["request"].user):
            shown |= dict.fromkeys(("violation", "handling_plan", "restore_conditions", "status_reason"), "")
            shown["suspensions"] = []
        return shown


class ApprovedSerializer(serializers.Serializer):
    """`agreement` is null while another provider has still to decide."""

    status = serializers.CharField()
    agreement = serializers.UUIDField(allow_null=True)
    number = serializers.CharField(allow_null=True)


class LeavingPlanSerializer(serializers.Serializer):
    """What leaving would end, and what is to be done then. `unfinished`, or a pending change, comes before it."""

    consumer = OrganizationRefSerializer(source="party.organization")
    remaining = serializers.SerializerMethodField(help_text="Codes of the consumers that go on.")
    grants = GrantListSerializer(many=True)
    duties = serializers.ListField(child=serializers.CharField())
    unfinished = serializers.ListField(child=serializers.CharField(), help_text="Numbers of requests to be withdrawn first.")
    change_pending = serializers.BooleanField(help_text="A change awaits signatures: it is signed or declined first.")

    def get_remaining(self, plan) -> list[str]:
        return [party.organization.code for party in plan.remaining]


class PlannedSuspensionSerializer(serializers.ModelSerializer):
    agreement = serializers.SlugRelatedField(slug_field="uuid", read_only=True)
    provider = OrganizationRefSerializer(read_only=True, help_text="Who announced it. Null: the operator.")

    class Meta:
        model = PlannedSuspension
        fields = [
            "uuid",
            "agreement",
            "provider",
            "starts_at",
            "ends_at",
            "reason",
            "started_at",
            "ended_at",
            "cancelled_at",
            "created_at",
        ]


class ConsumerSuspensionSerializer(serializers.ModelSerializer):
    agreement = serializers.SlugRelatedField(slug_field="uuid", read_only=True)
    party = PartySerializer(read_only=True)
    provider = OrganizationRefSerializer(read_only=True, help_text="Null: all providers of the agreement.")

    class Meta:
        model = ConsumerSuspension
        fields = ["uuid", "agreement", "party", "provider", "violation", "handling_plan", "restore_conditions", "determined_at",
                  "notice_due_at", "was_told_late", "created_at", "lifted_at", "comment"]  # fmt: skip


class ContentDifferenceSerializer(serializers.Serializer):
    """`kind` is added, removed or changed; `personal_data` the class of an added or removed field."""

    item = serializers.CharField()
    kind = serializers.CharField()
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField(allow_blank=True)
    personal_data = serializers.CharField(allow_blank=True)


class BasisSerializer(serializers.Serializer):
    """What a change, renewal or joining starts from, what it changes of it, and what moved under it since (empty when nothing did)."""

    agreement = serializers.CharField()
    starts_from = serializers.IntegerField(help_text="Number of the version.")
    stands_now = serializers.IntegerField(help_text="Number of the version in force.")
    has_moved = serializers.BooleanField()
    differences = serializers.SerializerMethodField(
        help_text="What the request changes of the version it starts from; once approved, what the version it made changes."
    )
    changed_under = serializers.SerializerMethodField(help_text="What the version in force changes of it.")
    taken = serializers.ListField(
        child=serializers.CharField(), help_text="Parts that `follow` would take from what stands now."
    )
    kept = serializers.ListField(child=serializers.CharField(), help_text="Parts that both changed: the request's own stay.")

    @extend_schema_field(ContentDifferenceSerializer(many=True))
    def get_differences(self, told) -> list[dict]:
        return ContentDifferenceSerializer(told["differences"], many=True).data

    @extend_schema_field(ContentDifferenceSerializer(many=True))
    def get_changed_under(self, told) -> list[dict]:
        return ContentDifferenceSerializer(told["changed_under"], many=True).data


class BegunSerializer(serializers.Serializer):
    """The draft that was begun, prefilled with what runs."""

    request = serializers.UUIDField(source="uuid")
    number = serializers.CharField()
    kind = serializers.CharField()
