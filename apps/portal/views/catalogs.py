"""Shared catalogs in the portal: browse at any date, a code's history, a reform as a drawing, releases and their difference."""

from __future__ import annotations

import datetime as dt

from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.catalogs import actions, crosswalk_review, reform, review
from apps.catalogs.calendar import today
from apps.catalogs.choices import OPEN_STATUSES, CrosswalkResult, Relation, ReleaseStatus, RowProblem
from apps.catalogs.crosswalk import Crosswalk, tables_of
from apps.catalogs.models import Catalog, Entry, Release, Succession
from apps.catalogs.staging import parse_date
from apps.catalogs.tables import read_table
from apps.core.errors import DomainError
from apps.portal import release_forms
from apps.portal.bindings import services_bound_to
from apps.portal.crosswalk_forms import PartForm, PreferForm
from apps.portal.doors import asked, do, door, find, form_page, page, paged, refused, version_of


def crumbs(*more: tuple) -> list[tuple]:
    return [(_("Home"), reverse("home")), (_("Shared catalogs"), reverse("portal:catalogs")), *more]


def day_of(request: HttpRequest, name: str) -> dt.date:
    """The day of the address; today for an empty or impossible one."""
    try:
        return parse_date(asked(request, name)) or today()
    except ValueError:
        return today()


@page
def catalogs(request: HttpRequest) -> HttpResponse:
    rows = Catalog.objects.visible_to(request.user).select_related("current", "preferred").search(asked(request, "q"))
    waiting = Count("releases", filter=Q(releases__status__in=OPEN_STATUSES))
    context = {
        "title": _("Shared catalogs"),
        "crumbs": [(_("Home"), reverse("home"))],
        "page": paged(request, rows.annotate(waiting=waiting).order_by("sort_key", "id").prefetch_related("others")),
        "chosen": request.GET,
        "sees_waiting": request.user.has_perm("catalogs.view_release"),
    }
    return render(request, "portal/catalogs.html", context)


@page
def catalog(request: HttpRequest, code: str) -> HttpResponse:
    row = find(Catalog.objects.select_related("current", "preferred"), request.user, code=code)
    day, (number, is_understood) = day_of(request, "as_of"), _release_number(request, row)
    entries = Entry.objects.filter(catalog=row).valid_on(day, number).search(asked(request, "q"))
    level = asked(request, "level")
    if level in row.level_codes:
        entries = entries.filter(level=level)
    if parent := asked(request, "parent"):
        entries = entries.filter(parent_code=parent)
    context = {
        "title": row.name,
        "crumbs": crumbs(),
        "catalog": row,
        "page": paged(request, entries.order_by("level", "code")),
        "chosen": request.GET,
        "day": day,
        "number": number,
        "is_understood": is_understood,
        "level_names": {item["code"]: item["name"] for item in row.levels},
        "reforms": _reforms(row),
        "may_stage": request.user.has_perm("catalogs.stage_release", None),
        **_same_tables(request, row),
    }
    return render(request, "portal/catalog.html", context)


def _same_tables(request: HttpRequest, row: Catalog) -> dict:
    """The tables that tell the same (which one is preferred, how many services are bound to each), and the crosswalks."""
    tables = row.same_tables
    bound = services_bound_to([table.code for table in tables])
    may_change = request.user.has_perm("catalogs.change_catalog", row)
    return {
        "same_tables": [(table, bound[table.code]) for table in tables],
        "crosswalks": tables_of(row),
        "prefer_form": PreferForm(row) if may_change else None,
        "part_form": PartForm() if may_change and row.preferred_id else None,
    }


def _release_number(request: HttpRequest, row: Catalog) -> tuple[int | None, bool]:
    """The release as of which the page is known (None: now), and whether the address was understood."""
    text = asked(request, "known_at")
    if not text:
        return None, True
    if text.isascii() and text.isdigit() and len(text) < 10:
        known = int(text) <= (row.current.number if row.current else 0)
        return (int(text), True) if known else (None, False)
    try:
        day = parse_date(text)
    except ValueError:
        return None, False
    if day >= today():  # the day is not over: what is known now, when it has begun
        return None, day == today()
    return row.releases.number_at(timezone.make_aware(dt.datetime.combine(day, dt.time.max))), True


