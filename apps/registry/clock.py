"""What time itself brings to services: a ready service not published in its time, a list to be reviewed, an end announced.

The clock reminds and never decides. Each fact reaches each person once: the key of the notice names it.
"""

from __future__ import annotations

import datetime

from django.utils import timezone
from django.utils.translation import gettext_noop

from apps.accounts.models import User
from apps.core import ticks
from apps.core.errors import InvalidFact
from apps.legal import deadlines
from apps.legal.announced import local
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.organizations.models import Membership
from apps.registry.choices import VersionStatus
from apps.registry.models import DefaultShareList, Feedback, ServiceVersion

PUBLISH = "service.publish"
BEFORE_REVIEW = datetime.timedelta(days=30)


def publishing(version: ServiceVersion) -> deadlines.Deadline | None:
    """Until when, and by which rule, a ready draft must be published (NĐ 47/2020 Điều 25(1), WF-12); None while it is not ready."""
    if version.ready_at is None:
        return None
    try:
        return deadlines.start(PUBLISH, version.ready_at)
    except InvalidFact:
        return None  # the law has no such rule for that day: nothing is due


def publishing_due(version: ServiceVersion) -> datetime.datetime | None:
    """The end of that time."""
    found = publishing(version)
    return found.due_at if found else None


def remind(now: datetime.datetime | None = None) -> int:
    """Tell whom it concerns; return how many facts were told (again telling is harmless).

    Each in a transaction of its own: who cannot be told at this moment is told at the next tick, and the others now (`ticks`).
    """
    now = now or timezone.now()
    today = timezone.localdate(now)
    return _late_publishing(now) + _reviews(today) + _announced_ends(today) + _late_feedback(now)


def _officers(organization_id: int, *, with_operators: bool = False):
    held = Membership.objects.current().filter(role=Role.PROVIDER_OFFICER, organization_id=organization_id)
    if with_operators:
        held = held | Membership.objects.current().filter(role=Role.OPERATOR)
    return User.objects.filter(pk__in=held.values("user_id"))


def _late_publishing(now: datetime.datetime) -> int:
    waiting = ServiceVersion.objects.filter(status=VersionStatus.DRAFT, ready_at__isnull=False).select_related("service")
    late = (version for version in waiting if (due := publishing_due(version)) is not None and due < now)
    return ticks.each(late, _tell_late_publishing)


def _tell_late_publishing(version: ServiceVersion) -> int:
    notify(
        _officers(version.service.provider_id, with_operators=True), "service_version.late",
        key=f"service_version.late:{version.uuid}",
        message=gettext_noop("“%(service)s” %(number)s works but was not published by %(due)s."),
        url=f"/portal/service-versions/{version.uuid}/", service=version.service.name,
        number=version.number, due=local(publishing_due(version)),
    )  # fmt: skip
    return 1


def _reviews(today: datetime.date) -> int:
    due = DefaultShareList.objects.in_force().filter(next_review_on__lte=today + BEFORE_REVIEW)
    return ticks.each(due, lambda row: _tell_review(row, "late" if row.next_review_on < today else "soon"))


def _tell_review(row: DefaultShareList, stage: str) -> int:
    message = (
        gettext_noop("The review of the default-share list %(number)s is late: it was due on %(day)s.")
        if stage == "late"
        else gettext_noop("The default-share list %(number)s is to be reviewed by %(day)s.")
    )
    notify(
        _officers(row.keeper_id, with_operators=stage == "late"), f"default_list.{stage}",
        key=f"default_list.{stage}:{row.uuid}", message=message,
        url="/portal/default-lists/", number=row.number,
        day=row.next_review_on.strftime("%d/%m/%Y"),
    )  # fmt: skip
    return 1


def _announced_ends(today: datetime.date) -> int:
    ended = ServiceVersion.objects.filter(status=VersionStatus.DEPRECATED, deprecated_on__lte=today).select_related("service")
    return ticks.each(ended, _tell_end_reached)


def _tell_end_reached(version: ServiceVersion) -> int:
    notify(
        _officers(version.service.provider_id), "service_version.end_reached", key=f"service_version.end:{version.uuid}:{version.deprecated_on}",
        message=gettext_noop("The announced end of “%(service)s” %(number)s is reached: retire it or announce a later day."),
        url=f"/portal/service-versions/{version.uuid}/", service=version.service.name, number=version.number,
    )  # fmt: skip
    return 1


def _late_feedback(now: datetime.datetime) -> int:
    return ticks.each(Feedback.objects.open().filter(due_at__lt=now).select_related("service"), _tell_late_feedback)


def _tell_late_feedback(row: Feedback) -> int:
    notify(
        _officers(row.service.provider_id, with_operators=True), "feedback.late", key=f"feedback.late:{row.uuid}",
        message=gettext_noop("A question about “%(service)s” is late to be answered."),
        url=f"/portal/services/{row.service.code}/#questions", service=row.service.name,
    )  # fmt: skip
    return 1
