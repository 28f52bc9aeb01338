"""Home by role, and the notices."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.notices.actions import mark_read
from apps.notices.models import Notice
from apps.notices.outbox import render as notice_text
from apps.organizations.roles import roles_of
from apps.portal import figures, inbox
from apps.portal.doors import door, find, page, paged, way_back
from apps.portal.planned import planned_suspensions


def start(request: HttpRequest) -> HttpResponse:
    return redirect("home")


@page
def home(request: HttpRequest) -> HttpResponse:
    user = request.user
    if not roles_of(user):
        return render(request, "portal/no_role.html", {"title": _("No role yet")})
    waiting = inbox.tasks(user)
    context = {
        "title": _("Home"),
        "tasks": waiting[:50],
        "more": max(len(waiting) - 50, 0),
        "late": sum(task.is_late for task in waiting),
        "due_today": sum(task.is_due_today for task in waiting),
        "running": figures.running(user),
        "figures": figures.figures(user),
        "by_status": figures.by_status(user),
        "decided": figures.decided(user),
        **planned_suspensions(user),
    }
    return render(request, "portal/home.html", context)


@page
def notices(request: HttpRequest) -> HttpResponse:
    rows = paged(request, Notice.objects.visible_to(request.user).order_by("-id"))
    for row in rows:
        row.text = notice_text(row.facts)
    context = {"title": _("Notices"), "page": rows, "crumbs": [(_("Home"), reverse("home"))]}
    return render(request, "portal/notices.html", context)


@door
def read_notices(request: HttpRequest) -> HttpResponse:
    mark_read(request.user)
    return redirect("portal:notices")


@door
def open_notice(request: HttpRequest, uuid) -> HttpResponse:
    """Read one notice and go where it leads: two things, so a POST."""
    notice = find(Notice.objects, request.user, uuid=uuid)
    mark_read(request.user, [notice.uuid])
    request.POST = request.POST.copy()
    request.POST["back"] = notice.url
    return redirect(way_back(request))
