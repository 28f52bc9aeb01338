"""Whom a new minor version would break, and how: the contract in use compared with the draft, laid on what is agreed.

A change that breaks the document but nothing that anybody agreed on is listed and stops nothing. What is agreed is
read from the open grants of agreements in force (or suspended: they may be resumed), and from the contents that await signatures:
the last of these opens what they say, of the version that is live then.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.agreements.models import Agreement, AgreementVersion, Grant
from apps.organizations.models import InformationSystem
from apps.registry.contract import contract_of
from apps.registry.differences import CATALOG_NAMED, Difference, differences
from apps.registry.models import ServiceVersion

RUNNING = (AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED)


@dataclass(frozen=True)
class Breakage:
    """One system under one agreement that would break, and by which changes. `awaits_signatures`: none of it runs yet.

    `last_called` is for whoever may read the log of calls (a floor above) to fill in.
    """

    agreement: Agreement
    system: InformationSystem
    changes: tuple[Difference, ...]
    last_called: datetime.datetime | None = None
    awaits_signatures: bool = False


@dataclass(frozen=True)
class _Agreed:
    """What one system was granted of one operation, or will be with the last signature (`waits`)."""

    agreement: Agreement
    system: InformationSystem
    operation: str
    fields: frozenset[str]
    codes_day: object
    waits: bool


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
    running = [
        _Agreed(row.agreement, row.system, row.operation.code, frozenset(row.fields), row.codes_day, waits=False) for row in grants
    ]  # fmt: skip
    found: dict[tuple[int, int], list[tuple[_Agreed, Difference]]] = {}
    for agreed in [*running, *_waiting(live)]:
        hit = [(agreed, change) for change in changes if _breaks(change, agreed)]
        found.setdefault((agreed.agreement.pk, agreed.system.pk), []).extend(hit)
    breakages = tuple(
        Breakage(hit[0][0].agreement, hit[0][0].system, tuple(dict.fromkeys(change for _agreed, change in hit)),
                 awaits_signatures=all(agreed.waits for agreed, _change in hit))
        for _key, hit in sorted(found.items(), key=lambda item: item[0]) if hit
    )  # fmt: skip
    return Impact(live, changes, breakages, len(grants))


def _waiting(live: ServiceVersion) -> Iterator[_Agreed]:
    """What the contents that await signatures say of the operations that `live` answers for (`grants.operation_of`)."""
    code, major = live.service.code, str(live.major)
    rows = AgreementVersion.objects.awaiting_signatures().filter(content__scope__contains=[{"service": code}])
    versions = list(rows.select_related("agreement").order_by("agreement_id"))
    codes = {one for version in versions for one in version.system_codes()}
    systems = {row.code: row for row in InformationSystem.objects.filter(code__in=codes).select_related("organization")}
    for version in versions:
        scope = [row for row in version.content["scope"] if (row["service"], row["version"].split(".")[0]) == (code, major)]
        for name in sorted(version.system_codes() & systems.keys()):
            for row in scope:
                paths = frozenset(field["path"] for field in row["fields"])
                day = version.content["method"].get("codes_day")
                yield _Agreed(version.agreement, systems[name], row["operation"], paths, day, waits=True)


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


def _breaks(change: Difference, agreed: _Agreed) -> bool:
    """A change of the call, its answer's format or its parameters breaks whoever may make it; of a field, whoever was granted it."""
    if not change.breaks or change.operation != agreed.operation:
        return False
    if change.code == CATALOG_NAMED and agreed.codes_day is None:
        return False
    return not change.path or change.path.startswith("?") or change.path in agreed.fields
