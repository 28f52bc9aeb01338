"""The catalog of data services as a consumer reads it."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.organizations.models import Organization
from apps.portal.doors import asked, find, page, paged
from apps.registry.choices import PersonalDataClass, Protocol, SharingForm
from apps.registry.models import DataService, Field, Operation, ServiceVersion


@page
def services(request: HttpRequest) -> HttpResponse:
    rows = DataService.objects.visible_to(request.user).live().select_related("provider").search(asked(request, "q"))
    context = {
        "title": _("Data services"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": paged(request, _filtered(rows, request).order_by("sort_key", "id")),
        "chosen": request.GET,
        "forms": SharingForm.choices,
        "protocols": Protocol.choices,
        "providers": Organization.objects.filter(services__isnull=False).distinct(),
        "personal": [
            ("no", _("no personal data")),
            ("basic", _("basic personal data")),
            ("sensitive", _("sensitive personal data")),
        ],
    }
    return render(request, "portal/services.html", context)


def _filtered(rows, request: HttpRequest):
    personal = Field.objects.filter(operation__version__service=OuterRef("pk"), operation__version__status="published")
    rows = rows.annotate(
        has_basic=Exists(personal.filter(personal_data=PersonalDataClass.BASIC)),
        has_sensitive=Exists(personal.filter(personal_data=PersonalDataClass.SENSITIVE)),
    )
    if asked(request, "form") in SharingForm.values:
        rows = rows.filter(sharing_form=asked(request, "form"))
    if asked(request, "protocol") in Protocol.values:
        rows = rows.filter(protocol=asked(request, "protocol"))
    if asked(request, "provider"):
        rows = rows.filter(provider__code=asked(request, "provider"))
    if asked(request, "personal") == "no":
        rows = rows.filter(has_basic=False, has_sensitive=False)
    if asked(request, "personal") == "basic":
        rows = rows.filter(has_basic=True)
    if asked(request, "personal") == "sensitive":
        rows = rows.filter(has_sensitive=True)
    return rows


@page
def service_page(request: HttpRequest, code: str) -> HttpResponse:
    row = find(DataService.objects.select_related("provider", "usage_regulation"), request.user, code=code)
    operations = Operation.objects.prefetch_related("parameters", Prefetch("fields", Field.objects.order_by("position", "id")))
    versions = list(
        ServiceVersion.objects.visible_to(request.user)
        .filter(service=row)
        .live()
        .prefetch_related(Prefetch("operations", operations))
    )
    if not versions:
        raise Http404
    context = {
        "title": row.name,
        "crumbs": [(_("Home"), reverse("home")), (_("Data services"), reverse("portal:services"))],
        "service": row,
        "versions": versions,
    }
    return render(request, "portal/service.html", context)
