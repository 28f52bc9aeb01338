from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.core.admin import ReadOnlyAdmin
from apps.notices.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """What waits to leave, what left, what was given up. Addresses and texts stay out of the page."""

    list_display = ["key", "shown_state", "created_at", "attempts", "next_attempt_at", "last_error"]
    list_filter = ["channel", ("sent_at", admin.EmptyFieldListFilter), ("failed_at", admin.EmptyFieldListFilter)]
    search_fields = ["key", "last_error"]
    fields = ["channel", "key", "created_at", "attempts", "next_attempt_at", "sent_at", "failed_at", "last_error", "uuid"]
    ordering = ["-id"]

    def has_module_permission(self, request) -> bool:
        return super().has_module_permission(request) and request.user.has_perm("notices.view_outboxmessage")

    def has_view_permission(self, request, obj=None) -> bool:
        return super().has_view_permission(request, obj) and request.user.has_perm("notices.view_outboxmessage")

    @display(description=_("state"), label={"sent": "success", "waits": "warning", "failed": "danger"})
    def shown_state(self, message: OutboxMessage):
        if message.sent_at:
            return "sent", _("sent")
        return ("failed", _("given up")) if message.failed_at else ("waits", _("waits"))
