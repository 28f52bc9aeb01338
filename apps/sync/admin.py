from __future__ import annotations

import json

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from apps.catalogs.choices import HoldReason
from apps.core.admin import ReadOnlyAdmin
from apps.core.errors import DomainError, StaleVersion
from apps.core.registers import Overtaken, shown
from apps.sync import actions
from apps.sync.advice import advice_of
from apps.sync.choices import STEPS, DossierProblem, RunStatus, SourceKind, Stage
from apps.sync.condition import Condition, State, condition_of, newest_runs, waits_for_a_decision
from apps.sync.models import Source, SyncRun

_COLORS = {RunStatus.PUBLISHED: "success", RunStatus.UNCHANGED: "success", RunStatus.HELD: "warning", RunStatus.FAILED: "danger",
           RunStatus.RUNNING: "info", RunStatus.QUEUED: "info"}  # fmt: skip


_TONES = {State.FAILED: "bad", State.STALE: "bad", State.RETRYING: "wait", State.WAITING: "wait", State.RUNNING: "busy",
          State.FRESH: "good", State.NEW: "busy", State.OFF: "busy"}  # fmt: skip
# Every state has its place: of one that has none the list would show the code instead of the words.
_STATE_COLORS = {**dict.fromkeys(State, ""), **dict.fromkeys((State.FAILED, State.STALE), "danger"),
                 **dict.fromkeys((State.RETRYING, State.WAITING), "warning"),
                 State.FRESH: "success", State.RUNNING: "info"}  # fmt: skip
_RUN_TONES = {RunStatus.PUBLISHED: "good", RunStatus.UNCHANGED: "good", RunStatus.HELD: "wait", RunStatus.FAILED: "bad",
              RunStatus.RUNNING: "busy", RunStatus.QUEUED: "busy"}  # fmt: skip


_BOXES = {"secret": "new_secret"}
_FAULTS = {
    "required": _("is missing"),
    "not_json": "",
    "not_an_object": _("a JSON object is expected"),
    "invalid": _("is not allowed"),
}


class PlatformAdmin(ReadOnlyAdmin):
    """Pages of the platform's own business: operator, legal officer, auditor."""

    view_permission = ""

    def has_module_permission(self, request) -> bool:
        return super().has_module_permission(request) and request.user.has_perm(self.view_permission)

    def has_view_permission(self, request, obj=None) -> bool:
        return super().has_view_permission(request, obj) and request.user.has_perm(self.view_permission)

    def find(self, request, public_id: str):
        obj = self.get_object(request, public_id)
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404
        return obj


class ReadableJSON(forms.JSONField):
    """JSON one member a line."""

    def prepare_value(self, value):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)


class _Overtaken(Exception):
    """Somebody saved the source meanwhile; `rows` say what stands now beside what was entered."""

    def __init__(self, rows: list[Overtaken]) -> None:
        super().__init__()
        self.rows = rows


class SourceForm(forms.ModelForm):
    """What an operator may change. The credential is written only; an empty box leaves it as it is."""

    new_secret = forms.CharField(
        label=_("New credential"), required=False, widget=UnfoldAdminPasswordWidget,
        help_text=_("A JSON object, for NGSP: consumer_key and consumer_secret. It is never shown again; empty: unchanged."),
    )  # fmt: skip
    seen_version = forms.IntegerField(widget=forms.HiddenInput, required=False, label="")

    class Meta:
        model = Source
        fields = [
            "name",
            "enabled",
            "interval_minutes",
            "next_run_at",
            "adapter",
            "base_url",
            "auth_kind",
            "token_url",
            "settings",
        ]
        widgets = {"settings": UnfoldAdminTextareaWidget}
        field_classes = {"settings": ReadableJSON}

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["seen_version"].initial = self.instance.version

    def clean(self) -> dict:
        """Try the verb's own checks, so that what is wrong stands beside its field."""
        given = super().clean()
        if self.errors:
            return given
        draft = Source.objects.get(pk=self.instance.pk)
        for name, value in self.facts(given).items():
            setattr(draft, name, value)
        try:
            actions.check_source(draft)
        except DomainError as error:
            self._show(error)
        return given

    def facts(self, given: dict) -> dict:
        facts = {name: given[name] for name in self.Meta.fields if name in given}
        return {**facts, "secret": given["new_secret"]} if given.get("new_secret") else facts

    def _show(self, error: DomainError) -> None:
        """Each fault beside its box, in words; what has no box stands above the form."""
        fields = error.extra.get("fields")
        above = []
        for name, said in (fields if isinstance(fields, dict) else {}).items():
            box = _BOXES.get(name, name)
            texts = [str(_FAULTS.get(text, text)) for text in (said if isinstance(said, list | tuple) else [said])]
            if box in self.fields:
                self.add_error(box, [" ".join(part for part in (str(error.detail), text) if part) for text in texts])
            else:
                above += [f"{name}: {text}" for text in texts]
        if above or not self.errors:
            title = "" if error.detail and isinstance(fields, dict) else str(error.title)
            self.add_error(None, " ".join(part for part in (title, str(error.detail), "; ".join(above)) if part))

    def beside(self) -> list[Overtaken]:
        now, given = Source.objects.get(pk=self.instance.pk), self.cleaned_data
        rows = [
            Overtaken(
                str(self.fields[name].label),
                shown(self.fields[name], getattr(now, name)),
                shown(self.fields[name], given[name]),
            )
            for name in SourceForm.Meta.fields
        ]
        return [row for row in rows if row.now != row.entered]

    def _post_clean(self) -> None:
        """The instance stays as it is; the verb writes."""


