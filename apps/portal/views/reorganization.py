"""Merging an agency into another: first what would be carried over, then the same once more to do it."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.errors import DomainError
from apps.disputes.models import Dispute, Ticket
from apps.disputes.reorganization import merge_organizations, plan_merge
from apps.organizations.choices import OrganizationStatus
from apps.organizations.models import Organization
from apps.organizations.roles import is_operator
from apps.portal.doors import form_page, said
from apps.portal.forms import MergeForm


@form_page
def merge(request: HttpRequest) -> HttpResponse:
    """`confirm` does it; without it the same form shows the plan."""
    if not is_operator(request.user):
        raise PermissionDenied
    agencies = Organization.objects.filter(status=OrganizationStatus.ACTIVE)
    form = MergeForm(request.POST or None, agencies=agencies)
    plan = None
    if request.method == "POST" and form.is_valid():
        source, into, instrument = (form.cleaned_data[name] for name in ("source", "into", "instrument"))
        try:
            plan = plan_merge(source, into, by=request.user)
            if "confirm" in request.POST and not plan.is_hindered:
                made = merge_organizations(source, into, by=request.user, instrument=instrument)
                said_so = _("%(source)s was merged into %(into)s; %(n)s agreements were carried over.")
                messages.success(request, said_so % {"source": source, "into": into, "n": len(made.agreements)})
                return redirect("portal:agreements")
        except DomainError as error:
            form.add_error(None, said(error))
    known = {row.number: row for row in (*plan.disputes, *plan.tickets)} if plan else {}
    context = {
        "title": _("Merge agencies"),
        "crumbs": [(_("Home"), reverse("home")), (_("Agreements"), reverse("portal:agreements"))],
        "form": form,
        "plan": plan,
        "unfinished": [(number, _where(number, known.get(number))) for number in plan.unfinished] if plan else [],
        "missing_roles": [role.label for role in plan.missing_roles] if plan else [],
    }
    return render(request, "portal/reorganization.html", context, status=400 if form.errors else 200)


LISTS = {"TT": "portal:agreements", "YC": "portal:requests"}
"""What a number begins with → the list that finds it."""


def _where(number: str, case: Dispute | Ticket | None) -> str:
    """The page of a dispute or a question; of what the plan knows by its number alone, the list that finds it."""
    if case is not None:
        return reverse(f"portal:{case._meta.model_name}", args=[case.uuid])
    return f"{reverse(LISTS.get(number[:2], 'portal:requests'))}?{urlencode({'q': number})}"
