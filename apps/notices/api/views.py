from __future__ import annotations

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.core.api.views import VisibleRows
from apps.notices import actions
from apps.notices.models import Notice, OutboxMessage
from apps.notices.outbox import render
from apps.notices.querysets import GIVEN_UP


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


class OutboxMessageSerializer(serializers.ModelSerializer):
    """A message without its address and text."""

    state = serializers.ChoiceField(choices=["sent", "failed", "dropped", "waits"], read_only=True)

    class Meta:
        model = OutboxMessage
        fields = [
            "uuid",
            "channel",
            "key",
            "state",
            "created_at",
            "attempts",
            "next_attempt_at",
            "sent_at",
            "failed_at",
            "last_error",
        ]
        read_only_fields = fields


class OutboxFilter(filters.FilterSet):
    sent = filters.BooleanFilter(field_name="sent_at", lookup_expr="isnull", exclude=True)
    failed = filters.BooleanFilter(method="of_failed")

    class Meta:
        model = OutboxMessage
        fields = ["channel"]

    def of_failed(self, rows, name: str, value: bool):
        return rows.filter(GIVEN_UP) if value else rows.exclude(GIVEN_UP)


class Outbox(VisibleRows, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Messages to the outside (e-mail, webhooks): what waits, left, was given up or dropped. For the operator."""

    queryset = OutboxMessage.objects.order_by("-id")
    serializer_class = OutboxMessageSerializer
    filterset_class = OutboxFilter

    @extend_schema(request=None, responses=OutboxMessageSerializer)
    @action(detail=True, methods=["post"], url_path="send-again", filterset_class=None)
    def send_again(self, request, uuid=None) -> Response:
        """Give a message that was given up its attempts anew (operator). 409 when it waits or has left."""
        message = actions.send_again(self.get_object(), by=request.user)
        return Response(OutboxMessageSerializer(message).data)
