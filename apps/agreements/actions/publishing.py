"""Verbs on service versions that look at what is agreed: publishing, announcing an end, ending.

The registry's own verbs move the version; they are called from here, because only this floor knows who uses it.
"""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements.choices import GrantStatus
from apps.agreements.ends import ANNOUNCED, POSTPONED, tell_users_of_end
from apps.agreements.impact import RUNNING, Breakage, Impact, grants_on, impact
from apps.agreements.locks import hold
from apps.agreements.models import Grant
from apps.agreements.workflow import GRANT
from apps.audit import actions as audit
from apps.connections.announcements import people
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict
from apps.legal.announced import check_notice_of_day
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.registry import actions as registry
from apps.registry.choices import Environment, VersionStatus
from apps.registry.models import Operation, ServiceVersion
from apps.registry.workflow import VERSION


@transaction.atomic
def publish_service_version(version: ServiceVersion, *, by, expected: int | None = None) -> ServiceVersion:
    """Publish a complete draft. A live minor of the same major is replaced, and the access agreed on it goes on; a new major stands beside.

    Who uses it is told, in both cases. Every open grant moves to the same operation of the new version, in place: the quota used
    today stays used. Raises Conflict (`breaks_agreements`) when something agreed on, or awaiting signatures, would break, otherwise as `registry.publish_version`.
    """
    VERSION.check(version, "publish", by=by, version=expected)
    hold([version.service.code])
    found = impact(version)
    if found.breakages:
        raise _breaks(found, by)
    moved = _carry_over(found, version, by=by)
    published = registry.publish_version(version, by=by, expected=expected, replaces=found.live)
    _tell_users(
        moved, version, "published",
        N_("“%(service)s” has version %(number)s now. What your agency agreed on goes on unchanged."),
    )  # fmt: skip
    if found.live is None:
        _tell_users(
            _on_older(version), version, "published_beside",
            N_("“%(service)s” has a new version %(number)s beside the one your agency uses. Nothing changes for your access."),
        )  # fmt: skip
    return published


@transaction.atomic
def announce_end_of_version(
    version: ServiceVersion, *, by, until: datetime.date, expected: int | None = None
) -> ServiceVersion:
    """Announce the day after which `version` will be retired, and tell everybody whose access rests on it (TE-19).

    Who gets access later is told by the clock (`ends`). Raises InvalidFact (`notice_too_short`) for a day before the notice of the rule
    `suspension.planned_notice` has run where somebody has access in production: it stops all of them (NĐ 47/2020 Điều 43(3)).
    """
    VERSION.check(version, "deprecate", by=by, version=expected)
    hold([version.service.code])
    if until > timezone.localdate() and grants_on(version).filter(environment=Environment.PRODUCTION).exists():
        check_notice_of_day(until, "until")
    registry.deprecate_version(version, by=by, until=until, expected=expected)
    tell_users_of_end(version, "end_announced", ANNOUNCED)
    return version


@transaction.atomic
def postpone_end_of_version(
    version: ServiceVersion, *, by, until: datetime.date, expected: int | None = None
) -> ServiceVersion:
    """Announce a later day than the one announced before, and tell everybody whose access rests on the version.

    Never an earlier one: those who use it have planned with the day they were told.
    """
    VERSION.check(version, "postpone", by=by, version=expected)
    hold([version.service.code])
    registry.postpone_end(version, by=by, until=until, expected=expected)
    tell_users_of_end(version, "end_postponed", POSTPONED)
    return version


@transaction.atomic
def retire_service_version(version: ServiceVersion, *, by, reason: str, expected: int | None = None) -> ServiceVersion:
    """End a version. While access rests on it, only after the announced day; what is left of the access ends with it.

    Raises Conflict (`version_in_use`) before that day.
    """
    VERSION.check(version, "retire", by=by, version=expected)
    hold([version.service.code])
    grants = list(
        grants_on(version).select_related("system__organization", "agreement").select_for_update(of=("self",), no_key=True)
    )
    over = version.status == VersionStatus.DEPRECATED and version.deprecated_on <= timezone.localdate()
    if grants and not over:
        systems = len({grant.system_id for grant in grants})
        raise Conflict(
            _("Access of %(count)d systems rests on this version: announce its end first; it can be retired from that day on.")
            % {"count": systems}, code="version_in_use", systems=systems,
        )  # fmt: skip
    registry.retire_version(version, by=by, reason=reason, expected=expected)
    for grant in grants:
        GRANT.move(grant, "close", by=by, status_reason=reason.strip())
        raise_epoch("grant", grant.uuid)
    _tell_users(grants, version, "retired", N_("“%(service)s” version %(number)s was retired: access to it has ended."))
    return version


def _breaks(found: Impact, by) -> Conflict:
    shown, hidden = found.visible_to(by)
    texts = [f"{_named(row)}, {row.system}: " + " ".join(change.text for change in row.changes) for row in shown]
    if hidden:
        texts.append(_("and %(count)d systems of agreements you do not see") % {"count": hidden})
    return Conflict(
        _("The new version breaks what is agreed. Publish it as a new major version, or change the agreements first."),
        code="breaks_agreements", fields={"agreements": texts},
    )  # fmt: skip


def _named(row: Breakage) -> str:
    number = row.agreement.number
    return _("%(number)s (awaits signatures)") % {"number": number} if row.awaits_signatures else number


def _carry_over(found: Impact, version: ServiceVersion, *, by) -> list[Grant]:
    """Move every open grant of the live version to the same operation of the new one."""
    if found.live is None:
        return []
    rows = grants_on(found.live).select_related("operation", "agreement", "system__organization")
    grants = list(rows.select_for_update(of=("self",), no_key=True))
    target = {row.code: row for row in Operation.objects.filter(version=version)}
    for grant in grants:
        before, grant.operation = grant.operation, target[grant.operation.code]
        grant.version += 1
        grant.save(update_fields=["operation", "version", "updated_at"])
        raise_epoch("grant", grant.uuid)
        audit.record(
            "grant.carried_over", grant, by=by, organizations=[grant.system.organization, version.service.provider],
            agreement=grant.agreement.number, operation=before.code, before=found.live.number, after=version.number,
        )  # fmt: skip
    return grants


def _on_older(version: ServiceVersion) -> list[Grant]:
    """Open grants of running agreements on older majors of the service, beside which `version` stands."""
    rows = Grant.objects.filter(
        operation__version__service=version.service, operation__version__major__lt=version.major, agreement__status__in=RUNNING
    )
    return list(rows.exclude(status=GrantStatus.ENDED).select_related("system"))


def _tell_users(grants: list[Grant], version: ServiceVersion, event: str, message: str) -> None:
    """The consumer officers of the systems behind `grants`, each once."""
    owners = {grant.system.organization_id for grant in grants}
    if owners:
        notify(
            people(Role.CONSUMER_OFFICER, owners), f"service_version.{event}", key=f"service_version.{event}:{version.uuid}",
            message=message, url=f"/portal/services/{version.service.code}/", service=version.service.name,
            number=version.number,
        )  # fmt: skip
