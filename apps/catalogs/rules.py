"""Who may do what with catalogs. Registered by django-rules; names are `catalogs.<verb>`."""

import rules

from apps.catalogs.choices import ReleaseStatus
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem
from apps.organizations.roles import has_role, is_operator, is_platform_reader, organization_ids


@rules.predicate
def is_keeper(user) -> bool:
    """Operator or legal officer: the people who decide about shared catalogs."""
    return has_role(user, Role.OPERATOR) or has_role(user, Role.LEGAL_OFFICER)


@rules.predicate
def is_machine(user) -> bool:
    return bool(getattr(user, "is_machine", False)) and user.is_active


@rules.predicate
def may_publish_itself(user, release) -> bool:
    """A machine publishes only what the judgement found harmless, where the catalog says so."""
    return release is not None and release.status == ReleaseStatus.READY and release.catalog.publishes_itself


@rules.predicate
def is_reader(user) -> bool:
    return is_platform_reader(user) or is_machine(user)


@rules.predicate
def works_at_owner(user, obj) -> bool:
    """An officer of the agency that owns the system (or the webhook's system); without an object: of any agency."""
    mine = organization_ids(user, Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER)
    if obj is None:
        return bool(mine)
    return (obj if isinstance(obj, InformationSystem) else obj.system).organization_id in mine


operator = rules.predicate(lambda user: is_operator(user), name="is_operator")

rules.add_perm("catalogs.add_webhook", works_at_owner)
rules.add_perm("catalogs.change_webhook", works_at_owner)
rules.add_perm("catalogs.pause_webhook", works_at_owner | operator)
rules.add_perm("catalogs.publish_release", is_keeper | (is_machine & may_publish_itself))
rules.add_perm("catalogs.reject_release", is_keeper)
rules.add_perm("catalogs.undo_release", is_keeper)
rules.add_perm("catalogs.stage_release", is_keeper | is_machine)
rules.add_perm("catalogs.correct_entry", is_keeper)
rules.add_perm("catalogs.change_catalog", is_keeper)
rules.add_perm("catalogs.view_release", is_reader | is_keeper)
