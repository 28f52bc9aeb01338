"""The order in which verbs take turns on rows, so that of two that meet one waits and never both.

organization → request → agreement → service → system → grant → credential → policy epoch: from the big to the small, of
several rows the older first, and each before what is read to decide. After `raise_epoch` nothing is locked that was not
before: every verb that opens or closes a right waits for the epoch's one row.

Rows are locked FOR NO KEY UPDATE: who only refers to one (a foreign key, judged at commit) does not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from apps.agreements.choices import GrantStatus
from apps.agreements.models import Agreement, Grant
from apps.core.workflow import stale
from apps.organizations.models import InformationSystem
from apps.registry.models import DataService


def lock_agreement(agreement: Agreement, version: int | None = None) -> Agreement:
    """Take turns on the agreement; the caller's object follows the row as committed. Raises StaleVersion."""
    Agreement.objects.select_for_update(no_key=True).only("pk").get(pk=agreement.pk)
    agreement.refresh_from_db()
    if version is not None and version != agreement.version:
        raise stale(agreement)
    return agreement


def hold(services: Iterable[str], systems: Iterable[str] = ()) -> None:
    """Keep these services and systems, named by their codes, as they are until this transaction ends.

    Opening a grant and publishing a version take turns: no grant is opened on an operation that was replaced meanwhile. Of
    two that would open an account for a system the second sees the first one's.
    """
    for model, codes in ((DataService, set(services)), (InformationSystem, set(systems))):
        if codes:
            list(model.objects.select_for_update(no_key=True).filter(code__in=codes).order_by("pk").values_list("pk"))


def held_grants(**which) -> list[Grant]:
    """The grants named by `which` (field lookups) that have not ended, as committed, until this transaction ends."""
    # Locked by themselves and read afterwards: PostgreSQL leaves a row out of a join that was waited for when the row it was
    # joined with is another now, as after a service was published anew.
    locked = (
        Grant.objects.filter(**which)
        .exclude(status=GrantStatus.ENDED)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    rows = Grant.objects.filter(pk__in=list(locked)).exclude(status=GrantStatus.ENDED).order_by("pk")
    return list(rows.select_related("system", "operation__version__service"))