@admin.register(Source)
class SourceAdmin(PlatformAdmin):
    form = SourceForm
    view_permission = "sync.view_source"
    public_id = "code"
    list_display = ["name", "shown_state", "last_success_at", "next_run_at", "interval_minutes", "kind"]
    list_filter = ["kind", "adapter", "enabled"]
    search_fields = ["code", "name"]
    readonly_fields = ["code", "kind", "catalog", "last_success_at", "alarmed_at", "watermark"]
    fieldsets = [
        (None, {"fields": ["code", "name", "kind", "catalog", "enabled"]}),
        (_("Schedule"), {"fields": ["interval_minutes", "next_run_at", "last_success_at", "alarmed_at", "watermark"]}),
        (
            _("How it is reached"),
            {"fields": ["adapter", "base_url", "auth_kind", "token_url", "new_secret", "settings", "seen_version"]},
        ),
    ]
    change_form_outer_before_template = "sync/source_bar.html"

    @display(description=_("state"), label=_STATE_COLORS)
    def shown_state(self, source: Source):
        state = condition_of(source, source.newest).state
        return state, state.label

    def get_changelist_instance(self, request):
        """The page's sources with their newest runs, in one more query."""
        page = super().get_changelist_instance(request)
        page.result_list = list(page.result_list)
        newest = newest_runs(page.result_list)
        for source in page.result_list:
            source.newest = newest.get(source.pk)
        return page

    def has_change_permission(self, request, obj=None) -> bool:
        return obj is not None and request.user.has_perm("sync.change_source", obj)

    def get_urls(self):
        run = self.admin_site.admin_view(require_POST(self.run_now))
        return [path("<str:code>/run/", run, name="sync_source_run"), *super().get_urls()]

    def get_fieldsets(self, request, obj=None):
        if self.has_change_permission(request, obj):
            return self.fieldsets
        return [(title, {"fields": [f for f in group["fields"] if f not in ("new_secret", "seen_version")]})
                for title, group in self.fieldsets]  # fmt: skip

    def change_view(self, request, object_id, form_url="", extra_context=None):
        source = self.get_object(request, object_id)
        extra = self._facts(request, source) if source else {}
        try:
            return super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})
        except _Overtaken as found:
            return self._overtaken(request, found)

    def _facts(self, request, source: Source) -> dict:
        runs = list(source.runs.select_related("requested_by", "source", "release")[:10])
        condition: Condition = condition_of(source, runs[0] if runs else None)
        release = condition.run.release if condition.state == State.WAITING and condition.run else None
        return {
            "condition": condition,
            "tone": _TONES[condition.state],
            "advice": advice_of(condition.run.error_code) if condition.run else None,
            "most_attempts": settings.SYNC_ATTEMPTS,
            "release_url": reverse("portal:catalog-release", args=[release.uuid]) if release else "",
            "sync_runs": runs,
            "sync_open": next((run for run in runs if not run.finished_at), None),
            "may_run": request.user.has_perm("sync.request_run", source),
        }

    def run_now(self, request, code: str):
        source = self.find(request, code)
        try:
            run = actions.request_run(source, by=request.user)
        except DomainError as error:
            self.tell(request, error)
            return HttpResponseRedirect(reverse("admin:sync_source_change", args=[code]))
        messages.success(request, _("The run is queued."))
        return HttpResponseRedirect(reverse("admin:sync_syncrun_change", args=[run.uuid]))

    def save_model(self, request, obj, form, change):
        try:
            actions.change_source(
                obj, by=request.user, version=form.cleaned_data["seen_version"], **form.facts(form.cleaned_data)
            )
        except StaleVersion as error:
            raise _Overtaken(form.beside()) from error
        except DomainError as error:
            self.tell(request, error)

    def _overtaken(self, request, found: _Overtaken):
        """409: what stands now beside what was entered; nothing was written (CC-03)."""
        request.refused = found.__cause__
        context = {"changes": found.rows, "detail": found.__cause__.title, "back": request.path,
                   "onward": _("Open the form as it is now")}  # fmt: skip
        return render(request, "portal/conflict.html", context, status=409)


