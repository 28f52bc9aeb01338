"""Connection requests: the list, and the case on one page."""

from __future__ import annotations

import datetime

from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.connections import clock
from apps.connections.choices import RequestKind, RequestStatus
from apps.connections.models import ConnectionRequest, ProviderDecision, RequestedOperation
from apps.connections.overdue import overdue_rows, told
from apps.disputes.actions import sides_for
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator
from apps.portal import case, inbox
from apps.portal.doors import asked, find, page, paged
from apps.portal.panel import request_panel
from apps.portal.views.previews import may_preview
from apps.registry.models import Operation

ORDERS = {"due": ("due_at", "-id"), "new": ("-id",), "old": ("id",), "number": ("number",)}


@page
def requests(request: HttpRequest) -> HttpResponse:
    rows = ConnectionRequest.objects.visible_to(request.user).select_related("consumer", "purpose")
    chosen = request.GET.copy()
    if asked(request, "order") == "due" and not (asked(request, "due") or asked(request, "status")):
        # What is decided keeps the day it was due: of all cases the oldest of those would be the most urgent.
        chosen["due"] = "open"
        rows = rows.open()
    rows = _filtered(rows, request).order_by(*ORDERS.get(request.GET.get("order", ""), ORDERS["new"]))
    found = paged(request, rows.prefetch_related("requested_operations__operation__version__service__provider"))
    for row in found:
        services = [part.operation.version.service for part in row.requested_operations.all()]
        row.provider_names = sorted({service.provider.name for service in services})
        row.shows_clock = row.is_open
    context = {
        "title": _("Connection requests"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": found,
        "chosen": chosen,
        "statuses": RequestStatus.choices,
        "kinds": RequestKind.choices,
        "may_enter_paper": is_operator(request.user),
        "dues": [
            ("open", _("in process")),
            ("late", _("late")),
            ("today", _("due today")),
            ("week", _("due within seven days")),
            ("paused", _("clock paused")),
            ("mine", _("given to me")),
        ],
        "orders": [("new", _("newest first")), ("due", _("most urgent first")), ("old", _("oldest first"))],
        # Whose services were ever published; that an agency prepares its first one is for itself to know.
        "providers": Organization.objects.filter(services__versions__published_at__isnull=False).distinct(),
    }
    return render(request, "portal/requests.html", context)


def _filtered(rows, request: HttpRequest):
    """Allow-listed filters; a value that is none of the choices filters nothing."""
    rows = rows.search(asked(request, "q"))
    if asked(request, "status") in RequestStatus.values:
        rows = rows.filter(status=asked(request, "status"))
    if asked(request, "provider"):
        offered = Operation.objects.filter(version__service__provider__code=asked(request, "provider"))
        # The operations by their keys: a semi-join the database can walk from the newest row on.
        wanted = RequestedOperation.objects.filter(
            request=OuterRef("pk"), operation_id__in=list(offered.values_list("pk", flat=True))
        )
        rows = rows.filter(Exists(wanted))
    if asked(request, "kind") in RequestKind.values:
        rows = rows.filter(kind=asked(request, "kind"))
    if asked(request, "due") == "mine":
        given = ConnectionRequest.objects.filter(handler=request.user).values("pk")
        parts = ProviderDecision.objects.filter(handler=request.user).values("request_id")
        return rows.open().filter(pk__in=given.order_by().union(parts.order_by()))
    return _due(rows, asked(request, "due"))


def _due(rows, due: str):
    now = timezone.now()
    midnight = timezone.localtime(now).replace(hour=23, minute=59, second=59)
    running = Q(paused_at__isnull=True, due_at__isnull=False)
    if due == "open":
        return rows.open()
    if due == "paused":
        return rows.open().filter(paused_at__isnull=False)
    if due == "late":
        return rows.open().filter(running, due_at__lt=now)
    if due == "today":
        return rows.open().filter(running, due_at__gte=now, due_at__lte=midnight)
    if due == "week":
        return rows.open().filter(running, due_at__gte=now, due_at__lte=midnight + datetime.timedelta(days=7))
    return rows


@page
def overdue(request: HttpRequest) -> HttpResponse:
    """The overdue cases of the whole province, for everybody who works on the platform (WF-30); no more than `told` says."""
    found = paged(request, overdue_rows(request.user, timezone.now()))
    context = {
        "title": _("Overdue cases"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": found,
        "cases": told(found, request.user),
    }
    return render(request, "portal/overdue.html", context)


@page
def request_case(request: HttpRequest, uuid) -> HttpResponse:
    row = find(
        ConnectionRequest.objects.select_related("consumer", "purpose", "deadline_rule", "created_by", "handler"),
        request.user,
        uuid=uuid,
    )
    context = {
        "title": _("Request %(number)s") % {"number": row.number},
        "crumbs": [(_("Home"), reverse("home")), (_("Connection requests"), reverse("portal:requests"))],
        "case": row,
        "panel": request_panel(row, request.user),
        "may_preview": may_preview(request.user, row),
        "next_case": inbox.next_case(request.user, row),
        "is_late": row.is_late(timezone.now()),
        "return_rule": clock.return_rule(row),
        "may_dispute": row.status == RequestStatus.REFUSED and all(sides_for(row, request.user)),
        **case.pieces(row, request.user),
    }
    return render(request, "portal/request.html", context)
