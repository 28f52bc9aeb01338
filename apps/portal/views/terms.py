"""The provider's standard terms, read and signed once by its signer."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.portal import case
from apps.portal.doors import do, door, find, page
from apps.portal.forms import PasswordForm
from apps.portal.proof import prove
from apps.registry.actions.terms import sign_terms
from apps.registry.models import UsageRegulation


def _rows():
    return UsageRegulation.objects.select_related("organization", "terms_signed_by")


@page
def terms_page(request: HttpRequest, uuid) -> HttpResponse:
    row = find(_rows(), request.user, uuid=uuid)
    may_sign = not row.is_signed and bool(row.terms) and request.user.has_perm("registry.sign_terms", row)
    context = {
        "title": _("Usage regulation %(number)s") % {"number": row.number},
        "crumbs": [(_("Home"), reverse("home")), (_("Data services"), reverse("portal:services"))],
        "row": row,
        "services": row.services.visible_to(request.user),
        "form": PasswordForm() if may_sign and row.written_by_id != request.user.pk else None,
        "timeline": case.timeline(row),
    }
    return render(request, "portal/terms.html", context)


@door
def sign(request: HttpRequest, uuid) -> HttpResponse:
    row = find(_rows(), request.user, uuid=uuid)
    prove(request, PasswordForm(request.POST))
    do(request, sign_terms, row, _("You have signed the standard terms."))
    return redirect("portal:terms", row.uuid)
