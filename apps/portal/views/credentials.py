"""Accounts of systems: the page of one, collecting its secret once, rotating and revoking."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements import actions
from apps.agreements.models import Agreement
from apps.portal import case, pact
from apps.portal.doors import do, door, page, version_of
from apps.portal.forms import ReasonForm
from apps.portal.views.agreement_steps import find_credential
from apps.portal.views.request_steps import valid


@page
def credential_page(request: HttpRequest, uuid) -> HttpResponse:
    return render(request, "portal/credential.html", _context(request, find_credential(request, uuid)))


def _context(request: HttpRequest, row) -> dict:
    agreements = Agreement.objects.visible_to(request.user).filter(grants__system=row.system).distinct().order_by("-id")
    return {
        "title": _("Account of %(system)s") % {"system": row.system},
        "crumbs": [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements"))],
        "credential": row,
        "buttons": pact.credential_buttons(row, request.user),
        "agreements": agreements[:20],
        "timeline": case.timeline(row),
        "gateway": settings.GATEWAY_URL,
    }


@door
def take_step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    if verb not in ("claim", "rotate", "revoke"):
        raise Http404
    row = find_credential(request, uuid)
    return {"claim": _claim, "rotate": _rotate, "revoke": _revoke}[verb](request, row)


def _claim(request: HttpRequest, row) -> HttpResponse:
    """The one answer that carries the secret: shown in place, not redirected to, not stored by any cache."""
    secret = actions.claim_credential(row, by=request.user, version=version_of(request))
    return render(request, "portal/credential.html", {**_context(request, row), "secret": secret})


def _rotate(request: HttpRequest, row) -> HttpResponse:
    new = do(request, actions.rotate_credential, row, _("A successor was issued; collect its secret on this page."),
             version=version_of(request))  # fmt: skip
    return redirect("portal:credential", new.uuid)


def _revoke(request: HttpRequest, row) -> HttpResponse:
    reason = valid(ReasonForm(request.POST)).cleaned_data["reason"]
    do(request, actions.revoke_credential, row, _("The account was revoked."), reason=reason, version=version_of(request))
    return redirect("portal:credential", row.uuid)
