"""A register whose history page is the audit log: one source of truth for what happened to a row (AD-07)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from apps.core.registers import Register
from apps.organizations.audit_scope import events_visible_to

SHOWN = 200
EVENTS = {
    "organization.registered": _("Entered"), "organization.changed": _("Changed"), "organization.suspended": _("Suspended"),
    "organization.resumed": _("Resumed"), "organization.closed": _("Closed"), "focal_point.named": _("Named as focal point"),
    "system.registered": _("Entered"), "system.changed": _("Changed"), "system.suspended": _("Suspended"),
    "system.resumed": _("Resumed"), "system.retired": _("Retired"), "role.given": _("Role given"), "role.ended": _("Role ended"),
    "role.authority_changed": _("Authorizing document changed"),
    "account.opened": _("Account opened"), "account.changed": _("Changed"), "account.disabled": _("Account disabled"),
    "account.enabled": _("Account enabled"), "account.initial_password_set": _("One-time password made"),
    "account.password_changed": _("Password changed"), "account.email_changed": _("E-mail address changed"),
    "session.opened": _("Logged in"), "session.refused": _("Login refused"), "service.registered": _("Entered"),
    "service.changed": _("Changed"), "service.suspended": _("Suspended"), "service.resumed": _("Resumed"),
    "service.retired": _("Retired"), "service_version.drafted": _("Draft opened"),
    "service_version.contract_defined": _("Contract written"), "service_version.ready": _("Ready"),
    "service_version.published": _("Published"), "service_version.deprecated": _("End announced"),
    "service_version.postponed": _("Later end announced"), "service_version.replaced": _("Replaced by a newer version"),
    "service_version.retired": _("Retired"), "service_version.discarded": _("Discarded"), "upstream.set": _("Address set"),
    "usage_regulation.written": _("Written"), "usage_regulation.changed": _("Changed"), "usage_regulation.signed": _("Signed"),
    "usage_regulation.ended": _("End set"), "usage_regulation.carried_over": _("Carried over to the successor agency"),
    "default_list.decided": _("Entered"), "default_list.carried_over": _("Carried over to the successor agency"),
    "system.carried_over": _("Carried over to the successor agency"),
    "service.carried_over": _("Carried over to the successor agency"), "purpose.named": _("Entered"),
    "feedback.given": _("Question asked"), "feedback.answered": _("Question answered"),
    "purpose.changed": _("Changed"),
}  # fmt: skip
"""Events in words. One without words is shown by its code, never hidden."""


class AuditedRegister(Register):
    has_history = True

    def history_view(self, request: HttpRequest, object_id: str, extra_context=None) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is None or not self.has_view_permission(request, obj):
            raise Http404
        rows = list(events_visible_to(request.user).about(obj).select_related("actor")[:SHOWN])
        for row in rows:
            row.words = EVENTS.get(row.event, row.event)
        crumbs = [(self.opts.verbose_name_plural.capitalize(), self._list_address()), (str(obj), self._row_address(obj))]
        context = {"title": str(_("History")), "crumbs": crumbs, "object": obj, "timeline": rows}
        return render(request, "registers/history.html", context)
