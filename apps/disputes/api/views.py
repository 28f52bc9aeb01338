from __future__ import annotations

from functools import partial

from django.http import Http404, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.agreements.api.views import pdf_download
from apps.agreements.models import Agreement
from apps.connections.models import ConnectionRequest
from apps.core.api.once import IDEMPOTENCY_KEY, idempotency_key
from apps.core.api.steps import TakesSteps, VersionSerializer
from apps.core.api.views import VisibleRows
from apps.core.errors import InvalidFact
from apps.disputes import actions, maintenance
from apps.disputes.api import serializers
from apps.disputes.choices import DisputeCategory, DisputeStatus, TicketKind, TicketStatus
from apps.disputes.documents import document_pdf
from apps.disputes.models import Dispute, Maintenance, Ticket
from apps.organizations.models import Organization
from apps.registry.models import DataService

DISPUTE = serializers.DisputeDetailSerializer
TICKET = serializers.TicketDetailSerializer


class DisputeFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=DisputeStatus.choices)
    category = filters.ChoiceFilter(choices=DisputeCategory.choices)
    late = filters.BooleanFilter(method="only_late", label="only disputes whose level is late")

    class Meta:
        model = Dispute
        fields: list[str] = []

    def only_late(self, rows, _name, late: bool):
        return rows.late(timezone.now()) if late else rows


class TicketFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=TicketStatus.choices)
    kind = filters.ChoiceFilter(choices=TicketKind.choices)
    service = filters.CharFilter(field_name="service__code", max_length=60, label="code of the service it is about")
    late = filters.BooleanFilter(method="only_late", label="only questions whose answer is late")

    class Meta:
        model = Ticket
        fields: list[str] = []

    def only_late(self, rows, _name, late: bool):
        return rows.late(timezone.now()) if late else rows


