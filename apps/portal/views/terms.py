"""Usage regulations with the provider's standard terms: the list, writing, and the signature given once by its signer."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.registers import VerbPage, facts_of
from apps.organizations.roles import organization_ids
from apps.portal import case
from apps.portal.doors import do, door, find, form_page, page, paged, version_of
from apps.portal.forms import PasswordForm
from apps.portal.proof import prove
from apps.portal.verb_pages import links, open_page
from apps.registry import forms
from apps.registry.actions.terms import change_terms, end_terms, sign_terms, write_terms
from apps.registry.models import UsageRegulation


def _rows():
    return UsageRegulation.objects.select_related("organization", "kept_by", "terms_signed_by")


def _write(request: HttpRequest, _obj, form) -> HttpResponse:
    facts = form.facts()
    made = write_terms(facts.pop("organization"), by=request.user, **facts)
    return redirect("portal:terms", made.uuid)


WRITE = VerbPage("write", gettext_lazy("Write a regulation"), _write, "registry.write_terms", forms.TermsForm, "primary",
                 help=gettext_lazy("Who writes the terms does not sign them."))  # fmt: skip
PAGES = {
    page.name: page
    for page in (
        VerbPage("change", gettext_lazy("Change"), facts_of(change_terms), "registry.write_terms", forms.TermsChangeForm,
                 when=lambda row: not row.is_signed),
        VerbPage("end", gettext_lazy("Set its end"), facts_of(end_terms), "registry.write_terms", forms.TermsEndForm, "danger"),
    )
}  # fmt: skip


def _crumbs() -> list:
    return [(_("Home"), reverse("home")), (_("Usage regulations"), reverse("portal:regulations"))]


@page
def regulations(request: HttpRequest) -> HttpResponse:
    """Those of the person's own agencies first, then what others published."""
    mine = organization_ids(request.user)
    rows = _rows().visible_to(request.user).order_by("organization__sort_key", "-issued_on", "-id")
    context = {
        "title": _("Usage regulations"),
        "crumbs": [(_("Home"), reverse("home"))],
        "own": rows.kept_by_any(mine),
        "page": paged(request, rows.exclude(pk__in=UsageRegulation.objects.kept_by_any(mine).values("pk"))),
        "may_write": request.user.has_perm("registry.write_terms"),
    }
    return render(request, "portal/regulations.html", context)


@form_page
def write(request: HttpRequest) -> HttpResponse:
    return open_page(request, WRITE, None, back=reverse("portal:regulations"), crumbs=_crumbs())


@form_page
def step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    if verb not in PAGES:
        raise Http404
    row = find(_rows(), request.user, uuid=uuid)
    return open_page(request, PAGES[verb], row, back=reverse("portal:terms", args=[row.uuid]), crumbs=_crumbs())


@page
def terms_page(request: HttpRequest, uuid) -> HttpResponse:
    row = find(_rows(), request.user, uuid=uuid)
    may_sign = not row.is_signed and bool(row.terms) and request.user.has_perm("registry.sign_terms", row)
    context = {
        "title": _("Usage regulation %(number)s") % {"number": row.number},
        "crumbs": _crumbs(),
        "row": row,
        "buttons": links(PAGES, row, request.user, lambda name: reverse("portal:terms-step", args=[row.uuid, name])),
        "services": row.services.visible_to(request.user),
        "form": PasswordForm() if may_sign and row.written_by_id != request.user.pk else None,
        "timeline": case.timeline(row),
    }
    return render(request, "portal/terms.html", context)


@door
def sign(request: HttpRequest, uuid) -> HttpResponse:
    row = find(_rows(), request.user, uuid=uuid)
    prove(request, PasswordForm(request.POST))
    do(request, sign_terms, row, _("You have signed the standard terms."), version=version_of(request))
    return redirect("portal:terms", row.uuid)
