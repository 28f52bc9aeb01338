from __future__ import annotations

from django.db.models import Prefetch, Q
from django.http import Http404, HttpResponse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from apps.accounts.reauthentication import prove
from apps.agreements import actions, documents, signed_pdf
from apps.agreements.actions.signing import JOINER_HAS_NO_DOCUMENT
from apps.agreements.api import filters, inputs, serializers
from apps.agreements.api.access import RECORD
from apps.agreements.api.rows import VERSION_NUMBER, Rows, version_asked
from apps.agreements.choices import Side
from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    Duty,
    Grant,
    Party,
    RequestBasis,
    StepClock,
)
from apps.agreements.reading import changes, former_of, read, was_bound
from apps.connections.models import ConnectionRequest
from apps.core.api.once import IDEMPOTENCY_KEY, idempotency_key
from apps.core.api.pagination import OpenEndedPages
from apps.core.api.steps import VersionSerializer
from apps.core.errors import InvalidFact, NotPermitted
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import organization_ids

DETAIL = serializers.AgreementDetailSerializer


class Agreements(Rows):
    """Agreements of the caller's organizations; operator, legal officer and auditor see all.

    For an organization that has left one, it ended that day: `status` is `ending` while a duty of its own is open, then
    `terminated`; versions, parties and requests are those there were until then, access, tests and duties its own.
    """

    pagination_class = OpenEndedPages
    queryset = Agreement.objects.all()
    serializer_class = serializers.AgreementListSerializer
    detail_serializer_class = DETAIL
    filterset_class = filters.AgreementFilter

    def get_queryset(self):
        user = self.request.user
        rows = (
            super()
            .get_queryset()
            .with_reach(user)
            .prefetch_related(Prefetch("parties", Party.objects.visible_to(user).select_related("organization")))
        )
        if self.action == "list":
            return rows
        full = Agreement.objects.read_in_full_by(user)
        own = ConnectionRequest.objects.visible_to(user)
        had = Q(agreement__in=Agreement.objects.left_by(user), system__organization_id__in=organization_ids(user))
        return rows.prefetch_related(
            "suspensions__provider",
            Prefetch("bases", RequestBasis.objects.filter(Q(agreement__in=full) | Q(request__in=own)).select_related("request")),
            Prefetch("clocks", StepClock.objects.visible_to(user).waiting().select_related("deadline_rule", "system__organization")),
            Prefetch("duties", Duty.objects.visible_to(user).select_related("party__organization", "done_by", "certificate")),
            Prefetch("grants", Grant.objects.filter(Q(agreement__in=full) | had).select_related(
                "agreement", "system__organization", "operation__version__service", "purpose"
            ).prefetch_related("suspensions__provider")),
            Prefetch("acceptances", AcceptanceRecord.objects.visible_to(user).select_related(
                "agreement", "system__organization", "recorded_by", "decided_by")),
        )  # fmt: skip

    @extend_schema(responses=DETAIL)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(responses=serializers.AgreementVersionSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=None, filterset_class=None)
    def versions(self, request, uuid=None) -> Response:
        """Every version with its content and signatures, newest first."""
        rows = serializers.versions_read_by(request.user).filter(agreement=self.get_object()).order_by("-number")
        shown = [read(row, request.user) for row in rows]
        return Response(serializers.AgreementVersionSerializer(shown, many=True).data)

    @extend_schema(request=inputs.ProposalSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def propose(self, request, uuid=None) -> Response:
        return self.act(request, inputs.ProposalSerializer, actions.propose_content)

    @extend_schema(request=inputs.HashSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def agree(self, request, uuid=None) -> Response:
        return self.act(request, inputs.HashSerializer, actions.agree_content)

    @extend_schema(request=inputs.ReasonSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def reopen(self, request, uuid=None) -> Response:
        return self.act(request, inputs.ReasonSerializer, actions.reopen_agreement)

    @extend_schema(request=inputs.ReasonSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def decline(self, request, uuid=None) -> Response:
        return self.act(request, inputs.ReasonSerializer, actions.decline_agreement)

    @extend_schema(request=inputs.ReasonSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"], url_path="decline-change")
    def decline_change(self, request, uuid=None) -> Response:
        """Give up the change that awaits signatures; the version in force stays."""
        return self.act(request, inputs.ReasonSerializer, actions.decline_change)

    @extend_schema(request=inputs.AgreementSigningSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def sign(self, request, uuid=None) -> Response:
        """Sign for the party whose signer the caller is, after proving who they are again."""
        return self.act(request, inputs.AgreementSigningSerializer, _prove_and_sign)

    @extend_schema(request=inputs.SuspensionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def suspend(self, request, uuid=None) -> Response:
        return self.act(request, inputs.SuspensionSerializer, actions.suspend_agreement)

    @extend_schema(request=inputs.CommentSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def resume(self, request, uuid=None) -> Response:
        return self.act(request, inputs.CommentSerializer, actions.resume_agreement)

    @extend_schema(
        responses=serializers.LeavingPlanSerializer,
        parameters=[OpenApiParameter("consumer", OpenApiTypes.STR, description="Code, for who acts for several consumers.")],
    )
    @action(detail=True, methods=["get"], filterset_class=None)
    def leaving(self, request, uuid=None) -> Response:
        """What leaving would end for the caller's agency, one consumer of several (409 `last_consumer` for the only one)."""
        consumer = request.query_params.get("consumer", "")
        plan = actions.plan_leaving(self.get_object(), by=request.user, consumer=consumer)
        return Response(serializers.LeavingPlanSerializer(plan).data)

    @extend_schema(request=inputs.LeavingSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def leave(self, request, uuid=None) -> Response:
        """Leave as one consumer of several: its access ends now, the agreement goes on for the others."""
        return self.act(request, inputs.LeavingSerializer, actions.leave_agreement)

    @extend_schema(request=inputs.TerminationSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def terminate(self, request, uuid=None) -> Response:
        return self.act(request, inputs.TerminationSerializer, actions.terminate_agreement)

    @extend_schema(request=VersionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"])
    def finish(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.finish_termination)

    @extend_schema(request=inputs.AcceptanceInputSerializer, responses={201: RECORD}, parameters=[IDEMPOTENCY_KEY])
    @action(detail=True, methods=["post"], url_path="acceptances")
    def record(self, request, uuid=None) -> Response:
        """Record the test of one system; confirmed, it opens production."""
        agreement = self.get_object()
        given = inputs.AcceptanceInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = dict(given.validated_data)
        system = visible_system(request.user, facts.pop("system"))
        made = actions.record_acceptance(agreement, system, by=request.user, uuid=idempotency_key(request), **facts)
        return Response(RECORD(made, context=self.get_serializer_context()).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=inputs.ExtensionSerializer, responses=DETAIL)
    @action(detail=True, methods=["post"], url_path="extend-test")
    def extend_test(self, request, uuid=None) -> Response:
        """Extend the time that runs to test one system of the caller's agency: as much again, once."""
        return self.act(request, inputs.ExtensionSerializer, _extend_test)

    @extend_schema(responses=serializers.ContentDifferenceSerializer(many=True), parameters=[VERSION_NUMBER])
    @action(detail=True, methods=["get"], pagination_class=None, filterset_class=None)
    def differences(self, request, uuid=None) -> Response:
        """What a version changes against the one it was written against, in words; empty for a first version."""
        version = version_asked(self.get_object(), request.user, request.query_params.get("version", ""))
        rows = changes(former_of(version), version, request.user)
        return Response(serializers.ContentDifferenceSerializer(rows, many=True).data)

    @extend_schema(
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
        parameters=[
            VERSION_NUMBER,
            OpenApiParameter("copy", OpenApiTypes.BOOL, description="The copy that shows every hand, also portal signatures."),
        ],
    )
    @action(detail=True, methods=["get"], filterset_class=None)
    def document(self, request, uuid=None) -> HttpResponse:
        """The official PDF of a version, to be signed with a token, with the token signatures it has so far.

        503 where PDFs cannot be made.
        """
        agreement = self.get_object()
        if not was_bound(agreement, request.user):
            raise NotPermitted(_(JOINER_HAS_NO_DOCUMENT), code="joiner_signs_in_portal")
        version = version_asked(agreement, request.user, request.query_params.get("version", ""))
        wants_copy = request.query_params.get("copy", "").lower() in ("1", "true")
        data = documents.copy(version) if wants_copy else documents.newest(version)[1]
        return pdf_download(data, f"{agreement.number}-v{version.number}.pdf")

    @extend_schema(request=inputs.ConsumerSuspensionInputSerializer, responses={201: serializers.ConsumerSuspensionSerializer})
    @action(detail=True, methods=["post"], url_path="consumer-suspensions")
    def suspend_consumer(self, request, uuid=None) -> Response:
        """Stop one consumer's access at once; the other parties go on."""
        agreement = self.get_object()
        given = inputs.ConsumerSuspensionInputSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        facts = dict(given.validated_data)
        bound = agreement.present_parties().bound()
        party = bound.filter(side=Side.CONSUMER, organization__code=facts.pop("consumer")).first()
        if party is None:
            raise InvalidFact(code="unknown_consumer", fields={"consumer": [_("This is no consumer of the agreement.")]})
        made = actions.suspend_consumer(party, by=request.user, **facts)
        return Response(serializers.ConsumerSuspensionSerializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(request={"multipart/form-data": inputs.SignedFileSerializer}, responses=DETAIL)
    @action(detail=True, methods=["post"], url_path="sign-with-pdf", parser_classes=[MultiPartParser])
    def sign_with_pdf(self, request, uuid=None) -> Response:
        """Sign by uploading the document signed with one's own token."""
        agreement = self.get_object()
        given = inputs.SignedFileSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        file = given.validated_data["file"]
        if file.size > signed_pdf.MAX_BYTES:
            raise InvalidFact(code="file_too_large")
        actions.sign_with_pdf(agreement, by=request.user, data=file.read())
        return Response(self.shown(agreement))

    @extend_schema(request=inputs.EmptySerializer, responses={201: serializers.BegunSerializer}, parameters=[IDEMPOTENCY_KEY])
    @action(detail=True, methods=["post"])
    def change(self, request, uuid=None) -> Response:
        """Begin a change: a draft request with everything that runs."""
        return self._begun(actions.start_change(self.get_object(), by=request.user, uuid=idempotency_key(request)))

    @extend_schema(request=inputs.EmptySerializer, responses={201: serializers.BegunSerializer}, parameters=[IDEMPOTENCY_KEY])
    @action(detail=True, methods=["post"])
    def renew(self, request, uuid=None) -> Response:
        """Begin a renewal: the same with the term moved on."""
        return self._begun(actions.start_renewal(self.get_object(), by=request.user, uuid=idempotency_key(request)))

    @extend_schema(request=inputs.AnnouncementSerializer, responses={201: serializers.PlannedSuspensionSerializer})
    @action(detail=True, methods=["post"], url_path="planned-suspensions")
    def announce(self, request, uuid=None) -> Response:
        """Announce a suspension, at least as long ahead as the rule `suspension.planned_notice` says (NĐ 47/2020 Điều 43(3))."""
        agreement = self.get_object()
        given = inputs.AnnouncementSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = actions.announce_suspension(agreement, by=request.user, **given.validated_data)
        return Response(serializers.PlannedSuspensionSerializer(made).data, status=status.HTTP_201_CREATED)

    @staticmethod
    def _begun(made) -> Response:
        return Response(serializers.BegunSerializer(made).data, status=status.HTTP_201_CREATED)


class Joining(viewsets.GenericViewSet):
    """An outsider asks to join by the agreement's number, which is public; it sees nothing else of it (NĐ 47/2020 Điều 36(4))."""

    permission_classes = [IsAuthenticated]
    queryset = Agreement.objects.all()
    serializer_class = inputs.JoinSerializer

    @extend_schema(request=inputs.JoinSerializer, responses={201: serializers.BegunSerializer}, parameters=[IDEMPOTENCY_KEY])
    def join(self, request, number: str) -> Response:
        given = inputs.JoinSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        consumer = Organization.objects.visible_to(request.user).filter(code=given.validated_data["consumer"]).first()
        agreement = Agreement.objects.filter(number=number).first()
        if agreement is None or consumer is None:
            raise Http404
        made = actions.start_join(agreement, consumer, by=request.user, uuid=idempotency_key(request))
        return Response(serializers.BegunSerializer(made).data, status=status.HTTP_201_CREATED)


def _prove_and_sign(agreement: Agreement, *, by, password: str, **facts):
    prove(by, password)
    return actions.sign_agreement(agreement, by=by, **facts)


def _extend_test(agreement: Agreement, *, by, system: str, **facts):
    return actions.extend_test(agreement, visible_system(by, system), by=by, **facts)


def pdf_download(data: bytes, name: str) -> HttpResponse:
    response = HttpResponse(data, content_type="application/pdf")
    response["Content-Disposition"] = content_disposition_header(True, name)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def visible_system(user, code: str) -> InformationSystem:
    system = InformationSystem.objects.visible_to(user).filter(code=code).first()
    if system is None:
        raise Http404
    return system
