"""Questions and suggestions about services, and their answers (NĐ 47/2020 Điều 25(4))."""

from __future__ import annotations

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.core.api.doors import Door, body, one, step
from apps.core.api.once import IDEMPOTENCY_KEY, idempotency_key
from apps.organizations.api.views import named
from apps.registry import actions
from apps.registry.choices import FeedbackStatus
from apps.registry.models import DataService, Feedback


class FeedbackSerializer(serializers.ModelSerializer):
    service = serializers.SlugRelatedField(slug_field="code", read_only=True)
    organization = serializers.SlugRelatedField(slug_field="code", read_only=True)
    author = serializers.StringRelatedField()
    answered_by = serializers.StringRelatedField()

    class Meta:
        model = Feedback
        fields = [
            "uuid", "version", "service", "organization", "author", "text", "status", "created_at", "due_at", "answer",
            "answered_by", "answered_at",
        ]  # fmt: skip


class FeedbackAskingSerializer(serializers.Serializer):
    service = serializers.CharField(max_length=60, help_text="Code.")
    text = serializers.CharField(max_length=5_000)
    organization = serializers.CharField(max_length=35, required=False, help_text="Own agency, where there are several.")


class FeedbackAnswerSerializer(serializers.Serializer):
    answer = serializers.CharField(max_length=5_000)
    version = serializers.IntegerField(required=False)


class FeedbackFilter(filters.FilterSet):
    service = filters.CharFilter(field_name="service__code")
    status = filters.ChoiceFilter(choices=FeedbackStatus.choices)

    class Meta:
        model = Feedback
        fields = ["service", "status"]


class FeedbackRows(mixins.ListModelMixin, mixins.RetrieveModelMixin, Door):
    """What is asked and answered about the services one may see."""

    queryset = Feedback.objects.select_related("service__provider", "organization", "author", "answered_by")
    serializer_class = FeedbackSerializer
    filterset_class = FeedbackFilter
    lookup_field = "uuid"
    lookup_value_converter = "uuid"

    @extend_schema(request=FeedbackAskingSerializer, responses={201: FeedbackSerializer}, parameters=[IDEMPOTENCY_KEY])
    def create(self, request) -> Response:
        """Ask or suggest something about a service; its provider has the working days of `service.feedback` to answer."""
        self.may("registry.give_feedback")
        facts = body(request, FeedbackAskingSerializer)
        service = one(DataService.objects.select_related("provider"), request.user, code=facts["service"])
        asker = named(facts.get("organization"), request.user)
        row = actions.give_feedback(
            service, by=request.user, text=facts["text"], organization=asker, uuid=idempotency_key(request)
        )
        return Response(self.get_serializer(row).data, status=status.HTTP_201_CREATED)

    @step(FeedbackAnswerSerializer, FeedbackSerializer)
    @action(detail=True, methods=["post"])
    def answer(self, request, uuid) -> Response:
        """Answer, once (the provider's officer)."""
        row = self.get_object()
        self.may("registry.answer_feedback", row)
        return Response(
            self.get_serializer(actions.answer_feedback(row, by=request.user, **body(request, FeedbackAnswerSerializer))).data
        )
