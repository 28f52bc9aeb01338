"""Agreements: the list, and the agreement on one page."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import Agreement, Party
from apps.agreements.reading import as_read
from apps.portal import case, pact
from apps.portal.asking import asking
from apps.portal.doors import asked, find, page, paged


@page
def agreements(request: HttpRequest) -> HttpResponse:
    seen = Party.objects.visible_to(request.user).select_related("organization")
    rows = Agreement.objects.visible_to(request.user).with_reach(request.user).order_by("-id")
    rows = rows.prefetch_related(Prefetch("parties", seen))
    if asked(request, "q"):
        rows = rows.found_by(request.user, asked(request, "q"))
    if asked(request, "status") in AgreementStatus.values:
        rows = rows.in_status([asked(request, "status")], request.user)
    shown = paged(request, rows)
    for row in shown:
        as_read(row)
    context = {
        "title": _("Agreements"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": shown,
        "chosen": request.GET,
        "statuses": AgreementStatus.choices,
    }
    return render(request, "portal/agreements.html", context)


@page
def agreement_page(request: HttpRequest, uuid) -> HttpResponse:
    row = as_read(find(Agreement.objects.with_reach(request.user), request.user, uuid=uuid))
    context = {
        "title": _("Agreement %(number)s") % {"number": row.number},
        "crumbs": [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements"))],
        "agreement": row,
        **pact.pieces(row, request.user, _version(request)),
        **asking(row, request.user),
    }
    parts = ("grants", "acceptances", "credentials", "extended")
    about = (row, *(part for name in parts for part in context[name])) if not context["is_joining"] else ()
    reach = case.until(row.read_until, request.user) if row.read_until else None
    context["timeline"] = case.timeline(*about, reach=reach)
    return render(request, "portal/agreement.html", context)


def _version(request: HttpRequest) -> int | None:
    """The version the address asks for; nonsense is not found."""
    given = asked(request, "version")
    if not given:
        return None
    if not given.isdecimal() or len(given) > 6:
        raise Http404
    return int(given)
