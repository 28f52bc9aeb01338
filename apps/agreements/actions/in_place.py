"""A version comes into force, now or at its moment, with the access that goes with it."""

from __future__ import annotations

import datetime

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import steps
from apps.agreements.announcements import tell_parties
from apps.agreements.choices import AcceptanceStatus, VersionState
from apps.agreements.content import last_day, term_of
from apps.agreements.grants import follow_version, issue_credential, open_grants
from apps.agreements.models import Agreement, AgreementVersion
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment


def open_test(version: AgreementVersion, *, by) -> None:
    """Test grants, the time to test and a test account for every system of the version."""
    for system in systems_of(version):
        open_grants(version, system, Environment.TEST, by=by)
        issue_credential(system, Environment.TEST, by=by, delegated=is_delegated(version, system))
    steps.begin_tests(version)


def systems_of(version: AgreementVersion) -> list[InformationSystem]:
    codes = [row["code"] for row in version.content["systems"]]
    return list(InformationSystem.objects.filter(code__in=codes).select_related("organization").order_by("code"))


def is_delegated(version: AgreementVersion, system) -> bool:
    """True when every provider concerned lets the operator issue accounts (NĐ 47/2020 Điều 40(2))."""
    grants = system.grants.filter(version_of=version)
    return not grants.filter(operation__version__service__account_issuing_delegated=False).exists()


def make_current(agreement: Agreement, version: AgreementVersion, *, by) -> None:
    """`version` replaces the one in force; grants and the term follow in the same transaction.

    Where its term begins later, what runs goes on until then, and it waits (`scheduled`).
    """
    now = timezone.now()
    begins, _ends = term_of(version.content, now)
    if begins > max(now, agreement.valid_from):
        _schedule(agreement, version, begins, by=by)
        return
    put_in_place(agreement, version)
    follow_version(version, systems_of(version), by=by)
    tell_in_place(agreement, version, by=by)


def _schedule(agreement: Agreement, version: AgreementVersion, begins: datetime.datetime, *, by) -> None:
    """Grants of both are rows from now on, so the gateway turns over at that very moment; the clock moves the state after it.

    Raises FactMissing (`begins_after_end`) when nothing would run any more by then.
    """
    if agreement.valid_to is not None and begins >= agreement.valid_to:
        raise FactMissing(
            _("It would begin after the agreement has run out: it begins on %(day)s at the latest.")
            % {"day": last_day(agreement.valid_to).strftime("%d/%m/%Y")},
            code="begins_after_end",
        )
    agreement.versions.filter(pk=version.pk).update(state=VersionState.SCHEDULED, begins_at=begins)
    version.refresh_from_db()
    version.agreement = agreement
    follow_version(version, systems_of(version), by=by)
    agreement.version += 1
    agreement.save(update_fields=["version", "updated_at"])
    raise_epoch("agreement", agreement.uuid)
    audit.record(
        "agreement.version_scheduled", agreement, by=by, organizations=agreement.party_uuids(), version=version.number,
        content_hash=version.content_hash, begins_at=begins.isoformat(),
    )  # fmt: skip
    tell_parties(
        "version_scheduled", agreement, N_("A new version of agreement %(number)s begins on %(day)s; until then nothing changes."),
        key=f"v{version.number}", day=timezone.localdate(begins).strftime("%d/%m/%Y"),
    )  # fmt: skip


def put_in_place(agreement: Agreement, version: AgreementVersion) -> None:
    """`version` is the content in force from now on, with its term; the former one is history."""
    if "addendum" in version.content:
        carry_tests(agreement, agreement.versions.get(state=VersionState.CURRENT), version)
    agreement.versions.filter(state=VersionState.CURRENT).update(state=VersionState.SUPERSEDED)
    agreement.versions.filter(pk=version.pk).update(state=VersionState.CURRENT)
    version.refresh_from_db()
    version.agreement = agreement
    _starts, agreement.valid_to = term_of(version.content, timezone.now())
    agreement.parties.filter(is_joining=True, left_at__isnull=True).update(is_joining=False)
    agreement.reminded_days = None
    agreement.version += 1
    agreement.save(update_fields=["valid_to", "reminded_days", "version", "updated_at"])


def carry_tests(agreement: Agreement, former: AgreementVersion, version: AgreementVersion) -> None:
    """`version` changes nothing for those who tested under `former`: what they recorded or had confirmed holds."""
    tests = agreement.acceptances.filter(for_version=former).exclude(status=AcceptanceStatus.REJECTED)
    tests.update(for_version=version)


def tell_in_place(agreement: Agreement, version: AgreementVersion, *, by) -> None:
    """The accounts, the time to test, the record and the word that go with a version that came into force."""
    for system in systems_of(version):
        issue_credential(system, Environment.TEST, by=by, delegated=is_delegated(version, system))
    steps.begin_tests(version)
    raise_epoch("agreement", agreement.uuid)
    audit.record(
        "agreement.version_in_force", agreement, by=by, organizations=agreement.party_uuids(), version=version.number,
        content_hash=version.content_hash,
    )  # fmt: skip
    tell_parties(
        "version_in_force", agreement, N_("A new version of agreement %(number)s is in force."), key=f"v{version.number}"
    )
