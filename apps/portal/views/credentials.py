"""Accounts of systems: the page of one, collecting its secret once, rotating and revoking."""

from __future__ import annotations

import uuid as uuids

from django.conf import settings
from django.db.models import Case, F, Q, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements import actions
from apps.agreements.choices import CredentialStatus
from apps.agreements.clock import EXPIRY, longest
from apps.agreements.models import Agreement, Credential
from apps.core.text import words
from apps.portal import case, pact_access
from apps.portal.doors import asked, do, door, find, page, paged, version_of
from apps.portal.forms import ReasonForm
from apps.portal.planned import planned_suspensions
from apps.portal.views.agreement_steps import find_credential
from apps.portal.views.request_steps import valid
from apps.registry.choices import Environment


@page
def credential_page(request: HttpRequest, uuid) -> HttpResponse:
    return render(request, "portal/credential.html", _context(request, find_credential(request, uuid)))


@page
def accounts(request: HttpRequest) -> HttpResponse:
    """The accounts of one's own systems: what waits to be collected first, then by the day they end."""
    rows = Credential.objects.visible_to(request.user).select_related("system__organization")
    for word in words(asked(request, "q"))[:8]:
        rows = rows.filter(Q(system__folded__contains=word) | Q(client_id__icontains=word))
    if asked(request, "environment") in Environment.values:
        rows = rows.filter(environment=asked(request, "environment"))
    if asked(request, "status") in CredentialStatus.values:
        rows = rows.filter(status=asked(request, "status"))
    order = Case(When(status="unclaimed", then=0), When(status="active", then=1), default=2)
    found = paged(request, rows.order_by(order, F("expires_at").asc(nulls_first=True), "-id"))
    now = timezone.now()
    soon = now + longest(EXPIRY, now)
    for row in found:
        row.ends_soon = row.status == CredentialStatus.ACTIVE and row.expires_at is not None and row.expires_at < soon
    context = {
        "title": _("Accounts of systems"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": found,
        "chosen": request.GET,
        "statuses": CredentialStatus.choices,
        "environments": Environment.choices,
        **planned_suspensions(request.user),
    }
    return render(request, "portal/accounts.html", context)


@door
def reissue(request: HttpRequest, uuid) -> HttpResponse:
    """A new account for a system of this agreement whose account was revoked or ran out."""
    agreement = find(Agreement.objects, request.user, uuid=uuid)
    environment = request.POST.get("environment", "")
    grant = agreement.grants.filter(system__uuid=_uuid(request.POST.get("system", "")), environment=environment).first()
    if grant is None:
        raise Http404
    do(request, lambda obj, by: actions.reissue_credential(obj, environment, by=by), grant.system,
       _("A new account was issued; the system's agency collects its secret."))  # fmt: skip
    return redirect("portal:agreement", agreement.uuid)


def _uuid(text: str):
    try:
        return uuids.UUID(text)
    except ValueError:
        raise Http404 from None


def _context(request: HttpRequest, row) -> dict:
    agreements = Agreement.objects.visible_to(request.user).filter(grants__system=row.system).distinct().order_by("-id")
    return {
        "title": _("Account of %(system)s") % {"system": row.system},
        "crumbs": [(_("Home"), reverse("home")), (_("Accounts of systems"), reverse("portal:accounts"))],
        "credential": row,
        "buttons": pact_access.credential_buttons(row, request.user),
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
