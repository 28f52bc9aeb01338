"""What a provider that is merged away has issued goes to its successor to keep."""

from __future__ import annotations

from django.db.models import F
from django.utils import timezone

from apps.audit import actions as audit
from apps.organizations.models import Organization
from apps.registry.models import DefaultShareList, UsageRegulation


def issued_by(source: Organization) -> tuple[list[UsageRegulation], list[DefaultShareList]]:
    """The regulations that `source` keeps, and its list (and those it came to keep) that is in force."""
    lists = DefaultShareList.objects.kept_by_any([source.pk]).in_force()
    return list(UsageRegulation.objects.kept_by_any([source.pk])), list(lists)


def hand_over_issued(source: Organization, into: Organization, *, by) -> None:
    """Part of a merge, in its transaction: the officers of `into` answer from now on for what `source` has issued.

    Everything stays under the name by which it was signed or decided, so its hash holds. Lists that were replaced already
    stay where they are.
    """
    regulations, lists = issued_by(source)
    now = timezone.now()
    UsageRegulation.objects.filter(pk__in=[row.pk for row in regulations]).update(
        kept_by=into, version=F("version") + 1, updated_at=now
    )
    DefaultShareList.objects.filter(pk__in=[row.pk for row in lists]).update(
        kept_by=into, kept_from=timezone.localdate(now), updated_at=now
    )
    for event, rows in (("usage_regulation.carried_over", regulations), ("default_list.carried_over", lists)):
        for row in rows:
            audit.record(event, row, by=by, organizations=[source, into], successor=into.code)
