"""Disputes (vướng mắc): the list, raising one, the case on one page, its steps, and the document of level 3."""

from __future__ import annotations

import uuid as uuids

from csp.decorators import csp_replace
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agreements.documents import PdfUnavailable
from apps.agreements.models import Agreement
from apps.connections.models import ConnectionRequest
from apps.core.errors import DomainError
from apps.disputes import actions
from apps.disputes.choices import DisputeCategory, DisputeStatus
from apps.disputes.documents import document_html, document_pdf
from apps.disputes.models import Dispute
from apps.disputes.querysets import RUNNING
from apps.disputes.workflow import DISPUTE
from apps.organizations.models import Organization
from apps.portal import case
from apps.portal.dispute_forms import DisputeAnswerForm, DisputeForm, EscalateForm, OutcomeForm, ReplyForm, SentForm
from apps.portal.doors import asked, do, door, find, form_page, page, paged, refused, version_of
from apps.portal.panel import Button
from apps.portal.views.request_steps import valid

CRUMBS = [(gettext_lazy("Home"), "home"), (gettext_lazy("Disputes"), "portal:disputes")]


def crumbs(levels: int = 2) -> list[tuple[object, str]]:
    return [(label, reverse(name)) for label, name in CRUMBS[:levels]]


@page
def disputes(request: HttpRequest) -> HttpResponse:
    rows = Dispute.objects.visible_to(request.user).with_answered()
    rows = rows.select_related("raised_for", "respondent", "agreement", "request")
    if asked(request, "status") in DisputeStatus.values:
        rows = rows.filter(status=asked(request, "status"))
    if asked(request, "category") in DisputeCategory.values:
        rows = rows.filter(category=asked(request, "category"))
    due = asked(request, "due")
    rows = rows.late(timezone.now()) if due == "late" else rows.running() if due == "open" else rows
    context = {
        "title": _("Disputes"),
        "crumbs": crumbs(1),
        "page": paged(request, rows.order_by("-id")),
        "chosen": request.GET,
        "statuses": DisputeStatus.choices,
        "categories": DisputeCategory.choices,
        "running": RUNNING,
    }
    return render(request, "portal/disputes.html", context)


def _subject(request: HttpRequest) -> Agreement | ConnectionRequest:
    """What the obstacle is about: an agreement or a request of the reader's own, named by the address."""
    for name, model in (("agreement", Agreement), ("request", ConnectionRequest)):
        given = request.GET.get(name, "")
        if given:
            try:
                return find(model.objects, request.user, uuid=uuids.UUID(given))
            except ValueError as error:
                raise Http404 from error
    raise Http404


@form_page
def new_dispute(request: HttpRequest) -> HttpResponse:
    """Raise an obstacle about `?agreement=` or a refused `?request=`, for officers of one side, with whoever is on the other."""
    subject = _subject(request)
    _mine, opposed = actions.sides_for(subject, request.user)
    if not opposed:
        raise Http404
    others = Organization.objects.filter(pk__in=opposed)
    data = request.POST if request.method == "POST" else None
    form = DisputeForm(data, others=others, initial={"uuid": uuids.uuid4(), "respondent": others.first()})
    if request.method == "POST" and form.is_valid():
        try:
            made = do(request, actions.raise_dispute, subject, _raised, **form.cleaned_data)
        except DomainError as error:
            return refused(request, error, back=request.get_full_path())
        return redirect("portal:dispute", made.uuid)
    context = {"title": _("Raise an obstacle"), "crumbs": crumbs(), "form": form, "subject": subject}
    return render(request, "portal/dispute_new.html", context, status=400 if data else 200)


def _raised(made: Dispute) -> str:
    rule = made.deadline_rule
    return _("The other party has been told; it has %(term)s to answer (%(citation)s).") % {
        "term": rule.amount, "citation": rule.citation,
    }  # fmt: skip


