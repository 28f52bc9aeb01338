"""Default deny: a view that names no permission answers nobody."""

from rest_framework.permissions import BasePermission


class DenyAll(BasePermission):
    """What a view gets that forgot to say who may use it."""

    def has_permission(self, request, view) -> bool:
        return False
