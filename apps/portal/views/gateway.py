"""The gateway's last day: how much passed, how fast, what was refused and why."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.gateway.actions import note_reading
from apps.gateway.isolation import paused_providers
from apps.gateway.models import GatewayProcess
from apps.organizations.roles import roles_of
from apps.portal import traffic
from apps.portal.doors import page


@page
def gateway(request: HttpRequest) -> HttpResponse:
    """Reading the log of calls is itself recorded (LOG-06), as in the register and through the API."""
    found = traffic.overview(request.user)
    if roles_of(request.user):
        note_reading("calls", by=request.user, asked={"page": "overview"}, rows=len(found["recent"]))
    context = {
        "title": _("Gateway"),
        "crumbs": [(_("Home"), reverse("home"))],
        "pauses": paused_providers(request.user),
        "processes": list(GatewayProcess.objects.visible_to(request.user).alive()),
        **found,
    }
    return render(request, "portal/gateway.html", context)
