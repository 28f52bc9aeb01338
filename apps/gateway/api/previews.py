"""The approval preview: before a request is decided, and before a version is signed."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers, viewsets
from rest_framework.response import Response

from apps.agreements.api.rows import VERSION_NUMBER, version_asked
from apps.agreements.models import Agreement
from apps.connections.models import ConnectionRequest
from apps.core.api.views import VisibleRows
from apps.gateway.deciding import before_approving, before_signing


class OperationPreviewSerializer(serializers.Serializer):
    service = serializers.CharField()
    operation = serializers.CharField()
    provider = serializers.CharField()
    classes = serializers.DictField(child=serializers.IntegerField(), help_text="Personal-data class → number of fields.")
    new_fields = serializers.ListField(child=serializers.CharField(), help_text="Not open to these systems today.")


class OverlapSerializer(serializers.Serializer):
    """Only of agreements that the caller's agency is a party to; the platform's readers see all."""

    agreement = serializers.CharField()
    system = serializers.CharField()
    operation = serializers.CharField()
    shared_fields = serializers.IntegerField()
    in_test = serializers.BooleanField(help_text="Production is not open yet.")
    is_suspended = serializers.BooleanField()


class LoadSerializer(serializers.Serializer):
    """Calls a second and a day, at most; of services of the caller's own agency, all for the platform's readers.

    What is agreed counts while it is tested or suspended too, each system of an agreement once.
    """

    service = serializers.CharField()
    capacity = serializers.IntegerField(allow_null=True, help_text="Calls a second, as the provider states it.")
    agreed = serializers.IntegerField(help_text="Calls a second.")
    unlimited = serializers.IntegerField(help_text="Systems for which no limit a second is agreed; they are in no sum.")
    asked = serializers.IntegerField(allow_null=True, help_text="Calls a second; null: no limit is asked.")
    exceeds = serializers.BooleanField()
    agreed_per_day = serializers.IntegerField()
    unlimited_per_day = serializers.IntegerField(help_text="Systems for which no limit a day is agreed; they are in no sum.")
    asked_per_day = serializers.IntegerField(allow_null=True, help_text="null: no limit is asked.")
    is_lower_bound = serializers.BooleanField(help_text="More may come: a limit is missing.")


class EndingSerializer(serializers.Serializer):
    service = serializers.CharField()
    number = serializers.CharField()
    day = serializers.DateField(help_text="From which the version is retired.")


class ReplayLineSerializer(serializers.Serializer):
    system = serializers.CharField()
    service = serializers.CharField()
    operation = serializers.CharField()
    environment = serializers.CharField()
    calls = serializers.IntegerField()
    passing = serializers.IntegerField()
    refused = serializers.IntegerField()
    losing = serializers.IntegerField(help_text="Would pass with fewer fields than were delivered.")
    opened = serializers.IntegerField(help_text="Were refused and would pass.")


class ReasonCountSerializer(serializers.Serializer):
    code = serializers.CharField()
    title = serializers.CharField()
    calls = serializers.IntegerField()


class FieldCountSerializer(serializers.Serializer):
    field = serializers.CharField()
    calls = serializers.IntegerField()


class ReplaySerializer(serializers.Serializer):
    """The recorded calls of the last `days` days (30; fewer where they are very many, 0 where they could not be replayed)."""

    days = serializers.IntegerField()
    calls = serializers.IntegerField()
    passing = serializers.IntegerField()
    refused = serializers.IntegerField()
    losing = serializers.IntegerField()
    opened = serializers.IntegerField()
    lines = ReplayLineSerializer(many=True)
    refused_because = ReasonCountSerializer(many=True)
    lost_fields = FieldCountSerializer(many=True)
    opened_because = ReasonCountSerializer(many=True, help_text="Why those that would pass were refused so far.")


class MovedFieldSerializer(serializers.Serializer):
    operation = serializers.CharField()
    path = serializers.CharField()
    before = serializers.CharField(help_text="Its class as the version says it.")
    after = serializers.CharField(help_text="Its class today; empty where the service gives it no more.")


class PreviewSerializer(serializers.Serializer):
    operations = OperationPreviewSerializer(many=True, source="about.operations")
    overlaps = OverlapSerializer(many=True, source="about.overlaps")
    loads = LoadSerializer(many=True, source="about.loads")
    endings = EndingSerializer(many=True, source="about.endings", help_text="Versions asked for whose end is announced.")
    networks = serializers.ListField(
        child=serializers.CharField(), source="about.networks", help_text="From where calls may come; none: from every address."
    )
    is_everywhere = serializers.BooleanField(source="about.is_everywhere", help_text="The networks shut no address out.")
    opens_sensitive = serializers.BooleanField(source="about.opens_sensitive")
    moved = MovedFieldSerializer(
        many=True,
        source="about.moved",
        help_text="Of a version that waits: what its service changed since. Nobody can sign it.",
    )
    replay = serializers.SerializerMethodField()

    @extend_schema_field(ReplaySerializer)
    def get_replay(self, before) -> dict:
        names = ("code", "title", "calls")
        return ReplaySerializer({
            "days": before.replay.days, **before.sums, "lines": before.replay.lines,
            "refused_because": [dict(zip(names, row, strict=True)) for row in before.reasons],
            "lost_fields": [{"field": path, "calls": count} for path, count in before.lost],
            "opened_because": [dict(zip(names, row, strict=True)) for row in before.opened],
        }).data  # fmt: skip


class RequestPreview(VisibleRows, viewsets.GenericViewSet):
    """What approving a request would open."""

    queryset = ConnectionRequest.objects.all()
    serializer_class = PreviewSerializer

    @extend_schema(responses=PreviewSerializer)
    def preview(self, request, uuid=None) -> Response:
        """For who decides on it: what would open, and the last 30 days of recorded calls under it."""
        return Response(PreviewSerializer(before_approving(self.get_object(), by=request.user)).data)


class AgreementPreview(VisibleRows, viewsets.GenericViewSet):
    """What signing a version would open."""

    queryset = Agreement.objects.all()
    serializer_class = PreviewSerializer

    @extend_schema(responses=PreviewSerializer, parameters=[VERSION_NUMBER])
    def preview(self, request, uuid=None) -> Response:
        """What the version would open, and the last 30 days of recorded calls under it."""
        version = version_asked(self.get_object(), request.user, request.query_params.get("version", ""))
        return Response(PreviewSerializer(before_signing(version, by=request.user)).data)
