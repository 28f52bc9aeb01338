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

from apps.agreements.continuation import nameable
from apps.connections.actions import draft_request, enter_paper_request, require_editable, save_draft
from apps.connections.alternatives import near
from apps.connections.choices import RequestKind
from apps.connections.completeness import is_signed_first, services_of
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest
from apps.connections.scope import systems_for
from apps.core.errors import Conflict, DomainError, FactMissing, InvalidFact, StaleVersion
from apps.core.text import clean
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import is_operator, organization_ids
from apps.portal import case, wizard
from apps.portal.doors import asked, find, form_page, refused, said, version_of
from apps.portal.forms import NearForm, PaperForm, WhoForm, WhyForm
from apps.registry.choices import SharingForm
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
        except (InvalidFact, FactMissing) as error:
            form.refuse(error)
        except DomainError as error:
            return refused(request, error, back=reverse("portal:request-new"))
        else:
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
    systems = InformationSystem.objects.filter(pk__in=_systems(request.user, agencies)).active()
    data = request.POST if request.method == "POST" else None
    return WhoForm(data, agencies=agencies, systems=systems.select_related("organization"), initial=initial)


def _systems(user, agencies) -> set[int]:
    """Systems of the agencies, of those below them, and of others that the person files for: one request may name several."""
    return {pk for agency in agencies for pk in systems_for(user, agency).values_list("pk", flat=True)}


@form_page
def paper_request(request: HttpRequest) -> HttpResponse:
    """The operator enters a request that came on paper; the other steps follow as for every request."""
    if not is_operator(request.user):
        raise PermissionDenied
    form = PaperForm(request.POST if request.method == "POST" else None, initial={"uuid": uuids.uuid4()})
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        try:
            draft = enter_paper_request(given.pop("consumer"), by=request.user, **given)
        except (InvalidFact, FactMissing) as error:
            form.refuse(error)
        except DomainError as error:
            return refused(request, error, back=reverse("portal:request-paper"))
        else:
            messages.info(request, _("Now choose the systems; the scan of the paper is attached in the last step."))
            return redirect("portal:request-edit", draft.uuid, "who")
    context = {
        "title": _("Request on paper"),
        "crumbs": [(_("Home"), reverse("home")), (_("Connection requests"), reverse("portal:requests"))],
        "form": form,
    }
    return render(request, "portal/filing_paper.html", context, status=400 if request.method == "POST" else 200)


@form_page
def edit_request(request: HttpRequest, uuid, step: str) -> HttpResponse:
    """One step of a draft or a returned request: shown by GET, saved by POST, which leads to the next."""
    draft = find(ConnectionRequest.objects.select_related("consumer"), request.user, uuid=uuid)
    if not request.user.has_perm("connections.edit_request", draft):
        raise PermissionDenied
    try:
        require_editable(draft)
    except Conflict as error:
        messages.info(request, str(error))
        return redirect("portal:request", draft.uuid)
    return _STEPS[step](request, draft)


