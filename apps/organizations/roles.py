"""What a person may be, and where. The one place that reads memberships for a decision.

The answer is cached on the user object for the life of that object (one request): a list page asks many
times. A new request loads a new user, so an ended membership ends rights with the next request.
"""

from __future__ import annotations

from collections import defaultdict

from apps.organizations.choices import PLATFORM_ROLES, Role


def roles_of(user) -> dict[str, frozenset[int]]:
    """Role → ids of the active organizations in which `user` holds it. Empty for anonymous and inactive users."""
    if not getattr(user, "is_authenticated", False) or not user.is_active:
        return {}
    if not hasattr(user, "_roles"):
        found: dict[str, set[int]] = defaultdict(set)
        rows = user.memberships.filter(ended_at__isnull=True, organization__status="active")
        for role, organization_id in rows.values_list("role", "organization_id"):
            found[role].add(organization_id)
        user._roles = {role: frozenset(ids) for role, ids in found.items()}
    return user._roles


def forget_roles(user) -> None:
    """Drop the cached answer after a membership of this very object changed."""
    user.__dict__.pop("_roles", None)


def organization_ids(user, *roles: Role) -> frozenset[int]:
    """Ids of the organizations where `user` holds one of `roles` (any role when none is named)."""
    held = roles_of(user)
    chosen = roles or tuple(held)
    return frozenset().union(*(held.get(role, frozenset()) for role in chosen))


def has_role(user, role: Role, organization_id: int | None = None) -> bool:
    """True when `user` holds `role`, anywhere or in the organization given."""
    ids = roles_of(user).get(role, frozenset())
    return bool(ids) if organization_id is None else organization_id in ids


def is_operator(user) -> bool:
    return has_role(user, Role.OPERATOR)


def is_platform_reader(user) -> bool:
    """Operator, legal officer and auditor read everything but payloads (WF-03, LOG-06)."""
    return any(has_role(user, role) for role in PLATFORM_ROLES)
