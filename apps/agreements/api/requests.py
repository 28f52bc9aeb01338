"""What happens to requests on this floor: approving, and following the agreement they start from."""

from __future__ import annotations

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.response import Response

from apps.agreements import actions
from apps.agreements.actions.following import Merge, merged, stands_now
from apps.agreements.api import inputs, serializers
from apps.agreements.asked_changes import asked_changes
from apps.agreements.models import RequestBasis
from apps.agreements.reading import changes
from apps.connections.models import ConnectionRequest
from apps.core.api.steps import VersionSerializer
from apps.core.api.views import VisibleRows


class RequestApproval(VisibleRows, viewsets.GenericViewSet):
    """Approving lives on this floor, because the last approval makes the agreement."""

    queryset = ConnectionRequest.objects.all()
    serializer_class = inputs.ApprovalSerializer

    @extend_schema(request=inputs.ApprovalSerializer, responses=serializers.ApprovedSerializer)
    def approve(self, request, uuid=None) -> Response:
        obj = self.get_object()
        given = inputs.ApprovalSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = actions.approve_request(obj, by=request.user, **given.validated_data)
        answer = {"status": obj.status, "agreement": made and made.uuid, "number": made and made.number}
        return Response(serializers.ApprovedSerializer(answer).data)


class RequestBases(VisibleRows, viewsets.GenericViewSet):
    """What a change, renewal or joining starts from; an agreement that moved on meanwhile is followed."""

    queryset = ConnectionRequest.objects.select_related("consumer")
    serializer_class = serializers.BasisSerializer

    @extend_schema(responses=serializers.BasisSerializer)
    def basis(self, request, uuid=None) -> Response:
        """What the request changes, what changed of the agreement since it was begun, and what `follow` would make of it.

        404: it starts from none.
        """
        return Response(self._told(self.get_object(), request.user))

    @extend_schema(request=VersionSerializer, responses=serializers.BasisSerializer)
    def follow(self, request, uuid=None) -> Response:
        """Put a draft or returned request on what stands now; what its drafter changed stays."""
        row = self.get_object()
        given = VersionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        done = actions.follow_agreement(row, by=request.user, **given.validated_data)
        told = self._told(row, request.user)
        return Response({**told, "taken": sorted(done.content), "kept": sorted(done.kept)})

    @staticmethod
    def _told(row: ConnectionRequest, user) -> dict:
        rows = RequestBasis.objects.select_related(
            "request__purpose", "agreement", "starts_from__agreement", "version__agreement"
        )
        basis = rows.filter(request=row).first()
        if basis is None or basis.starts_from is None:
            raise Http404
        current = stands_now(row)
        merge = merged(row, basis.starts_from, current, user) if current else Merge()
        told = {
            "agreement": basis.agreement.number, "starts_from": basis.starts_from.number, "has_moved": current is not None,
            "stands_now": (current or basis.starts_from).number, "changed_under": changes(basis.starts_from, current, user),
            "differences": asked_changes(basis, user), "taken": sorted(merge.content), "kept": sorted(merge.kept),
        }  # fmt: skip
        return serializers.BasisSerializer(told).data
