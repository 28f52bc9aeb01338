"""Wire shapes of services, versions, contracts, addresses, regulations and purposes. A secret goes in and never out."""

from __future__ import annotations

from django.utils.translation import gettext as _
from rest_framework import serializers

from apps.core.api import steps
from apps.core.api.moments import Moment
from apps.organizations.api.serializers import OrganizationNameSerializer
from apps.registry.choices import (
    AnswerFormat,
    Classification,
    ConnectionKind,
    Environment,
    FieldType,
    Method,
    ParameterLocation,
    PersonalDataClass,
    Protocol,
    SharingForm,
    UpstreamAuth,
)
from apps.registry.models import (
    DataService,
    DefaultShareList,
    Field,
    HealthProbe,
    Operation,
    Parameter,
    Purpose,
    ServiceVersion,
    Upstream,
    UsageRegulation,
)


class VersionRefSerializer(serializers.ModelSerializer):
    number = serializers.CharField(read_only=True)

    class Meta:
        model = ServiceVersion
        fields = ["uuid", "number", "status", "published_at", "deprecated_on"]


class ServiceSerializer(serializers.ModelSerializer):
    provider = OrganizationNameSerializer(read_only=True)
    usage_regulation = serializers.SlugRelatedField(slug_field="uuid", read_only=True)
    versions = serializers.SerializerMethodField(help_text="Published versions, and the provider's own drafts.")

    class Meta:
        model = DataService
        fields = [
            "uuid", "code", "name", "description", "provider", "sharing_form", "classification", "protocol", "is_master_data",
            "account_issuing_delegated", "capacity_rps", "daily_quota", "usage_regulation", "contact", "sla", "status",
            "version", "versions",
        ]  # fmt: skip

    def get_versions(self, row) -> VersionRefSerializer(many=True):
        return VersionRefSerializer(row.shown_versions, many=True).data


class ServiceChangeSerializer(serializers.Serializer):
    version = serializers.IntegerField(required=False)
    name = serializers.CharField(max_length=300)
    description = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    sharing_form = serializers.ChoiceField(choices=SharingForm.choices, required=False)
    classification = serializers.ChoiceField(
        choices=Classification.choices, required=False, help_text="A state secret has no value here and cannot be saved."
    )
    protocol = serializers.ChoiceField(choices=Protocol.choices, required=False)
    is_master_data = serializers.BooleanField(required=False)
    account_issuing_delegated = serializers.BooleanField(required=False)
    capacity_rps = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False, allow_null=True)
    daily_quota = serializers.IntegerField(min_value=1, max_value=2_000_000_000, required=False, allow_null=True)
    usage_regulation = serializers.UUIDField(required=False, allow_null=True)
    contact = serializers.CharField(max_length=300, required=False, allow_blank=True)
    sla = serializers.CharField(max_length=5_000, required=False, allow_blank=True)


class ServiceRegistrationSerializer(ServiceChangeSerializer):
    version = None
    provider = serializers.CharField(max_length=35, help_text="Identifier of the provider, in either form.")
    code = serializers.CharField(max_length=60)


class NewVersionSerializer(serializers.Serializer):
    bump = serializers.ChoiceField(choices=["minor", "major"], default="minor")
    change_note = serializers.CharField(max_length=5_000, required=False, allow_blank=True, default="")


class ParameterSerializer(serializers.ModelSerializer):
    class Meta:
        model = Parameter
        fields = ["name", "label", "location", "required", "pattern", "max_length", "is_subject", "example", "catalog_code"]


class FieldSerializer(serializers.ModelSerializer):
    is_leaf = serializers.BooleanField(read_only=True)

    class Meta:
        model = Field
        fields = ["path", "name", "label", "type", "personal_data", "is_envelope", "catalog_code", "is_master_data", "is_leaf"]


class OperationSerializer(serializers.ModelSerializer):
    """`fields` is the answer's tree, in order: a group or list stands before what it holds; `path` says where."""

    parameters = ParameterSerializer(many=True)

    class Meta:
        model = Operation
        fields = ["uuid", "code", "name", "description", "method", "path_template", "kind", "answer", "codes_day", "soap",
                  "parameters", "fields"]  # fmt: skip

    def get_fields(self):
        # A serializer keeps its own `fields` attribute: the tree is added under its wire name here.
        return {**super().get_fields(), "fields": FieldSerializer(many=True)}

    def build_field(self, field_name, info, model_class, nested_depth):
        if field_name == "fields":
            return FieldSerializer, {"many": True}
        return super().build_field(field_name, info, model_class, nested_depth)


class VersionSerializer(serializers.ModelSerializer):
    service = serializers.SlugRelatedField(slug_field="code", read_only=True)
    number = serializers.CharField(read_only=True)
    operations = OperationSerializer(many=True, read_only=True)

    class Meta:
        model = ServiceVersion
        fields = [
            "uuid", "service", "number", "status", "version", "ready_at", "published_at", "deprecated_on", "change_note",
            "interface_spec", "operations",
        ]  # fmt: skip


