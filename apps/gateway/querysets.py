from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.gateway import call_ids
from apps.gateway.heartbeat import SILENT_SECONDS
from apps.organizations.roles import is_platform_reader, organization_ids

SLACK = timedelta(minutes=2)
"""The id's clock and the row's clock differ by less than this (an id older than 20 seconds is not admitted)."""


EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""No call lies outside; moments beyond what a calendar can count with (year 1, year 9999) are asked for as these."""


def first_id(start: datetime) -> UUID:
    """Calls of `start` and later have no smaller id."""
    return call_ids.floor(max(start, EARLIEST) - SLACK)


def end_of_ids(end: datetime) -> UUID:
    """Calls before `end` have smaller ids."""
    return call_ids.floor(min(end, LATEST) + SLACK)


class CallQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A consumer sees its own calls, a provider those of its services, platform readers all (LOG-06)."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        if not mine:
            return self.none()
        return self.filter(
            Q(grant__system__organization_id__in=mine) | Q(grant__operation__version__service__provider_id__in=mine)
        )

    def between(self, start: datetime | None, end: datetime | None):
        """Calls admitted in [start, end); the range of ids lets PostgreSQL leave the other months alone."""
        rows = self
        if start:
            rows = rows.filter(admitted_at__gte=max(start, EARLIEST), call_id__gte=first_id(start))
        if end:
            rows = rows.filter(admitted_at__lt=min(end, LATEST), call_id__lt=end_of_ids(end))
        return rows

    def for_reading(self):
        """With everything a line of the log shows, in one query."""
        return self.select_related(
            "outcome__delivered", "outcome__withheld", "credential",
            "grant__agreement", "grant__purpose", "grant__system__organization",
            "grant__operation__version__service__provider",
        )  # fmt: skip


class RefusalQuerySet(models.QuerySet):
    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        if not mine:
            return self.none()
        return self.filter(Q(system__organization_id__in=mine) | Q(service__provider_id__in=mine))

    def between(self, start: datetime | None, end: datetime | None):
        rows = self
        if start:
            rows = rows.filter(refused_at__gte=max(start, EARLIEST), call_id__gte=first_id(start))
        if end:
            rows = rows.filter(refused_at__lt=min(end, LATEST), call_id__lt=end_of_ids(end))
        return rows

    def for_reading(self):
        return self.select_related(
            "credential", "system__organization", "service__provider", "operation__version", "grant__agreement"
        )


class ProcessQuerySet(models.QuerySet):
    def visible_to(self, user):
        """The machinery is the platform's own readers' to see."""
        return self.all() if is_platform_reader(user) else self.none()

    def alive(self):
        """Processes that spoke lately, by the database's clock."""
        return self.filter(seen_at__gt=Now() - timedelta(seconds=SILENT_SECONDS))

    def silent_since(self, moment):
        return self.filter(seen_at__lt=moment)
