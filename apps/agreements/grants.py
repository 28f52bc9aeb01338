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

from apps.agreements.choices import CredentialStatus, GrantStatus, VersionState
from apps.agreements.content import term_of
from apps.agreements.locks import held_grants, hold
from apps.agreements.models import Agreement, AgreementVersion, ConsumerSuspension, Credential, Grant
from apps.agreements.suspensions import carry_to, lift
from apps.agreements.workflow import GRANT
from apps.audit import actions as audit
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment, SharingForm
from apps.registry.models import Operation, Purpose
from apps.registry.querysets import LIVE

MACHINE_ISSUER = "account-issuer"


def open_grants(
    version: AgreementVersion, system: InformationSystem, environment: str, *, by, before=(), only: set[int] | None = None
) -> list[Grant]:
    """One grant an operation of the content (of those whose keys are `only`), for `system` in `environment`, in place of those that ran `before`.

    In the test environment from now, in production from the agreement's first day, of a version that begins later from then.
    What was retired since opens no more; raises FactMissing (`operation_gone`) when nothing is left. The caller holds the
    services (`locks`).
    """
    rows = [row for row in version.content["scope"] if operation_of(row).version.status in LIVE]
    if not rows:
        raise FactMissing(_("The versions of the services that were agreed on are retired."), code="operation_gone")
    rows = [row for row in rows if only is None or operation_of(row).pk in only]
    if not rows:
        raise FactMissing(_("This system has no test access under the agreement."), code="no_test_access")
    now = timezone.now()
    starts, ends = term_of(version.content, version.agreement.in_force_at or now)
    first = now if environment == Environment.TEST else max(starts, version.agreement.valid_from or starts)
    first = version.begins_at if version.state == VersionState.SCHEDULED else first
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
        status_reason=reason, codes_day=method.get("codes_day"), is_planned=version.state == VersionState.SCHEDULED,
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
    """End the open grants of `agreement`, running and planned (those that `which`, field lookups, names); how many there were."""
    return _close(held_grants(agreement=agreement, **which), by, reason)


def _close(grants: list[Grant], by, reason: str) -> int:
    for grant in grants:
        GRANT.move(grant, "close", by=by, status_reason=reason)
        raise_epoch("grant", grant.uuid)
    return len(grants)


def open_production(version: AgreementVersion, system: InformationSystem, *, by) -> list[Grant]:
    """Production as the content says, in place of what ran there; what was suspended on its own stays so.

    Only what can still be tested: an access that somebody ended after it was tested opens nothing. Raises FactMissing (`no_test_access`)
    when none can. What a later version has of it follows. The caller holds the agreement and the services of both.
    """
    agreement, here = version.agreement, {"system": system, "environment": Environment.PRODUCTION}
    running, _planned = _apart(held_grants(agreement=agreement, **here))
    # Whoever ends one takes the agreement first, and whoever moves one the services: the caller holds both.
    tested = agreement.grants.open().filter(system=system, environment=Environment.TEST, is_planned=False)
    # By rows of its own: `running` tells what stood still before.
    close_grants(agreement, by=by, reason=_("replaced"), **here)
    opened = open_grants(version, by=by, before=running, only=set(tested.values_list("operation_id", flat=True)), **here)
    later = agreement.versions.filter(state=VersionState.SCHEDULED).first()
    if later is not None:
        later.agreement = agreement
        _cut(opened, later.begins_at)
        _follow(later, opened, by)
    return opened


def _apart(grants: list[Grant]) -> tuple[list[Grant], list[Grant]]:
    """What runs, and what a later version brings."""
    return [grant for grant in grants if not grant.is_planned], [grant for grant in grants if grant.is_planned]


def follow_version(version: AgreementVersion, systems, *, by) -> None:
    """Grants follow a new version of an agreement in force, which the caller holds with the services and systems of it.

    Test access is the new content at once. Production keeps what was tested: of each operation the fields that
    the old grant had and the new content still has; the rest opens with the acceptance of the new version. So a
    narrower content narrows production at once, and a wider one widens it only after a test (WF-35, section 7).
    What was suspended on its own stays suspended; what ended before opens again only for those who asked for the version.
    Of a version that begins later nothing of this happens before: what runs ends at that moment, and what follows it is there already.
    """
    agreement = version.agreement
    running, _planned = _apart(held_grants(agreement=agreement))
    if version.state == VersionState.SCHEDULED:
        _cut(running, version.begins_at)
    else:
        close_grants(agreement, by=by, reason=_replaced_by(version))
    anew = _opened_anew(version, systems)
    for system in anew:
        open_grants(version, system, Environment.TEST, by=by, before=running)
    kept, tested_anew = {system.pk for system in systems}, {system.pk for system in anew}
    _follow(
        version, [old for old in running if old.system_id in kept
                  and not (old.environment == Environment.TEST and old.system_id in tested_anew)], by,
    )  # fmt: skip


