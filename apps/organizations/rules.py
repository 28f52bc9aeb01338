"""Who may do what to agencies, systems, roles and accounts.

Platform-wide duties are the operator's (WF-03). An agency's own officers name their focal point and keep their
systems; its administrator gives and ends the roles of its people (WF-06). `machine:setup` may do what an operator may, so that an empty platform can be founded; it cannot log in.
"""

from __future__ import annotations

import rules

from apps.accounts.choices import SETUP
from apps.organizations.choices import AGENCY_ROLES, PLATFORM_ROLES, Role
from apps.organizations.models import InformationSystem, Membership, Organization
from apps.organizations.roles import has_role, organization_ids, roles_of


@rules.predicate
def is_setup(user) -> bool:
    return user.is_authenticated and user.is_machine and user.username == f"machine:{SETUP}"


@rules.predicate
def holds_operator(user) -> bool:
    return has_role(user, Role.OPERATOR)


@rules.predicate
def is_member(user) -> bool:
    return bool(roles_of(user))


@rules.predicate
def works_there(user, obj) -> bool:
    """An officer or signer of the organization itself, or of the one that owns the system. Without an object: of any."""
    mine = organization_ids(user, *AGENCY_ROLES)
    if isinstance(obj, InformationSystem):
        return obj.organization_id in mine
    return obj.pk in mine if isinstance(obj, Organization) else bool(mine)


@rules.predicate
def administers(user, obj=None) -> bool:
    """The administrator of the organization, or of the one where the role is held. Without an object: of any."""
    mine = organization_ids(user, Role.AGENCY_ADMIN)
    if isinstance(obj, Membership):
        return obj.organization_id in mine
    return obj.pk in mine if isinstance(obj, Organization) else bool(mine)


operator = holds_operator | is_setup

for _name in (
    "organizations.register_organization",
    "organizations.change_organization",
    "organizations.suspend_organization",
    "organizations.resume_organization",
    "organizations.close_organization",
    "organizations.suspend_system",
    "organizations.resume_system",
    "organizations.give_any_role",
    "organizations.import_file",
    "accounts.change_account",
    "accounts.disable_account",
    "accounts.enable_account",
    "accounts.set_initial_password",
):
    rules.add_perm(_name, operator)

# An agency's administrator within its own agency; what else binds them is in `actions.people`.
for _name in ("organizations.give_role", "organizations.end_role", "accounts.open_account"):
    rules.add_perm(_name, operator | administers)

for _name in (
    "organizations.name_focal_point",
    "organizations.register_system",
    "organizations.change_system",
    "organizations.retire_system",
):
    rules.add_perm(_name, operator | works_there)


@rules.predicate
def reads_platform(user) -> bool:
    return any(has_role(user, role) for role in PLATFORM_ROLES)


rules.add_perm("organizations.read_directory", is_member | is_setup)
rules.add_perm("accounts.read_accounts", reads_platform)
