from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.moments import Moment
from apps.core.upstream_auth import AuthKind
from apps.sync.advice import advice_of
from apps.sync.choices import AdapterName
from apps.sync.models import EnterpriseChange, Source, SyncRun


class SourceSerializer(serializers.ModelSerializer):
    """A source without its credential, which nobody can read back."""

    catalog = serializers.SlugRelatedField(slug_field="code", read_only=True, allow_null=True)
    has_secret = serializers.SerializerMethodField()

    class Meta:
        model = Source
        fields = ["code", "name", "kind", "adapter", "catalog", "base_url", "auth_kind", "token_url", "has_secret", "settings", "enabled",
                  "interval_minutes", "next_run_at", "last_success_at", "alarmed_at", "watermark", "version"]  # fmt: skip
        read_only_fields = fields

    def get_has_secret(self, source) -> bool:
        return bool(source.secret)


class SourceChangeSerializer(serializers.Serializer):
    """What an operator may change; only the members given are written. `version` refuses a stale page."""

    name = serializers.CharField(max_length=300, required=False)
    adapter = serializers.ChoiceField(choices=AdapterName.choices, required=False)
    base_url = serializers.CharField(max_length=300, required=False)
    auth_kind = serializers.ChoiceField(choices=AuthKind.choices, required=False)
    token_url = serializers.CharField(max_length=300, required=False, allow_blank=True)
    secret = serializers.CharField(
        max_length=8000, required=False, write_only=True, help_text=_("A JSON object; never shown again.")
    )
    settings = serializers.JSONField(required=False)
    enabled = serializers.BooleanField(required=False)
    interval_minutes = serializers.IntegerField(min_value=5, max_value=44640, required=False)
    next_run_at = Moment(required=False)
    version = serializers.IntegerField(min_value=1, required=False)


class FigureSerializer(serializers.Serializer):
    """One figure of the progress."""

    name = serializers.CharField()
    label = serializers.CharField()
    value = serializers.IntegerField()


class AdviceSerializer(serializers.Serializer):
    """What a failure means, and what a person can do."""

    why = serializers.CharField()
    todo = serializers.CharField()


class RunSerializer(serializers.ModelSerializer):
    """A run with its progress: poll it while `status` is queued or running."""

    source = serializers.SlugRelatedField(slug_field="code", read_only=True)
    requested_by = serializers.CharField(source="requested_by.full_name", read_only=True, default="")
    release = serializers.SlugRelatedField(slug_field="uuid", read_only=True, allow_null=True)
    approves = serializers.SlugRelatedField(slug_field="uuid", read_only=True, allow_null=True)
    elapsed_seconds = serializers.IntegerField(read_only=True, allow_null=True)
    elapsed_label = serializers.CharField(read_only=True)
    advice = serializers.SerializerMethodField()
    progress = FigureSerializer(many=True, read_only=True)
    status_label = serializers.CharField(source="get_status_display", read_only=True)
    stage_label = serializers.CharField(source="get_stage_display", read_only=True)

    class Meta:
        model = SyncRun
        fields = ["uuid", "source", "status", "status_label", "stage", "stage_label", "trigger", "requested_by", "progress", "release",
                  "approves", "created_at", "started_at", "finished_at", "elapsed_seconds", "elapsed_label", "attempt", "next_attempt_at",
                  "error_code", "error_text", "advice"]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(AdviceSerializer(allow_null=True))
    def get_advice(self, run) -> dict | None:
        advice = advice_of(run.error_code)
        return AdviceSerializer(advice).data if advice else None


class RunDetailSerializer(RunSerializer):
    """With the report: for an outgoing push, the difference a person approves; for changes, the dossiers that were left out."""

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "report"]
        read_only_fields = fields


class EnterpriseChangeSerializer(serializers.ModelSerializer):
    """A changed enterprise: its code and the dossier that changed it; members that are not granted are left out.

    `position` is where to go on from.
    """

    position = serializers.IntegerField(source="id")

    class Meta:
        model = EnterpriseChange
        fields = ["position", "enterprise_code", "document_type", "received_on", "recorded_at"]
        extra_kwargs = {"document_type": {"required": False}, "received_on": {"required": False}}

    def to_representation(self, change) -> dict:
        members = {"position", "recorded_at", *self.context["members"]}
        return {name: value for name, value in super().to_representation(change).items() if name in members}


class EnterpriseFeedSerializer(serializers.Serializer):
    """One part of the feed. Ask again with `since` = `next`; `more` says whether to do it at once."""

    changes = EnterpriseChangeSerializer(many=True)
    next = serializers.IntegerField()
    more = serializers.BooleanField()
    complete_until = serializers.DateField(allow_null=True, help_text=_("The last day of which every dossier is in the feed."))


class FeedQuestionSerializer(serializers.Serializer):
    since = serializers.IntegerField(
        min_value=0, max_value=2**62, default=0, help_text=_("The position read last; 0 from the beginning.")
    )
    limit = serializers.IntegerField(min_value=1, max_value=1000, default=200)
