"""Verbs on information systems: the subjects of grants."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.changes import change, save_valid
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, InvalidFact
from apps.core.permissions import require
from apps.core.text import clean
from apps.organizations.choices import Network, SystemKind, SystemStatus
from apps.organizations.locks import hold_active
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.workflow import SYSTEM

CHANGEABLE = ("name", "kind", "network", "security_level", "security_decision", "security_expires_on")
ON_THE_WIRE = {"network"}


@transaction.atomic
def register_system(
    organization: Organization,
    *,
    by,
    code: str,
    name: str,
    kind: str = SystemKind.OTHER,
    network: str = Network.TSLCD,
    security_level: int | None = None,
    security_decision: str = "",
    security_expires_on: datetime.date | None = None,
) -> InformationSystem:
    """Enter a system of an agency with its network and security level (WF-61). Raises NotPermitted, InvalidFact, Conflict."""
    require(by, "organizations.register_system", organization)
    hold_active(organization)
    system = InformationSystem(
        organization=organization, code=code.strip().lower(), name=clean(name), kind=kind, network=network,
        security_level=security_level, security_decision=clean(security_decision), security_expires_on=security_expires_on,
    )  # fmt: skip
    save_valid(system)
    audit.record("system.registered", system, by=by, organizations=[organization], code=system.code)
    return system


@transaction.atomic
def change_system(system: InformationSystem, *, by, version: int | None = None, **facts) -> dict:
    """Write facts of a system; its owner and code stay (grants and logs name them). Returns what changed."""
    require(by, "organizations.change_system", system)
    if system.status == SystemStatus.RETIRED:
        raise Conflict(_("The system is retired."), code="system_retired")
    for name in ("name", "security_decision"):
        if name in facts:
            facts[name] = clean(facts[name])
    changed = change(system, facts=facts, allowed=CHANGEABLE, version=version)
    if changed:
        if ON_THE_WIRE & changed.keys():
            raise_epoch("informationsystem", system.uuid)
        audit.record("system.changed", system, by=by, organizations=[system.organization], changes=changed)
    return changed


@transaction.atomic
def suspend_system(system: InformationSystem, *, by, reason: str, version: int | None = None) -> InformationSystem:
    """None of the system's calls is admitted from the next one on."""
    _reasoned(reason)
    SYSTEM.check(system, "suspend", by=by, version=version)
    return _move(system, "suspend", "system.suspended", by=by, reason=reason)


@transaction.atomic
def resume_system(system: InformationSystem, *, by, reason: str = "", version: int | None = None) -> InformationSystem:
    SYSTEM.check(system, "resume", by=by, version=version)
    return _move(system, "resume", "system.resumed", by=by, reason=reason)


@transaction.atomic
def retire_system(system: InformationSystem, *, by, reason: str, version: int | None = None) -> InformationSystem:
    """The end of a system. Its grants stop being admitted; agreements are ended by their own verb."""
    _reasoned(reason)
    SYSTEM.check(system, "retire", by=by, version=version)
    return _move(system, "retire", "system.retired", by=by, reason=reason)


def _move(system: InformationSystem, verb: str, event: str, *, by, reason: str) -> InformationSystem:
    SYSTEM.move(system, verb, by=by)
    raise_epoch("informationsystem", system.uuid)
    audit.record(event, system, by=by, organizations=[system.organization], reason=clean(reason))
    return system


def _reasoned(reason: str) -> None:
    if not clean(reason):
        raise InvalidFact(fields={"reason": [_("Give a reason.")]})
