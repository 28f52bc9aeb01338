"""The verbs on agencies, systems and people; one module a noun."""

from apps.organizations.actions.agencies import (
    change_organization,
    close_organization,
    name_focal_point,
    register_organization,
    resume_organization,
    suspend_organization,
)
from apps.organizations.actions.people import (
    change_authority,
    change_person,
    disable_person,
    enable_person,
    end_role,
    give_role,
    open_account,
    set_initial_password,
)
from apps.organizations.actions.systems import change_system, register_system, resume_system, retire_system, suspend_system

__all__ = [
    "change_authority",
    "change_organization",
    "change_person",
    "change_system",
    "close_organization",
    "disable_person",
    "enable_person",
    "end_role",
    "give_role",
    "name_focal_point",
    "open_account",
    "register_organization",
    "register_system",
    "resume_organization",
    "resume_system",
    "retire_system",
    "set_initial_password",
    "suspend_organization",
    "suspend_system",
]
