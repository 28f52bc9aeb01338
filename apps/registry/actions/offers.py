"""Verbs on data services."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.changes import change, save_valid
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.permissions import require
from apps.core.text import clean
from apps.core.workflow import came_second
from apps.organizations.locks import hold_active
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator
from apps.registry.choices import Classification, Protocol, ServiceStatus, SharingForm
from apps.registry.completeness import lost
from apps.registry.models import DataService, UsageRegulation
from apps.registry.workflow import SERVICE

FACTS = (
    "name", "description", "sharing_form", "classification", "protocol", "is_master_data", "account_issuing_delegated",
    "capacity_rps", "daily_quota", "usage_regulation", "contact", "sla",
)  # fmt: skip
ON_THE_WIRE = {"capacity_rps", "daily_quota", "classification", "protocol"}


@transaction.atomic
def register_service(
    provider: Organization,
    *,
    by,
    code: str,
    name: str,
    description: str = "",
    sharing_form: str = SharingForm.DEFAULT,
    classification: str = Classification.SHARED,
    protocol: str = Protocol.REST,
    usage_regulation: UsageRegulation | None = None,
    capacity_rps: int | None = None,
    daily_quota: int | None = None,
    contact: str = "",
    sla: str = "",
    is_master_data: bool = False,
    account_issuing_delegated: bool = True,
) -> DataService:
    """Enter a data sharing service of `provider` (NĐ 47/2020 Điều 24); what publishing needs may come later.

    Raises NotPermitted, InvalidFact (also for a secret classification: AG-21), Conflict.
    """
    require(by, "registry.register_service", provider)
    hold_active(provider)
    service = DataService(
        provider=provider, code=code.strip().lower(), name=clean(name), description=description.strip(),
        sharing_form=sharing_form, classification=classification, protocol=protocol, usage_regulation=usage_regulation,
        capacity_rps=capacity_rps, daily_quota=daily_quota, contact=clean(contact), sla=sla.strip(),
        is_master_data=is_master_data, account_issuing_delegated=account_issuing_delegated,
    )  # fmt: skip
    _check(service)
    save_valid(service)
    audit.record("service.registered", service, by=by, organizations=[provider], code=service.code)
    return service


@transaction.atomic
def change_service(service: DataService, *, by, version: int | None = None, **facts) -> dict:
    """Write facts of a service (never its code, provider or status); return what changed.

    Raises FactMissing when a published service would lack by it what publishing needs (WF-11, WF-13, AG-04).
    """
    require(by, "registry.change_service", service)
    if service.status == ServiceStatus.RETIRED:
        raise came_second(service, _("The service is retired."), Conflict, code="service_retired")
    if "usage_regulation" in facts:
        _check(service, facts["usage_regulation"])
    if facts.get("protocol", service.protocol) != service.protocol and _is_in_use(service):
        raise InvalidFact(
            code="service_in_use",
            fields={"protocol": [_("Access of other systems rests on this service: its protocol stays as it is.")]},
        )
    changed = change(service, facts=facts, allowed=FACTS, version=version)
    if changed:
        if service.versions.live().exists() and (gaps := lost(service, changed)):
            raise FactMissing(_("The service is published: what publishing needs stays complete."), fields=gaps)
        if ON_THE_WIRE & changed.keys():
            raise_epoch("dataservice", service.uuid)
        audit.record("service.changed", service, by=by, organizations=[service.provider], changes=changed)
    return changed


@transaction.atomic
def suspend_service(service: DataService, *, by, reason: str, version: int | None = None) -> DataService:
    """No call of the service is admitted from the next one on. What the operator suspends only the operator resumes."""
    _reasoned(reason)
    by_operator = not by.has_perm("registry.change_service", service)
    return _move(service, "suspend", "service.suspended", by=by, reason=reason, version=version,
                 suspended_by_operator=by_operator)  # fmt: skip


@transaction.atomic
def resume_service(service: DataService, *, by, reason: str = "", version: int | None = None) -> DataService:
    SERVICE.check(service, "resume", by=by, version=version)
    if service.suspended_by_operator and not is_operator(by):
        raise NotPermitted(_("The operator suspended the service: only the operator resumes it."), code="suspended_by_operator")
    return _move(service, "resume", "service.resumed", by=by, reason=reason, version=version, suspended_by_operator=False)


@transaction.atomic
def retire_service(service: DataService, *, by, reason: str, version: int | None = None) -> DataService:
    """The end of a service. Its agreements and versions are ended by their own verbs, which announce it; its calls end here.

    Raises Conflict (`service_in_use`) while access rests on it.
    """
    _reasoned(reason)
    SERVICE.check(service, "retire", by=by, version=version)
    if _is_in_use(service):
        raise Conflict(
            _("Access of other systems rests on this service: announce the end of its versions and retire them first."),
            code="service_in_use",
        )
    return _move(service, "retire", "service.retired", by=by, reason=reason, version=version)


def _is_in_use(service: DataService) -> bool:
    """Whether access that has not ended rests on it. Whoever opens access holds the service's row: the two take turns."""
    DataService.objects.select_for_update(no_key=True).only("pk").get(pk=service.pk)
    return service.versions.filter(operations__grants__status__in=("active", "suspended")).exists()


def _move(service: DataService, verb: str, event: str, *, by, reason: str, version: int | None, **facts) -> DataService:
    SERVICE.move(service, verb, by=by, version=version, **facts)
    raise_epoch("dataservice", service.uuid)
    audit.record(event, service, by=by, organizations=[service.provider], reason=clean(reason))
    return service


def _check(service: DataService, regulation: UsageRegulation | None = None) -> None:
    """The regulation is the provider's own or came to it by a merge; a secret classification has no value to be saved under (AG-21)."""
    if service.classification not in Classification.values:
        raise InvalidFact(
            _("Data that is a state secret never passes this platform (NĐ 47/2020/NĐ-CP Điều 1(2))."),
            code="state_secret", fields={"classification": [_("Choose open, shared or restricted.")]},
        )  # fmt: skip
    regulation = regulation or service.usage_regulation
    if regulation is not None and regulation.keeper_id != service.provider_id:
        raise InvalidFact(fields={"usage_regulation": [_("The regulation belongs to another organization.")]})


def _reasoned(reason: str) -> None:
    if not clean(reason):
        raise InvalidFact(fields={"reason": [_("Give a reason.")]})
