"""Which audit events a person may read: the platform's own readers all, a member those that name their organizations."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from apps.audit.models import AuditEvent
from apps.organizations.models import Organization
from apps.organizations.roles import is_platform_reader, organization_ids


def events_visible_to(user) -> QuerySet[AuditEvent]:
    """The rows `user` may read (LOG-06). Attempts that name no organization are the reader's own or the platform's business."""
    if is_platform_reader(user):
        return AuditEvent.objects.all()
    mine = list(Organization.objects.filter(pk__in=organization_ids(user)).values_list("uuid", flat=True))
    return (
        AuditEvent.objects.filter(Q(organizations__overlap=mine) | Q(actor_id=user.pk)) if mine else AuditEvent.objects.none()
    )
