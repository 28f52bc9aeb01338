from __future__ import annotations

from django.db.models import Prefetch
from django.http import HttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response

from apps.accounts.reauthentication import prove
from apps.connections import actions, files
from apps.connections.alternatives import near
from apps.connections.api import serializers
from apps.connections.api.filters import RequestFilter
from apps.connections.models import Attachment, Comment, ConnectionRequest
from apps.connections.overdue import overdue_rows, told
from apps.core.api.once import IDEMPOTENCY_KEY, idempotency_key
from apps.core.api.pagination import OpenEndedPages
from apps.core.api.steps import TakesSteps, VersionSerializer
from apps.core.api.views import VisibleRows
from apps.core.errors import InvalidFact
from apps.organizations.models import Organization

DETAIL = serializers.RequestDetailSerializer


def organization_named(code: str, user) -> Organization:
    """The agency with this code. Raises InvalidFact (`unknown_organization`) when there is none for this person."""
    found = Organization.objects.visible_to(user).filter(code=code).first()
    if found is None:
        detail = _("There is no organization with the code %(code)s.") % {"code": code}
        raise InvalidFact(detail, code="unknown_organization", fields={"consumer": [detail]})
    return found


class Requests(VisibleRows, TakesSteps, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """Connection requests that the caller's organizations file, decide or watch over."""

    pagination_class = OpenEndedPages
    queryset = ConnectionRequest.objects.select_related("consumer")
    serializer_class = serializers.RequestListSerializer
    detail_serializer_class = DETAIL
    filterset_class = RequestFilter

    def get_queryset(self):
        rows = super().get_queryset()
        if self.action == "list":
            return rows
        return rows.select_related("purpose", "deadline_rule", "refusal_ground", "handler").prefetch_related(
            "systems__organization", "requested_operations__operation__version__service", "requested_operations__fields",
            "decisions__provider", "decisions__decided_by", "decisions__handler", Prefetch("attachments", Attachment.objects.present()), "remarks__author", "signatures__organization", "signatures__signer",
        )  # fmt: skip

    @extend_schema(responses=DETAIL)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return Response(self.shown(self.get_object()))

    def shown(self, obj) -> dict:
        """Read the row again: a verb may have changed what was prefetched."""
        return super().shown(self.get_queryset().get(pk=obj.pk))

    @extend_schema(request=serializers.RequestDraftSerializer, responses={201: DETAIL}, parameters=[IDEMPOTENCY_KEY])
    def create(self, request) -> Response:
        given = serializers.RequestDraftSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        consumer = organization_named(given.validated_data["consumer"], request.user)
        facts = given.facts(request.user, consumer)
        made = actions.draft_request(consumer, by=request.user, uuid=idempotency_key(request), **facts)
        return Response(self.shown(made), status=status.HTTP_201_CREATED)

    @extend_schema(request=serializers.RequestSaveSerializer, responses=DETAIL)
    def partial_update(self, request, uuid=None) -> Response:
        obj = self.get_object()
        given = serializers.RequestSaveSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = given.facts(request.user, obj.consumer)
        actions.save_draft(obj, by=request.user, version=given.validated_data.get("version"), **facts)
        return Response(self.shown(obj))

    @extend_schema(request=serializers.SigningSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def sign(self, request, uuid=None) -> Response:
        """Sign for the asking agency, after proving who one is again."""
        return self.act(request, serializers.SigningSerializer, _prove_and_sign)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def submit(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.submit_request)

    @extend_schema(request=serializers.ReturnSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"], url_path="return")
    def give_back(self, request, uuid=None) -> Response:
        return self.act(request, serializers.ReturnSerializer, actions.return_request)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def forward(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.forward_request)

    @extend_schema(request=serializers.RefusalSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def refuse(self, request, uuid=None) -> Response:
        return self.act(request, serializers.RefusalSerializer, actions.refuse_request)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def withdraw(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.withdraw_request)

    @extend_schema(request=serializers.PaperRequestSerializer, responses={201: DETAIL}, parameters=[IDEMPOTENCY_KEY])
    @action(detail=False, methods=["post"], url_path="paper")
    def paper(self, request) -> Response:
        """The operator enters a request that came on paper, with the day it came (WF-17)."""
        given = serializers.PaperRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        consumer = organization_named(given.validated_data["consumer"], request.user)
        facts = given.facts(request.user, consumer)
        made = actions.enter_paper_request(consumer, by=request.user, uuid=idempotency_key(request), **facts)
        return Response(self.shown(made), status=status.HTTP_201_CREATED)

    @extend_schema(responses=serializers.OverdueSerializer(many=True), filters=False)
    @action(detail=False, methods=["get"])
    def overdue(self, request) -> Response:
        """The overdue cases of the whole province, the latest first, for everybody who has a role on the platform (WF-30)."""
        page = self.paginate_queryset(overdue_rows(request.user, timezone.now()))
        return self.get_paginated_response(serializers.OverdueSerializer(told(page, request.user), many=True).data)

    @extend_schema(responses=serializers.AlternativeSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filterset_class=None)
    def alternatives(self, request, uuid=None) -> Response:
        """Default services that come near what is asked of special ones: to be looked at first (WF-33)."""
        return Response(serializers.AlternativeSerializer(near(self.get_object()), many=True).data)

    @extend_schema(request=serializers.HandlerSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def assign(self, request, uuid=None) -> Response:
        return self.act(request, serializers.HandlerSerializer, actions.assign_request)

    @extend_schema(methods=["GET"], responses=serializers.CommentSerializer(many=True))
    @extend_schema(methods=["POST"], request=serializers.CommentInputSerializer, responses={201: serializers.CommentSerializer},
                   parameters=[IDEMPOTENCY_KEY])  # fmt: skip
    @action(detail=True, methods=["get", "post"], pagination_class=None, filterset_class=None)
    def comments(self, request, uuid=None) -> Response:
        """The thread: shared words, and the internal ones of the caller's own organization."""
        obj = self.get_object()
        if request.method == "GET":
            rows = Comment.objects.visible_to(request.user).filter(request=obj).select_related("author", "organization")
            return Response(serializers.CommentSerializer(rows, many=True).data)
        given = serializers.CommentInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = actions.comment_request(obj, by=request.user, uuid=idempotency_key(request), **given.validated_data)
        return Response(serializers.CommentSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request={"multipart/form-data": serializers.AttachmentInputSerializer},
                   responses={201: serializers.AttachmentSerializer})  # fmt: skip
    @action(detail=True, methods=["post"], url_path="attachments", parser_classes=[MultiPartParser])
    def attach(self, request, uuid=None) -> Response:
        """Add a file (PDF, PNG, JPEG, DOCX, XLSX, at most 20 MB); it is judged by its content."""
        given = serializers.AttachmentInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = dict(given.validated_data)
        file = facts.pop("file")
        if file.size > files.MAX_BYTES:
            raise InvalidFact(code="file_too_large")
        made = actions.attach_file(self.get_object(), by=request.user, name=file.name, data=file.read(), **facts)
        return Response(serializers.AttachmentSerializer(made).data, status=status.HTTP_201_CREATED)


class Attachments(VisibleRows, viewsets.GenericViewSet):
    """Files of requests: served as downloads, never shown inside the portal's own pages."""

    # What was taken out is kept for the record and given to nobody: it may have been the wrong file.
    queryset = Attachment.objects.select_related("request").present()
    serializer_class = serializers.AttachmentSerializer

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    def retrieve(self, request, uuid=None) -> HttpResponse:
        return download(self.get_object())

    @extend_schema(responses=serializers.AttachmentSerializer)
    def destroy(self, request, uuid=None) -> Response:
        removed = actions.remove_file(self.get_object(), by=request.user)
        return Response(serializers.AttachmentSerializer(removed).data)


def read_upload(file) -> tuple[str, bytes] | None:
    """Name and bytes of an uploaded file, None when there is none. Raises InvalidFact before reading what is too large."""
    if file is None:
        return None
    if file.size > files.MAX_BYTES:
        raise InvalidFact(code="file_too_large")
    return file.name, file.read()


def download(attachment) -> HttpResponse:
    """The file as an attachment, with nothing a browser could run in our name."""
    response = HttpResponse(files.read(attachment), content_type=attachment.media_type)
    response["Content-Disposition"] = content_disposition_header(True, attachment.name)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cache-Control"] = "private, no-store"
    return response


def _prove_and_sign(request: ConnectionRequest, *, by, password: str, **facts):
    prove(by, password)
    return actions.sign_request(request, by=by, **facts)
