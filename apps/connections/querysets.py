from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.connections.choices import RequestStatus
from apps.organizations.roles import is_platform_reader, organization_ids

BEFORE_PROVIDER = (RequestStatus.DRAFT, RequestStatus.CHECKING)
OPEN = (RequestStatus.CHECKING, RequestStatus.RETURNED, RequestStatus.AWAITING_PROVIDER)


class ConnectionRequestQuerySet(models.QuerySet):
    def open(self):
        return self.filter(status__in=OPEN)

    def visible_to(self, user):
        """The consumer side always; a provider once the case was forwarded to it; platform readers all but others' drafts."""
        mine = organization_ids(user)
        own = Q(consumer_id__in=mine) | Q(request_systems__system__organization_id__in=mine)
        asked = Q(decisions__provider_id__in=mine)
        if is_platform_reader(user):
            return self.filter(own | ~Q(status=RequestStatus.DRAFT)).distinct()
        if not mine:
            return self.none()
        return self.filter(own | asked).distinct()


class ProviderDecisionQuerySet(models.QuerySet):
    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(Q(provider_id__in=mine) | Q(request__consumer_id__in=mine))
