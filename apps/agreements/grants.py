"""From a version's content to the rows the gateway enforces.

The only place that makes grants and credentials. Everything here runs in the transaction of the verb that
called it and raises the policy epoch for every row.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements.choices import CredentialStatus, GrantStatus
from apps.agreements.content import term_of
from apps.agreements.locks import held_grants, hold
from apps.agreements.models import Agreement, AgreementVersion, ConsumerSuspension, Credential, Grant
from apps.agreements.suspensions import carry_to
from apps.agreements.workflow import GRANT
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment, SharingForm
from apps.registry.models import Operation, Purpose
from apps.registry.querysets import LIVE

MACHINE_ISSUER = "account-issuer"


def open_grants(version: AgreementVersion, system: InformationSystem, environment: str, *, by, before=()) -> list[Grant]:
    """One grant an operation of the content, for `system` in `environment`, in place of those that ran `before`.

    In the test environment from now, in production from the agreement's first day. What was retired since opens no more;
    raises FactMissing (`operation_gone`) when nothing is left. The caller holds the services (`locks`).
    """
    rows = [row for row in version.content["scope"] if operation_of(row).version.status in LIVE]
    if not rows:
        raise FactMissing(_("The versions of the services that were agreed on are retired."), code="operation_gone")
    now = timezone.now()
    starts, ends = term_of(version.content, version.agreement.in_force_at or now)
    first = now if environment == Environment.TEST else max(starts, version.agreement.valid_from or starts)
    return [_open(version, system, environment, row, first, ends, by, before) for row in rows]


def _open(version, system, environment, row: dict, starts, ends, by, before) -> Grant:
    operation = operation_of(row)
    limits, method = version.content["restrictions"], version.content["method"]
    hours = limits.get("hours") or {}
    alone = _suspended_alone(before, system, operation, environment)
    # What stood still alone is not held: lifting its consumer's suspension would open it.
    held = None if alone else held_by(version.agreement, system, operation)
    standing = alone.standing_suspensions() if alone else []
    reason = standing[0].reason if standing else alone.status_reason if alone else held.violation if held else ""
    grant = Grant.objects.create(
        agreement=version.agreement, version_of=version, system=system, operation=operation, environment=environment,
        purpose=Purpose.objects.get(code=version.content["purpose"]["code"]), fields=granted_paths(operation, row),
        quota_per_day=method.get("calls_per_day"), rate_per_second=method.get("calls_per_second"),
        hours_from=hours.get("from"), hours_to=hours.get("to"), networks=limits.get("source_networks") or [],
        valid_from=starts, valid_to=ends, status=GrantStatus.SUSPENDED if alone or held else GrantStatus.ACTIVE, held_by=held,
        status_reason=reason, codes_day=method.get("codes_day"),
    )  # fmt: skip
    carry_to(grant, standing)
    raise_epoch("grant", grant.uuid)
    audit.record(
        "grant.opened", grant, by=by, organizations=[system.organization, operation.version.service.provider],
        environment=environment, agreement=version.agreement.number,
    )  # fmt: skip
    return grant


def _suspended_alone(before: Iterable[Grant], system, operation: Operation, environment: str) -> Grant | None:
    """The grant among `before` that a new one follows and that was suspended on its own: neither a change nor a test opens it.

    Where the same operation ran in several major versions each is followed by its own; a new major version is no way around.
    """
    service, code = operation.version.service_id, operation.code
    rows = [
        grant for grant in before
        if (grant.system_id, grant.environment) == (system.pk, environment)
        and (grant.operation.version.service_id, grant.operation.code) == (service, code)
    ]  # fmt: skip
    same = [grant for grant in rows if grant.operation.version.major == operation.version.major]
    halted = [grant for grant in same or rows if grant.status == GrantStatus.SUSPENDED]
    return next((grant for grant in halted if grant.held_by_id is None or grant.standing_suspensions()), None)


def held_by(agreement: Agreement, system: InformationSystem, operation: Operation) -> ConsumerSuspension | None:
    """The suspension of the system's organization that holds a grant on `operation`, if one is open."""
    provider = operation.version.service.provider_id
    return ConsumerSuspension.objects.holding(agreement, system.organization_id, provider).first()


def operation_of(row: dict) -> Operation:
    """The operation a scope row of a content names by its codes, or the one of the minor version that replaced it."""
    major, minor = row["version"].split(".")
    named = Operation.objects.select_related("version__service__provider").filter(
        version__service__code=row["service"], version__major=major, code=row["operation"]
    )
    exact = named.filter(version__minor=minor).first()
    operation = named.filter(version__status__in=LIVE).first() if exact and exact.version.status not in LIVE else exact
    operation = operation or exact
    if operation is None:
        raise FactMissing(
            _("The operation %(operation)s is no longer there.") % {"operation": row["operation"]}, code="operation_gone"
        )
    return operation


def granted_paths(operation: Operation, row: dict) -> list[str]:
    """The leaves agreed on, and the envelope's leaves, which carry no data of a subject and come with every grant."""
    envelope = [field.path for field in operation.fields.all() if field.is_envelope and field.is_leaf]
    return sorted({*envelope, *(field["path"] for field in row["fields"])})


