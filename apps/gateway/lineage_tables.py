"""Which tables of codes the grants need, and making them from the lineage: once a release, beside the calls."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone

from apps.agreements.models import Grant
from apps.catalogs.lineage import translate_many
from apps.catalogs.models import Catalog, Entry
from apps.core.epoch import raise_epoch
from apps.gateway.code_tables import pack
from apps.gateway.codes import TODAY, catalog_and_level, day_text
from apps.gateway.models import CodeTable

Key = tuple[str, str, str]
"""(catalog or catalog/level, day from, day to)."""


def wanted() -> set[Key]:
    """The tables that open grants with a day of codes need: parameters one way, fields the other."""
    keys: set[Key] = set()
    grants = Grant.objects.open().filter(codes_day__isnull=False).select_related("operation")
    for grant in grants.prefetch_related("operation__parameters", "operation__fields"):
        consumer, provider = day_text(grant.codes_day), day_text(grant.operation.codes_day)
        if consumer == provider:
            continue
        keys |= {(row.catalog_code, consumer, provider) for row in grant.operation.parameters.all() if row.catalog_code}
        keys |= {(row.catalog_code, provider, consumer) for row in grant.operation.fields.all() if row.catalog_code}
    return keys


@transaction.atomic
def keep() -> int:
    """Make what is wanted and missing or old, drop what nobody needs. Returns how many tables changed; the epoch follows."""
    keys, today, changed = wanted(), timezone.localdate(), 0
    rows = {(row.catalog_code, row.day_from, row.day_to): row for row in CodeTable.objects.select_for_update(no_key=True)}
    for key in sorted(keys):
        changed += _keep_one(key, rows.get(key), today)
    for key in rows.keys() - keys:
        raise_epoch("codetable", rows[key].uuid)
        rows[key].delete()
        changed += 1
    return changed


def _keep_one(key: Key, row: CodeTable | None, today: datetime.date) -> int:
    catalog_code, level = catalog_and_level(key[0])
    catalog = Catalog.objects.filter(code=catalog_code, current__isnull=False).select_related("current").first()
    if catalog is None:
        return 0
    release = catalog.current.number
    moves = TODAY in key[1:]
    if row is not None and row.release == release and (not moves or row.made_on == today):
        return 0
    content = _content(catalog, level, *(datetime.date.fromisoformat(day) if day else today for day in key[1:]))
    if row is not None and row.release == release and bytes(row.content) == content:
        CodeTable.objects.filter(pk=row.pk).update(made_on=today)
        return 0
    facts = {"release": release, "made_on": today, "content": content}
    made, _new = CodeTable.objects.update_or_create(catalog_code=key[0], day_from=key[1], day_to=key[2], defaults=facts)
    raise_epoch("codetable", made.uuid)
    return 1


def _content(catalog: Catalog, level: str, day_from: datetime.date, day_to: datetime.date) -> bytes:
    """Every code of the first day with what it became. A code of two levels with different answers has all of their heirs."""
    entries = Entry.objects.filter(catalog=catalog).valid_on(day_from)
    if level:
        entries = entries.filter(level=level)
    units = list(entries.order_by("level", "code").values_list("level", "code").distinct())
    found: dict[str, tuple[str, list[str]]] = {}
    for (_level, code), answer in zip(units, translate_many(catalog, units, day_from, day_to), strict=True):
        heirs = [heir["code"] for heir in answer.heirs]
        if code in found and found[code] != (answer.result, heirs):
            found[code] = ("many", sorted({*found[code][1], *heirs}))
        else:
            found[code] = (answer.result, heirs)
    return pack((code, result, heirs) for code, (result, heirs) in found.items())
