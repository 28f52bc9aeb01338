"""Asking for a permission at the top of a verb that has no lifecycle step to ask for it."""

from __future__ import annotations

from apps.core.errors import NotPermitted


def require(by, permission: str, obj=None) -> None:
    """Raise NotPermitted unless `by` holds `permission` (on `obj`, when given)."""
    if by is None or not by.has_perm(permission, obj):
        raise NotPermitted(permission=permission)
