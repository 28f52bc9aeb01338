"""What every admin page shares: rows through `visible_to`, nothing deleted, nothing written but by a verb."""

from __future__ import annotations

from django.contrib import messages
from unfold.admin import ModelAdmin

from apps.core.errors import DomainError


class ReadOnlyAdmin(ModelAdmin):
    """A list and a detail page of rows `visible_to` the reader. Subclasses open add or change for a verb's form."""

    actions = None
    list_fullwidth = True
    show_facets = False

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

    def tell(self, request, error: DomainError) -> None:
        """Show why a verb was refused, in the reader's language."""
        messages.error(request, f"{error.title} {error.detail}".strip())
