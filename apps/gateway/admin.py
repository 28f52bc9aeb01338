"""The registers of calls, read only. Each page read is recorded, as through the API."""

from __future__ import annotations

from django.contrib import admin
from django.core.paginator import Paginator
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from apps.core.admin import ReadOnlyAdmin
from apps.gateway import actions
from apps.gateway.models import CallIntent, CallRefusal


class UncountedPaginator(Paginator):
    """Counts no further than a few thousand rows: the log may have a hundred million."""

    most = 5_000

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[: self.most].count()


class LogAdmin(ReadOnlyAdmin):
    """A list and a page of log rows; a search is a call id."""

    public_id = "call_id"
    paginator = UncountedPaginator
    show_full_result_count = False
    ordering = ["-call_id"]
    list_per_page = 50
    search_fields = ["call_id__exact"]
    what = ""

    def get_queryset(self, request):
        return super().get_queryset(request).for_reading()

    def changelist_view(self, request, extra_context=None):
        asked = {name: request.GET[name][:200] for name in request.GET if name in ("q", "p", "o")}
        actions.note_reading(self.what, by=request.user, asked=asked, rows=self.list_per_page)
        return super().changelist_view(request, extra_context)

    def change_view(self, request, object_id, form_url="", extra_context=None):
        actions.note_reading(self.what, by=request.user, asked={"call_id": str(object_id)[:64]}, rows=1)
        return super().change_view(request, object_id, form_url, extra_context)


@admin.register(CallIntent)
class CallAdmin(LogAdmin):
    list_display = ["call_id", "admitted_at", "consumer", "service", "agreement", "ended", "status", "milliseconds"]
    fields = [
        "call_id", "admitted_at", "consumer", "system", "service", "operation", "agreement", "purpose", "account", "ended", "code",
        "status", "milliseconds", "delivered", "withheld", "source",
    ]  # fmt: skip
    readonly_fields = [name for name in fields if name not in ("call_id", "admitted_at", "source")]
    what = "calls"

    @admin.display(description=_("consumer"))
    def consumer(self, call):
        return call.grant.system.organization

    @admin.display(description=_("system"))
    def system(self, call):
        return call.grant.system

    @admin.display(description=_("service"))
    def service(self, call):
        return call.grant.operation.version.service

    @admin.display(description=_("operation"))
    def operation(self, call):
        return call.grant.operation

    @admin.display(description=_("agreement"))
    def agreement(self, call):
        return call.grant.agreement

    @admin.display(description=_("purpose"))
    def purpose(self, call):
        return call.grant.purpose

    @admin.display(description=_("account"))
    def account(self, call):
        return call.credential

    @admin.display(description=_("outcome"))
    def ended(self, call):
        return call.outcome.get_outcome_display() if hasattr(call, "outcome") else _("running")

    @admin.display(description=_("code"))
    def code(self, call):
        return call.outcome.code if hasattr(call, "outcome") else ""

    @admin.display(description=_("status"))
    def status(self, call):
        return (call.outcome.status or "") if hasattr(call, "outcome") else ""

    @admin.display(description=_("milliseconds"))
    def milliseconds(self, call):
        return call.outcome.total_us / 1000 if hasattr(call, "outcome") else ""

    @admin.display(description=_("fields delivered"))
    def delivered(self, call):
        return str(call.outcome.delivered or "") if hasattr(call, "outcome") else ""

    @admin.display(description=_("fields not permitted"))
    def withheld(self, call):
        return str(call.outcome.withheld or "") if hasattr(call, "outcome") else ""


@admin.register(CallRefusal)
class RefusalAdmin(LogAdmin):
    list_display = ["call_id", "refused_at", "code", "system", "asked_service", "asked_purpose", "status"]
    list_filter = ["code"]
    what = "call-refusals"
