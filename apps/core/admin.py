"""What every admin page shares: rows through `visible_to`, public identifiers in addresses, nothing deleted, nothing
written but by a verb.
"""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.contrib.admin.views.main import ChangeList
from django.http import Http404, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.fields import UnfoldAdminReadonlyField

from apps.core.errors import DomainError

_KINDS_OF_FILTERS = {"", "exact", "isempty", "isnull", "id__exact"}
"""What the admin's own filters write into an address: a choice, empty or not, a row of another list."""


# unfold links a related row by its primary key, which our addresses do not know (AD-05), and whether or not the reader
# may open it: its name alone is shown.
UnfoldAdminReadonlyField.get_admin_url = lambda self, remote_field, remote_obj: str(remote_obj)


class PublicChangeList(ChangeList):
    """Links by the public identifier, never by primary key."""

    def url_for_result(self, result) -> str:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return reverse(name, args=(getattr(result, self.model_admin.public_id),), current_app=self.model_admin.admin_site.name)


class ReadOnlyAdmin(ModelAdmin):
    """A list and a detail page of rows `visible_to` the reader. Subclasses open add or change for a verb's form.

    `public_id` names the field that stands in the address (a UUID or a code); `has_history` that `history_view` has a page.
    """

    actions = None
    list_fullwidth = True
    show_facets = False
    public_id = "uuid"
    has_history = False

    def get_changelist(self, request, **kwargs):
        return PublicChangeList

    def lookup_allowed(self, lookup, value, request=None) -> bool:
        """Only the filters on the page: no reading of a column by whether a row is found (AD-05, AZ-07).

        Django itself lets a reader of a list filter it by every column of its model, shown or not.
        """
        names = {item[0] if isinstance(item, list | tuple) else item for item in self.get_list_filter(request)}
        name, _, kind = lookup.partition("__")
        return name in names and kind in _KINDS_OF_FILTERS

    def get_object(self, request, object_id, from_field=None):
        """The row with this public identifier if it is visible to the reader, else None (the page answers as if absent)."""
        if self.public_id == "uuid" and not _is_uuid(object_id):
            return None
        return self.get_queryset(request).filter(**{self.public_id: object_id}).first()

    def get_queryset(self, request):
        rows = super().get_queryset(request)
        return rows.visible_to(request.user) if hasattr(rows, "visible_to") else rows

    def has_module_permission(self, request) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_view_permission(self, request, obj=None) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_add_permission(self, request) -> bool:
        return False

    def has_change_permission(self, request, obj=None) -> bool:
        return False

    def has_delete_permission(self, request, obj=None) -> bool:
        return False

    def render_change_form(self, request, context, add=False, change=False, form_url="", obj=None):
        if self.has_history and obj is not None:
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_history"
            context["history_url"] = reverse(name, args=(getattr(obj, self.public_id),))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def history_view(self, request, object_id, extra_context=None):
        raise Http404  # the audit log is the one history (AD-07); pages show it as a timeline

    def response_post_save_change(self, request, obj):
        return self._to_list(request)

    def response_post_save_add(self, request, obj):
        return self._to_list(request)

    def log_addition(self, request, obj, message):
        """The audit log is the one history (AD-07)."""

    def log_change(self, request, obj, message):
        """The audit log is the one history (AD-07)."""

    def tell(self, request, error: DomainError) -> None:
        """Show why a verb was refused, in the reader's language; the audit floor writes the attempt down."""
        if error.status in (403, 409):
            request.refused = error
        messages.error(request, f"{error.title} {error.detail}".strip())

    def _to_list(self, request):
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(str(text))
    except ValueError:
        return False
    return True
