"""What time does to agreements and accounts: begin, end, expire, remind. Each step is its own transaction, once."""

from __future__ import annotations

import datetime

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.agreements.actions.fallen import drop_amendment, drop_orphan, orphaned, to_fall
from apps.agreements.actions.life import expire_agreements
from apps.agreements.actions.signing import begin_version
from apps.agreements.actions.suspension import begin_suspension, finish_suspension
from apps.agreements.announcements import tell_parties
from apps.agreements.choices import AgreementStatus, CredentialStatus, VersionState
from apps.agreements.content import last_day
from apps.agreements.ends import tell_later_users_of_ends
from apps.agreements.models import Agreement, AgreementVersion, Credential, PlannedSuspension
from apps.agreements.reminders import remind
from apps.connections.announcements import people
from apps.connections.models import ConnectionRequest
from apps.core import ticks
from apps.core.errors import DomainError
from apps.legal.models import LegalRule
from apps.notices.actions import notify
from apps.organizations.choices import Role

RENEWAL = ("agreement.ends_soon_1", "agreement.ends_soon_2", "agreement.ends_soon_3")
"""Rules (AG-06): how many days before the end the parties are reminded."""
ENDS_SOON = {
    AgreementStatus.IN_FORCE: N_("Agreement %(number)s ends on %(end)s. A renewal takes a short request."),
    AgreementStatus.SUSPENDED: N_(
        "Agreement %(number)s, which is suspended, ends on %(end)s all the same. It can be renewed when it is in force again."
    ),
}
EXPIRY = ("credential.ends_soon_1", "credential.ends_soon_2", "credential.ends_soon_3")
"""Rules (TE-13): how many days before an account ends its owner is warned."""


def run_clock() -> dict[str, int]:
    """Whatever is due now. A second run does nothing. Returns how many of each.

    What somebody holds is left for the next tick, and stops nothing else (`ticks`).
    """
    machine = get_user_model().objects.machine("clock")
    now = timezone.now()
    begun = list(PlannedSuspension.objects.open().filter(started_at__isnull=True, starts_at__lte=now))
    over = list(PlannedSuspension.objects.open().filter(started_at__isnull=False, ends_at__lte=now))
    later = AgreementVersion.objects.filter(state=VersionState.SCHEDULED, begins_at__lte=now).select_related("agreement")
    return {
        # Before anything expires: a renewal that has begun carries the term on.
        "versions": ticks.each(later, lambda version: begin_version(version, by=machine)),
        "begun": ticks.each(begun, lambda planned: begin_suspension(planned, by=machine)),
        "over": ticks.each(over, lambda planned: finish_suspension(planned, by=machine)),
        "expired": expire_agreements(by=machine),
        "fallen": ticks.each(to_fall(), lambda request: _drop(drop_amendment, request, machine))
        + ticks.each(orphaned(), lambda request: _drop(drop_orphan, request, machine)),
        "renewals": ticks.each(ending_soon(now), lambda agreement: _remind(agreement, now)),
        "accounts": ticks.each(accounts_ending_soon(now), lambda credential: _warn(credential, now)),
        "ends": tell_later_users_of_ends(),
        **remind(),
    }  # fmt: skip


def _drop(verb, request: ConnectionRequest, machine) -> int:
    try:
        verb(request, by=machine)
    except DomainError:
        return 0  # somebody withdrew it at the same moment
    return 1


def ending_soon(now: datetime.datetime):
    """Agreements in the days of the rules `RENEWAL` that have not heard the newest of the reminders.

    Also suspended ones: their term runs on, and whoever waits for the end of the suspension would find the agreement over.
    """
    rows = Agreement.objects.filter(status__in=(AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED))
    return _not_told(rows, "valid_to", "reminded_days", days_before(RENEWAL, now), now)


def accounts_ending_soon(now: datetime.datetime):
    """Accounts in the days of the rules `EXPIRY` whose owner has not heard it.

    One whose successor is at work ends because it was rotated; one whose access has ended opens nothing any more.
    """
    at_work = Credential.objects.filter(replaces=OuterRef("pk"), status=CredentialStatus.ACTIVE)
    rows = Credential.objects.of_use().filter(~Exists(at_work), status=CredentialStatus.ACTIVE).select_related("system")
    return _not_told(rows, "expires_at", "warned_days", days_before(EXPIRY, now), now)


def days_before(rules: tuple[str, ...], now: datetime.datetime) -> dict[str, int]:
    """Rule → how many days before an end it has people told of it; 0 tells nobody."""
    return LegalRule.objects.days(rules, timezone.localdate(now))


def longest(rules: tuple[str, ...], now: datetime.datetime) -> datetime.timedelta:
    """How long before an end the first of `rules` has people told of it."""
    return datetime.timedelta(days=max(days_before(rules, now).values(), default=0))


def _not_told(rows, end: str, told: str, days: dict[str, int], now: datetime.datetime):
    due = Q(pk__in=[])
    for count in days.values():
        near = Q(**{f"{end}__gt": now, f"{end}__lte": now + datetime.timedelta(days=count)})
        due |= near & (Q(**{f"{told}__isnull": True}) | Q(**{f"{told}__gt": count}))
    return rows.filter(due)


def _stage(ends: datetime.datetime, days: dict[str, int], now: datetime.datetime) -> tuple[int, str]:
    """The smallest number of days that still covers what is left, and its rule; (0, "") when none does any more.

    Notices are known by the rule: what it had told once is not told again when it is given other days.
    """
    covering = ((count, rule) for rule, count in days.items() if ends <= now + datetime.timedelta(days=count))
    return min(covering, default=(0, ""))


@transaction.atomic
def _remind(agreement: Agreement, now) -> int:
    days, rule = _stage(agreement.valid_to, days_before(RENEWAL, now), now)
    # A renewal may have moved the end since the row was read: of the former one nobody is told.
    fresh = Agreement.objects.filter(pk=agreement.pk, valid_to=agreement.valid_to).filter(
        Q(reminded_days__isnull=True) | Q(reminded_days__gt=days)
    )
    if not days or not fresh.update(reminded_days=days):
        return 0
    end = last_day(agreement.valid_to).strftime("%d/%m/%Y")
    tell_parties("ends_soon", agreement, ENDS_SOON[agreement.status], key=f"{end}:{rule}", end=end)
    return 1


@transaction.atomic
def _warn(credential: Credential, now) -> int:
    days, rule = _stage(credential.expires_at, days_before(EXPIRY, now), now)
    fresh = Credential.objects.filter(pk=credential.pk, expires_at=credential.expires_at).filter(
        Q(warned_days__isnull=True) | Q(warned_days__gt=days)
    )
    if not days or not fresh.update(warned_days=days):
        return 0
    end = timezone.localtime(credential.expires_at).strftime("%d/%m/%Y")
    notify(
        people(Role.CONSUMER_OFFICER, [credential.system.organization_id]), "credential.ends_soon",
        key=f"credential.ends_soon:{credential.uuid}:{end}:{rule}",
        message=N_("The account %(client)s of %(system)s ends on %(end)s. Rotate it in time."), url=f"/portal/accounts/{credential.uuid}/",
        client=credential.client_id, system=credential.system.name, end=end,
    )  # fmt: skip
    return 1
