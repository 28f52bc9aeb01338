"""Filing a request in four steps: saved as you go, resumed at any time, checked before it is sent."""

from __future__ import annotations

import uuid as uuids
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.connections.actions import EDITABLE, draft_request, save_draft
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest
from apps.core.errors import DomainError
from apps.core.text import clean
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import organization_ids
from apps.portal import case, wizard
from apps.portal.doors import asked, find, form_page, refused, version_of
from apps.portal.forms import WhoForm, WhyForm
from apps.registry.models import DataService, Purpose


@form_page
def new_request(request: HttpRequest) -> HttpResponse:
    """Step 1 of a new request. The draft is made by sending the form, not by opening the page."""
    if not organization_ids(request.user, Role.CONSUMER_OFFICER):
        raise PermissionDenied
    form = _who_form(request, initial={"uuid": uuids.uuid4(), **_asked_for(request)})
    if request.method == "POST" and form.is_valid():
        given = {**form.cleaned_data, **_purpose_asked_for(request)}
        try:
            draft = draft_request(given.pop("consumer"), by=request.user, **given)
        except DomainError as error:
            return refused(request, error, back=reverse("portal:request-new"))
        return _onward(request, draft, "who")
    return _page(request, None, "who", form=form)


def _asked_for(request: HttpRequest) -> dict:
    """The system (and its agency) a link names, as the gateway's refusals do."""
    system = InformationSystem.objects.visible_to(request.user).filter(code=asked(request, "system")).first()
    return {"systems": [system], "consumer": system.organization_id} if system else {}


def _purpose_asked_for(request: HttpRequest) -> dict:
    purpose = Purpose.objects.filter(code=clean(request.POST.get("purpose", "")), is_active=True).first()
    return {"purpose": purpose} if purpose else {}


def _who_form(request: HttpRequest, draft: ConnectionRequest | None = None, initial: dict | None = None) -> WhoForm:
    mine = organization_ids(request.user, Role.CONSUMER_OFFICER)
    agencies = Organization.objects.filter(pk=draft.consumer_id) if draft else Organization.objects.active().filter(pk__in=mine)
    systems = InformationSystem.objects.visible_to(request.user).active().filter(organization__in=agencies)
    data = request.POST if request.method == "POST" else None
    return WhoForm(data, agencies=agencies, systems=systems.select_related("organization"), initial=initial)


@form_page
def edit_request(request: HttpRequest, uuid, step: str) -> HttpResponse:
    """One step of a draft or a returned request: shown by GET, saved by POST, which leads to the next."""
    draft = find(ConnectionRequest.objects.select_related("consumer"), request.user, uuid=uuid)
    if not request.user.has_perm("connections.edit_request", draft):
        raise PermissionDenied
    if draft.status not in EDITABLE:
        messages.info(request, _("The request can no longer be changed: it was submitted."))
        return redirect("portal:request", draft.uuid)
    return _STEPS[step](request, draft)


def _who(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    initial = {"consumer": draft.consumer, "title": draft.title, "systems": draft.systems.all(), "uuid": draft.uuid}
    form = _who_form(request, draft, initial)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        return _save(request, draft, "who", title=given["title"], systems=list(given["systems"]))
    return _page(request, draft, "who", form=form)


def _data(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    if request.method == "POST":
        try:
            scope = wizard.scope_from(request.POST.getlist("field"), request.user)
        except DomainError as error:
            return refused(request, error, back=reverse("portal:request-edit", args=[draft.uuid, "data"]))
        return _save(request, draft, "data", scope=scope)
    extra = asked(request, "service")
    on_page = wizard.services_on_page(draft, request.user, extra)
    shown = [service.pk for service, _operations in on_page]
    others = DataService.objects.visible_to(request.user).live().exclude(pk__in=shown).select_related("provider")
    wanted = asked(request, "operation")
    return _page(request, draft, "data", services=on_page, others=others.order_by("sort_key")[:500], wanted_operation=wanted)


def _why(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    form = WhyForm(request.POST if request.method == "POST" else None, instance=draft)
    if request.method == "POST" and form.is_valid():
        return _save(request, draft, "why", **form.cleaned_data)
    totals = case.totals(case.scope(draft))
    return _page(request, draft, "why", form=form, sensitive=totals["sensitive"], special=draft.sharing_form == "special")


def _check(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    gaps = [(key, label, wizard.gaps_by_step(draft).get(key, [])) for key, label in wizard.STEPS]
    pieces = case.pieces(draft, request.user)
    return _page(request, draft, "check", gaps=gaps, complete=not any(texts for _k, _l, texts in gaps),
                 content_hash=request_hash(draft), **pieces)  # fmt: skip


_STEPS = {"who": _who, "data": _data, "why": _why, "check": _check}


def _save(request: HttpRequest, draft: ConnectionRequest, step: str, **content) -> HttpResponse:
    try:
        save_draft(draft, by=request.user, version=version_of(request), **content)
    except DomainError as error:
        return refused(request, error, back=reverse("portal:request-edit", args=[draft.uuid, step]))
    return _onward(request, draft, step)


def _onward(request: HttpRequest, draft: ConnectionRequest, step: str) -> HttpResponse:
    """Where the pressed button leads: the same step with one more service, out, or the next step."""
    here = reverse("portal:request-edit", args=[draft.uuid, step])
    go = request.POST.get("go", "")
    service = clean(request.POST.get("service", ""))
    if go == "add" and service:
        return redirect(f"{here}?service={service}#{service}" if DataService.objects.filter(code=service).exists() else here)
    if go == "leave":
        messages.success(request, _("The draft is saved. You find it among the connection requests."))
        return redirect("portal:request", draft.uuid)
    following = {"who": "data", "data": "why", "why": "check"}[step]
    target = reverse("portal:request-edit", args=[draft.uuid, following])
    wanted = DataService.objects.filter(code=service).exists() if step == "who" and service else False
    named = {"service": service, "operation": clean(request.POST.get("operation", ""))}
    return redirect(f"{target}?{urlencode({name: value for name, value in named.items() if value})}" if wanted else target)


def _page(request: HttpRequest, draft: ConnectionRequest | None, step: str, **context) -> HttpResponse:
    keys = [key for key, _label in wizard.STEPS]
    steps = [
        {
            "key": key,
            "label": label,
            "now": key == step,
            "done": keys.index(key) < keys.index(step),
            "url": reverse("portal:request-edit", args=[draft.uuid, key]) if draft else "",
        }
        for key, label in wizard.STEPS
    ]
    base = {
        "title": _("Request %(number)s") % {"number": draft.number} if draft else _("New connection request"),
        "crumbs": [(_("Home"), reverse("home")), (_("Connection requests"), reverse("portal:requests"))],
        "steps": steps,
        "step": step,
        "draft": draft,
        "case": draft,
        "operation_code": clean(request.POST.get("operation", asked(request, "operation")))[:80],
        "purpose_code": clean(request.POST.get("purpose", asked(request, "purpose")))[:40],
        "service_code": clean(request.POST.get("service", asked(request, "service")))[:60],
    }
    status = 400 if request.method == "POST" else 200
    return render(request, f"portal/filing_{step}.html", {**base, **context}, status=status)
