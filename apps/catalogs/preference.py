"""Several tables that tell the same things, and which of them is to be used (TT 13/2017 Điều 15 khoản 1 điểm b).

The preferred table of a subject has others; each of the others names it. There is no third state, and the database says so.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.audit import actions as audit
from apps.catalogs import unchanged
from apps.catalogs.models import Catalog
from apps.core.errors import Conflict, FactMissing, InvalidFact
from apps.core.workflow import require


@transaction.atomic
def prefer_catalog(catalog: Catalog, over: Catalog, *, by, basis: str) -> Catalog:
    """`catalog` tells the same things as `over`, and is the one to use: preferred over it and over all that tell the same as it.

    Changing one's mind is the same verb: the table preferred until now becomes one of the others. Raises Conflict when
    `catalog` tells the same as tables of another subject.
    """
    require(by, "catalogs.change_catalog", catalog)
    if not basis.strip():
        raise FactMissing(_("Say on what ground this table is preferred."), fields=["basis"])
    tables = _locked()
    catalog, over = tables[catalog.pk], tables[over.pk]
    if catalog == over:
        raise InvalidFact(_("A table is not preferred over itself."), fields=["over"])
    before = tables[over.preferred_id or over.pk]
    subject = {table.pk for table in tables.values() if table == before or table.preferred_id == before.pk}
    if catalog.preferred_id and catalog.pk not in subject:
        raise Conflict(_("This table tells the same as others already. Part it from them first."))
    _prefer(None, [catalog.pk])
    _prefer(catalog, subject - {catalog.pk, before.pk}, basis)
    _prefer(catalog, {before.pk} - {catalog.pk}, basis)
    Catalog.objects.filter(pk=catalog.pk).update(preference_basis=basis.strip()[:300])
    audit.record(
        "catalog.preferred", catalog, by=by, basis=basis, over=sorted(tables[pk].code for pk in subject - {catalog.pk}),
        instead_of=before.code if before != catalog else None,
    )  # fmt: skip
    transaction.on_commit(unchanged.forget)
    return Catalog.objects.get(pk=catalog.pk)


@transaction.atomic
def part_catalog(catalog: Catalog, *, by, reason: str) -> Catalog:
    """`catalog` no longer tells the same as the table preferred to it. Its crosswalk stays.

    Raises Conflict for a table that others name: another one must be preferred first.
    """
    require(by, "catalogs.change_catalog", catalog)
    if not reason.strip():
        raise FactMissing(_("Say why it no longer tells the same."), fields=["reason"])
    tables = _locked()
    catalog = tables[catalog.pk]
    if any(table.preferred_id == catalog.pk for table in tables.values()):
        raise Conflict(_("This is the preferred table of others. Prefer another one first."))
    if not catalog.preferred_id:
        raise Conflict(_("This table tells the same as no other."))
    preferred = tables[catalog.preferred_id]
    _prefer(None, [catalog.pk])
    audit.record("catalog.parted", catalog, by=by, preferred=preferred.code, reason=reason)
    transaction.on_commit(unchanged.forget)
    return Catalog.objects.get(pk=catalog.pk)


def _locked() -> dict[int, Catalog]:
    """All tables, taken: a rare act, and two of them come one after the other."""
    return {table.pk: table for table in Catalog.objects.select_for_update(no_key=True).order_by("pk")}


def _prefer(preferred: Catalog | None, others, basis: str = "") -> None:
    Catalog.objects.filter(pk__in=others).update(
        preferred=preferred, preference_basis=basis.strip()[:300], updated_at=timezone.now()
    )
