"""The directory: agencies as a tree, and each with its focal point, systems, people and services on one page."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.organizations.admin.agencies import OrganizationAdmin
from apps.organizations.admin.people import MembershipAdmin, UserAdmin
from apps.organizations.admin.systems import InformationSystemAdmin
from apps.organizations.choices import AGENCY_ROLES, OrganizationKind, Role, SystemStatus
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization
from apps.portal import case
from apps.portal.doors import asked, find, form_page, page
from apps.portal.planned import planned_suspensions
from apps.portal.verb_pages import links, open_page
from apps.registry.models import DataService

MOST_OPEN = 60
"""Up to so many agencies the whole tree stands open."""
PEOPLE = {p.name: p for p in MembershipAdmin.verb_pages}
ACCOUNTS = {p.name: p for p in UserAdmin.verb_pages}
AGENCY = {p.name: p for p in OrganizationAdmin.verb_pages}
SYSTEM = {p.name: p for p in InformationSystemAdmin.verb_pages}


@page
def agencies(request: HttpRequest) -> HttpResponse:
    rows = list(_filtered(request).select_related("parent").prefetch_related(_focal()).order_by("sort_key", "pk"))
    user = request.user
    context = {
        "title": _("Agencies"),
        "crumbs": [(_("Home"), reverse("home"))],
        "chosen": request.GET,
        "kinds": OrganizationKind.choices,
        "count": len(rows),
        "is_filtered": any(asked(request, name) for name in ("q", "kind", "focal")),
        "rows": rows,
        "tree": _tree(rows),
        "all_open": len(rows) <= MOST_OPEN,
        "without": Organization.objects.visible_to(user).active().exclude(focal_points__ended_at__isnull=True, focal_points__isnull=False).count(),
        "may_register": user.has_perm("organizations.register_organization"),
        "may_import": user.has_perm("organizations.import_file"),
    }  # fmt: skip
    return render(request, "portal/agencies.html", context)


def _focal() -> Prefetch:
    return Prefetch("focal_points", FocalPoint.objects.current())


def _filtered(request: HttpRequest):
    rows = Organization.objects.visible_to(request.user).search(asked(request, "q"))
    if asked(request, "kind") in OrganizationKind.values:
        rows = rows.filter(kind=asked(request, "kind"))
    if asked(request, "focal") == "none":
        named = FocalPoint.objects.current().values("organization")
        rows = rows.active().exclude(pk__in=named)
    return rows


def _tree(rows: list[Organization]) -> list[Organization]:
    """The roots; every row carries its `branches`. A row whose parent is not among the rows is a root."""
    known = {row.pk: row for row in rows}
    roots = []
    for row in rows:
        row.branches = []
    for row in rows:
        (known[row.parent_id].branches if row.parent_id in known else roots).append(row)
    return roots


def _crumbs(row: Organization | None = None) -> list:
    found = [(_("Home"), reverse("home")), (_("Agencies"), reverse("portal:agencies"))]
    return [*found, (row.name, reverse("portal:agency", args=[row.code]))] if row is not None else found


def _agency(request: HttpRequest, code: str) -> Organization:
    """By either form of its identifier."""
    found = Organization.objects.visible_to(request.user).select_related("parent").by_code(code)
    if found is None:
        raise Http404
    return found


@page
def agency(request: HttpRequest, code: str) -> HttpResponse:
    row = _agency(request, code)
    user = request.user
    focal = list(FocalPoint.objects.visible_to(user).filter(organization=row).order_by("ended_at", "-id"))
    systems = list(InformationSystem.objects.visible_to(user).filter(organization=row).order_by("sort_key"))
    for system in systems:
        system.gap = _gap(system)
        system.buttons = links(
            SYSTEM_STEPS, system, user, lambda name, at=system.code: reverse("portal:system-step", args=[at, name])
        )
    buttons = links(
        {name: p for name, p in AGENCY.items() if not p.on_list}, row, user,
        lambda name: reverse("portal:agency-step", args=[row.code, name]),
    )  # fmt: skip
    context = {
        "title": row.name,
        "crumbs": _crumbs(),
        "agency": row,
        "children": Organization.objects.visible_to(user).filter(parent=row).order_by("sort_key"),
        "focal": [point for point in focal if point.ended_at is None],
        "former": [point for point in focal if point.ended_at is not None],
        "systems": systems,
        "sees_systems": bool(systems) or user.has_perm("organizations.register_system", row),
        "people": _people(row, user),
        "services": DataService.objects.visible_to(user).filter(provider=row).live().order_by("sort_key"),
        "buttons": buttons,
        "may_add_system": user.has_perm("organizations.register_system", row),
        "may_give_role": user.has_perm("organizations.give_role", row),
        "timeline": case.timeline(row, limit=20) if user.has_perm("organizations.name_focal_point", row) else [],
        **(planned_suspensions(user, agency=row) if systems else {}),
    }  # fmt: skip
    return render(request, "portal/agency.html", context)


def _people(row: Organization, user) -> list[Membership]:
    """Who holds which role there now, as far as `user` may see it, which of them `user` may end, and of which signers name the document."""
    found = Membership.objects.visible_to(user).current().filter(organization=row).select_related("user", "organization")
    people = list(found.order_by("role", "id"))
    every = user.has_perm("organizations.give_any_role")
    ends, gives = (user.has_perm(f"organizations.{verb}_role", row) for verb in ("end", "give"))
    for held in people:
        is_other = held.user_id != user.pk
        held.may_end = ends and is_other and (every or held.role in AGENCY_ROLES)
        held.may_name_document = gives and is_other and held.role == Role.SIGNER
    return people


SYSTEM_STEPS = {name: p for name, p in SYSTEM.items() if not p.on_list}


def _gap(system: InformationSystem) -> str:
    """What keeps the system from being connected (TT 06/2026/TT-BKHCN Điều 8(2), WF-61); empty when nothing does."""
    if system.status != SystemStatus.ACTIVE:
        return ""
    if not system.security_level or not system.security_decision:
        return _("The security level and its decision are not recorded: it cannot be connected.")
    if system.security_expires_on and system.security_expires_on < timezone.localdate():
        return _("The decision on the security level has expired: it cannot be connected.")
    return ""


@form_page
def new_agency(request: HttpRequest) -> HttpResponse:
    return open_page(request, AGENCY["register"], None, back=reverse("portal:agencies"), crumbs=_crumbs())


@form_page
def import_file(request: HttpRequest) -> HttpResponse:
    return open_page(request, AGENCY["import"], None, back=reverse("portal:agencies"), crumbs=_crumbs())


@form_page
def agency_step(request: HttpRequest, code: str, verb: str) -> HttpResponse:
    if verb not in AGENCY or AGENCY[verb].on_list:
        raise Http404
    row = _agency(request, code)
    return open_page(request, AGENCY[verb], row, back=reverse("portal:agency", args=[row.code]), crumbs=_crumbs(row))


@form_page
def new_system(request: HttpRequest, code: str) -> HttpResponse:
    row = _agency(request, code)
    if not request.user.has_perm("organizations.register_system", row):
        raise PermissionDenied
    back = reverse("portal:agency", args=[row.code])
    return open_page(request, SYSTEM["register"], None, back=back, crumbs=_crumbs(row), initial={"organization": row.code})


@form_page
def give_role(request: HttpRequest, code: str) -> HttpResponse:
    return _for_people(request, code, PEOPLE["give"], "organizations.give_role")


@form_page
def new_person(request: HttpRequest, code: str) -> HttpResponse:
    """An account for somebody of the agency, with a first role there (WF-06)."""
    return _for_people(request, code, ACCOUNTS["open"], "organizations.give_role")


def _for_people(request: HttpRequest, code: str, verb, permission: str) -> HttpResponse:
    row = _agency(request, code)
    if not request.user.has_perm(permission, row):
        raise PermissionDenied
    back = reverse("portal:agency", args=[row.code])
    return open_page(request, verb, None, back=back, crumbs=_crumbs(row), initial={"organization": row.code})


@form_page
def change_authority(request: HttpRequest, code: str, uuid) -> HttpResponse:
    """By what document a signer of the agency signs."""
    return _of_role(request, code, uuid, PEOPLE["authority"])


@form_page
def end_role(request: HttpRequest, code: str, uuid) -> HttpResponse:
    return _of_role(request, code, uuid, PEOPLE["end"])


def _of_role(request: HttpRequest, code: str, uuid, verb) -> HttpResponse:
    agency = _agency(request, code)
    row = find(Membership.objects.select_related("organization", "user"), request.user, uuid=uuid, organization=agency)
    back = reverse("portal:agency", args=[agency.code])
    return open_page(request, verb, row, back=back, crumbs=_crumbs(agency))


@form_page
def system_step(request: HttpRequest, code: str, verb: str) -> HttpResponse:
    if verb not in SYSTEM_STEPS:
        raise Http404
    row = find(InformationSystem.objects.select_related("organization"), request.user, code=code)
    back = reverse("portal:agency", args=[row.organization.code])
    return open_page(request, SYSTEM_STEPS[verb], row, back=back, crumbs=_crumbs(row.organization))
