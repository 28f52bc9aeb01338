"""The change feed: what each release opened, closed and withdrew, in the order in which to apply it. Resumable.

A reader that keeps (level, code, valid_from) → entry applies: `withdrawn` removes the entry, `closed` gives it its end
(the tombstone of a code that goes on no more), `opened` adds it.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, values go as parameters.
from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import orjson
from django.db import connection
from django.utils.translation import gettext_lazy as _

from apps.catalogs.models import Catalog
from apps.core.errors import InvalidFact

START = (0, "", "", "")
MAX_CHANGES = 1000
_ORDER = ("withdrawn", "closed", "opened")
_COLUMNS = "level, code, valid_from, name, full_name, parent_level, parent_code, attributes"
_FEED = f"""
SELECT number, step, ends, {_COLUMNS} FROM (
    SELECT superseded_in AS number, 0 AS step, NULL::date AS ends, {_COLUMNS} FROM catalogs_entry
        WHERE catalog_id = %(catalog)s AND superseded_in BETWEEN %(since)s AND %(until)s
    UNION ALL SELECT closed_in, 1, valid_to, {_COLUMNS} FROM catalogs_entry
        WHERE catalog_id = %(catalog)s AND closed_in BETWEEN %(since)s AND %(until)s
    UNION ALL SELECT recorded_in, 2, CASE WHEN closed_in IS NULL THEN valid_to END, {_COLUMNS} FROM catalogs_entry
        WHERE catalog_id = %(catalog)s AND recorded_in BETWEEN %(since)s AND %(until)s
) AS feed
WHERE (number, step, level, code, valid_from::text) > (%(since)s, %(step)s, %(level)s, %(code)s, %(day)s)
ORDER BY number, step, level, code, valid_from LIMIT %(limit)s
"""


def _not_a_cursor() -> InvalidFact:
    text = _("Not a release number and not a cursor of this feed.")
    return InvalidFact(text, fields={"since": [str(text)]})


@dataclass(frozen=True)
class Cursor:
    """How far a reader has come: after this line of this release."""

    release: int
    step: int = len(_ORDER)
    level: str = ""
    code: str = ""
    day: str = ""

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """A release number, or a cursor we handed out. Raises InvalidFact."""
        if text.isascii() and text.isdigit() and len(text) < 10:
            return cls(int(text))
        try:
            values = orjson.loads(base64.urlsafe_b64decode(text.encode()))
            cursor = cls(*values)
        except (binascii.Error, UnicodeError, orjson.JSONDecodeError, TypeError) as error:
            raise _not_a_cursor() from error
        numbers = (cursor.release, cursor.step)
        texts = (cursor.level, cursor.code, cursor.day)
        if not all(type(n) is int and 0 <= n < 2**31 for n in numbers) or not all(
            type(t) is str and "\x00" not in t for t in texts
        ):
            raise _not_a_cursor()
        return cursor

    def __str__(self) -> str:
        if self.step == len(_ORDER):
            return str(self.release)
        return base64.urlsafe_b64encode(orjson.dumps([self.release, self.step, self.level, self.code, self.day])).decode()


def changes(catalog: Catalog, since: Cursor, *, until: int, limit: int = MAX_CHANGES) -> dict:
    """Up to `limit` changes after `since`, no later than release `until`. `cursor` is what to ask next time with."""
    given = {
        "catalog": catalog.pk, "since": since.release, "until": until, "step": since.step, "level": since.level, "code": since.code,
        "day": since.day, "limit": limit + 1,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_FEED, given)
        rows = cursor.fetchall()
    complete = len(rows) <= limit
    rows = rows[:limit]
    last = Cursor(rows[-1][0], rows[-1][1], rows[-1][3], rows[-1][4], rows[-1][5].isoformat()) if rows else since
    return {
        "catalog": catalog.code,
        "release": until,
        "cursor": str(Cursor(max(until, since.release)) if complete else last),
        "complete": complete,
        "changes": [_change(row) for row in rows],
    }


def _change(row: tuple) -> dict:
    number, step, ends, level, code, start, name, full_name, parent_level, parent_code, attributes = row
    change = {"release": number, "change": _ORDER[step], "level": level, "code": code, "valid_from": start}
    if _ORDER[step] == "withdrawn":
        return change
    if _ORDER[step] == "closed":
        return {**change, "valid_to": ends}
    parent = {"level": parent_level, "code": parent_code} if parent_code else None
    attributes = orjson.loads(attributes) if isinstance(attributes, str) else attributes
    return {**change, "valid_to": ends, "name": name, "full_name": full_name, "parent": parent, "attributes": attributes}
