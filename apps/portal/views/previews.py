"""The approval preview: what deciding or signing would open, and what it would do to the calls of the last thirty days."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements.api.rows import version_asked
from apps.agreements.models import Agreement
from apps.connections.models import ConnectionRequest
from apps.gateway.deciding import Before, before_approving, before_signing
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
    crumbs = [(_("Home"), reverse("home")), (_("Connection requests"), reverse("portal:requests")),
              (row.number, reverse("portal:request", args=[row.uuid]))]  # fmt: skip
    title = _("What approving %(number)s would open") % {"number": row.number}
    return _page(request, before_approving(row, by=request.user), title=title, crumbs=crumbs)


@page
def agreement_preview(request: HttpRequest, uuid) -> HttpResponse:
    """Of the version the address names, or the newest: before it is signed, or as it runs."""
    row = find(Agreement.objects, request.user, uuid=uuid)
    version = version_asked(row, request.user, asked(request, "version"))
    here = f"{reverse('portal:agreement', args=[row.uuid])}?version={version.number}"
    crumbs = [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements")), (row.number, here)]
    title = _("What version %(number)s of %(agreement)s would open") % {"number": version.number, "agreement": row.number}
    return _page(request, before_signing(version, by=request.user), title=title, crumbs=crumbs)


def _page(request: HttpRequest, before: Before, **context) -> HttpResponse:
    names = dict(PersonalDataClass.choices)
    context |= {
        "about": before.about,
        "classes": [(row, [(value, names[value], n) for value, n in row.classes.items()]) for row in before.about.operations],
        "replay": before.replay,
        "sums": before.sums,
        "reasons": before.reasons,
        "lost": before.lost,
        "opened": before.opened,
    }
    return render(request, "portal/preview.html", context)