def _reforms(row: Catalog) -> list[dict]:
    """Days on which lineage is recorded, newest first."""
    found = Succession.objects.filter(catalog=row).known_in(None).values("effective_on").annotate(pairs=Count("id"))
    return list(found.order_by("-effective_on")[:12])


@page
def catalog_item(request: HttpRequest, code: str, level: str, item: str) -> HttpResponse:
    row = find(Catalog.objects.select_related("current"), request.user, code=code)
    entries = list(Entry.objects.filter(catalog=row, level=level, code=item).order_by("valid_from", "recorded_in"))
    if not entries:
        raise Http404
    lines = Succession.objects.filter(catalog=row).known_in(None)
    context = {
        "title": entries[-1].full_name,
        "crumbs": crumbs((row.name, reverse("portal:catalog", args=[row.code]))),
        "catalog": row,
        "level_name": row.level_name(level),
        "code": item,
        "relations": dict(Relation.choices),
        "entries": entries,
        "counterparts": _counterparts(row, level, item),
        "predecessors": reform.named(row, lines.filter(new_level=level, new_code=item), "old"),
        "successors": reform.named(row, lines.filter(old_level=level, old_code=item), "new"),
    }
    return render(request, "portal/catalog_item.html", context)


def _counterparts(row: Catalog, level: str, item: str) -> list[tuple[Catalog, dict]]:
    """What other tables have for the code today."""
    asked_of = [(table, Crosswalk.now(row, table, today()).ask([(level, item)])[0]) for table in tables_of(row)]
    return [(table, answer) for table, answer in asked_of if answer["result"] != CrosswalkResult.UNKNOWN]


@page
def catalog_reform(request: HttpRequest, code: str, day: str) -> HttpResponse:
    """What became of one unit's parts on a day: a drawing and the same as a table."""
    row = find(Catalog.objects.all(), request.user, code=code)
    try:
        on = dt.date.fromisoformat(day)
    except ValueError as error:
        raise Http404 from error
    drawing = reform.draw(row, on, asked(request, "unit"))
    if drawing is None:
        raise Http404
    context = {
        "title": _("The reform of %(day)s") % {"day": on.strftime("%d/%m/%Y")},
        "crumbs": crumbs((row.name, reverse("portal:catalog", args=[row.code]))),
        "catalog": row,
        "day": on,
        "drawing": drawing,
        "chosen": request.GET,
    }
    return render(request, "portal/catalog_reform.html", context)


# --- releases ------------------------------------------------------------------------------------


@page
def releases(request: HttpRequest) -> HttpResponse:
    rows = Release.objects.visible_to(request.user).select_related("catalog", "published_by")
    if asked(request, "catalog"):
        rows = rows.filter(catalog__code=asked(request, "catalog"))
    if asked(request, "status") in ReleaseStatus.values:
        rows = rows.filter(status=asked(request, "status"))
    context = {
        "title": _("Releases of catalogs"),
        "crumbs": crumbs(),
        "page": paged(request, rows.order_by("-id")),
        "chosen": request.GET,
        "catalogs": Catalog.objects.visible_to(request.user),
        "statuses": ReleaseStatus.choices,
    }
    return render(request, "portal/catalog_releases.html", context)


