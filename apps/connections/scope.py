"""What is asked for, as rows: systems, and operations with their exact fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.utils.translation import gettext as _

from apps.connections.models import ConnectionRequest, RequestedOperation, RequestSystem
from apps.core.errors import InvalidFact
from apps.registry.models import Field, Operation


def replace_systems(request: ConnectionRequest, systems: Iterable) -> None:
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
