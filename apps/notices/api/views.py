from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.core.api.views import VisibleRows
from apps.notices import actions
from apps.notices.models import Notice
from apps.notices.outbox import render


class NoticeSerializer(serializers.ModelSerializer):
    text = serializers.SerializerMethodField()

    class Meta:
        model = Notice
        fields = ["uuid", "kind", "text", "url", "created_at", "read_at"]

    def get_text(self, notice) -> str:
        return render(notice.facts)


class MarkReadSerializer(serializers.Serializer):
    notices = serializers.ListField(child=serializers.UUIDField(), required=False, help_text="All when left out.")


class MarkedSerializer(serializers.Serializer):
    marked = serializers.IntegerField()


class Notices(VisibleRows, mixins.ListModelMixin, viewsets.GenericViewSet):
    """What the caller was told, newest first."""

    queryset = Notice.objects.all()
    serializer_class = NoticeSerializer
    filterset_fields = {"read_at": ["isnull"], "kind": ["exact"]}

    @extend_schema(request=MarkReadSerializer, responses=MarkedSerializer)
    @action(detail=False, methods=["post"], url_path="read", filterset_fields=None)
    def read(self, request) -> Response:
        given = MarkReadSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        marked = actions.mark_read(request.user, given.validated_data.get("notices"))
        return Response({"marked": marked})
