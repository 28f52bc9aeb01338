"""Doors of webhooks: an agency's officers add them, see what was delivered, pause and end them."""

from __future__ import annotations

from django.http import Http404
from django.shortcuts import get_object_or_404
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.catalogs import webhooks
from apps.catalogs.choices import WebhookStatus
from apps.catalogs.models import Catalog, Webhook
from apps.catalogs.workflow import WEBHOOK
from apps.core.api.steps import StepSerializer, TakesSteps, VersionSerializer, steps_for
from apps.core.api.views import VisibleRows
from apps.notices.models import OutboxMessage
from apps.organizations.models import InformationSystem

NO_STORE = {"Cache-Control": "no-store"}
MOST_DELIVERIES = 100


class WebhookFilter(filters.FilterSet):
    catalog = filters.CharFilter(field_name="catalog__code", max_length=60)
    system = filters.CharFilter(field_name="system__code", max_length=60)
    status = filters.MultipleChoiceFilter(choices=WebhookStatus.choices)

    class Meta:
        model = Webhook
        fields: list[str] = []


class WebhookSerializer(serializers.ModelSerializer):
    """Never the secret."""

    catalog = serializers.SlugRelatedField(slug_field="code", read_only=True)
    system = serializers.SlugRelatedField(slug_field="code", read_only=True)

    class Meta:
        model = Webhook
        fields = [
            "uuid", "catalog", "system", "url", "status", "status_reason", "told_release", "told_at", "created_at", "version",
        ]  # fmt: skip


class WebhookDetailSerializer(WebhookSerializer):
    available_actions = serializers.SerializerMethodField()

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "available_actions"]

    @extend_schema_field(StepSerializer(many=True))
    def get_available_actions(self, webhook) -> list[dict]:
        return steps_for(WEBHOOK, webhook, self.context["request"].user)


class WebhookSecretSerializer(WebhookDetailSerializer):
    """With the secret, which is here once and nowhere else."""

    secret = serializers.CharField()

    class Meta(WebhookDetailSerializer.Meta):
        fields = [*WebhookDetailSerializer.Meta.fields, "secret"]


class NewWebhookSerializer(serializers.Serializer):
    catalog = serializers.CharField(max_length=60)
    system = serializers.CharField(max_length=60, help_text="Code of one of your agency's systems.")
    url = serializers.CharField(max_length=500, help_text="Must be on the platform's list of allowed addresses.")


class PauseSerializer(VersionSerializer):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300)


class DeliverySerializer(serializers.ModelSerializer):
    message_id = serializers.SerializerMethodField(help_text="The header `webhook-id`.")
    type = serializers.CharField(source="payload.event.type")
    release = serializers.IntegerField(source="payload.event.data.release", default=None)

    class Meta:
        model = OutboxMessage
        fields = [
            "message_id",
            "type",
            "release",
            "created_at",
            "attempts",
            "next_attempt_at",
            "sent_at",
            "failed_at",
            "dropped",
            "last_error",
        ]

    def get_message_id(self, message) -> str:
        return f"msg_{message.uuid.hex}"


DETAIL = WebhookDetailSerializer


class Webhooks(VisibleRows, TakesSteps, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Webhooks of your agency's systems: each release of a catalog is told at an address of theirs."""

    queryset = Webhook.objects.select_related("catalog", "system__organization")
    serializer_class = WebhookSerializer
    detail_serializer_class = DETAIL
    filterset_class = WebhookFilter

    @extend_schema(responses=DETAIL)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return Response(self.shown(self.get_object()))

    @extend_schema(request=NewWebhookSerializer, responses={201: WebhookSecretSerializer})
    def create(self, request) -> Response:
        """Add a webhook. The answer alone carries its secret."""
        given = NewWebhookSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = given.validated_data
        catalog = get_object_or_404(Catalog.objects.select_related("current").visible_to(request.user), code=facts["catalog"])
        system = InformationSystem.objects.visible_to(request.user).filter(code=facts["system"]).first()
        if system is None:
            raise Http404
        webhook, secret = webhooks.add_webhook(catalog, system, facts["url"], by=request.user)
        return self._with_secret(webhook, secret, status.HTTP_201_CREATED)

    @extend_schema(request=PauseSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def pause(self, request, uuid=None) -> Response:
        return self.act(request, PauseSerializer, webhooks.pause_webhook)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def resume(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, webhooks.resume_webhook)

    @extend_schema(request=PauseSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def end(self, request, uuid=None) -> Response:
        return self.act(request, PauseSerializer, webhooks.end_webhook)

    @extend_schema(request=VersionSerializer, responses=WebhookSecretSerializer)
    @action(detail=True, methods=["post"], url_path="renew-secret")
    def renew_secret(self, request, uuid=None) -> Response:
        """A new secret, in this answer alone; the old one signs beside it for a day."""
        webhook = self.get_object()
        given = VersionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        secret = webhooks.renew_webhook_secret(webhook, by=request.user, **given.validated_data)
        return self._with_secret(webhook, secret, status.HTTP_200_OK)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"], url_path="try")
    def trial(self, request, uuid=None) -> Response:
        """Send a trial message, in its turn; look for its outcome among the deliveries."""
        message = webhooks.try_webhook(self.get_object(), by=request.user)
        return Response(DeliverySerializer(message).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(responses=DeliverySerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filterset_class=None)
    def deliveries(self, request, uuid=None) -> Response:
        """The newest hundred messages, newest first."""
        found = webhooks.deliveries(self.get_object())[:MOST_DELIVERIES]
        return Response(DeliverySerializer(found, many=True).data)

    def _with_secret(self, webhook: Webhook, secret: str, code: int) -> Response:
        answer = {**self.shown(webhook), "secret": secret}
        return Response(answer, status=code, headers=NO_STORE)