def _table(run: SyncRun) -> dict:
    """The rows to add as a table: the key's column first, then the name."""
    key, named = run.source.settings.get("key", ""), run.source.settings.get("columns") or {}
    columns = sorted(named, key=lambda column: (column != key, named[column] != "name", column))
    rows = [[row.get(column) for column in columns] for row in run.report.get("add", [])]
    return {"report_columns": columns, "report_rows": rows}


def _refused_dossiers(run: SyncRun) -> list[tuple[str, str]]:
    """Number and reason in words of the dossiers that a run of changes left out."""
    named = dict(DossierProblem.choices)
    return [(row["number"], named.get(row["reason"], row["reason"])) for row in run.report.get("refused", [])]


def _steps(run: SyncRun) -> list[dict]:
    """The stages of this kind of run, with what is done and where it stands."""
    stages = STEPS[SourceKind(run.source.kind)]
    now = stages.index(run.stage) if run.stage in stages else -1
    return [
        {"value": stage, "label": Stage(stage).label, "is_done": at < now, "is_current": at == now}
        for at, stage in enumerate(stages)
    ]


@admin.register(SyncRun)
class SyncRunAdmin(PlatformAdmin):
    view_permission = "sync.view_syncrun"
    list_display = ["source", "shown_status", "created_at", "shown_elapsed", "shown_starter", "shown_error"]
    list_filter = ["status", "source", "trigger"]
    list_select_related = ["source", "requested_by"]
    search_fields = ["source__name", "source__code", "error_code"]
    fields = ["source", "trigger", "requested_by", "created_at", "started_at", "finished_at", "attempt", "uuid"]
    change_form_outer_before_template = "sync/run_progress.html"

    @display(description=_("status"), label=_COLORS)
    def shown_status(self, run: SyncRun):
        return run.status, run.get_status_display()

    @display(description=_("started by"))
    def shown_starter(self, run: SyncRun):
        return run.requested_by or run.get_trigger_display()

    @display(description=_("took"))
    def shown_elapsed(self, run: SyncRun):
        return run.elapsed_label

    @display(description=_("error"))
    def shown_error(self, run: SyncRun):
        return f"{run.error_text} ({run.error_code})" if run.error_code else ""

    def get_urls(self):
        approve = self.admin_site.admin_view(require_POST(self.approve_push))
        return [path("<uuid:run_uuid>/approve-push/", approve, name="sync_syncrun_approve"), *super().get_urls()]

    def change_view(self, request, object_id, form_url="", extra_context=None):
        run = self.get_object(request, object_id)
        return super().change_view(
            request, object_id, form_url, {**(extra_context or {}), **(self._facts(request, run) if run else {})}
        )

    def _facts(self, request, run: SyncRun) -> dict:
        is_push = run.source.kind == SourceKind.PUSH
        waits = is_push and run.status == RunStatus.HELD and not run.source.runs.filter(pk__gt=run.pk).exists()
        release_waits = not is_push and waits_for_a_decision(run)
        return {
            "run": run,
            "tone": "wait" if run.error_code and not run.finished_at else _RUN_TONES[RunStatus(run.status)],
            "advice": advice_of(run.error_code),
            "most_attempts": settings.SYNC_ATTEMPTS,
            "steps": _steps(run),
            "release_url": reverse("portal:catalog-release", args=[run.release.uuid]) if run.release else "",
            "release_waits": release_waits,
            "release_reasons": [HoldReason(reason).label for reason in run.release.hold_reasons] if release_waits else [],
            "report": run.report if is_push and run.report else None,
            "refused_dossiers": _refused_dossiers(run),
            **_table(run),
            "may_approve": waits and request.user.has_perm("sync.approve_push", run),
        }

    def approve_push(self, request, run_uuid):
        run = self.find(request, str(run_uuid))
        try:
            sending = actions.approve_push(run, by=request.user)
        except DomainError as error:
            self.tell(request, error)
            return HttpResponseRedirect(reverse("admin:sync_syncrun_change", args=[run.uuid]))
        messages.success(request, _("The rows will be sent."))
        return HttpResponseRedirect(reverse("admin:sync_syncrun_change", args=[sending.uuid]))
