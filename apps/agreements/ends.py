"""Who hears that a version of a service will be retired (TE-19): who has access when a day is announced, and who comes later.

The verbs of `publishing` tell the first, the clock the others, under one key of version and day: a person hears a day once, for
however many systems and agencies, whoever says it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.agreements.impact import RUNNING, grants_on
from apps.agreements.models import Grant
from apps.connections.announcements import people
from apps.core import ticks
from apps.notices.actions import notify
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.registry.choices import VersionStatus
from apps.registry.models import DataService, ServiceVersion

ANNOUNCED = N_("“%(service)s” version %(number)s will be retired on %(day)s.")
POSTPONED = N_("“%(service)s” version %(number)s goes on longer: it will be retired on %(day)s.")


def tell_users_of_end(version: ServiceVersion, event: str, message: str) -> None:
    """Tell the consumers whose access rests on `version` the day that was announced; the caller holds the service."""
    owners = set(grants_on(version).values_list("system__organization_id", flat=True))
    _tell(people(Role.CONSUMER_OFFICER, owners), version, event, message)


def tell_later_users_of_ends() -> int:
    """Tell the consumers who have got access since the day was announced. Returns of how many versions; a second run tells nobody.

    Four queries while there is nobody to be told.
    """
    rows = ServiceVersion.objects.filter(status=VersionStatus.DEPRECATED, deprecated_on__gte=timezone.localdate())
    ending = {version.pk: version for version in rows.select_related("service")}
    untold = _untold(ending)
    return ticks.each((ending[pk] for pk in untold), lambda version: _tell_later(version, untold[version.pk]))


def _untold(ending: dict[int, ServiceVersion]) -> dict[int, set[int]]:
    """Version → the consumer officers of those with access on it who have not heard the day."""
    grants = Grant.objects.open().filter(operation__version__in=ending, agreement__status__in=RUNNING).order_by()
    access = list(grants.values_list("operation__version_id", "system__organization_id").distinct())
    officers: dict[int, set[int]] = defaultdict(set)
    owners = {owner for _version, owner in access}
    for person, owner in people(Role.CONSUMER_OFFICER, owners).values_list("pk", "memberships__organization_id"):
        officers[owner].add(person)
    keys = {pk: _key(version) for pk, version in ending.items()}
    heard = Notice.objects.filter(recipient__in=set().union(*officers.values()), key__in=keys.values())
    told = set(heard.values_list("key", "recipient_id"))
    found: dict[int, set[int]] = defaultdict(set)
    for pk, owner in access:
        found[pk] |= {person for person in officers[owner] if (keys[pk], person) not in told}
    return {pk: persons for pk, persons in found.items() if persons}


@transaction.atomic
def _tell_later(version: ServiceVersion, officers: set[int]) -> int:
    """Not while somebody has the service in hand, who may just now announce another day: then at the next tick."""
    free = DataService.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=version.service_id)
    same = ServiceVersion.objects.filter(pk=version.pk, status=version.status, deprecated_on=version.deprecated_on)
    if not list(free.values_list("pk")) or not same.exists():
        return 0
    _tell(get_user_model().objects.filter(pk__in=officers), version, "end_announced", ANNOUNCED)
    return 1


def _tell(recipients: Iterable, version: ServiceVersion, event: str, message: str) -> None:
    notify(
        recipients, f"service_version.{event}", key=_key(version), message=message,
        url=f"/portal/services/{version.service.code}/", service=version.service.name, number=version.number,
        day=version.deprecated_on.strftime("%d/%m/%Y"),
    )  # fmt: skip


def _key(version: ServiceVersion) -> str:
    return f"service_version.end_announced:{version.uuid}:{version.deprecated_on}"