@page
def release(request: HttpRequest, uuid) -> HttpResponse:
    row = find(Release.objects.select_related("catalog", "published_by", "staged_by", "inverse_of"), request.user, uuid=uuid)
    part = _part(request, row)
    kinds = crosswalk_review.Kind if part == "crosswalk" else review.Kind
    kind = asked(request, "kind")
    kind = kind if kind in kinds.values else ""
    changes = (crosswalk_review.lines if part == "crosswalk" else review.changes)(row, kind=kind, text=asked(request, "q"))
    context = {
        "title": _release_title(row),
        "crumbs": crumbs((row.catalog.name, reverse("portal:catalog", args=[row.catalog.code])), (_("Releases of catalogs"), reverse("portal:catalog-releases"))),
        "release": row,
        "part": part,
        "has_crosswalk": bool(row.counts.get("crosswalk")),
        "page": paged(request, changes, size=50),
        "chosen": {"kind": kind, "q": asked(request, "q"), **({"part": part} if row.counts.get("crosswalk") else {})},
        "tallies": [(value, label, row.counts.get(f"crosswalk_{value}" if part == "crosswalk" else value, 0)) for value, label in kinds.choices],
        "kind_labels": dict(kinds.choices),
        "problem_labels": dict(RowProblem.choices),
        "level_names": {item["code"]: item["name"] for item in row.catalog.levels},
        "reasons": review.reasons_in_words(row),
        "buttons": release_forms.buttons(row, request.user),
        "is_stale": row.status in OPEN_STATUSES and row.judged_on_id != row.catalog.current_id,
    }  # fmt: skip
    return render(request, "portal/catalog_release.html", context)


def _part(request: HttpRequest, row: Release) -> str:
    """Which part of the release is looked at: its list or its crosswalk. One that has lines only opens with them."""
    if not row.counts.get("crosswalk"):
        return "list"
    given = asked(request, "part")
    return given if given in ("list", "crosswalk") else ("list" if row.counts.get("rows") else "crosswalk")


def _release_title(row: Release) -> str:
    if row.number:
        return _("%(catalog)s: release %(number)s") % {"catalog": row.catalog.name, "number": row.number}
    return _("%(catalog)s: a release that is not published") % {"catalog": row.catalog.name}


@door
def release_step(request: HttpRequest, uuid, verb: str) -> HttpResponse:
    row = find(Release.objects.select_related("catalog"), request.user, uuid=uuid)
    back = reverse("portal:catalog-release", args=[row.uuid])
    if verb not in release_forms.FORMS:
        raise Http404
    form = release_forms.FORMS[verb](row, request.POST)
    if not form.is_valid():
        return refused(request, form.as_error(), back=back)
    try:
        made = do(
            request, release_forms.VERBS[verb], row, release_forms.DONE[verb], version=version_of(request), **form.facts()
        )
    except actions.ReasonsNotAccepted as error:
        # The list was judged again, for the day that was given, and is held for more: let the page show what there is to accept.
        if waiting := Release.objects.filter(pk=row.pk, status__in=OPEN_STATUSES).first():
            actions.judge_release(waiting, by=request.user, effective_on=form.cleaned_data["effective_on"])
        return refused(request, error, back=back)
    except DomainError as error:
        return refused(request, error, back=back)
    return redirect("portal:catalog-release", uuid=made.uuid)


@form_page
def stage(request: HttpRequest, code: str) -> HttpResponse:
    """A list from a file or by hand. It is staged and judged; its page is the preview, and nothing is live before a decision."""
    row = find(Catalog.objects.all(), request.user, code=code)
    if not request.user.has_perm("catalogs.stage_release", None):
        raise Http404
    form = release_forms.StageForm(row, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.stage_release(row, form.rows(read_table), by=request.user, **form.facts(request.user))
            if made.status == ReleaseStatus.STAGED:
                made = actions.judge_release(made, by=request.user)
            return redirect("portal:catalog-release", uuid=made.uuid)
        except DomainError as error:
            form.add_error(None, f"{error.title} {error.detail}")
    context = {
        "title": _("A new release of %(catalog)s") % {"catalog": row.name},
        "crumbs": crumbs((row.name, reverse("portal:catalog", args=[row.code]))),
        "catalog": row,
        "form": form,
    }
    return render(request, "portal/catalog_stage.html", context, status=400 if form.errors else 200)
