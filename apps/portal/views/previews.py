"""The approval preview: what deciding or signing would open, and what it would do to the calls of the last thirty days.

Each look at the recorded calls is itself recorded (LOG-06), like any other reading of the log.
"""

from __future__ import annotations

from collections import Counter

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements.models import Agreement, AgreementVersion
from apps.agreements.preview import preview
from apps.connections.models import ConnectionRequest
from apps.core.errors import FactMissing
from apps.gateway import preview as gateway
from apps.gateway.actions import note_reading
from apps.organizations.roles import is_platform_reader
from apps.portal import traffic
from apps.portal.doors import find, page
from apps.registry.choices import PersonalDataClass


def may_preview(user, request: ConnectionRequest) -> bool:
    """Who decides on a request, and whoever reads the platform: the preview tells of the provider's other consumers in sums."""
    return is_platform_reader(user) or user.has_perm("connections.approve_request", request)


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
    """Of the newest version of an agreement: before it is signed, or as it runs."""
    row = find(Agreement.objects, request.user, uuid=uuid)
    version = row.versions.order_by("-number").first()
    try:
        replay = gateway.replay_version(version, request.user)
    except FactMissing:
        replay = gateway.Replay(0)
    context = {
        "title": _("What version %(number)s of %(agreement)s would open") % {"number": version.number, "agreement": row.number},
        "crumbs": [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements")),
                   (row.number, reverse("portal:agreement", args=[row.uuid]))],
        "content": _content(version),
    }  # fmt: skip
    return _page(request, replay, context, row.number)


def _content(version: AgreementVersion) -> list[dict]:
    """Each operation of the content with its fields counted by class."""
    names = dict(PersonalDataClass.choices)
    rows = []
    for part in version.content["scope"]:
        counts = Counter(field["personal_data"] for field in part["fields"])
        classes = [(value, names[value], counts[value]) for value in names if counts[value]]
        rows.append({"service": part["service_name"], "operation": part["operation_name"], "classes": classes})
    return rows


def _page(request: HttpRequest, replay: gateway.Replay, context: dict, about: str) -> HttpResponse:
    note_reading("calls", by=request.user, asked={"page": "preview", "about": about}, rows=replay.calls)
    if "about" in context:
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
