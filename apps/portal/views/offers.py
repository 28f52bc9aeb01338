"""A provider's own services: the list, registering one, and everything about one on a page."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agreements.actions import change_service, resume_service, suspend_service
from apps.agreements.choices import GrantStatus
from apps.agreements.models import Grant
from apps.core.registers import VerbPage, facts_of, steps
from apps.organizations.choices import Role
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.portal import case, workbench
from apps.portal.doors import asked, find, form_page, page, paged
from apps.portal.offer_forms import OfferChangeForm, OfferForm
from apps.portal.verb_pages import links, open_page
from apps.registry import actions, forms
from apps.registry.choices import ServiceStatus
from apps.registry.clock import publishing_due
from apps.registry.models import DataService, ServiceVersion
from apps.registry.workflow import SERVICE


def offered_by(user):
    """The services a person answers for (provider officer or signer); platform readers see all."""
    rows = DataService.objects.visible_to(user)
    return (
        rows
        if is_platform_reader(user)
        else rows.filter(provider_id__in=organization_ids(user, Role.PROVIDER_OFFICER, Role.SIGNER))
    )


@page
def offers(request: HttpRequest) -> HttpResponse:
    versions = ServiceVersion.objects.exclude(status="retired").prefetch_related("upstreams").order_by("-major", "-minor")
    rows = offered_by(request.user).search(asked(request, "q")).select_related("provider", "usage_regulation")
    found = paged(request, rows.prefetch_related(Prefetch("versions", versions, to_attr="present")).order_by("sort_key", "id"))
    consumers = _consumers([row.pk for row in found])
    for row in found:
        row.consumers = consumers.get(row.pk, 0)
        for version in row.present:
            version.due_at = publishing_due(version) if version.status == "draft" else None
    context = {
        "title": _("Services of my agency"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": found,
        "chosen": request.GET,
        "may_register": request.user.has_perm("registry.register_service"),
    }
    return render(request, "portal/offers.html", context)


def _consumers(services: list[int]) -> dict[int, int]:
    """Service → how many systems have open production access."""
    rows = Grant.objects.filter(operation__version__service__in=services, environment="production").exclude(
        status=GrantStatus.ENDED
    )
    counted = rows.order_by().values("operation__version__service").annotate(n=Count("system", distinct=True))
    return {row["operation__version__service"]: row["n"] for row in counted}


def _register(request: HttpRequest, _obj, form) -> HttpResponse:
    """The service, its first draft, and the draft's contract when a document came along: all or nothing."""
    content = form.content()  # fetched before any transaction begins
    facts = form.facts()
    with transaction.atomic():
        service = actions.register_service(facts.pop("provider"), by=request.user, **facts)
        version = actions.add_version(service, by=request.user)
        notes = []
        if content is not None:
            notes = actions.import_document(version, content, by=request.user, source=form.source()).notes
    messages.success(request, _("The service is registered. Complete what is missing, then publish it."))
    workbench.tell_notes(request, notes)
    return redirect("portal:version", version.uuid)


REGISTER = VerbPage(
    "register", gettext_lazy("Register a service"), _register, "registry.register_service", OfferForm, "primary",
    template="portal/offer_form.html",
)  # fmt: skip


@form_page
def register(request: HttpRequest) -> HttpResponse:
    back = reverse("portal:offers")
    return open_page(
        request, REGISTER, None, back=back, crumbs=[(_("Home"), reverse("home")), (_("Services of my agency"), back)]
    )


def _add_version(request: HttpRequest, service: DataService, form) -> HttpResponse:
    made = actions.add_version(service, by=request.user, **form.facts())
    messages.success(request, _("A draft of version %(number)s was opened.") % {"number": made.number})
    return redirect("portal:version", made.uuid)


def _is_alive(service: DataService) -> bool:
    return service.status != ServiceStatus.RETIRED


PAGES = {
    page.name: page
    for page in (
        VerbPage("change", gettext_lazy("Change the description"), facts_of(change_service), "registry.change_service",
                 OfferChangeForm, when=_is_alive, template="portal/offer_form.html"),
        VerbPage("add-version", gettext_lazy("Open a new version"), _add_version, "registry.add_version", forms.NewVersionForm,
                 help=gettext_lazy("It starts with the contract and the addresses of the newest version."), when=_is_alive),
        *steps(SERVICE, {"suspend": suspend_service, "resume": resume_service, "retire": actions.retire_service}),
    )
}  # fmt: skip


def _own(request: HttpRequest, code: str) -> DataService:
    """A service the person answers for or controls; others have its public page, and this one is not found for them."""
    row = find(DataService.objects.select_related("provider", "usage_regulation"), request.user, code=code)
    if not offered_by(request.user).filter(pk=row.pk).exists():
        raise Http404
    return row


def _crumbs(row: DataService | None = None) -> list:
    found = [(_("Home"), reverse("home")), (_("Services of my agency"), reverse("portal:offers"))]
    return [*found, (row.name, reverse("portal:offer", args=[row.code]))] if row is not None else found


@page
def offer(request: HttpRequest, code: str) -> HttpResponse:
    row = _own(request, code)
    versions = list(ServiceVersion.objects.visible_to(request.user).filter(service=row).order_by("-major", "-minor"))
    for version in versions:
        version.due_at = publishing_due(version) if version.status == "draft" else None
    live = [version for version in versions if version.status in ("published", "deprecated")]
    may_add = not any(version.status == "draft" for version in versions)
    buttons = links(PAGES, row, request.user, lambda name: reverse("portal:offer-step", args=[row.code, name]))
    context = {
        "title": row.name,
        "crumbs": _crumbs(),
        "service": row,
        "versions": versions,
        "buttons": [link for link in buttons if may_add or link["name"] != "add-version"],
        "health": workbench.health_of(live),
        "consumers": workbench.consumers(live, request.user),
        "lists": row.default_lists.order_by("-decided_on")[:3],
        "timeline": case.timeline(row, *versions[:10], limit=40),
        "has_live": bool(live),
    }
    return render(request, "portal/offer.html", context)


@form_page
def step(request: HttpRequest, code: str, verb: str) -> HttpResponse:
    if verb not in PAGES:
        raise Http404
    row = _own(request, code)
    return open_page(request, PAGES[verb], row, back=reverse("portal:offer", args=[row.code]), crumbs=_crumbs(row))
