"""The step that ends an agency looks at what it has not finished, so its door is on the floor that knows."""

from __future__ import annotations

from rest_framework.response import Response

from apps.core.api.doors import step
from apps.disputes.closing import close_organization
from apps.organizations.api.serializers import OrganizationSerializer, StepReasonSerializer
from apps.organizations.api.views import Organizations


class OrganizationEnd(Organizations):
    """The directory of agencies with their focal points: public inside the platform (NĐ 47/2020 Điều 7)."""

    @step(StepReasonSerializer, OrganizationSerializer)
    def close(self, request, code: str) -> Response:
        """Close an agency that is no more; 409 names what it has still to finish (operator)."""
        return self.move(request, "organizations.close_organization", close_organization)