@page
def dispute(request: HttpRequest, uuid) -> HttpResponse:
    rows = Dispute.objects.with_answered().select_related(
        "raised_for", "respondent", "raised_by", "agreement", "version_of", "request", "deadline_rule"
    )
    row = find(rows, request.user, uuid=uuid)
    context = {
        "title": _("Dispute %(number)s") % {"number": row.number},
        "crumbs": crumbs(),
        "dispute": row,
        "answers": row.answers.select_related("author"),
        "buttons": _buttons(row, request.user),
        "is_running": row.status in RUNNING,
        "has_document": Dispute.objects.with_document().filter(pk=row.pk).exists(),
        "timeline": case.timeline(row),
        "sees_agreement": bool(row.agreement) and Agreement.objects.visible_to(request.user).filter(pk=row.agreement_id).exists(),
        "sees_request": bool(row.request) and ConnectionRequest.objects.visible_to(request.user).filter(pk=row.request_id).exists(),
    }  # fmt: skip
    return render(request, "portal/dispute.html", context)


def _buttons(row: Dispute, user) -> list[Button]:
    """Answering first, then the steps of the lifecycle table; going up only when there is something to take further."""
    found = []
    if row.status in RUNNING and user.has_perm("disputes.answer", row):
        if row.status == DisputeStatus.LEVEL_3:  # both are the digital unit's
            found.append(
                Button("send", _("Note the document sent"), "primary" if row.sent_date is None else "default", SentForm())
            )
            found.append(Button("answer", _("Enter the reply"), "primary" if row.sent_date else "default", ReplyForm()))
        else:
            found.append(Button("answer", _("Answer"), "primary", DisputeAnswerForm(), open=True))
    for step in DISPUTE.available(row, user):
        if step.verb.startswith("escalate") and actions.can_escalate(row):
            found.append(Button("escalate", step.label, step.style, EscalateForm()))
        if step.verb == "resolve":
            found.append(Button("resolve", step.label, step.style, OutcomeForm()))
        if step.verb == "close":
            found.append(
                Button(
                    "close", step.label, step.style, help=_("Close it when what was agreed has been done (NĐ 47/2020 Điều 50).")
                )
            )
    return found


@door
def take_step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    row = find(Dispute.objects.select_related("raised_for", "respondent"), request.user, uuid=uuid)
    if verb not in _DOORS:
        raise Http404
    step, form_class, said = _DOORS[verb]
    if verb == "answer" and row.status == DisputeStatus.LEVEL_3:
        form_class = ReplyForm
    if verb == "answer" and row.status != DisputeStatus.LEVEL_1:
        said = _("The answer was given; both sides have been told.")
    facts = valid(form_class(request.POST)).cleaned_data if form_class else {}
    if verb != "answer":
        facts["version"] = version_of(request)
    do(request, step, row, said, **facts)
    return redirect("portal:dispute", row.uuid)


_DOORS = {
    "answer": (actions.answer_dispute, DisputeAnswerForm, gettext_lazy("The answer was given; the other side has been told.")),
    "send": (actions.send_document, SentForm, gettext_lazy("The document is on the record; both sides have been told.")),
    "escalate": (actions.escalate_dispute, EscalateForm, gettext_lazy("The dispute was taken one level up.")),
    "resolve": (actions.resolve_dispute, OutcomeForm, gettext_lazy("The dispute is settled; the operator follows it up.")),
    "close": (actions.close_dispute, None, gettext_lazy("The dispute is closed.")),
}


@page
@csp_replace(settings.DOCS_CSP)
def document(request: HttpRequest, uuid) -> HttpResponse:
    """The document of level 3 as PDF; where the machine cannot make one, the page for printing."""
    row = find(Dispute.objects.with_document(), request.user, uuid=uuid)
    try:
        response = HttpResponse(document_pdf(row), content_type="application/pdf")
        response["Content-Disposition"] = content_disposition_header(False, f"{row.number}.pdf")
    except PdfUnavailable:
        response = HttpResponse(document_html(row))
    return response
