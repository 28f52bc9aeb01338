"""The log of calls as people read it: search, one call with all its facts, export. Every reading is itself recorded (LOG-06)."""

from __future__ import annotations

import uuid as uuids

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.errors import DomainError
from apps.gateway.actions import note_reading, search_calls_about
from apps.gateway.api.serializers import CallSerializer, RefusalSerializer
from apps.gateway.deciding import worded
from apps.gateway.export import EXPORTED, csv_response
from apps.gateway.models import CallIntent, CallRefusal
from apps.gateway.refusals import TABLE
from apps.organizations.roles import roles_of
from apps.portal.doors import asked, form_page, page, said
from apps.portal.log_forms import CallForm, LogForm, PersonForm, RefusalForm

LINES = 50
KINDS = {"calls": (CallForm, CallSerializer), "refusals": (RefusalForm, RefusalSerializer)}
NAMES = {"calls": "calls", "refusals": "call-refusals"}
"""As the API and the record of readings call them."""


@page
def log(request: HttpRequest, kind: str) -> HttpResponse:
    """Newest first; older lines by the id of the last one shown, so that no page counts a hundred million rows."""
    form = _form(request, kind)
    rows = []
    if form.is_valid():
        found = form.rows(request.user)
        if before := _uuid(asked(request, "before")):
            found = found.filter(call_id__lt=before)
        rows = list(found[: LINES + 1])
        _note(request, kind, form, min(len(rows), LINES))
    context = {
        "title": _("Log of calls") if kind == "calls" else _("Log of refusals"),
        "crumbs": [(_("Home"), reverse("home")), (_("Gateway"), reverse("portal:gateway"))],
        "kind": kind,
        "form": form,
        "rows": [_worded(row, kind) for row in rows[:LINES]],
        "older": rows[LINES - 1].call_id if len(rows) > LINES else None,
    }
    return render(request, "portal/call_log.html", context, status=200 if form.is_valid() else 400)


def _form(request: HttpRequest, kind: str) -> LogForm:
    if kind not in KINDS:
        raise Http404
    return KINDS[kind][0](request.GET, user=request.user)


def _note(request: HttpRequest, kind: str, form: LogForm, rows: int, **more: str) -> None:
    if roles_of(request.user):
        note_reading(NAMES[kind], by=request.user, asked=form.asked() | more, rows=rows)


def _uuid(text: str) -> uuids.UUID | None:
    try:
        return uuids.UUID(text)
    except ValueError:
        return None


def _worded(row, kind: str):
    code = row.code if kind == "refusals" else row.outcome.code if hasattr(row, "outcome") else ""
    row.reason = worded(code) if code else ""
    return row


@page
def export(request: HttpRequest, kind: str) -> HttpResponse:
    """The lines that fit, as a file. A search that is not valid exports nothing."""
    form = _form(request, kind)
    if not form.is_valid():
        raise Http404
    rows = form.rows(request.user)[:EXPORTED]
    _note(request, kind, form, min(rows.count(), EXPORTED), export="csv")
    return csv_response(rows, KINDS[kind][1], NAMES[kind])


@form_page
def about_person(request: HttpRequest) -> HttpResponse:
    """Who read about one person: asked by POST, recorded with its reason and without the identifier."""
    form = PersonForm(request.POST or None, user=request.user)
    rows, more = [], False
    if request.method == "POST" and form.is_valid():
        try:
            rows, more = search_calls_about(by=request.user, **form.facts())
        except DomainError as error:
            form.add_error(None, said(error))
    context = {
        "title": _("Who read about a person"),
        "crumbs": [(_("Home"), reverse("home")), (_("Gateway"), reverse("portal:gateway")),
                   (_("Log of calls"), reverse("portal:call-log", args=["calls"]))],
        "form": form, "rows": [_worded(row, "calls") for row in rows], "more": more, "searched": form.is_bound and not form.errors,
    }  # fmt: skip
    return render(request, "portal/call_person.html", context, status=400 if form.is_bound and form.errors else 200)


def _find(request: HttpRequest, call_id):
    for kind, model in (("calls", CallIntent), ("refusals", CallRefusal)):
        row = model.objects.visible_to(request.user).for_reading().filter(call_id=call_id).first()
        if row is not None:
            return kind, row
    raise Http404


@page
def call(request: HttpRequest, call_id) -> HttpResponse:
    """One call or refusal with everything the log knows of it."""
    kind, row = _find(request, call_id)
    note_reading(NAMES[kind], by=request.user, asked={"call_id": str(call_id)}, rows=1)
    code = row.code if kind == "refusals" else row.outcome.code if hasattr(row, "outcome") else ""
    context = {
        "title": _("Call %(id)s") % {"id": call_id},
        "crumbs": [(_("Home"), reverse("home")), (_("Gateway"), reverse("portal:gateway")),
                   (_("Log of calls"), reverse("portal:call-log", args=[kind]))],
        "kind": kind, "row": row, "facts": KINDS[kind][1](row).data, "refusal": TABLE.get(code),
    }  # fmt: skip
    return render(request, "portal/call.html", context)
