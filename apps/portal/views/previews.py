"""The approval preview: what deciding or signing would open, and what it would do to the calls of the last thirty days.

Each look at the recorded calls is itself recorded (LOG-06), like any other reading of the log.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements.models import Agreement
from apps.agreements.preview import preview, preview_of
from apps.connections.models import ConnectionRequest
from apps.core.errors import FactMissing
from apps.gateway import preview as gateway
from apps.gateway.actions import note_reading
from apps.portal import traffic
from apps.portal.doors import asked, find, page
from apps.registry.choices import PersonalDataClass


def may_preview(user, request: ConnectionRequest) -> bool:
    """Who decides on a request, and whoever reads the platform."""
    return user.has_perm("agreements.preview_request", request)


@page
def request_preview(request: HttpRequest, uuid) -> HttpResponse:
    row = find(ConnectionRequest.objects.select_related("consumer", "purpose"), request.user, uuid=uuid)
    if not may_preview(request.user, row):
        raise PermissionDenied
    replay = gateway.replay_request(row, request.user)
    context = {
        "title": _("What approving %(number)s would open") % {"number": row.number},
        "crumbs": [(_("Home"), reverse("home")), (_("Connection requests"), reverse("portal:requests")),
                   (row.number, reverse("portal:request", args=[row.uuid]))],
        "about": preview(row),
    }  # fmt: skip
    return _page(request, replay, context, row.number)


@page
def agreement_preview(request: HttpRequest, uuid) -> HttpResponse:
    """Of the version the address names, or the newest: before it is signed, or as it runs."""
    row = find(Agreement.objects, request.user, uuid=uuid)
    number = asked(request, "version")
    rows = row.versions.select_related("agreement").order_by("-number")
    version = rows.filter(number=number).first() if number.isdecimal() and len(number) < 7 else rows.first()
    if version is None:
        raise Http404
    try:
        replay = gateway.replay_version(version, request.user)
    except FactMissing:
        replay = gateway.Replay(0)
    context = {
        "title": _("What version %(number)s of %(agreement)s would open") % {"number": version.number, "agreement": row.number},
        "crumbs": [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements")),
                   (row.number, f"{reverse('portal:agreement', args=[row.uuid])}?version={version.number}")],
        "about": preview_of(version),
    }  # fmt: skip
    return _page(request, replay, context, row.number)


def _page(request: HttpRequest, replay: gateway.Replay, context: dict, about: str) -> HttpResponse:
    note_reading("calls", by=request.user, asked={"page": "preview", "about": about}, rows=replay.calls)
    names = dict(PersonalDataClass.choices)
    context["classes"] = [
        (row, [(value, names[value], n) for value, n in row.classes.items()]) for row in context["about"].operations
    ]
    context |= {
        "replay": replay,
        "sums": {name: replay.total(name) for name in ("calls", "passing", "refused", "losing", "opened")},
        "reasons": [(code, traffic.reason(code), n) for code, n in replay.reasons.most_common()],
        "lost": replay.lost.most_common(50),
        "opened": [(code, traffic.reason(code), n) for code, n in replay.opened.most_common()],
    }
    return render(request, "portal/preview.html", context)
