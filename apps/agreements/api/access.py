"""What the gateway enforces: grants, the test records that open production, and the accounts of systems."""

from __future__ import annotations

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response

from apps.agreements import actions
from apps.agreements.api import filters, inputs, serializers
from apps.agreements.api.rows import Rows
from apps.agreements.models import (
    AcceptanceRecord,
    Credential,
    Grant,
)
from apps.core.api.steps import VersionSerializer
from apps.organizations.models import InformationSystem

GRANT = serializers.GrantDetailSerializer
RECORD = serializers.AcceptanceDetailSerializer
ACCOUNT = serializers.CredentialDetailSerializer


class Grants(Rows):
    """What the gateway enforces."""

    queryset = Grant.objects.select_related(
        "agreement", "system__organization", "operation__version__service", "purpose"
    ).prefetch_related("suspensions__provider")
    serializer_class = serializers.GrantListSerializer
    detail_serializer_class = GRANT
    filterset_class = filters.GrantFilter

    @extend_schema(responses=GRANT)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(request=inputs.ReasonSerializer, responses=GRANT)
    @action(detail=True, methods=["post"])
    def suspend(self, request, uuid=None) -> Response:
        return self.act(request, inputs.ReasonSerializer, actions.suspend_grant)

    @extend_schema(request=VersionSerializer, responses=GRANT)
    @action(detail=True, methods=["post"])
    def resume(self, request, uuid=None) -> Response:
        return self.act(request, VersionSerializer, actions.resume_grant)

    @extend_schema(request=inputs.ReasonSerializer, responses=GRANT)
    @action(detail=True, methods=["post"])
    def end(self, request, uuid=None) -> Response:
        return self.act(request, inputs.ReasonSerializer, actions.end_grant)


class Acceptances(Rows):
    """Test records (biên bản kiểm thử)."""

    queryset = AcceptanceRecord.objects.select_related("agreement", "system__organization", "recorded_by", "decided_by")
    serializer_class = serializers.AcceptanceListSerializer
    detail_serializer_class = RECORD
    filterset_class = filters.AcceptanceFilter

    @extend_schema(responses=RECORD)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(request=inputs.CommentSerializer, responses=RECORD)
    @action(detail=True, methods=["post"])
    def confirm(self, request, uuid=None) -> Response:
        return self.act(request, inputs.CommentSerializer, actions.confirm_acceptance)

    @extend_schema(request=inputs.RejectionSerializer, responses=RECORD)
    @action(detail=True, methods=["post"])
    def reject(self, request, uuid=None) -> Response:
        return self.act(request, inputs.RejectionSerializer, actions.reject_acceptance)


class Credentials(Rows):
    """Accounts of systems. A secret is shown by `claim` alone, once."""

    queryset = Credential.objects.select_related("system__organization")
    serializer_class = serializers.CredentialListSerializer
    detail_serializer_class = ACCOUNT
    filterset_class = filters.CredentialFilter

    @extend_schema(responses=ACCOUNT)
    def retrieve(self, request, *args, **kwargs) -> Response:
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(request=inputs.ReissueSerializer, responses={201: ACCOUNT})
    def create(self, request) -> Response:
        """A new account after the old one was revoked or ran out, by whoever issues accounts for the system."""
        given = inputs.ReissueSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        system = InformationSystem.objects.filter(code=given.validated_data["system"]).first()
        if system is None or not may_see_access(request.user, system):
            raise Http404
        made = actions.reissue_credential(system, given.validated_data["environment"], by=request.user)
        return Response(ACCOUNT(made, context=self.get_serializer_context()).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=VersionSerializer, responses=serializers.ClaimedSerializer)
    @action(detail=True, methods=["post"])
    def claim(self, request, uuid=None) -> Response:
        credential = self.get_object()
        given = VersionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        secret = actions.claim_credential(credential, by=request.user, **given.validated_data)
        answer = {"client_id": credential.client_id, "client_secret": secret, "expires_at": credential.expires_at}
        return Response(serializers.ClaimedSerializer(answer).data, headers={"Cache-Control": "no-store"})

    @extend_schema(request=VersionSerializer, responses={201: ACCOUNT})
    @action(detail=True, methods=["post"])
    def rotate(self, request, uuid=None) -> Response:
        credential = self.get_object()
        given = VersionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = actions.rotate_credential(credential, by=request.user, **given.validated_data)
        return Response(ACCOUNT(made, context=self.get_serializer_context()).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=inputs.ReasonSerializer, responses=ACCOUNT)
    @action(detail=True, methods=["post"])
    def revoke(self, request, uuid=None) -> Response:
        return self.act(request, inputs.ReasonSerializer, actions.revoke_credential)


def may_see_access(user, system: InformationSystem) -> bool:
    """A provider sees the systems it grants to; everybody their own."""
    visible = InformationSystem.objects.visible_to(user).filter(pk=system.pk).exists()
    return visible or Grant.objects.visible_to(user).filter(system=system).exists()
