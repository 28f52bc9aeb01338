"""The feed of changed enterprises: whose right opens it, which of its members a right shows, and its parts.

A change in the feed says no more than the dossier list would have said to the same system; therefore the right to the one is the
right to the other, and a reading is judged, counted and put on record as a call of the dossier list is (`portal.api.feeds`).
"""

from __future__ import annotations

from collections.abc import Iterable

from apps.registry.choices import VersionStatus
from apps.registry.models import Operation
from apps.sync.models import EnterpriseChange, Source
from apps.sync.plans import changes_plan

FIELD = {"ENTERPRISE_GDT_CODE": "enterprise_code", "DOCUMENT_TYPE": "document_type", "RECEIPT_DATE": "received_on"}
"""The provider's field → what the feed calls it."""


def operations(source: Source) -> list[Operation]:
    """The operations whose grants open the feed: the dossier list, of each version that is live, the newest first."""
    plan = changes_plan(source.settings)
    rows = Operation.objects.filter(
        code=plan.operation, version__service__code=plan.service,
        version__status__in=(VersionStatus.PUBLISHED, VersionStatus.DEPRECATED),
    )  # fmt: skip
    return list(rows.select_related("version__service").order_by("-version__major", "-version__minor"))


def members(fields: Iterable[str]) -> frozenset[str]:
    """The members of a change that these granted fields show. Nothing without the code: the rest would hang in the air."""
    named = {path.rpartition(".")[2] for path in fields}
    found = frozenset(ours for theirs, ours in FIELD.items() if theirs in named)
    return found if "enterprise_code" in found else frozenset()


def paths_of(fields: Iterable[str]) -> list[str]:
    """Which of a contract's or grant's fields the feed can show, as the contract names them."""
    return [path for path in fields if path.rpartition(".")[2] in FIELD]


def read(source: Source, since: int, limit: int) -> tuple[list[EnterpriseChange], bool]:
    """The next `limit` changes after position `since`, and whether there are more. Positions rise with the order of recording."""
    rows = list(source.enterprise_changes.filter(id__gt=since).order_by("id")[: limit + 1])
    return rows[:limit], len(rows) > limit
