from __future__ import annotations

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import mixins, viewsets
from rest_framework.response import Response

from apps.agreements.models import Agreement, AgreementVersion
from apps.core.api.steps import TakesSteps
from apps.core.api.views import VisibleRows


class Rows(VisibleRows, TakesSteps, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """List with a short row, detail with the steps the caller may take."""

    def retrieve(self, request, *args, **kwargs) -> Response:
        return Response(self.shown(self.get_object()))

    def shown(self, obj) -> dict:
        """Read the row again: a verb may have changed what was prefetched."""
        return super().shown(self.get_queryset().get(pk=obj.pk))


VERSION_NUMBER = OpenApiParameter("version", OpenApiTypes.INT, description="Its number; the newest without it.")


def version_asked(agreement: Agreement, user, number: str) -> AgreementVersion:
    """The version of this number that `user` reads, the newest without one. Raises Http404."""
    rows = AgreementVersion.objects.visible_to(user).filter(agreement=agreement).select_related("agreement").order_by("-number")
    if number:
        rows = rows.filter(number=number) if number.isdecimal() and len(number) < 7 else rows.none()
    found = rows.first()
    if found is None:
        raise Http404
    return found
