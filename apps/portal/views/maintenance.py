"""Announcing maintenance of a service, and calling it off: steps of the service's page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.disputes.maintenance import announce_maintenance, cancel_maintenance
from apps.disputes.models import Maintenance
from apps.portal.doors import do, door, find
from apps.portal.pact_forms import PlannedForm
from apps.portal.views.request_steps import valid
from apps.registry.models import DataService


@door
def announce(request: HttpRequest, code: str) -> HttpResponse:
    service = find(DataService.objects, request.user, code=code)
    do(request, announce_maintenance, service, _("The maintenance was announced to all who call the service."),
       **valid(PlannedForm(request.POST, prefix="maintenance")).cleaned_data)  # fmt: skip
    return redirect("portal:service", service.code)


@door
def cancel(request: HttpRequest, uuid) -> HttpResponse:
    row = find(Maintenance.objects.select_related("service__provider"), request.user, uuid=uuid)
    do(request, cancel_maintenance, row, _("The announced maintenance was called off."))
    return redirect("portal:service", row.service.code)
