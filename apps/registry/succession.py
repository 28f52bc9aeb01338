"""Which operation answers today for one that was agreed on: itself, or the same code in the minor version that replaced it.

A minor version replaces another only when nothing agreed on breaks (`agreements.actions.publishing`), so what names
the older one (an agreement's content, a signed request) goes on under the newer one, at the same address.
"""

from __future__ import annotations

from collections.abc import Iterable

from apps.registry.choices import ServiceStatus
from apps.registry.models import Operation
from apps.registry.querysets import LIVE


def served_as(operations: Iterable[Operation]) -> dict[int, Operation]:
    """Operation id → the operation that answers for it today; what nobody answers for is absent. One query."""
    wanted = {row.pk: (row.version.service_id, row.version.major, row.code) for row in operations}
    live = Operation.objects.filter(
        version__status__in=LIVE, version__service__status=ServiceStatus.ACTIVE,
        version__service__in={service for service, _major, _code in wanted.values()}, code__in={key[2] for key in wanted.values()},
    ).select_related("version__service__provider")  # fmt: skip
    known = {(row.version.service_id, row.version.major, row.code): row for row in live}
    return {pk: known[key] for pk, key in wanted.items() if key in known}