# --- the contract as a whole ----------------------------------------------------------------------


class ParameterSpecSerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField(required=False, allow_blank=True)
    location = serializers.ChoiceField(choices=ParameterLocation.choices, required=False)
    required = serializers.BooleanField(required=False)
    pattern = serializers.CharField(required=False, allow_blank=True)
    max_length = serializers.IntegerField(required=False)
    is_subject = serializers.BooleanField(required=False)
    example = serializers.CharField(required=False, allow_blank=True)
    catalog_code = serializers.CharField(required=False, allow_blank=True)


class FieldSpecSerializer(serializers.Serializer):
    path = serializers.CharField(help_text="Dotted; [] marks a list: Data.BusinessActivity[].CODE")
    label = serializers.CharField(required=False, allow_blank=True)
    type = serializers.ChoiceField(choices=FieldType.choices, required=False)
    personal_data = serializers.ChoiceField(
        choices=PersonalDataClass.choices, required=False, allow_blank=True,
        help_text="Empty or absent: not classified yet; such a version is not published.",
    )  # fmt: skip
    is_envelope = serializers.BooleanField(required=False)
    catalog_code = serializers.CharField(required=False, allow_blank=True)
    is_master_data = serializers.BooleanField(
        required=False, help_text="Kept in the provider's system alone; others read it there."
    )


class OperationSpecSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField(required=False, allow_blank=True)
    method = serializers.ChoiceField(choices=Method.choices, required=False)
    path = serializers.CharField()
    kind = serializers.ChoiceField(choices=ConnectionKind.choices, required=False)
    answer = serializers.ChoiceField(choices=AnswerFormat.choices, required=False)
    codes_day = serializers.CharField(required=False, allow_blank=True, help_text="2025-06-30; empty: the present day.")
    soap = serializers.JSONField(required=False, help_text="How the parameters become a SOAP 1.1 request; empty: not SOAP.")
    parameters = ParameterSpecSerializer(many=True, required=False)

    def get_fields(self):
        return {**super().get_fields(), "fields": FieldSpecSerializer(many=True, required=False)}


class SampleSerializer(serializers.Serializer):
    operation = serializers.CharField()
    request = serializers.CharField(required=False, allow_blank=True)
    response = serializers.JSONField()


class ErrorCodeSerializer(serializers.Serializer):
    code = serializers.CharField()
    meaning = serializers.CharField()


class DocumentSerializer(serializers.Serializer):
    title = serializers.CharField()
    url = serializers.CharField()


class ContractSerializer(serializers.Serializer):
    """Documents the shape; what is read and refused is `registry.contract`'s to say (`contract_invalid`, place by place)."""

    operations = OperationSpecSerializer(many=True)
    samples = SampleSerializer(many=True, required=False)
    errors = ErrorCodeSerializer(many=True, required=False)
    documents = DocumentSerializer(many=True, required=False)

    def get_fields(self):
        return super().get_fields()


class DocumentFileSerializer(serializers.Serializer):
    """Either the file, or the address it is read from."""

    file = serializers.FileField(required=False, help_text="OpenAPI 3 (JSON or YAML) or WSDL 1.1, at most 2 MiB.")
    url = serializers.CharField(
        required=False, max_length=300, help_text="Or its address; only hosts on the list of allowed outbound addresses."
    )

    def validate(self, given: dict) -> dict:
        if ("file" in given) == ("url" in given):
            raise serializers.ValidationError({"file": _("Choose a file or give an address.")})
        return given


class ReadingSerializer(serializers.Serializer):
    kind = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField(), help_text="What could not be taken over, and why.")
    operations = serializers.ListField(child=serializers.CharField())


class DifferenceSerializer(serializers.Serializer):
    code = serializers.CharField()
    operation = serializers.CharField()
    path = serializers.CharField(allow_blank=True)
    breaks = serializers.BooleanField()
    text = serializers.CharField()


class CompletenessItemSerializer(serializers.Serializer):
    code = serializers.CharField()
    label = serializers.CharField()
    citation = serializers.CharField()
    done = serializers.BooleanField()
    hint = serializers.CharField(allow_blank=True)


class CompletenessSerializer(serializers.Serializer):
    score = serializers.IntegerField(help_text="Per cent; 100 only when nothing is missing.")
    is_complete = serializers.BooleanField()
    items = CompletenessItemSerializer(many=True)


class ExpectedSerializer(serializers.Serializer):
    version = serializers.IntegerField(required=False, help_text="Row version the caller saw; a stale one answers 409.")


class DeprecationSerializer(ExpectedSerializer):
    until = serializers.DateField(help_text="The day after which it will be retired.")


class ReadinessSerializer(serializers.Serializer):
    ready_at = Moment(required=False, help_text="When the service began to work; now when left out.")


