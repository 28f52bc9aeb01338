from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.core.registers import Register, VerbPage
from apps.notices import actions
from apps.notices.models import OutboxMessage


@admin.register(OutboxMessage)
class OutboxMessageAdmin(Register):
    """What waits to leave, what left, what was given up and can be sent again. Addresses and texts stay out of the page."""

    verb_pages = (
        VerbPage(
            "send-again", _("Send again"), lambda request, message, form: actions.send_again(message, by=request.user),
            "notices.send_again", style="primary", when=lambda message: message.state == "failed",
            help=_("The message gets all its attempts anew, beginning now. First mend what its last error says."),
            done=_("The message is on its way again."),
        ),
        VerbPage(
            "send-all-again", _("Send all given up again"), lambda request, _none, form: _all_again(request),
            "notices.send_again", on_list=True,
            help=_("Every message that was given up gets all its attempts anew, beginning now. First mend what stopped them."),
            done=_("The messages are on their way again."),
        ),
    )  # fmt: skip

    list_display = ["shown_key", "shown_state", "created_at", "attempts", "next_attempt_at", "last_error"]
    list_filter = ["channel", ("sent_at", admin.EmptyFieldListFilter), ("failed_at", admin.EmptyFieldListFilter)]
    search_fields = ["key", "last_error"]
    fields = ["channel", "shown_key", "created_at", "attempts", "next_attempt_at", "sent_at", "failed_at", "last_error", "uuid"]
    ordering = ["-id"]

    def has_module_permission(self, request) -> bool:
        return super().has_module_permission(request) and request.user.has_perm("notices.view_outboxmessage")

    def has_view_permission(self, request, obj=None) -> bool:
        return super().has_view_permission(request, obj) and request.user.has_perm("notices.view_outboxmessage")

    @display(description=_("what it tells"))
    def shown_key(self, message: OutboxMessage):
        return message.key

    @display(description=_("state"), label={"sent": "success", "waits": "warning", "failed": "danger", "dropped": "info"})
    def shown_state(self, message: OutboxMessage):
        return message.state, _STATES[message.state]


_STATES = {"sent": _("sent"), "failed": _("given up"), "waits": _("waits"), "dropped": _("dropped")}


def _all_again(request) -> None:
    actions.send_all_again(by=request.user)