def close_grants(agreement: Agreement, *, by, reason: str, **which) -> int:
    """End the open grants of `agreement` (those that `which`, field lookups, names); return how many there were."""
    grants = held_grants(agreement=agreement, **which)
    for grant in grants:
        GRANT.move(grant, "close", by=by, status_reason=reason)
        raise_epoch("grant", grant.uuid)
    return len(grants)


def open_production(version: AgreementVersion, system: InformationSystem, *, by) -> list[Grant]:
    """Production as the content says, in place of what ran there; what was suspended on its own stays so.

    The caller holds the agreement and the services.
    """
    here = {"system": system, "environment": Environment.PRODUCTION}
    before = held_grants(agreement=version.agreement, **here)
    close_grants(version.agreement, by=by, reason=_("replaced"), **here)
    return open_grants(version, by=by, before=before, **here)


def follow_version(version: AgreementVersion, systems, *, by) -> None:
    """Grants follow a new version of an agreement in force, which the caller holds with the services and systems of it.

    Test access is the new content at once. Production keeps what was tested: of each operation the fields that
    the old grant had and the new content still has; the rest opens with the acceptance of the new version. So a
    narrower content narrows production at once, and a wider one widens it only after a test (WF-35, section 7).
    What was suspended on its own stays suspended; what ended before opens again only for those who asked for the version.
    """
    agreement, limits = version.agreement, (_("replaced by version %(number)s") % {"number": version.number})
    running = held_grants(agreement=agreement)
    close_grants(agreement, by=by, reason=limits)
    anew = _opened_anew(version, systems)
    for system in anew:
        open_grants(version, system, Environment.TEST, by=by, before=running)
    rows = {operation_of(row).pk: row for row in version.content["scope"]}
    kept, tested_anew = {system.pk for system in systems}, {system.pk for system in anew}
    for old in running:
        row = rows.get(old.operation_id)
        if row is None or old.system_id not in kept or (old.environment == Environment.TEST and old.system_id in tested_anew):
            continue
        had = [field for field in row["fields"] if field["path"] in set(old.fields)]
        starts, ends = term_of(version.content, timezone.now())
        _open(version, old.system, old.environment, {**row, "fields": had}, starts, ends, by, running)


def _opened_anew(version: AgreementVersion, systems) -> list[InformationSystem]:
    """The systems whose test access is the new content; the others' follows what runs.

    Default sharing: those of the agencies that asked, as the others signed nothing. Special sharing: all of them, or only
    the newcomers when somebody joins.
    """
    agreement = version.agreement
    if agreement.sharing_form == SharingForm.DEFAULT:
        asked = agreement.bases.get(version=version).request.consumer_ids()
        return [system for system in systems if system.organization_id in asked]
    if "addendum" not in version.content:
        return list(systems)
    old = agreement.versions.get(content_hash=version.content["supersedes"])
    known = {row["code"] for row in old.content["systems"]}
    return [system for system in systems if system.code not in known]


def issue_credential(system: InformationSystem, environment: str, *, by, delegated: bool, replaces=None) -> Credential | None:
    """An account to be collected, unless the system has one in `environment` already (then None).

    WF-02: where the provider delegated it, the operator's issuing machine does it; otherwise the provider's officer.
    """
    # Two approvals at once for one system: the second waits here and then sees the first one's account. Who has opened
    # grants before holds the system since then (`locks`).
    hold((), {system.code})
    held = Credential.objects.filter(system=system, environment=environment)
    open_rows = held.filter(status=CredentialStatus.UNCLAIMED) if replaces else held.exclude(status=CredentialStatus.REVOKED)
    if any(not _is_over(row) for row in open_rows):
        return None
    issuer = get_user_model().objects.machine(MACHINE_ISSUER) if delegated and not replaces else by
    credential = Credential.objects.create(
        system=system, environment=environment, client_id=_client_id(system, environment), issued_by=issuer, replaces=replaces
    )
    raise_epoch("credential", credential.uuid)
    audit.record(
        "credential.issued", credential, by=issuer, organizations=[system.organization], environment=environment,
        delegated=delegated,
    )  # fmt: skip
    return credential


def _is_over(credential: Credential) -> bool:
    return credential.expires_at is not None and credential.expires_at <= timezone.now()


def _client_id(system: InformationSystem, environment: str) -> str:
    """`<system>-<environment>-<n>`: readable in a log, never reused."""
    count = Credential.objects.filter(system=system, environment=environment).count()
    return f"{system.code[:60]}-{'test' if environment == Environment.TEST else 'prod'}-{count + 1}"


def lifetime_end(now: datetime.datetime, months: int) -> datetime.datetime:
    """`months` later, at the same hour; the last day of a shorter month."""
    year, month = divmod(now.month - 1 + months, 12)
    day = now.day
    while True:
        try:
            return now.replace(year=now.year + year, month=month + 1, day=day)
        except ValueError:
            day -= 1
