from __future__ import annotations

from django.db import models
from django.db.models import Count, Exists, OuterRef, Q

from apps.disputes.choices import DisputeStatus, TicketStatus
from apps.legal.announced import AnnouncedQuerySet
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.registry.models import DataService

RUNNING = (DisputeStatus.LEVEL_1, DisputeStatus.LEVEL_2, DisputeStatus.LEVEL_3)


class CaseQuerySet(models.QuerySet):
    """What two agencies settle with each other; `sides` names who begins and who answers."""

    sides: tuple[str, str]

    def unclosed(self):
        return self.exclude(status="closed")

    def of(self, organizations):
        """Those in which one of `organizations` is a side."""
        first, second = self.sides
        return self.filter(Q(**{f"{first}__in": organizations}) | Q(**{f"{second}__in": organizations}))

    def visible_to(self, user):
        """The two agencies, and the platform's readers."""
        return self.all() if is_platform_reader(user) else self.of(organization_ids(user))


class DisputeQuerySet(CaseQuerySet):
    sides = ("raised_for", "respondent")

    def running(self):
        return self.filter(status__in=RUNNING)

    def waiting(self):
        """Those that the level in charge has not answered yet: for whose answer the clock runs."""
        return self.running().exclude(self._answered())

    def with_answered(self):
        """Each row with `is_answered`: whether the present level has answered, so that nobody is late any more."""
        return self.annotate(is_answered=self._answered())

    def with_document(self):
        """Those that go, or went, to the body in charge by a document (WF-53, `disputes.documents`), with what it names."""
        rows = self.filter(Q(status=DisputeStatus.LEVEL_3) | Q(sent_date__isnull=False))
        return rows.select_related("raised_for", "respondent", "agreement", "version_of", "request")

    def _answered(self) -> Exists:
        answers = self.model._meta.get_field("answers").related_model.objects
        return Exists(answers.filter(dispute=OuterRef("pk"), level=OuterRef("status")))

    def late(self, at):
        """Not answered, and the time of the level is over."""
        return self.waiting().filter(due_at__lt=at)


class TicketQuerySet(CaseQuerySet):
    sides = ("asked_by", "asked_of")

    def waiting(self):
        """Open ones, for whose answer the clock runs."""
        return self.filter(status=TicketStatus.OPEN)

    def late(self, at):
        """Not answered, and the time is over."""
        return self.waiting().filter(due_at__lt=at)

    def counts(self, at) -> dict[str, int]:
        """How many there are (`all`), and of those how many are open, late (open ones too) and answered (WF-46)."""
        is_open = Q(status=TicketStatus.OPEN)
        return self.order_by().aggregate(
            all=Count("pk"), open=Count("pk", filter=is_open), late=Count("pk", filter=is_open & Q(due_at__lt=at)),
            answered=Count("pk", filter=Q(status=TicketStatus.ANSWERED)),
        )  # fmt: skip


class MaintenanceQuerySet(AnnouncedQuerySet):
    def over(self, at):
        return self.open().filter(ends_at__lte=at)

    def visible_to(self, user):
        """Whoever may see the service."""
        return self.filter(service__in=DataService.objects.visible_to(user).values("pk"))
