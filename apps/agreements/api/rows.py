from __future__ import annotations

from rest_framework import mixins, viewsets
from rest_framework.response import Response

from apps.core.api.steps import TakesSteps
from apps.core.api.views import VisibleRows


class Rows(VisibleRows, TakesSteps, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    """List with a short row, detail with the steps the caller may take."""

    def retrieve(self, request, *args, **kwargs) -> Response:
        return Response(self.shown(self.get_object()))

    def shown(self, obj) -> dict:
        """Read the row again: a verb may have changed what was prefetched."""
        return super().shown(self.get_queryset().get(pk=obj.pk))
