from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.moments import Moment
from apps.gateway.models import CallIntent, CallRefusal, GatewayProcess


class CallSerializer(serializers.ModelSerializer):
    """A line of the access log (LOG-02): who, what, under which agreement, when, how it ended. Never a payload."""

    consumer = serializers.CharField(source="grant.system.organization.code")
    consumer_name = serializers.CharField(source="grant.system.organization.name")
    system = serializers.CharField(source="grant.system.code")
    provider = serializers.CharField(source="grant.operation.version.service.provider.code")
    service = serializers.CharField(source="grant.operation.version.service.code")
    version = serializers.IntegerField(source="grant.operation.version.major")
    operation = serializers.CharField(source="grant.operation.code")
    method = serializers.CharField(source="grant.operation.method")
    agreement = serializers.CharField(source="grant.agreement.number")
    environment = serializers.CharField(source="grant.environment")
    purpose = serializers.CharField(source="grant.purpose.code")
    account = serializers.CharField(source="credential.client_id")
    request_digest = serializers.SerializerMethodField()
    outcome = serializers.SerializerMethodField()
    code = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    provider_status = serializers.SerializerMethodField()
    recorded_at = serializers.SerializerMethodField()
    request_bytes = serializers.SerializerMethodField()
    answer_bytes = serializers.SerializerMethodField()
    milliseconds = serializers.SerializerMethodField()
    provider_milliseconds = serializers.SerializerMethodField()
    answer_digest = serializers.SerializerMethodField()
    delivered = serializers.SerializerMethodField()
    withheld = serializers.SerializerMethodField()

    class Meta:
        model = CallIntent
        fields = [
            "call_id", "admitted_at", "recorded_at", "consumer", "consumer_name", "system", "account", "provider", "service",
            "version", "operation", "method", "agreement", "environment", "purpose", "outcome", "code", "status",
            "provider_status", "request_bytes", "answer_bytes", "milliseconds", "provider_milliseconds", "request_digest",
            "answer_digest", "delivered", "withheld", "trace_id", "source",
        ]  # fmt: skip

    @staticmethod
    def _of(call: CallIntent, name: str, otherwise=None):
        found = getattr(call, "outcome", None)
        return otherwise if found is None else getattr(found, name)

    def get_request_digest(self, call) -> str:
        return bytes(call.request_digest).hex()

    def get_outcome(self, call) -> str:
        """`running` until the outcome is recorded."""
        return self._of(call, "outcome", "running")

    def get_code(self, call) -> str:
        return self._of(call, "code", "")

    def get_status(self, call) -> int | None:
        return self._of(call, "status") or None

    def get_provider_status(self, call) -> int | None:
        return self._of(call, "provider_status")

    @extend_schema_field(Moment(allow_null=True))
    def get_recorded_at(self, call):
        moment = self._of(call, "recorded_at")
        return Moment().to_representation(moment) if moment else None

    def get_request_bytes(self, call) -> int:
        return self._of(call, "request_bytes", 0)

    def get_answer_bytes(self, call) -> int:
        return self._of(call, "answer_bytes", 0)

    def get_milliseconds(self, call) -> float | None:
        micro = self._of(call, "total_us")
        return None if micro is None else micro / 1000

    def get_provider_milliseconds(self, call) -> float | None:
        micro = self._of(call, "provider_us")
        return None if micro is None else micro / 1000

    def get_answer_digest(self, call) -> str | None:
        digest = self._of(call, "answer_digest")
        return bytes(digest).hex() if digest else None

    def get_delivered(self, call) -> list[str]:
        found = self._of(call, "delivered")
        return found.names if found else []

    def get_withheld(self, call) -> list[str]:
        found = self._of(call, "withheld")
        return found.names if found else []


class SubjectSearchSerializer(serializers.Serializer):
    """Whose data: in the body, because addresses end up in logs. `reason` names the request this search serves."""

    identifiers = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=5,
        help_text="The value that names the person in a call; several only where an operation names a person by several.",
    )  # fmt: skip
    reason = serializers.CharField(
        min_length=5, max_length=300, help_text="Number and day of the person's request, or what else asks for it."
    )
    since = Moment(help_text="first moment (inclusive)")
    until = Moment(required=False, help_text="last moment (exclusive)")
    service = serializers.CharField(max_length=60, required=False)


class CallsAboutSerializer(serializers.Serializer):
    """`more` is true when there are older calls than those shown."""

    results = CallSerializer(many=True)
    more = serializers.BooleanField()


class RefusalSerializer(serializers.ModelSerializer):
    consumer = serializers.CharField(source="system.organization.code", default=None)
    system = serializers.CharField(source="system.code", default=None)
    account = serializers.CharField(source="credential.client_id", default=None)
    service = serializers.CharField(source="asked_service")
    operation = serializers.CharField(source="operation.code", default=None)
    agreement = serializers.CharField(source="grant.agreement.number", default=None)
    purpose = serializers.CharField(source="asked_purpose")

    class Meta:
        model = CallRefusal
        fields = [
            "call_id", "refused_at", "code", "status", "consumer", "system", "account", "service", "operation", "method",
            "agreement", "purpose", "source",
        ]  # fmt: skip


class ProcessSerializer(serializers.ModelSerializer):
    """A gateway process as it last told of itself; `policy` is the name of the policy it decides by."""

    class Meta:
        model = GatewayProcess
        fields = ["id", "name", "started_at", "seen_at", "epoch", "policy", "grants", "running", "draining", "faults"]


class PauseSerializer(serializers.Serializer):
    """A provider whose circuit breaker is open: its calls are answered 503 at once until one that tries is answered."""

    service = serializers.CharField(source="service.code")
    service_name = serializers.CharField(source="service.name")
    provider = serializers.CharField(source="service.provider.code")
    version = serializers.IntegerField(source="upstream.version.major")
    environment = serializers.CharField(source="upstream.environment")
    code = serializers.CharField()
    reason = serializers.CharField()
    since = Moment()
    next_try = Moment()
    processes = serializers.IntegerField(help_text="gateway processes that give this pause")
    alive = serializers.IntegerField(help_text="gateway processes that run")
