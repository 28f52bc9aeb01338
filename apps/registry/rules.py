"""Who may do what to services. The provider's officer keeps the contract; its signer signs the terms; the operator may
suspend, and reads everything but secrets."""

from __future__ import annotations

import rules

from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import has_role, organization_ids
from apps.organizations.rules import is_setup, operator
from apps.registry.models import DataService, Feedback, Operation, ServiceVersion, Upstream, UsageRegulation


def _provider_id(obj) -> int | None:
    """The organization that answers for `obj`; None when no object is given."""
    if isinstance(obj, Organization):
        return obj.pk
    if isinstance(obj, DataService):
        return obj.provider_id
    if isinstance(obj, ServiceVersion):
        return obj.service.provider_id
    if isinstance(obj, Operation | Upstream):
        return obj.version.service.provider_id
    if isinstance(obj, Feedback):
        return obj.service.provider_id
    if isinstance(obj, UsageRegulation):
        return obj.keeper_id
    return None


def _holds(user, obj, role: Role) -> bool:
    mine = organization_ids(user, role)
    provider = _provider_id(obj)
    return bool(mine) if provider is None else provider in mine


@rules.predicate
def provider_officer(user, obj) -> bool:
    return _holds(user, obj, Role.PROVIDER_OFFICER)


@rules.predicate
def provider_signer(user, obj) -> bool:
    return _holds(user, obj, Role.SIGNER)


@rules.predicate
def legal_officer(user) -> bool:
    return has_role(user, Role.LEGAL_OFFICER)


@rules.predicate
def member(user, _obj=None) -> bool:
    return bool(organization_ids(user))


for _name in (
    "registry.register_service",
    "registry.change_service",
    "registry.retire_service",
    "registry.add_version",
    "registry.change_version",
    "registry.publish_version",
    "registry.deprecate_version",
    "registry.retire_version",
    "registry.set_upstream",
    "registry.write_terms",
    "registry.decide_default_list",
    "registry.answer_feedback",
):
    rules.add_perm(_name, provider_officer)

rules.add_perm("registry.sign_terms", provider_signer)
rules.add_perm("registry.suspend_service", provider_officer | operator)
rules.add_perm("registry.resume_service", provider_officer | operator)
rules.add_perm("registry.change_purposes", legal_officer | operator | is_setup)
rules.add_perm("registry.read_completeness", provider_officer | provider_signer | operator)
rules.add_perm("registry.give_feedback", member)
