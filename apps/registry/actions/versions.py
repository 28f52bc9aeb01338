"""Verbs on versions: from a draft that may be filled in any order to a contract nobody edits."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.changes import save_valid
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact
from apps.core.permissions import require
from apps.core.workflow import came_second, stale
from apps.organizations.choices import OrganizationStatus
from apps.registry.choices import ServiceStatus, VersionStatus
from apps.registry.completeness import completeness
from apps.registry.contract import contract_of, write_contract
from apps.registry.models import DataService, ServiceVersion, Upstream
from apps.registry.workflow import VERSION


@transaction.atomic
def add_version(service: DataService, *, by, bump: str = "minor", change_note: str = "", copy: bool = True) -> ServiceVersion:
    """Open the next draft: 1.0 first, then the next minor (or major) after the newest, with the contract and addresses of the
    newest that was published: what was discarded is not what one goes on from.

    Raises Conflict while another draft is open (`draft_open`) or the service is retired.
    """
    require(by, "registry.add_version", service)
    service.refresh_from_db(from_queryset=DataService.objects.select_for_update(no_key=True))
    if service.status == ServiceStatus.RETIRED:
        raise came_second(service, _("The service is retired."), Conflict, code="service_retired")
    if bump not in ("minor", "major"):
        raise InvalidFact(fields={"bump": [_("Choose minor or major.")]})
    draft = service.versions.filter(status=VersionStatus.DRAFT).first()
    if draft is not None:
        raise came_second(draft, _("A draft is open already: finish or discard it first."), Conflict, code="draft_open")
    newest = service.versions.order_by("-major", "-minor").first()
    major, minor = _next_number(newest, bump)
    version = save_valid(ServiceVersion(service=service, major=major, minor=minor, change_note=change_note.strip()))
    if copy and newest is not None:
        published = service.versions.filter(published_at__isnull=False).order_by("-major", "-minor").first()
        _copy_contract(published or newest, version)
    audit.record("service_version.drafted", version, by=by, organizations=[service.provider])
    return version


@transaction.atomic
def mark_ready(version: ServiceVersion, *, by, ready_at: datetime.datetime | None = None) -> ServiceVersion:
    """Say that the service works: from here the time to publish it runs (rule `service.publish`: NĐ 47/2020 Điều 25(1), WF-12).

    A clock that runs may be found to have begun earlier, never later. Raises InvalidFact, Conflict (`already_ready`).
    """
    require(by, "registry.change_version", version)
    lock_draft(version)
    now = timezone.now()
    if ready_at is not None and ready_at > now:
        raise InvalidFact(fields={"ready_at": [_("This moment is still to come.")]})
    if version.ready_at is not None and (ready_at or now) > version.ready_at:
        raise came_second(
            version, _("The time for publishing runs already: it does not begin anew."), Conflict, code="already_ready"
        )
    version.ready_at = ready_at or now
    version.version += 1
    version.save(update_fields=["ready_at", "version", "updated_at"])
    audit.record("service_version.ready", version, by=by, organizations=[version.service.provider],
                 ready_at=version.ready_at.isoformat())  # fmt: skip
    return version


@transaction.atomic
def publish_version(
    version: ServiceVersion, *, by, expected: int | None = None, replaces: ServiceVersion | None = None
) -> ServiceVersion:
    """Publish a complete draft; from here nobody edits it.

    A live version of the same major is replaced only when the caller names it as `replaces`: whoever looks at the
    agreements that rest on it (`agreements.actions.publish_service_version`) does. Raises FactMissing (`fields`: what
    is missing), Conflict (`minor_in_use`, `service_not_active`, …), NotPermitted, TransitionNotAllowed.
    """
    VERSION.check(version, "publish", by=by, version=expected)
    # The service's row is the lock: of two drafts of one service one is published after the other.
    service = (
        DataService.objects.select_for_update(of=("self",), no_key=True)
        .select_related("provider", "usage_regulation")
        .get(pk=version.service_id)
    )
    version.service = service
    _fit_to_publish(version)
    live = service.versions.live().filter(major=version.major).first()
    if live is not None:
        _may_replace(live, version, replaces)
        VERSION.move(live, "replace", by=by)
        raise_epoch("serviceversion", live.uuid)
        # Of its own: who comes second to the older one, with the announcement of its end, is told who was first (CC-01).
        audit.record("service_version.replaced", live, by=by, organizations=[service.provider],
                     successor=f"{version.major}.{version.minor}")  # fmt: skip
    now = timezone.now()
    VERSION.move(version, "publish", by=by, published_at=now, published_by=by, ready_at=version.ready_at or now)
    raise_epoch("serviceversion", version.uuid)
    audit.record("service_version.published", version, by=by, organizations=[service.provider],
                 replaced=str(live.uuid) if live else None)  # fmt: skip
    return version


@transaction.atomic
def deprecate_version(version: ServiceVersion, *, by, until: datetime.date, expected: int | None = None) -> ServiceVersion:
    """Announce the day after which a version will be retired (TE-19). It keeps answering until then."""
    if until <= timezone.localdate():
        raise InvalidFact(fields={"until": [_("Choose a day that is still to come.")]})
    VERSION.move(version, "deprecate", by=by, version=expected, deprecated_on=until)
    audit.record("service_version.deprecated", version, by=by, organizations=[version.service.provider], until=str(until))
    return version


@transaction.atomic
def postpone_end(version: ServiceVersion, *, by, until: datetime.date, expected: int | None = None) -> ServiceVersion:
    """Announce a later day for the end of a deprecated version.

    Raises InvalidFact unless `until` lies after today and after the day that was announced.
    """
    VERSION.check(version, "postpone", by=by, version=expected)
    announced = version.deprecated_on
    if until <= max(announced, timezone.localdate()):
        raise InvalidFact(fields={"until": [_("Choose a day that is still to come, later than the one announced.")]})
    VERSION.move(version, "postpone", by=by, version=expected, deprecated_on=until)
    audit.record("service_version.postponed", version, by=by, organizations=[version.service.provider], until=str(until),
                 before=str(announced))  # fmt: skip
    return version


@transaction.atomic
def retire_version(version: ServiceVersion, *, by, reason: str, expected: int | None = None) -> ServiceVersion:
    """End a version: no call of it is admitted from the next one on."""
    if not reason.strip():
        raise InvalidFact(fields={"reason": [_("Give a reason.")]})
    VERSION.move(version, "retire", by=by, version=expected)
    raise_epoch("serviceversion", version.uuid)
    audit.record("service_version.retired", version, by=by, organizations=[version.service.provider], reason=reason.strip())
    return version


@transaction.atomic
def discard_version(version: ServiceVersion, *, by, expected: int | None = None) -> ServiceVersion:
    """Close a draft nobody wants. Its number stays taken."""
    VERSION.move(version, "discard", by=by, version=expected)
    audit.record("service_version.discarded", version, by=by, organizations=[version.service.provider])
    return version


def _next_number(newest: ServiceVersion | None, bump: str) -> tuple[int, int]:
    if newest is None:
        return 1, 0
    return (newest.major + 1, 0) if bump == "major" else (newest.major, newest.minor + 1)


def _copy_contract(source: ServiceVersion, target: ServiceVersion) -> None:
    contract = contract_of(source)
    write_contract(target, contract)
    target.interface_spec = contract.spec
    target.save(update_fields=["interface_spec", "updated_at"])
    for row in source.upstreams.all():
        Upstream.objects.create(
            version=target, environment=row.environment, base_url=row.base_url, auth_kind=row.auth_kind,
            auth_settings=row.auth_settings, secret=row.secret, timeout_ms=row.timeout_ms,
            max_response_bytes=row.max_response_bytes, max_concurrency=row.max_concurrency,
        )  # fmt: skip


def lock_draft(version: ServiceVersion, expected: int | None = None) -> None:
    version.refresh_from_db(from_queryset=ServiceVersion.objects.select_for_update(no_key=True))
    if version.status != VersionStatus.DRAFT:
        raise came_second(version, _("A published version is never edited: add a new one."), state=version.status)
    if expected is not None and expected != version.version:
        raise stale(version)


def _fit_to_publish(version: ServiceVersion) -> None:
    if version.service.status != ServiceStatus.ACTIVE:
        raise Conflict(_("The service is not active."), code="service_not_active")
    if version.service.provider.status != OrganizationStatus.ACTIVE:
        raise Conflict(_("The agency is not active."), code="organization_not_active")
    result = completeness(version)
    if not result.is_complete:
        raise FactMissing(
            _("The service is %(score)d %% complete; it can be published when nothing is missing.") % {"score": result.score},
            code="incomplete", fields={item.code: [item.hint] for item in result.missing}, score=result.score,
        )  # fmt: skip


def _may_replace(live: ServiceVersion, version: ServiceVersion, replaces: ServiceVersion | None) -> None:
    if (live.major, live.minor) > (version.major, version.minor):
        raise Conflict(_("A newer version of the same major is live."), code="older_than_live")
    if replaces is None or replaces.pk != live.pk:
        raise Conflict(
            _("Version %(number)s is in use: agreements may rest on it, so a minor version replaces it only together with them.")
            % {"number": f"{live.major}.{live.minor}"},
            code="minor_in_use", live=str(live.uuid),
        )  # fmt: skip
