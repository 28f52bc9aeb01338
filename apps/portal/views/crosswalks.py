"""Crosswalks in the portal: two tables side by side, staging lines, and which of the tables is to be used."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.catalogs import actions, preference
from apps.catalogs.choices import Relation, ReleaseStatus, Scope
from apps.catalogs.crosswalk import Crosswalk
from apps.catalogs.models import Catalog
from apps.core.errors import DomainError, InvalidFact
from apps.core.workflow import require
from apps.portal.crosswalk_forms import CrosswalkForm, PartForm, PreferForm
from apps.portal.doors import PAGE_SIZE, asked, do, door, find, form_page, page, refused, said
from apps.portal.views.catalogs import crumbs, day_of


@page
def crosswalk(request: HttpRequest, code: str, other: str) -> HttpResponse:
    """The lines between two tables that hold on a day."""
    rows = Catalog.objects.select_related("current", "preferred")
    row, table = find(rows, request.user, code=code), find(rows, request.user, code=other)
    if row == table:
        raise Http404
    day, number = day_of(request, "as_of"), _page_number(request)
    asked_of, text = Crosswalk.now(row, table, day), asked(request, "q")
    lines, count = asked_of.lines(limit=PAGE_SIZE, offset=(number - 1) * PAGE_SIZE, text=text)
    if number > 1 and not lines:  # beyond the last page
        number = 1
        lines, count = asked_of.lines(limit=PAGE_SIZE, offset=0, text=text)
    context = {
        "title": _("%(catalog)s – %(other)s") % {"catalog": row.name, "other": table.name},
        "crumbs": crumbs((row.name, reverse("portal:catalog", args=[row.code]))),
        "catalog": row,
        "other": table,
        "preferred": (row.preferred or row) if row.preferred_id == table.pk or table.preferred_id == row.pk else None,
        "lines": lines,
        "count": count,
        "number": number,
        "pages": max(1, -(-count // PAGE_SIZE)),
        "relations": dict(Relation.choices),
        "levels": [{item["code"]: item["name"] for item in each.levels} for each in (row, table)],
        "day": day,
        "chosen": request.GET,
        "may_stage": request.user.has_perm("catalogs.stage_release", None),
    }
    return render(request, "portal/crosswalk.html", context)


def _page_number(request: HttpRequest) -> int:
    text = asked(request, "page")
    return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 7 and int(text) else 1


@form_page
def stage(request: HttpRequest, code: str) -> HttpResponse:
    """Lines from a file or by hand. They are staged and judged; the release's page is the preview."""
    row = find(Catalog.objects.all(), request.user, code=code)
    if not request.user.has_perm("catalogs.stage_release", None):
        raise Http404
    other = asked(request, "other") or (row.preferred.code if row.preferred else "")
    form = CrosswalkForm(row, request.POST or None, request.FILES or None, initial={"other": other})
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.stage_release(
                row, (), by=request.user, correspondences=form.correspondences(), scope=Scope.CHANGES, **form.facts(request.user)
            )  # fmt: skip
            if made.status == ReleaseStatus.STAGED:
                made = actions.judge_release(made, by=request.user)
            return redirect("portal:catalog-release", uuid=made.uuid)
        except DomainError as error:
            form.add_error(None, said(error))
    context = {
        "title": _("Lines of a crosswalk of %(catalog)s") % {"catalog": row.name},
        "crumbs": crumbs((row.name, reverse("portal:catalog", args=[row.code]))),
        "catalog": row,
        "form": form,
    }
    return render(request, "portal/crosswalk_stage.html", context, status=400 if form.errors else 200)


@door
def prefer(request: HttpRequest, code: str) -> HttpResponse:
    return _decide(request, code, PreferForm, preference.prefer_catalog, _("The preferred table is marked."))


@door
def part(request: HttpRequest, code: str) -> HttpResponse:
    return _decide(request, code, PartForm, preference.part_catalog, _("The table stands alone again."))


def _decide(request: HttpRequest, code: str, form_class, verb, message: str) -> HttpResponse:
    row = find(Catalog.objects.all(), request.user, code=code)
    require(request.user, "catalogs.change_catalog", row)
    back = reverse("portal:catalog", args=[row.code])
    form = form_class(row, request.POST) if form_class is PreferForm else form_class(request.POST)
    if not form.is_valid():
        errors = {name: [str(text) for text in texts] for name, texts in form.errors.items()}
        return refused(request, InvalidFact(fields=errors), back=back)
    try:
        do(request, verb, row, message, **form.cleaned_data)
    except DomainError as error:
        return refused(request, error, back=back)
    return redirect(back)
