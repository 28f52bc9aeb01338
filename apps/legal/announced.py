"""Periods announced beforehand, as the law asks (NĐ 47/2020 Điều 43(3)): the check of the notice, and what their rows share.

Suspensions of agreements and maintenance of services are two floors of the same thing.
"""

from __future__ import annotations

import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidFact
from apps.core.models import TimedModel
from apps.legal import deadlines

NOTICE = "suspension.planned_notice"


def check_notice(starts_at: datetime.datetime, ends_at: datetime.datetime) -> None:
    """Raise InvalidFact: `notice_too_short`, with the earliest moment, when the notice of the rule NOTICE would not have run;
    `period` when it ends before it begins."""
    earliest = deadlines.start(NOTICE, timezone.now())
    if starts_at <= earliest.due_at:
        raise InvalidFact(_too_short(earliest), code="notice_too_short", earliest=earliest.due_at.isoformat())
    if ends_at <= starts_at:
        raise InvalidFact(code="period", fields={"ends_at": [_("The period ends before it begins.")]})


def check_notice_of_day(day: datetime.date, field: str) -> None:
    """The same for what ends on a day: raise InvalidFact (`notice_too_short`) when the notice has not run before `day`."""
    earliest = deadlines.start(NOTICE, timezone.now())
    last = timezone.localdate(earliest.due_at)
    if day <= last:
        raise InvalidFact(_too_short(earliest), code="notice_too_short", earliest=last.isoformat(),
                          fields={field: [_too_short(earliest)]})  # fmt: skip


def _too_short(earliest: deadlines.Deadline) -> str:
    day = timezone.localtime(earliest.due_at).strftime("%d/%m/%Y")
    return _("It is announced at least %(term)s before: it can begin after %(day)s (%(citation)s).") % {
        "term": earliest.rule.amount, "day": day, "citation": earliest.rule.citation,
    }  # fmt: skip


def local(moment: datetime.datetime) -> str:
    """As the announcements write a moment."""
    return timezone.localtime(moment).strftime("%H:%M %d/%m/%Y")


class AnnouncedQuerySet(models.QuerySet):
    def open(self):
        """Announced and neither over nor called off: what the banner shows."""
        return self.filter(ended_at__isnull=True, cancelled_at__isnull=True)


class AnnouncedPeriod(TimedModel):
    """From when to when, why, by whom announced. Subclasses say of what, and that only one is open at a time."""

    starts_at = models.DateTimeField(gettext_lazy("begins at"))
    ends_at = models.DateTimeField(gettext_lazy("expected end"))
    reason = models.TextField(gettext_lazy("reason"))
    announced_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=gettext_lazy("announced by"), on_delete=models.PROTECT, related_name="+"
    )
    ended_at = models.DateTimeField(gettext_lazy("ended at"), null=True, blank=True)
    cancelled_at = models.DateTimeField(gettext_lazy("cancelled at"), null=True, blank=True)

    class Meta:
        abstract = True
        constraints = [models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="%(app_label)s_%(class)s_period")]


OPEN = Q(ended_at__isnull=True, cancelled_at__isnull=True)
