"""What each provider shares by default, by which decision, and when that is to be looked at again (NĐ 47/2020 Điều 34)."""

from __future__ import annotations

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.core.registers import VerbPage
from apps.legal.stated import stated, stated_lazy
from apps.organizations.choices import Role
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.portal.doors import form_page, page
from apps.portal.verb_pages import open_page
from apps.registry import actions, forms
from apps.registry.actions.default_lists import RULE
from apps.registry.choices import Environment, SharingForm
from apps.registry.clock import BEFORE_REVIEW
from apps.registry.models import DataService, DefaultShareList

ENOUGH = 3
"""Consumers of a special service from which moving it to default sharing is suggested (WF-15)."""


def _decide(request: HttpRequest, _obj, form):
    facts = form.facts()
    return actions.decide_default_list(facts.pop("organization"), by=request.user, **facts)


DECIDE = VerbPage(
    "decide", gettext_lazy("Enter a decision"), _decide, "registry.decide_default_list", forms.DefaultListForm, "primary",
    help=stated_lazy(gettext_lazy("A list is reviewed at least every %(term)s (%(citation)s)."), RULE),
)  # fmt: skip


@page
def default_lists(request: HttpRequest) -> HttpResponse:
    today = timezone.localdate()
    rows = DefaultShareList.objects.visible_to(request.user).select_related("organization", "kept_by", "review_rule")
    newest = {row.pk for row in DefaultShareList.objects.in_force()}
    found = list(rows.prefetch_related("services").order_by("organization__sort_key", "-decided_on", "-id")[:500])
    for row in found:
        row.is_in_force = row.pk in newest
        row.is_late = row.is_in_force and row.next_review_on < today
        row.is_near = row.is_in_force and not row.is_late and row.next_review_on - BEFORE_REVIEW <= today
    context = {
        "title": _("Default-share lists"),
        "crumbs": [(_("Home"), reverse("home"))],
        "reviewed": stated(_("A list is reviewed at least every %(term)s (%(citation)s)."), RULE),
        "rows": found,
        "suggested": _suggested(request.user),
        "enough": ENOUGH,
        "may_decide": request.user.has_perm("registry.decide_default_list"),
    }
    return render(request, "portal/default_lists.html", context)


def _suggested(user):
    """Special services of the person's agencies (all for platform readers) that many agencies use already, in production, today."""
    rows = DataService.objects.filter(sharing_form=SharingForm.SPECIAL).select_related("provider")
    if not is_platform_reader(user):
        rows = rows.filter(provider_id__in=organization_ids(user, Role.PROVIDER_OFFICER, Role.SIGNER))
    grants = "versions__operations__grants"
    used = Q((f"{grants}__agreement__status", AgreementStatus.IN_FORCE), (f"{grants}__environment", Environment.PRODUCTION))
    used &= ~Q((f"{grants}__status", GrantStatus.ENDED))
    counted = rows.annotate(n=Count(f"{grants}__system__organization", filter=used, distinct=True))
    return counted.filter(n__gte=ENOUGH).order_by("-n", "sort_key")[:50]


@form_page
def decide(request: HttpRequest) -> HttpResponse:
    back = reverse("portal:default-lists")
    crumbs = [(_("Home"), reverse("home")), (_("Default-share lists"), back)]
    return open_page(request, DECIDE, None, back=back, crumbs=crumbs)
