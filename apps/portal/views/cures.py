"""Where the link of a gateway's refusal leads: the page on which a person can mend what the refusal says.

Whoever follows it sees only what they may see there; the link itself tells nothing and changes nothing.
"""

from __future__ import annotations

import re
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import Agreement, Credential
from apps.gateway.refusals import REFUSALS, TABLE
from apps.legal.models import LegalBasis
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import organization_ids
from apps.portal.doors import asked, page

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,59}")
PANEL = "#panel-h"
"""The part of an agreement's page in which a change or a renewal is asked for."""


@page
def cure(request: HttpRequest, fix: str) -> HttpResponse:
    """Send the reader on to the place `fix` (`gateway.problems.NEEDED`), or to the nearest place they may see."""
    if fix not in _PLACES:
        raise Http404
    return _PLACES[fix](request)


def _service(request: HttpRequest) -> HttpResponse:
    code = asked(request, "service")
    return redirect("portal:service", code) if SLUG.fullmatch(code) else redirect("portal:services")


def _request(request: HttpRequest) -> HttpResponse:
    """The form of a new request with system, service and purpose filled in, for whoever may file for that system."""
    mine = organization_ids(request.user, Role.CONSUMER_OFFICER)
    systems = InformationSystem.objects.visible_to(request.user).filter(code=asked(request, "system"), organization__in=mine)
    if not systems.exists():
        return _service(request)
    given = {name: asked(request, name) for name in ("service", "operation", "system", "purpose")}
    return redirect(f"{reverse('portal:request-new')}?{urlencode({name: value for name, value in given.items() if value})}")


def _agreement_of(request: HttpRequest) -> Agreement | None:
    return Agreement.objects.visible_to(request.user).filter(number=asked(request, "agreement")).first()


def _agreement(request: HttpRequest) -> HttpResponse:
    found = _agreement_of(request)
    return redirect("portal:agreement", found.uuid) if found else redirect("portal:agreements")


def _change(request: HttpRequest) -> HttpResponse:
    """Asked for on the page of an agreement in force; what is over needs a new request."""
    found = _agreement_of(request)
    if found is None or found.status == AgreementStatus.IN_FORCE:
        place = reverse("portal:agreement", args=[found.uuid]) + PANEL if found else reverse("portal:agreements")
        return redirect(place)
    return _request(request)


def _system(request: HttpRequest) -> HttpResponse:
    """The newest account of the system."""
    rows = Credential.objects.visible_to(request.user).filter(system__code=asked(request, "system"))
    found = rows.order_by("-id").first()
    return redirect("portal:credential", found.uuid) if found else redirect("portal:agreements")


def _refusal(request: HttpRequest) -> HttpResponse:
    """Every code with its meaning; the one in question first."""
    code = asked(request, "code")
    citations = LegalBasis.objects.citations(timezone.localdate())
    rows = [{"row": row, "before": row.code in REFUSALS, "clause": citations.get(row.basis, "")} for row in TABLE.values()]
    context = {
        "title": _("Codes of refusals"),
        "crumbs": [(_("Home"), reverse("home")), (_("Gateway"), reverse("portal:gateway"))],
        "chosen": next((item for item in rows if item["row"].code == code), None),
        "rows": rows,
    }
    return render(request, "portal/refusals.html", context)


_PLACES = {
    "services": lambda request: redirect("portal:services"), "service": _service, "request": _request, "agreement": _agreement,
    "change": _change, "renewal": _change, "system": _system, "refusal": _refusal,
}  # fmt: skip
