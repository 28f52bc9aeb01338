"""Verbs on agencies and their focal points."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.audit import actions as audit
from apps.core.changes import change, save_valid
from apps.core.epoch import raise_epoch
from apps.core.errors import Conflict, InvalidFact, StaleVersion
from apps.core.permissions import require
from apps.core.text import clean
from apps.organizations.choices import NOBODY, OrganizationKind, OrganizationStatus, Role, SystemStatus
from apps.organizations.locks import lock_tree
from apps.organizations.models import FocalPoint, Membership, Organization
from apps.organizations.workflow import ORGANIZATION

CHANGEABLE = ("name", "short_name", "kind", "code", "old_code", "parent", "email", "phone", "address")
ON_THE_WIRE = {"code", "old_code", "name"}
"""What providers are told about a consumer: a change must reach the gateway."""
MAX_DEPTH = 10


@transaction.atomic
def register_organization(
    code: str,
    name: str,
    *,
    by,
    kind: str = OrganizationKind.DEPARTMENT,
    parent: Organization | None = None,
    short_name: str = "",
    old_code: str = "",
    email: str = "",
    phone: str = "",
    address: str = "",
    unique: bool = True,
) -> Organization:
    """Enter an agency under its identifier (QĐ 20/2020/QĐ-TTg). Raises NotPermitted, InvalidFact, Conflict."""
    require(by, "organizations.register_organization")
    organization = Organization(
        code=clean(code).upper(), name=clean(name), kind=kind, parent=parent, short_name=clean(short_name),
        old_code=clean(old_code).upper(), email=email.strip(), phone=clean(phone), address=clean(address),
    )  # fmt: skip
    _check_parent(organization)
    save_valid(organization, unique=unique)
    audit.record("organization.registered", organization, by=by, organizations=[organization], code=organization.code)
    return organization


@transaction.atomic
def change_organization(organization: Organization, *, by, version: int | None = None, **facts) -> dict:
    """Write facts of an agency; return what changed (name → [before, after]). Raises StaleVersion for an old form."""
    require(by, "organizations.change_organization", organization)
    _tidy(facts)
    if "parent" in facts:
        lock_tree()
        _check_parent(organization, facts["parent"])
    changed = change(organization, facts=facts, allowed=CHANGEABLE, version=version)
    if changed:
        if ON_THE_WIRE & changed.keys():
            raise_epoch("organization", organization.uuid)
        audit.record("organization.changed", organization, by=by, organizations=[organization], changes=changed)
    return changed


@transaction.atomic
def suspend_organization(organization: Organization, *, by, reason: str, version: int | None = None) -> Organization:
    """Nobody of the agency acts and none of its systems or services is admitted, from the next request and call on."""
    _reasoned(reason)
    ORGANIZATION.check(organization, "suspend", by=by, version=version)
    _not_the_operator(organization)
    return _move(organization, "suspend", "organization.suspended", by=by, reason=reason)


@transaction.atomic
def resume_organization(organization: Organization, *, by, reason: str = "", version: int | None = None) -> Organization:
    ORGANIZATION.check(organization, "resume", by=by, version=version)
    return _move(organization, "resume", "organization.resumed", by=by, reason=reason)


@transaction.atomic
def close_organization(organization: Organization, *, by, reason: str, version: int | None = None) -> Organization:
    """Close an agency that no longer exists: its roles end, its focal point ends, its history stays.

    Called by the floors above alone, which know what it has not finished (`disputes.closing`, and the merge). Raises Conflict while agencies under it or systems of it still live.
    """
    _reasoned(reason)
    ORGANIZATION.check(organization, "close", by=by, version=version)
    _not_the_operator(organization)
    if organization.children.exclude(status=OrganizationStatus.CLOSED).exists():
        raise Conflict(_("Agencies under it are still open: close or move them first."), code="has_children")
    if organization.systems.exclude(status=SystemStatus.RETIRED).exists():
        raise Conflict(_("It still has systems: retire or hand them over first."), code="has_systems")
    now = timezone.now()
    organization.memberships.filter(ended_at__isnull=True).update(ended_at=now)
    organization.focal_points.filter(ended_at__isnull=True).update(ended_at=now)
    return _move(organization, "close", "organization.closed", by=by, reason=reason)


@transaction.atomic
def name_focal_point(
    organization: Organization, *, by, name: str, position: str, phone: str, email: str, function: str = "", seen: str = ""
) -> FocalPoint:
    """Name the officer for data sharing (NĐ 47/2020 Điều 7, WF-01); the one named before is kept as history.

    `seen` is the uuid of the one the caller saw named, NOBODY when there was none: another one is StaleVersion.
    """
    require(by, "organizations.name_focal_point", organization)
    # The lock on the agency makes of two namings at the same instant one after the other.
    organization.refresh_from_db(from_queryset=Organization.objects.select_for_update(no_key=True))
    if organization.status == OrganizationStatus.CLOSED:
        raise Conflict(_("The agency is closed."), code="organization_closed")
    facts = {"name": clean(name), "position": clean(position), "phone": clean(phone), "email": email.strip()}
    facts["function"] = clean(function)
    current = organization.focal_points.filter(ended_at__isnull=True).first()
    present = str(current.uuid) if current else NOBODY
    if seen and seen != present:
        raise StaleVersion(_("Somebody else named a focal point meanwhile."), seen=present)
    if current is not None:
        if all(getattr(current, key) == value for key, value in facts.items()):
            return current
        organization.focal_points.filter(pk=current.pk).update(ended_at=timezone.now())
    focal_point = save_valid(FocalPoint(organization=organization, **facts))
    audit.record("focal_point.named", focal_point, by=by, organizations=[organization])
    return focal_point


def _move(organization: Organization, verb: str, event: str, *, by, reason: str) -> Organization:
    ORGANIZATION.move(organization, verb, by=by)
    raise_epoch("organization", organization.uuid)
    audit.record(event, organization, by=by, organizations=[organization], reason=clean(reason))
    return organization


def _tidy(facts: dict) -> None:
    for name in ("name", "short_name", "phone", "address"):
        if name in facts:
            facts[name] = clean(facts[name])
    for name in ("code", "old_code"):
        if name in facts:
            facts[name] = clean(facts[name]).upper()


def _check_parent(organization: Organization, parent: Organization | None = None) -> None:
    """A parent is open, is not below its own child, and the tree stays shallow enough for a page and a query."""
    parent = parent or organization.parent
    if parent is None:
        return
    if parent.status == OrganizationStatus.CLOSED:
        raise InvalidFact(fields={"parent": [_("The parent agency is closed.")]})
    above = [parent.pk]
    while (up := Organization.objects.filter(children=above[-1]).values_list("pk", flat=True).first()) is not None:
        above.append(up)
        if len(above) >= MAX_DEPTH:
            raise InvalidFact(fields={"parent": [_("The tree of agencies would become too deep.")]})
    if organization.pk in above:
        raise InvalidFact(fields={"parent": [_("An agency cannot stand under itself.")]})


def _not_the_operator(organization: Organization) -> None:
    """The agency in which the platform is operated cannot be shut from inside: nobody could open it again."""
    if Membership.objects.current().filter(organization=organization, role=Role.OPERATOR, user__is_active=True).exists():
        raise Conflict(_("The platform is operated from this agency: end its operators' roles first."), code="operating_agency")


def _reasoned(reason: str) -> None:
    if not clean(reason):
        raise InvalidFact(fields={"reason": [_("Give a reason.")]})
