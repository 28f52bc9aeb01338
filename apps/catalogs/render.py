"""The wire form of items, pages and lists, rendered once: at publish for today, on demand for any other day.

The portal's API and the fast reader (`reader.py`) answer with bytes made here and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator, Sequence

import orjson
from django.db import connection
from django.db.models import QuerySet

from apps.catalogs.calendar import today
from apps.catalogs.models import Catalog, Entry, Release, Snapshot

PAGE_SIZE = 100
ROOT = "/api/v1/catalogs"
COLUMNS = (
    "code", "level", "name", "full_name", "parent_level", "parent_code", "valid_from", "ends_on", "attributes", "recorded_in",
)  # fmt: skip
SEGMENTS = 6  # stretches of days rendered ahead; later ones are answered from the entries


def item(catalog: Catalog, row: Sequence) -> dict:
    """One entry on the wire. `valid_to` is the first day on which it no longer holds; null: no end is known."""
    code, level, name, full_name, parent_level, parent_code, valid_from, valid_to, attributes, release = row
    return {
        "code": code,
        "level": level,
        "name": name,
        "full_name": full_name,
        "parent": {"level": parent_level, "code": parent_code} if parent_code else None,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "scheme": catalog.scheme or None,
        "attributes": attributes,
        "release": release,
    }


def items(catalog: Catalog, entries: QuerySet[Entry]) -> Iterator[bytes]:
    """JSON of each entry of a queryset made by `known_in` or `valid_on` (they know the end as of then)."""
    for row in entries.values_list(*COLUMNS).iterator(chunk_size=5000):
        yield orjson.dumps(item(catalog, row))


def page(
    catalog: str, release: int, rendered: Sequence[bytes], *, count: int, number: int, size: int, query: str = ""
) -> bytes:
    """A page of a list. `query` holds the reader's other parameters, already encoded, without `page`."""
    pages = max(1, -(-count // size))
    head = orjson.dumps(
        {
            "catalog": catalog,
            "release": release,
            "count": count,
            "page": number,
            "pages": pages,
            "next": _link(catalog, query, number + 1) if number < pages else None,
            "previous": _link(catalog, query, number - 1) if number > 1 else None,
        }
    )
    return head[:-1] + b',"items":[' + b",".join(rendered) + b"]}"


def whole(catalog: str, release: int, rendered: Sequence[bytes]) -> bytes:
    """The whole list, unpaged."""
    head = orjson.dumps({"catalog": catalog, "release": release, "count": len(rendered)})
    return head[:-1] + b',"items":[' + b",".join(rendered) + b"]}"


def etag(body: bytes) -> str:
    """Strong: the same bytes, the same tag, on whichever process."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _link(catalog: str, query: str, number: int) -> str:
    return f"{ROOT}/{catalog}/items?{query}{'&' if query else ''}page={number}"


# --- at publish ----------------------------------------------------------------------------------


def write_snapshots(catalog: Catalog, release: Release) -> None:
    """Render what everybody reads, in the transaction that publishes. Only open catalogs: the rest is answered one by one."""
    Snapshot.objects.filter(catalog=catalog).delete()
    if not catalog.is_public:
        return
    for start, end in _stretches(catalog):
        for level in catalog.level_codes:
            _write_snapshot(catalog, release, level, start, end)


def _stretches(catalog: Catalog) -> list[tuple[dt.date, dt.date | None]]:
    """(first day, first day after it) of each stretch without a change, from today on. The last one has no end only when nothing
    follows: what lies beyond SEGMENTS changes has no ready-made bytes, and is answered from the entries."""
    day = today()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT day FROM (SELECT valid_from AS day FROM catalogs_entry WHERE catalog_id = %(c)s AND superseded_in IS NULL"
            " AND valid_from > %(d)s UNION SELECT valid_to FROM catalogs_entry WHERE catalog_id = %(c)s"
            " AND superseded_in IS NULL AND valid_to > %(d)s) AS days ORDER BY day LIMIT %(n)s",
            {"c": catalog.pk, "d": day, "n": SEGMENTS + 1},
        )
        days = [day, *(row[0] for row in cursor.fetchall())]
    end = [] if len(days) > SEGMENTS + 1 else [None]  # a day too many is where the last stretch ends
    return list(zip(days, [*days[1:], *end], strict=False))


def _write_snapshot(catalog: Catalog, release: Release, level: str, start: dt.date, end: dt.date | None) -> None:
    entries = Entry.objects.filter(catalog=catalog, level=level).valid_on(start).order_by("code")
    codes: list[str] = []
    lines: list[bytes] = []
    for row in entries.values_list(*COLUMNS).iterator(chunk_size=5000):
        codes.append(row[0])
        lines.append(orjson.dumps(item(catalog, row)))
    Snapshot.objects.create(
        catalog=catalog, release=release, level=level, day_from=start, day_to=end, items=len(lines), codes=codes,
        body=b"\n".join(lines),
    )  # fmt: skip


def cut(codes: Iterable[str], body: bytes) -> dict[str, bytes]:
    """Code → its item's bytes, from a snapshot's body."""
    return dict(zip(codes, bytes(body).split(b"\n"), strict=True)) if body else {}
