"""The four steps of filing a request: what each holds, what is chosen, what is still missing where."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field

from django.db.models import Prefetch
from django.utils.translation import gettext_lazy as _

from apps.connections.choices import RequestStatus
from apps.connections.completeness import missing
from apps.core.errors import InvalidFact
from apps.portal.case import part_label, remarks
from apps.registry.choices import ConnectionKind
from apps.registry.models import DataService, Field, Operation
from apps.registry.succession import served_as

STEPS = (
    ("who", _("Who and which system")),
    ("data", _("Which data")),
    ("why", _("What for, on what ground")),
    ("check", _("Check and submit")),
)
_STEP_OF = {
    "consumer": "who", "systems": "who", "title": "who", "scope": "data", "special_reason": "near", "alternatives": "near",
    "signatures": "check", "attachments": "check",
}  # fmt: skip
NEAR = "near"
"""A page inside step 2, for special sharing only: the default services that come near."""


def step_of(name: str) -> str:
    """The step on which a part of the request is filled in."""
    return _STEP_OF.get(name, "why")


def numbered(step: str) -> str:
    """The step of the four under which `step` is counted."""
    return "data" if step == NEAR else step


def gaps_by_step(request) -> dict[str, list[str]]:
    """Step → sentences saying what is missing there."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, text in missing(request):
        found[numbered(step_of(name))].append(str(text))
    return dict(found)


def remarks_on(request, step: str) -> list:
    """What the newest return of `request` asks for on this step; on the last one all of it, since that is where one submits."""
    if request.status != RequestStatus.RETURNED:
        return []
    # The clock stands since the newest return: what was written before it was of a former one.
    newest = [row for row in remarks(request) if row.created_at >= request.paused_at]
    return [row for row in newest if step == "check" or numbered(step_of(row.field)) == numbered(step)]


@dataclass
class Node:
    """A field of the answer and what hangs under it."""

    field: Field
    children: list[Node] = field(default_factory=list)
    chosen: bool = False


@dataclass
class Choice:
    """An operation that may be asked for: its tree, and the paths chosen."""

    operation: Operation
    tree: list[Node]
    chosen: int

    @property
    def possible(self) -> bool:
        return self.operation.kind == ConnectionKind.READ


def tree_of(operation: Operation, chosen: set[str]) -> list[Node]:
    """The operation's fields as nested nodes; envelope leaves are left out, they come with every grant."""
    nodes = {row.pk: Node(row, chosen=row.path in chosen) for row in operation.fields.all()}
    roots: list[Node] = []
    for node in nodes.values():
        parent = nodes.get(node.field.parent_id)
        (parent.children if parent else roots).append(node)
    return _without_envelope(roots)


def _without_envelope(nodes: list[Node]) -> list[Node]:
    kept = []
    for node in nodes:
        node.children = _without_envelope(node.children)
        if node.children or (node.field.is_leaf and not node.field.is_envelope):
            kept.append(node)
    return kept


def services_on_page(request, user, extra: str) -> list[tuple[DataService, list[Choice]]]:
    """The services asked for already and the one just added, each with its operations of the live versions.

    What was chosen of a version that a minor one replaced meanwhile is chosen of that one: sending the page loses nothing.
    """
    rows = list(request.requested_operations.select_related("operation__version__service").prefetch_related("fields"))
    wanted = {row.operation.version.service.code for row in rows} | {extra}
    served = served_as(row.operation for row in rows)
    chosen: dict[int, set[str]] = defaultdict(set)
    for row in rows:
        chosen[served.get(row.operation_id, row.operation).pk] |= {f.path for f in row.fields.all()}
    services = (
        DataService.objects.visible_to(user).live().filter(code__in=wanted).select_related("provider").order_by("sort_key")
    )
    operations = (
        Operation.objects.live()
        .filter(version__service__in=services)
        .select_related("version")
        .prefetch_related(Prefetch("fields", Field.objects.order_by("position", "id")))
        .order_by("-version__major", "-version__minor", "id")
    )
    by_service = defaultdict(list)
    for operation in operations:
        paths = chosen.get(operation.pk, set()) & {f.path for f in operation.fields.all()}
        by_service[operation.version.service_id].append(Choice(operation, tree_of(operation, paths), len(paths)))
    for service in services:
        service.has_choice = any(choice.chosen for choice in by_service[service.pk])
    return [(service, by_service[service.pk]) for service in services]


@dataclass(frozen=True)
class Overtaken:
    """A part of a request that another person saved meanwhile, beside what was entered here."""

    label: str
    now: str
    entered: str


def overtaken(request, content: dict) -> list[Overtaken]:
    """Part by part, what stands now and what `content` (as for `save_draft`) would have made of it, where they differ."""
    rows = [Overtaken(part_label(name), *_both(request, name, value)) for name, value in content.items()]
    return [row for row in rows if row.now != row.entered]


def _both(request, name: str, value) -> tuple[str, str]:
    if name == "systems":
        return _names(request.systems.all()), _names(value)
    if name == "scope":
        now = {
            row.operation: [f.path for f in row.fields.all()] for row in request.requested_operations.prefetch_related("fields")
        }
        return _fields(now), _fields(value)
    return _shown(getattr(request, name)), _shown(value)


def _names(rows) -> str:
    return "\n".join(sorted(str(row) for row in rows))


def _fields(scope: dict) -> str:
    return "\n".join(
        sorted(f"{operation}: {getattr(path, 'path', path)}" for operation, paths in scope.items() for path in paths)
    )


def _shown(value) -> str:
    if isinstance(value, list):
        return "\n".join(value)
    return "" if value is None else str(value).replace("\r\n", "\n")


def scope_from(ticks: list[str], user) -> dict[Operation, list[str]]:
    """`operation uuid|path` ticks as {operation: paths}.

    Raises InvalidFact when a tick names an operation that is not there for this person (a forged or very old page).
    """
    paths = defaultdict(list)
    for tick in ticks:
        operation, _bar, path = tick.partition("|")
        paths[operation].append(path)
    known = Operation.objects.visible_to(user).filter(uuid__in=[key for key in paths if _is_uuid(key)])
    scope = {operation: paths[str(operation.uuid)] for operation in known}
    if len(scope) != len(paths):
        raise InvalidFact(_("An operation was chosen that cannot be asked for."), code="unknown_operation")
    return scope


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
