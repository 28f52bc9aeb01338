"""The verb on default-share lists (NĐ 47/2020 Điều 34, WF-15)."""

from __future__ import annotations

import calendar
import datetime
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.changes import save_valid
from apps.core.errors import InvalidFact
from apps.core.permissions import require
from apps.core.text import clean
from apps.legal.models import LegalRule
from apps.organizations.locks import hold_active
from apps.organizations.models import Organization
from apps.registry.choices import SharingForm
from apps.registry.models import DataService, DefaultShareList

RULE = "default_list.review"


@transaction.atomic
def decide_default_list(
    organization: Organization, *, by, number: str, decided_on: datetime.date, services: Iterable[DataService], note: str = ""
) -> DefaultShareList:
    """Enter the decision on what `organization` shares by default; the next review follows from the law's rule.

    Raises NotPermitted, InvalidFact: a day to come, a service of another provider or of special sharing, none at all; Conflict
    (`organization_not_active`: the agency was merged or closed at this instant).
    """
    require(by, "registry.decide_default_list", organization)
    hold_active(organization)
    services = list(services)
    _fit(organization, decided_on, services)
    rule = LegalRule.objects.rule(RULE, decided_on)
    row = save_valid(
        DefaultShareList(
            organization=organization, number=clean(number), decided_on=decided_on, note=note.strip(), review_rule=rule,
            next_review_on=add_months(decided_on, int(rule.value)), decided_by=by,
        )
    )  # fmt: skip
    row.services.set(services)
    audit.record("default_list.decided", row, by=by, organizations=[organization],
                 services=sorted(service.code for service in services))  # fmt: skip
    return row


def add_months(day: datetime.date, months: int) -> datetime.date:
    """The same day `months` later, or the last one of that month: 31/08 + 6 → 28/02."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return datetime.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _fit(organization: Organization, decided_on: datetime.date, services: list[DataService]) -> None:
    if decided_on > timezone.localdate():
        raise InvalidFact(fields={"decided_on": [_("This moment is still to come.")]})
    if not services:
        raise InvalidFact(fields={"services": [_("Choose at least one service.")]})
    for service in services:
        if service.provider_id != organization.pk:
            raise InvalidFact(fields={"services": [_("%(name)s belongs to another provider.") % {"name": service.name}]})
        if service.sharing_form != SharingForm.DEFAULT:
            raise InvalidFact(fields={"services": [_("%(name)s is not shared by default.") % {"name": service.name}]})
