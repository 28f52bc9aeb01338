from __future__ import annotations

from django.db import models
from django.db.models import Exists, OuterRef, Q

from apps.disputes.choices import DisputeStatus, TicketStatus
from apps.legal.announced import AnnouncedQuerySet
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.registry.models import DataService

RUNNING = (DisputeStatus.LEVEL_1, DisputeStatus.LEVEL_2, DisputeStatus.LEVEL_3)


class DisputeQuerySet(models.QuerySet):
    def running(self):
        return self.filter(status__in=RUNNING)

    def waiting(self):
        """Those that the level in charge has not answered yet: for whose answer the clock runs."""
        answers = self.model._meta.get_field("answers").related_model.objects
        return self.running().exclude(Exists(answers.filter(dispute=OuterRef("pk"), level=OuterRef("status"))))

    def late(self, at):
        """Not answered, and the time of the level is over."""
        return self.waiting().filter(due_at__lt=at)

    def visible_to(self, user):
        """The two agencies in dispute, and the platform's readers."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(Q(raised_for__in=mine) | Q(respondent__in=mine))


class TicketQuerySet(models.QuerySet):
    def waiting(self):
        """Open ones, for whose answer the clock runs."""
        return self.filter(status=TicketStatus.OPEN)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(Q(asked_by__in=mine) | Q(asked_of__in=mine))


class MaintenanceQuerySet(AnnouncedQuerySet):
    def over(self, at):
        return self.open().filter(ends_at__lte=at)

    def visible_to(self, user):
        """Whoever may see the service."""
        return self.filter(service__in=DataService.objects.visible_to(user).values("pk"))
