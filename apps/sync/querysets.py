from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.organizations.roles import is_platform_reader
from apps.sync.choices import OPEN_STATUSES, RunStatus, SourceKind


class SourceQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Sources and their runs are the platform's own business: operator, legal officer, auditor."""
        return self.all() if is_platform_reader(user) else self.none()

    def due(self):
        """Enabled sources whose next run is due, by the database's clock."""
        return self.filter(enabled=True, next_run_at__lte=Now())

    def stale(self):
        """Enabled sources without a success for more than twice their interval (SY-07); new ones count from their making."""
        age = models.ExpressionWrapper(
            Now() - models.functions.Coalesce(F("last_success_at"), F("created_at")), output_field=models.DurationField()
        )
        limit = models.ExpressionWrapper(F("interval_minutes") * models.Value(2) * _MINUTE, output_field=models.DurationField())
        return self.filter(enabled=True).annotate(age=age).filter(age__gt=limit)

    def in_trouble(self):
        """Enabled sources whose alarm is on or whose newest run failed; `newest_error` is what that run saw."""
        runs = self.model._meta.get_field("runs").related_model
        newest = runs.objects.filter(source=models.OuterRef("pk")).order_by("-id")
        rows = self.filter(enabled=True).annotate(
            newest_status=models.Subquery(newest.values("status")[:1]),
            newest_error=models.Subquery(newest.values("error_text")[:1]),
        )
        return rows.filter(Q(alarmed_at__isnull=False) | Q(newest_status=RunStatus.FAILED))


class RunQuerySet(models.QuerySet):
    def visible_to(self, user):
        return self.all() if is_platform_reader(user) else self.none()

    def open(self):
        return self.filter(status__in=OPEN_STATUSES)

    def undecided_pushes(self):
        """Held outgoing runs that no newer run of their source has replaced."""
        newer = self.model.objects.filter(source=models.OuterRef("source"), pk__gt=models.OuterRef("pk"))
        return self.filter(source__kind=SourceKind.PUSH, status=RunStatus.HELD).exclude(models.Exists(newer)).order_by("id")

    def claimable(self):
        """Queued and due, or running under a lease that ended, by the database's clock."""
        return self.filter(
            Q(status=RunStatus.QUEUED, next_attempt_at__lte=Now()) | Q(status=RunStatus.RUNNING, lease_until__lt=Now())
        )


_MINUTE = models.Func(
    models.Value("1 minute"), function="", template="%(expressions)s::interval", output_field=models.DurationField()
)
