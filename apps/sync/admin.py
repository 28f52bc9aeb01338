from __future__ import annotations

import json

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from apps.core.admin import ReadOnlyAdmin
from apps.core.errors import DomainError
from apps.sync import actions
from apps.sync.choices import RunStatus, SourceKind
from apps.sync.models import Source, SyncRun

_COLORS = {RunStatus.PUBLISHED: "success", RunStatus.UNCHANGED: "success", RunStatus.HELD: "warning", RunStatus.FAILED: "danger",
           RunStatus.RUNNING: "info", RunStatus.QUEUED: "info"}  # fmt: skip


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


class SourceForm(forms.ModelForm):
    """What an operator may change. The credential is written only; an empty box leaves it as it is."""

    new_secret = forms.CharField(
        label=_("New credential"), required=False, widget=UnfoldAdminPasswordWidget,
        help_text=_("A JSON object, for NGSP: consumer_key and consumer_secret. It is never shown again; empty: unchanged."),
    )  # fmt: skip
    seen_version = forms.IntegerField(widget=forms.HiddenInput, required=False)

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
        fields = error.extra.get("fields")
        known = [name for name in (fields if isinstance(fields, dict) else {}) if name in self.fields]
        text = f"{error.title} {error.detail} {json.dumps(fields, ensure_ascii=False, default=str) if fields else ''}".strip()
        self.add_error(known[0] if known else None, text)

    def _post_clean(self) -> None:
        """The instance stays as it is; the verb writes."""


@admin.register(Source)
class SourceAdmin(PlatformAdmin):
    form = SourceForm
    view_permission = "sync.view_source"
    public_id = "code"
    list_display = ["name", "kind", "adapter", "enabled", "interval_minutes", "next_run_at", "last_success_at", "is_fresh"]
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

    @display(description=_("fresh"), boolean=True)
    def is_fresh(self, source: Source) -> bool:
        return source.alarmed_at is None

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
        extra = {
            "sync_runs": list(source.runs.select_related("requested_by")[:10]) if source else [],
            "sync_open": source.runs.open().first() if source else None,
            "may_run": bool(source) and request.user.has_perm("sync.request_run", source),
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})

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
        except DomainError as error:
            self.tell(request, error)


def _table(run: SyncRun) -> dict:
    """The rows to add as a table: the key's column first."""
    key = run.source.settings.get("key", "")
    columns = sorted(run.source.settings.get("columns") or {}, key=lambda name: (name != key, name))
    rows = [[row.get(column) for column in columns] for row in run.report.get("add", [])]
    return {"report_columns": columns, "report_rows": rows}


@admin.register(SyncRun)
class SyncRunAdmin(PlatformAdmin):
    view_permission = "sync.view_syncrun"
    list_display = ["source", "shown_status", "created_at", "shown_elapsed", "shown_starter", "error_code"]
    list_filter = ["status", "source", "trigger"]
    list_select_related = ["source", "requested_by"]
    fields = ["source", "trigger", "requested_by", "created_at", "started_at", "finished_at", "attempt", "next_attempt_at", "error_code",
              "error_text"]  # fmt: skip
    change_form_outer_before_template = "sync/run_progress.html"

    @display(description=_("status"), label=_COLORS)
    def shown_status(self, run: SyncRun):
        return run.status, run.get_status_display()

    @display(description=_("started by"))
    def shown_starter(self, run: SyncRun):
        return run.requested_by or run.get_trigger_display()

    @display(description=_("seconds"))
    def shown_elapsed(self, run: SyncRun):
        return run.elapsed_seconds

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
        return {
            "run": run,
            "now": timezone.now(),
            "report": run.report if is_push and run.report else None,
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