def _replaced_by(version: AgreementVersion) -> str:
    return _("replaced by version %(number)s") % {"number": version.number}


def _follow(version: AgreementVersion, running: list[Grant], by) -> None:
    """Of each grant that runs, what the new content still has of its operation and fields."""
    rows = {operation_of(row).pk: row for row in version.content["scope"]}
    starts, ends = term_of(version.content, timezone.now())
    for old in running:
        row = rows.get(old.operation_id)
        if row is None:
            continue
        had = [field for field in row["fields"] if field["path"] in set(old.fields)]
        if not had:
            continue  # all it is about is new, and is tested first
        _open(version, old.system, old.environment, {**row, "fields": had}, version.begins_at or starts, ends, by, running)


def _cut(grants: list[Grant], ends: datetime.datetime | None) -> None:
    """Let what runs run until `ends`: the moment from which a later version gives its own."""
    for grant in grants:
        grant.valid_to = ends
        grant.version += 1
        grant.save(update_fields=["valid_to", "version", "updated_at"])
        raise_epoch("grant", grant.uuid)


def drop_plan(agreement: Agreement, current: AgreementVersion, *, by, reason: str) -> None:
    """A later version will not begin: what runs goes on to the end of its own term."""
    running, planned = _apart(held_grants(agreement=agreement))
    _close(planned, by, reason)
    _starts, ends = term_of(current.content, timezone.now())
    _cut(running, ends)


def begin_plan(version: AgreementVersion, *, by) -> None:
    """The moment has come: what ran is over, what was planned runs. The gateway has done so at that moment by its own reading."""
    running, planned = _apart(held_grants(agreement=version.agreement))
    _close(running, by, _replaced_by(version))
    for grant in planned:
        grant.is_planned = False
        grant.version += 1
        grant.save(update_fields=["is_planned", "version", "updated_at"])
        raise_epoch("grant", grant.uuid)


def planned_after(grant: Grant) -> list[Grant]:
    """What a later version gives in place of `grant`, and of nothing else that runs: what ends with it.

    The operation in the same major version, and in majors of which nothing runs once no other major does.
    """
    others, planned = _same_operation(grant)
    major = grant.operation.version.major
    return [row for row in planned if row.operation.version.major == major or not others]


def _follows(grant: Grant) -> list[Grant]:
    """What a later version gives that stands still when `grant` does: the same major, and every new one."""
    others, planned = _same_operation(grant)
    running = {row.operation.version.major for row in others}
    major = grant.operation.version.major
    return [row for row in planned if row.operation.version.major == major or row.operation.version.major not in running]


def _same_operation(grant: Grant) -> tuple[list[Grant], list[Grant]]:
    """What runs of the grant's operation beside it, in other majors, and what a later version brings of it."""
    rows = held_grants(
        agreement=grant.agreement, system=grant.system, environment=grant.environment,
        operation__code=grant.operation.code, operation__version__service=grant.operation.version.service_id,
    )  # fmt: skip
    running, planned = _apart(rows)
    return [row for row in running if row.pk != grant.pk], planned


def follow_suspensions(grant: Grant, *, by) -> None:
    """What a later version gives in place of `grant` stands still for the same reasons, by copies of the same rows, as if it were opened now.

    So nothing opens at its moment that stood still before, and it is lifted with what runs. What its consumer's suspension holds stays held.
    """
    running, _planned = _apart(held_grants(agreement=grant.agreement, system=grant.system, environment=grant.environment))
    for row in _follows(grant):
        alone = _suspended_alone(running, row.system, row.operation, row.environment)
        standing = {one.provider_id: one for one in alone.standing_suspensions()} if alone else {}
        own = {one.provider_id: one for one in row.standing_suspensions()}
        carry_to(row, [one for provider, one in standing.items() if provider not in own])
        if alone and row.status == GrantStatus.ACTIVE:
            GRANT.move(row, "suspend", by=by, status_reason=alone.status_reason)
        elif alone is None and row.status == GrantStatus.SUSPENDED and row.held_by_id is None:
            GRANT.move(row, "resume", by=by, status_reason="")
        lift([one for provider, one in own.items() if provider not in standing], by=by)
        raise_epoch("grant", row.uuid)


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
