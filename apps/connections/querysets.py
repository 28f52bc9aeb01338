from __future__ import annotations

from django.db import models
from django.db.models import Exists, OuterRef, Q

from apps.connections.choices import Channel, RequestStatus
from apps.core.search import SearchLine
from apps.organizations.roles import is_platform_reader, organization_ids

OPEN = (RequestStatus.CHECKING, RequestStatus.RETURNED, RequestStatus.AWAITING_PROVIDER)
RECEIVED = Q(status__in=OPEN) | Q(status=RequestStatus.DRAFT, channel=Channel.PAPER)
"""What was received and is not decided. A paper is received on its day, whoever has still to enter the rest of it (WF-17)."""


class ConnectionRequestQuerySet(SearchLine):
    def open(self):
        return self.filter(RECEIVED)

    def running(self):
        """Open cases whose clock runs."""
        return self.open().filter(paused_at__isnull=True)

    def late(self, at):
        """Open cases whose clock runs and has run out."""
        return self.running().filter(due_at__lt=at)

    def visible_to(self, user):
        """The consumer side always; a provider once the case was forwarded to it; platform readers all but others' drafts."""
        mine = organization_ids(user)
        if not mine:
            return self.none()
        # A semi-join, which the database walks from the newest row on (`RequestAudience`).
        audience = self.model._meta.get_field("audience").related_model.objects
        own = Exists(audience.filter(request=OuterRef("pk"), organization_id__in=mine))
        if is_platform_reader(user):
            # What the operator enters from paper is nobody's private draft.
            return self.filter(~Q(status=RequestStatus.DRAFT) | Q(channel=Channel.PAPER) | Q(own))
        return self.filter(own)


class ProviderDecisionQuerySet(models.QuerySet):
    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(Q(provider_id__in=mine) | Q(request__consumer_id__in=mine))


class CommentQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Shared words: whoever sees the case. Internal ones: the author's own organization, nobody else."""
        requests = self.model._meta.get_field("request").related_model.objects.visible_to(user).values("pk")
        mine = Q(is_internal=False) | Q(organization_id__in=organization_ids(user))
        return self.filter(mine, request__in=requests)


class AttachmentQuerySet(models.QuerySet):
    def present(self):
        return self.filter(removed_at__isnull=True)

    def visible_to(self, user):
        """Whoever sees the case."""
        requests = self.model._meta.get_field("request").related_model.objects.visible_to(user).values("pk")
        return self.filter(request__in=requests)