class UpstreamSerializer(serializers.ModelSerializer):
    has_secret = serializers.SerializerMethodField()

    class Meta:
        model = Upstream
        fields = [
            "uuid", "environment", "base_url", "auth_kind", "auth_settings", "has_secret", "timeout_ms", "max_response_bytes",
            "max_concurrency", "updated_at", "revision",
        ]  # fmt: skip

    def get_has_secret(self, row) -> bool:
        return bool(row.secret)


class UpstreamChangeSerializer(serializers.Serializer):
    revision = serializers.IntegerField(
        required=False,
        min_value=0,
        help_text="That of the address the caller saw, 0 where there was none; another one answers 409.",
    )
    base_url = serializers.CharField(max_length=300)
    auth_kind = serializers.ChoiceField(choices=UpstreamAuth.choices, default=UpstreamAuth.NONE)
    auth_settings = serializers.DictField(child=serializers.CharField(max_length=300), required=False)
    secret = serializers.DictField(
        required=False, allow_null=True, write_only=True, help_text="Write-only; kept when left out."
    )
    timeout_ms = serializers.IntegerField(required=False)
    max_response_bytes = serializers.IntegerField(required=False)
    max_concurrency = serializers.IntegerField(required=False)


ENVIRONMENTS = Environment.values


class RegulationSerializer(serializers.ModelSerializer):
    """`organization` issued it; `kept_by` is its successor by a merge, whose officers answer for it since."""

    organization = OrganizationNameSerializer(read_only=True)
    kept_by = OrganizationNameSerializer(read_only=True, allow_null=True)
    is_signed = serializers.BooleanField(read_only=True)

    class Meta:
        model = UsageRegulation
        fields = [
            "uuid", "organization", "kept_by", "number", "title", "issued_on", "effective_from", "effective_to", "log_retention_months",
            "usage_duration", "terms", "terms_hash", "terms_signed_at", "is_signed", "version",
        ]  # fmt: skip


class RegulationChangeSerializer(steps.VersionSerializer):
    number = serializers.CharField(max_length=100)
    title = serializers.CharField(max_length=300)
    issued_on = serializers.DateField()
    effective_from = serializers.DateField()
    effective_to = serializers.DateField(required=False, allow_null=True)
    log_retention_months = serializers.IntegerField(min_value=1, max_value=600, required=False)
    usage_duration = serializers.CharField(max_length=200, required=False, allow_blank=True)
    terms = serializers.CharField(max_length=100_000, required=False, allow_blank=True)


class RegulationWritingSerializer(RegulationChangeSerializer):
    version = None
    organization = serializers.CharField(max_length=35, help_text="Identifier of the provider, in either form.")


class TermsSigningSerializer(steps.VersionSerializer):
    """`version` is that of the terms the signer read."""

    password = serializers.CharField(max_length=200, write_only=True, help_text="Proof of who is signing.")


class RegulationEndSerializer(steps.VersionSerializer):
    effective_to = serializers.DateField()


class PurposeSerializer(serializers.ModelSerializer):
    class Meta:
        model = Purpose
        fields = ["code", "name", "is_active", "version"]


class PurposeNamingSerializer(serializers.Serializer):
    code = serializers.CharField(max_length=40)
    name = serializers.CharField(max_length=300)


class PurposeChangeSerializer(steps.VersionSerializer):
    name = serializers.CharField(max_length=300)
    is_active = serializers.BooleanField(required=False)


class DefaultListSerializer(serializers.ModelSerializer):
    """`organization` decided it; `kept_by` is its successor by a merge, under whom it is in force until that decides its own."""

    organization = OrganizationNameSerializer(read_only=True)
    kept_by = OrganizationNameSerializer(read_only=True, allow_null=True)
    services = serializers.SlugRelatedField(slug_field="code", many=True, read_only=True)

    class Meta:
        model = DefaultShareList
        fields = ["uuid", "organization", "kept_by", "number", "decided_on", "next_review_on", "services", "note"]


class DefaultListDecisionSerializer(serializers.Serializer):
    organization = serializers.CharField(max_length=35, help_text="Identifier of the provider, in either form.")
    number = serializers.CharField(max_length=100)
    decided_on = serializers.DateField()
    services = serializers.ListField(child=serializers.CharField(max_length=60), max_length=1_000, help_text="Codes.")
    note = serializers.CharField(max_length=5_000, required=False, allow_blank=True, default="")


class ProbeSerializer(serializers.ModelSerializer):
    class Meta:
        model = HealthProbe
        fields = ["at", "answered", "status", "latency_ms", "error"]


class HealthSerializer(serializers.Serializer):
    """How one environment's address answered: never the address itself."""

    environment = serializers.CharField()
    is_healthy = serializers.BooleanField(allow_null=True)
    since = Moment(allow_null=True)
    looks = serializers.IntegerField()
    answered_percent = serializers.FloatField(allow_null=True)
    average_ms = serializers.IntegerField(allow_null=True)
    recent = ProbeSerializer(many=True)
