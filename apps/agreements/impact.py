"""Whom a new minor version would break, and how: the contract in use compared with the draft, laid on what is agreed.

A change that breaks the document but nothing that anybody agreed on is listed and stops nothing. What is agreed is
read from the open grants of agreements in force (or suspended: they may be resumed).
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.agreements.models import Agreement, Grant
from apps.organizations.models import InformationSystem
from apps.registry.contract import contract_of
from apps.registry.differences import CATALOG_NAMED, Difference, differences
from apps.registry.models import ServiceVersion

RUNNING = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)


@dataclass(frozen=True)
class Breakage:
    """One system under one agreement that would break, and by which changes.

    `last_called` is for whoever may read the log of calls (a floor above) to fill in.
    """

    agreement: Agreement
    system: InformationSystem
    changes: tuple[Difference, ...]
    last_called: datetime.datetime | None = None


@dataclass(frozen=True)
class Impact:
    """`live` is the version that would be replaced (None: nothing is, nobody breaks)."""

    live: ServiceVersion | None
    changes: tuple[Difference, ...] = ()
    breakages: tuple[Breakage, ...] = ()
    carried: int = 0
    """Open grants that would go on under the new version."""

    def visible_to(self, user) -> tuple[tuple[Breakage, ...], int]:
        """What `user` may read of it, and how many systems more there are."""
        ids = {row.agreement.pk for row in self.breakages}
        seen = set(Agreement.objects.visible_to(user).filter(pk__in=ids).values_list("pk", flat=True))
        shown = tuple(row for row in self.breakages if row.agreement.pk in seen)
        return shown, len(self.breakages) - len(shown)


def impact(version: ServiceVersion) -> Impact:
    """What publishing `version` would change for whoever uses the live version of the same major. Reads only."""
    live = version.service.versions.live().filter(major=version.major).exclude(pk=version.pk).first()
    if live is None:
        return Impact(None)
    changes = tuple(differences(contract_of(live), contract_of(version)))
    grants = list(grants_on(live).select_related("agreement", "system__organization", "operation"))
    found: dict[tuple[int, int], list[Difference]] = {}
    parties: dict[tuple[int, int], Grant] = {}
    for grant in grants:
        key = (grant.agreement_id, grant.system_id)
        parties.setdefault(key, grant)
        hit = [change for change in changes if _breaks(change, grant)]
        found.setdefault(key, []).extend(change for change in hit if change not in found.get(key, []))
    breakages = tuple(
        Breakage(parties[key].agreement, parties[key].system, tuple(hit)) for key, hit in sorted(found.items()) if hit
    )
    return Impact(live, changes, breakages, len(grants))


def grants_on(version: ServiceVersion):
    """Open grants of running agreements on the operations of `version`."""
    return (
        Grant.objects.filter(operation__version=version, agreement__status__in=RUNNING)
        .exclude(status=GrantStatus.ENDED)
        .order_by("id")
    )


def users_of(version: ServiceVersion, user) -> list[Grant]:
    """Open grants on `version` that `user` may see, one a system and environment, for the list of its consumers."""
    rows = grants_on(version).filter(pk__in=Grant.objects.visible_to(user).values("pk"))
    rows = rows.select_related("agreement", "system__organization", "operation").order_by(
        "system__sort_key", "environment", "id"
    )
    return list({(row.system_id, row.agreement_id, row.environment): row for row in rows}.values())


def _breaks(change: Difference, grant: Grant) -> bool:
    """A change of the call, its answer's format or its parameters breaks whoever may make it; of a field, whoever was granted it."""
    if not change.breaks or change.operation != grant.operation.code:
        return False
    if change.code == CATALOG_NAMED and grant.codes_day is None:
        return False
    return not change.path or change.path.startswith("?") or change.path in grant.fields
