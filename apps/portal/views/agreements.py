"""Agreements: the list, and the agreement on one page."""

from __future__ import annotations

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import Agreement, Party
from apps.portal import case, pact
from apps.portal.asking import asking
from apps.portal.doors import asked, find, page, paged


@page
def agreements(request: HttpRequest) -> HttpResponse:
    seen = Party.objects.visible_to(request.user).select_related("organization")
    rows = Agreement.objects.visible_to(request.user).prefetch_related(Prefetch("parties", seen)).order_by("-id")
    if asked(request, "q"):
        # The line names all parties: one who is only joining does not find by whom else data is taken.
        rows = rows.read_in_full_by(request.user).search(asked(request, "q"))
    if asked(request, "status") in AgreementStatus.values:
        rows = rows.filter(status=asked(request, "status"))
    context = {
        "title": _("Agreements"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": paged(request, rows),
        "chosen": request.GET,
        "statuses": AgreementStatus.choices,
    }
    return render(request, "portal/agreements.html", context)


@page
def agreement_page(request: HttpRequest, uuid) -> HttpResponse:
    row = find(Agreement.objects, request.user, uuid=uuid)
    context = {
        "title": _("Agreement %(number)s") % {"number": row.number},
        "crumbs": [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements"))],
        "agreement": row,
        **pact.pieces(row, request.user, _version(request)),
        **asking(row, request.user),
    }
    about = (row, *context["grants"], *context["acceptances"], *context["credentials"]) if context["reads_all"] else ()
    context["timeline"] = case.timeline(*about)
    return render(request, "portal/agreement.html", context)


def _version(request: HttpRequest) -> int | None:
    """The version the address asks for; nonsense is not found."""
    given = asked(request, "version")
    if not given:
        return None
    if not given.isdecimal() or len(given) > 6:
        raise Http404
    return int(given)