class Rows(VisibleRows, TakesSteps, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    def retrieve(self, request, *args, **kwargs) -> Response:
        return Response(self.shown(self.get_object()))

    def made(self, obj) -> Response:
        return Response(self.shown(obj), status=status.HTTP_201_CREATED)


def _one(rows, **lookup):
    found = rows.filter(**lookup).first()
    if found is None:
        raise Http404
    return found


def _organization(user, code: str | None) -> Organization | None:
    if not code:
        return None
    found = Organization.objects.visible_to(user).filter(code=code).first()
    if found is None:
        raise InvalidFact(code="unknown_organization")
    return found


def _service(user, code: str | None) -> DataService | None:
    if not code:
        return None
    found = DataService.objects.visible_to(user).filter(code=code).first()
    if found is None:
        raise InvalidFact(_("There is no service with the code %(code)s.") % {"code": code}, code="unknown_service")
    return found


class Disputes(Rows):
    """Disputes of the caller's organizations; operator, legal officer and auditor see all."""

    queryset = Dispute.objects.select_related("raised_for", "respondent", "agreement", "request")
    serializer_class = serializers.DisputeListSerializer
    detail_serializer_class = DISPUTE
    filterset_class = DisputeFilter

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.with_document() if self.action == "document" else rows

    @extend_schema(responses=DISPUTE)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(request=serializers.DisputeInputSerializer, responses={201: DISPUTE}, parameters=[IDEMPOTENCY_KEY])
    def create(self, request) -> Response:
        given = serializers.DisputeInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = dict(given.validated_data)
        agreement, other = facts.pop("agreement", None), facts.pop("request", None)
        if bool(agreement) == bool(other):
            raise InvalidFact(code="one_subject", fields={"agreement": [], "request": []})
        if agreement:
            subject = _one(Agreement.objects.visible_to(request.user), number=agreement)
        else:
            subject = _one(ConnectionRequest.objects.visible_to(request.user), number=other)
        facts["respondent"] = _organization(request.user, facts.pop("respondent", None))
        return self.made(actions.raise_dispute(subject, by=request.user, uuid=idempotency_key(request), **facts))

    @extend_schema(request=serializers.DisputeAnswerSerializer, responses=DISPUTE, parameters=[IDEMPOTENCY_KEY])
    @action(detail=True, methods=["post"])
    def answer(self, request, uuid=None) -> Response:
        verb = partial(actions.answer_dispute, uuid=idempotency_key(request))
        return self.act(request, serializers.DisputeAnswerSerializer, verb)

    @extend_schema(request=serializers.SentDocumentSerializer, responses=DISPUTE)
    @action(detail=True, methods=["post"], url_path="document-sent")
    def document_sent(self, request, uuid=None) -> Response:
        """Level 3: the document that was sent to the body in charge, its number and day."""
        return self.act(request, serializers.SentDocumentSerializer, actions.send_document)

    @extend_schema(responses={(200, "application/pdf"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"], filterset_class=None)
    def document(self, request, uuid=None) -> HttpResponse:
        """Level 3: the document to the body in charge, made from the record, as PDF. 404: it does not go there (yet).

        503 where PDFs cannot be made.
        """
        row = self.get_object()
        return pdf_download(document_pdf(row), f"{row.number}.pdf")

    @extend_schema(request=serializers.DisputeReasonSerializer, responses=DISPUTE)
    @action(detail=True, methods=["post"])
    def escalate(self, request, uuid=None) -> Response:
        return self.act(request, serializers.DisputeReasonSerializer, actions.escalate_dispute)

    @extend_schema(request=serializers.OutcomeSerializer, responses=DISPUTE)
    @action(detail=True, methods=["post"])
    def resolve(self, request, uuid=None) -> Response:
        return self.act(request, serializers.OutcomeSerializer, actions.resolve_dispute)

    @extend_schema(request=VersionSerializer, responses=DISPUTE)
    @action(detail=True, methods=["post"])
    def close(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.close_dispute)


class Tickets(Rows):
    """Explanations asked of consumers, wrong data reported to providers."""

    queryset = Ticket.objects.select_related("asked_by", "asked_of", "agreement", "service")
    serializer_class = serializers.TicketListSerializer
    detail_serializer_class = TICKET
    filterset_class = TicketFilter

    @extend_schema(responses=TICKET)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(request=serializers.TicketInputSerializer, responses={201: TICKET}, parameters=[IDEMPOTENCY_KEY])
    def create(self, request) -> Response:
        given = serializers.TicketInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = dict(given.validated_data)
        agreement = _one(Agreement.objects.visible_to(request.user), number=facts.pop("agreement"))
        facts["asked_of"] = _organization(request.user, facts["asked_of"])
        facts["service"] = _service(request.user, facts.get("service"))
        return self.made(actions.open_ticket(agreement, by=request.user, uuid=idempotency_key(request), **facts))

    @extend_schema(request=serializers.TicketAnswerSerializer, responses=TICKET)
    @action(detail=True, methods=["post"])
    def answer(self, request, uuid=None) -> Response:
        return self.act(request, serializers.TicketAnswerSerializer, actions.answer_ticket)

    @extend_schema(request=serializers.TicketTextSerializer, responses=TICKET)
    @action(detail=True, methods=["post"], url_path="ask-again")
    def ask_again(self, request, uuid=None) -> Response:
        return self.act(request, serializers.TicketTextSerializer, actions.ask_again)

    @extend_schema(request=VersionSerializer, responses=TICKET)
    @action(detail=True, methods=["post"])
    def close(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.close_ticket)


class Maintenances(VisibleRows, TakesSteps, mixins.ListModelMixin, viewsets.GenericViewSet):
    """Announced maintenance of services: calls are answered 503 `service_maintenance` from its beginning to its end."""

    queryset = Maintenance.objects.select_related("service__provider")
    serializer_class = serializers.MaintenanceSerializer
    detail_serializer_class = serializers.MaintenanceSerializer
    filterset_fields = {"service__code": ["exact"], "ended_at": ["isnull"], "cancelled_at": ["isnull"]}

    @extend_schema(request=serializers.MaintenanceInputSerializer, responses={201: serializers.MaintenanceSerializer})
    def create(self, request) -> Response:
        given = serializers.MaintenanceInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = dict(given.validated_data)
        service = _one(DataService.objects.visible_to(request.user), code=facts.pop("service"))
        made = maintenance.announce_maintenance(service, by=request.user, **facts)
        return Response(self.shown(made), status=status.HTTP_201_CREATED)

    @extend_schema(request=serializers.NothingSerializer, responses=serializers.MaintenanceSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request, uuid=None) -> Response:
        return self.act(request, serializers.NothingSerializer, maintenance.cancel_maintenance)
