"""Questions between the parties of an agreement: wrong data reported (WF-46), an explanation asked (WF-44)."""

from __future__ import annotations

import uuid as uuids

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agreements.choices import Side
from apps.agreements.models import Agreement, Grant, Party
from apps.core.errors import DomainError, FactMissing
from apps.disputes import actions
from apps.disputes.choices import TicketKind, TicketStatus
from apps.disputes.models import Ticket
from apps.disputes.workflow import TICKET
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids
from apps.portal import case
from apps.portal.asking import NOT_YET
from apps.portal.dispute_forms import AskAgainForm, ExplanationForm, TicketAnswerForm, TicketForm, WrongDataForm
from apps.portal.doors import asked, do, door, find, form_page, page, paged, refused, version_of
from apps.portal.panel import buttons
from apps.portal.views.request_steps import valid
from apps.registry.models import DataService

SIDES = {
    TicketKind.WRONG_DATA: (Role.CONSUMER_OFFICER, Side.CONSUMER, Side.PROVIDER, WrongDataForm),
    TicketKind.EXPLANATION: (Role.PROVIDER_OFFICER, Side.PROVIDER, Side.CONSUMER, ExplanationForm),
}
"""Kind → who asks, from which side, of which side, by which form."""
FORMS = {"answer": TicketAnswerForm, "ask_again": AskAgainForm}


def crumbs() -> list[tuple[object, str]]:
    return [(_("Home"), reverse("home")), (_("Questions and reports"), reverse("portal:tickets"))]


@page
def tickets(request: HttpRequest) -> HttpResponse:
    rows = Ticket.objects.visible_to(request.user).select_related("asked_by", "asked_of", "agreement", "service")
    if asked(request, "status") in TicketStatus.values:
        rows = rows.filter(status=asked(request, "status"))
    if asked(request, "kind") in TicketKind.values:
        rows = rows.filter(kind=asked(request, "kind"))
    if asked(request, "due") == "late":
        rows = rows.late(timezone.now())
    service = DataService.objects.visible_to(request.user).filter(code=asked(request, "service")).first()
    if service is not None:
        rows = rows.filter(service=service)
    context = {
        "title": _("Questions and reports"),
        "crumbs": crumbs()[:1],
        "page": paged(request, rows.order_by("-id")),
        "chosen": request.GET,
        "statuses": TicketStatus.choices,
        "kinds": TicketKind.choices,
        "service": service,
        "may_report": bool(organization_ids(request.user, Role.CONSUMER_OFFICER)),
        "may_ask": bool(organization_ids(request.user, Role.PROVIDER_OFFICER)),
    }
    return render(request, "portal/tickets.html", context)


@form_page
def new_ticket(request: HttpRequest, kind: str) -> HttpResponse:
    """Ask the other party. `?agreement=` (uuid) or `?service=` (code) narrows the agreements offered; the service is kept."""
    if kind not in TicketKind.values:
        raise Http404
    role, own, other, form_class = SIDES[TicketKind(kind)]
    mine = organization_ids(request.user, role)
    rows = _agreements(request, mine, own)
    if not rows:
        raise Http404
    parties = Party.objects.of_today().filter(agreement__in=rows, side=other)
    others = Organization.objects.filter(pk__in=parties.values("organization_id"))
    data = request.POST if request.method == "POST" else None
    services = DataService.objects.filter(pk__in=Grant.objects.filter(agreement__in=rows).values("operation__version__service"))
    initial = {"uuid": uuids.uuid4(), "agreement": rows.first(), "service": asked(request, "service")}
    form = form_class(data, agreements=rows, others=others, services=services.order_by("sort_key"), initial=initial)
    if data is not None and form.is_valid():
        try:
            made = _open(request, kind, form, other)
        except DomainError as error:
            return refused(request, error, back=request.get_full_path())
        return redirect("portal:ticket", made.uuid)
    titles = {TicketKind.WRONG_DATA: _("Report wrong data"), TicketKind.EXPLANATION: _("Ask for an explanation")}
    context = {"title": titles[TicketKind(kind)], "crumbs": crumbs(), "form": form, "kind": kind}
    return render(request, "portal/ticket_new.html", context, status=400 if data is not None else 200)


def _agreements(request: HttpRequest, mine, side: str):
    """Agreements under which data flows or flowed, in which the reader's agency has its say on `side`."""
    parties = Party.objects.of_today().filter(side=side, organization_id__in=mine)
    rows = Agreement.objects.filter(pk__in=parties.values("agreement_id")).exclude(status__in=NOT_YET)
    chosen, service = asked(request, "agreement"), asked(request, "service")
    if chosen:
        try:
            rows = rows.filter(uuid=uuids.UUID(chosen))
        except ValueError as error:
            raise Http404 from error
    if service:
        rows = rows.filter(pk__in=Agreement.objects.filter(grants__operation__version__service__code=service).values("pk"))
    return rows.order_by("-id")


def _open(request: HttpRequest, kind: str, form: TicketForm, other: str) -> Ticket:
    facts = dict(form.cleaned_data)
    agreement = facts.pop("agreement")
    service = facts.get("service")
    asked_of = facts.pop("asked_of", None) or (service.provider if service else _only_one(agreement, other))
    return do(request, actions.open_ticket, agreement, _("The question was sent; the other party has been told."), kind=kind,
              asked_of=asked_of, **facts)  # fmt: skip


def _only_one(agreement: Agreement, side: str) -> Organization:
    found = list(Organization.objects.filter(pk__in=agreement.organization_ids(side))[:2])
    if len(found) != 1:
        raise FactMissing(_("Several organizations are on the other side: name one."))
    return found[0]


@page
def ticket(request: HttpRequest, uuid) -> HttpResponse:
    row = find(
        Ticket.objects.select_related("asked_by", "asked_of", "author", "answered_by", "agreement", "service", "deadline_rule"),
        request.user,
        uuid=uuid,
    )
    context = {
        "title": f"{row.get_kind_display().capitalize()} {row.number}",
        "crumbs": crumbs(),
        "ticket": row,
        "buttons": buttons(TICKET, row, request.user, FORMS, {}),
        "is_late": row.status == TicketStatus.OPEN and row.due_at is not None and row.due_at < timezone.now(),
        "timeline": case.timeline(row),
        "sees_agreement": Agreement.objects.visible_to(request.user).filter(pk=row.agreement_id).exists(),
    }
    return render(request, "portal/ticket.html", context)


@door
def take_step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    row = find(Ticket.objects.select_related("asked_by", "asked_of"), request.user, uuid=uuid)
    if verb not in _DOORS:
        raise Http404
    step, said = _DOORS[verb]
    facts = valid(FORMS[verb](request.POST)).cleaned_data if verb in FORMS else {}
    do(request, step, row, said, version=version_of(request), **facts)
    return redirect("portal:ticket", row.uuid)


_DOORS = {
    "answer": (actions.answer_ticket, gettext_lazy("Your answer was given; the other side has been told.")),
    "ask_again": (actions.ask_again, gettext_lazy("The question went back with what is missing.")),
    "close": (actions.close_ticket, gettext_lazy("The question is closed.")),
}
