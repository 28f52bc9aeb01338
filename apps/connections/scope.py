"""What is asked for, as rows: systems, and operations with their exact fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.utils.translation import gettext as _

from apps.connections.models import ConnectionRequest, RequestedOperation, RequestSystem
from apps.core.errors import InvalidFact
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import organization_ids
from apps.registry.models import Field, Operation


def replace_systems(request: ConnectionRequest, systems: Iterable[InformationSystem], *, by) -> None:
    """Write exactly `systems`. Raises InvalidFact (`unknown_system`) for a system `by` may not name."""
    systems = systems_named([system.code for system in systems], by, request.consumer)
    request.request_systems.all().delete()
    RequestSystem.objects.bulk_create(RequestSystem(request=request, system=system) for system in dict.fromkeys(systems))


def replace_scope(request: ConnectionRequest, scope: Mapping[Operation, Iterable[Field | str]]) -> None:
    """Write exactly `scope`. Raises InvalidFact when a field is not a leaf of its operation's answer (WF-23)."""
    chosen = {operation: _leaves(operation, fields) for operation, fields in scope.items()}
    request.requested_operations.all().delete()
    for operation, leaves in chosen.items():
        RequestedOperation.objects.create(request=request, operation=operation).fields.set(leaves)


def _leaves(operation: Operation, wanted: Iterable[Field | str]) -> list[Field]:
    """The fields of `operation` meant by objects or paths. Groups are not chosen: their items are, one by one."""
    known = {field.path: field for field in operation.fields.all()}
    paths = [getattr(field, "path", field) for field in wanted]
    strange = sorted({path for path in paths if path not in known} | _foreign(operation, wanted))
    if strange:
        raise InvalidFact(
            _("Not fields of this operation: %(fields)s.") % {"fields": ", ".join(strange)},
            code="field_outside_service", fields={"scope": strange},
        )  # fmt: skip
    groups = sorted(path for path in set(paths) if not known[path].is_leaf)
    if groups:
        raise InvalidFact(
            _("Choose the items of a group one by one: %(fields)s.") % {"fields": ", ".join(groups)},
            code="field_is_a_group", fields={"scope": groups},
        )  # fmt: skip
    return [known[path] for path in dict.fromkeys(paths)]


def _foreign(operation: Operation, wanted: Iterable[Field | str]) -> set[str]:
    """Paths given as objects of another operation: the same name elsewhere is another field."""
    return {field.path for field in wanted if isinstance(field, Field) and field.operation_id != operation.pk}


def systems_for(user, consumer: Organization):
    """The systems that `user` may name in a request of `consumer`: of agencies they file for, and of agencies below it."""
    below = Organization.objects.descendants(consumer, include_self=True).values_list("pk", flat=True)
    mine = organization_ids(user, Role.CONSUMER_OFFICER)
    return InformationSystem.objects.filter(organization_id__in={*below, *mine})


def systems_named(codes: Iterable[str], user, consumer: Organization) -> list[InformationSystem]:
    """The systems with these codes. Another agency's system and one that does not exist are the same InvalidFact."""
    wanted = list(dict.fromkeys(codes))
    found = {system.code: system for system in systems_for(user, consumer).filter(code__in=wanted)}
    unknown = [code for code in wanted if code not in found]
    if unknown:
        raise InvalidFact(
            _("No such system of your organization: %(codes)s.") % {"codes": ", ".join(unknown)},
            code="unknown_system", fields={"systems": unknown},
        )  # fmt: skip
    return [found[code] for code in wanted]


def operations_named(scope: Mapping[object, Iterable[str]], user) -> dict[Operation, list[str]]:
    """{operation's uuid: paths} → {Operation: paths}, of operations the person may see."""
    rows = Operation.objects.visible_to(user).filter(uuid__in=list(scope)).select_related("version__service")
    found = {operation.uuid: operation for operation in rows}
    unknown = [str(uuid) for uuid in scope if uuid not in found]
    if unknown:
        raise InvalidFact(
            _("There is no such operation: %(codes)s.") % {"codes": ", ".join(unknown)},
            code="unknown_operation", fields={"scope": unknown},
        )  # fmt: skip
    return {found[uuid]: list(paths) for uuid, paths in scope.items()}