def _who(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    initial = {"consumer": draft.consumer, "title": draft.title, "systems": draft.systems.all(), "uuid": draft.uuid}
    form = _who_form(request, draft, initial)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        answer = _save(request, draft, "who", form, title=given["title"], systems=list(given["systems"]))
        if answer:
            return answer
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
    others = nameable(draft, DataService.objects.visible_to(request.user).live().exclude(pk__in=shown)).select_related(
        "provider"
    )
    sought = asked(request, "sought")
    listed = list(others.search(sought).order_by("sort_key")[: MOST_LISTED + 1])
    return _page(request, draft, "data", services=on_page, others=listed[:MOST_LISTED], more=len(listed) > MOST_LISTED, sought=sought,
                 wanted_operation=asked(request, "operation"))  # fmt: skip


def _why(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    form = WhyForm(request.POST if request.method == "POST" else None, instance=draft, default_quota=_offered_quota(draft))
    if request.method == "POST" and form.is_valid():
        answer = _save(request, draft, "why", form, **form.cleaned_data)
        if answer:
            return answer
    totals = case.totals(case.scope(draft))
    return _page(request, draft, "why", form=form, sensitive=totals["sensitive"])


def _offered_quota(draft: ConnectionRequest) -> int | None:
    """WF-25: a new request that says no number of calls is offered what each service gives by default; what runs has its own number."""
    if draft.kind != RequestKind.NEW or draft.calls_per_day is not None:
        return None
    return services_of(draft).smallest_quota()


def _near(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    """For special sharing: the default services that come near, and why they do not suffice (WF-33)."""
    if draft.sharing_form != SharingForm.SPECIAL:
        return redirect("portal:request-edit", draft.uuid, "why")
    shown = near(draft)
    form = NearForm(request.POST if request.method == "POST" else None, initial={"special_reason": draft.special_reason})
    if request.method == "POST" and form.is_valid():
        # Only what this page named was seen; a service published meanwhile is shown when the page is opened again.
        seen = [row.service.code for row in shown if row.service.code in request.POST.getlist("considered")]
        answer = _save(request, draft, "near", form, special_reason=form.cleaned_data["special_reason"], alternatives=seen)
        if answer:
            return answer
    fields = dict(_labels(draft))
    rows = [{"near": row, "labels": [fields.get(path, path) for path in row.covered]} for row in shown]
    return _page(request, draft, "near", form=form, rows=rows)


def _labels(draft: ConnectionRequest):
    for part in case.scope(draft):
        yield from ((field.path, field.label or field.name) for field in part.fields)


def _check(request: HttpRequest, draft: ConnectionRequest) -> HttpResponse:
    gaps = [(key, label, wizard.gaps_by_step(draft).get(key, [])) for key, label in wizard.STEPS]
    pieces = case.pieces(draft, request.user)
    return _page(request, draft, "check", gaps=gaps, complete=not any(texts for _k, _l, texts in gaps),
                 content_hash=request_hash(draft), is_signed_first=is_signed_first(draft), **pieces)  # fmt: skip


MOST_LISTED = 500
"""Services to choose from in one list; of more one is sought by a word."""
_STEPS = {"who": _who, "data": _data, "near": _near, "why": _why, "check": _check}


def _save(request: HttpRequest, draft: ConnectionRequest, step: str, form=None, **content) -> HttpResponse | None:
    """Save and lead on. None: the verb took a value for wrong and `form` says so; the page is shown again with what was typed."""
    try:
        save_draft(draft, by=request.user, version=version_of(request), **content)
    except StaleVersion as error:
        return _overtaken(request, draft, step, error, content)
    except DomainError as error:
        if form is not None and isinstance(error, InvalidFact | FactMissing):
            form.refuse(error)
            draft.refresh_from_db()  # the verb had set on it what it then refused
            return None
        return refused(request, error, back=reverse("portal:request-edit", args=[draft.uuid, step]))
    return _onward(request, draft, step)


def _overtaken(request: HttpRequest, draft: ConnectionRequest, step: str, error: StaleVersion, content: dict) -> HttpResponse:
    """409: somebody saved meanwhile. Nothing is overwritten; the page shows what stands now beside what was entered (CC-03)."""
    request.refused = error
    draft.refresh_from_db()
    context = {
        "detail": said(error),
        "back": reverse("portal:request-edit", args=[draft.uuid, step]),
        "who": draft.last_mover(),
        "changes": wizard.overtaken(draft, content),
    }
    return render(request, "portal/conflict.html", context, status=409)


def _onward(request: HttpRequest, draft: ConnectionRequest, step: str) -> HttpResponse:
    """Where the pressed button leads: the same step with one more service, out, or the next step."""
    here = reverse("portal:request-edit", args=[draft.uuid, step])
    go = request.POST.get("go", "")
    service = clean(request.POST.get("service", ""))
    if go == "add" and service:
        return redirect(f"{here}?service={service}#{service}" if DataService.objects.filter(code=service).exists() else here)
    if go == "seek":
        return redirect(f"{here}?{urlencode({'sought': clean(request.POST.get('sought', ''))})}#service")
    if go == "leave":
        messages.success(request, _("The draft is saved. You find it among the connection requests."))
        return redirect("portal:request", draft.uuid)
    following = {
        "who": "data",
        "data": "near" if draft.sharing_form == SharingForm.SPECIAL else "why",
        "near": "why",
        "why": "check",
    }[step]
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
            "now": key == wizard.numbered(step),
            "done": keys.index(key) < keys.index(wizard.numbered(step)),
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
        "returned": wizard.remarks_on(draft, step) if draft else [],
        "operation_code": clean(request.POST.get("operation", asked(request, "operation")))[:80],
        "purpose_code": clean(request.POST.get("purpose", asked(request, "purpose")))[:40],
        "service_code": clean(request.POST.get("service", asked(request, "service")))[:60],
    }
    status = 400 if request.method == "POST" else 200
    return render(request, f"portal/filing_{step}.html", {**base, **context}, status=status)
