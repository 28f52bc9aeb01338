"""What a release changes of the crosswalk, to be looked at: from the staged lines while it waits, from the published ones afterwards."""

# ruff: noqa: S608 - statements are put together from constants of this module, values go as parameters.
from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.catalogs import crosswalk_release, lineage_facts
from apps.catalogs.choices import OPEN_STATUSES, Relation, ReleaseStatus, RowProblem
from apps.catalogs.models import Catalog, Release
from apps.core.text import words


class Kind(TextChoices):
    OPENED = "opened", _("new or changed")
    CLOSED = "closed", _("ended or withdrawn")
    REFUSED = "refused", _("refused rows")


@dataclass
class Line:
    """One line of the difference. `valid_to` of a closed line is the end it gets; equal to its beginning: it never held."""

    kind: str
    other_id: int
    level: str
    code: str
    other_level: str
    other_code: str
    relation: str
    valid_from: dt.date
    valid_to: dt.date | None
    legal_basis: str
    note: str
    row_no: int | None = None
    problems: tuple[str, ...] = ()
    name: str = ""
    other_name: str = ""
    other: Catalog | None = None

    @property
    def relation_label(self) -> object:
        """Of a relation that could not be read there is none to show."""
        return "–" if RowProblem.UNKNOWN_RELATION in self.problems else Relation(self.relation).label


_SHOWN = "line.other_id, line.level, line.code, line.other_level, line.other_code, line.relation"
_STAGED = f"""
SELECT 'opened', {_SHOWN}, diff.starts, line.valid_to, coalesce(nullif(line.legal_basis, ''), %(instrument)s), line.note, line.row_no,
    '{{}}'::varchar[]
FROM catalogs_crosswalk_diff AS diff JOIN catalogs_stagedcorrespondence AS line ON line.id = diff.staged_id
UNION ALL
SELECT 'closed', {_SHOWN}, line.valid_from, greatest(diff.cut, line.valid_from), line.legal_basis, line.note, NULL, '{{}}'
FROM catalogs_crosswalk_diff AS diff JOIN catalogs_correspondence AS line ON line.id = diff.live_id
"""
_REFUSED = f"""
SELECT 'refused', {_SHOWN}, coalesce(line.valid_from, %(day)s)::date, line.valid_to, line.legal_basis, line.note, line.row_no, line.problems
FROM catalogs_stagedcorrespondence AS line WHERE line.release_id = %(release)s AND line.problems <> '{{}}'
"""
# The shortened copy of a line stands for its ending, not for something new.
_PUBLISHED = f"""
WITH closed AS (SELECT * FROM catalogs_correspondence WHERE catalog_id = %(catalog)s AND superseded_in = %(number)s),
    opened AS (SELECT * FROM catalogs_correspondence WHERE catalog_id = %(catalog)s AND recorded_in = %(number)s),
    shortened AS (SELECT opened.id, closed.id AS closed_id, opened.valid_to FROM opened JOIN closed
        USING (other_id, level, code, other_level, other_code, relation, valid_from, note))
SELECT 'opened', {_SHOWN}, line.valid_from, line.valid_to, line.legal_basis, line.note, NULL, '{{}}'::varchar[]
FROM opened AS line WHERE line.id NOT IN (SELECT id FROM shortened)
UNION ALL
SELECT 'closed', {_SHOWN}, line.valid_from, coalesce(shortened.valid_to, line.valid_from), line.legal_basis, line.note, NULL, '{{}}'
FROM closed AS line LEFT JOIN shortened ON shortened.closed_id = line.id
"""


def lines(release: Release, *, kind: str = "", text: str = "") -> list[Line]:
    """The difference of `release` in the crosswalk, refused lines first; only those of `kind`, only those whose codes or names fit `text`."""
    found = [Line(*row) for row in _rows(release)]
    if kind in Kind.values:
        found = [line for line in found if line.kind == kind]
    found.sort(key=lambda line: (line.kind != Kind.REFUSED, line.row_no or 0 if line.kind == Kind.REFUSED else 0,
                                 line.level, line.code, line.kind, line.other_level, line.other_code))  # fmt: skip
    _name(release.catalog, found)
    wanted = words(text)
    if text.strip() and not wanted:
        return []
    return [line for line in found if _fits(line, wanted)]


def _rows(release: Release) -> list[tuple]:
    given = {**crosswalk_release.parameters(release), "number": release.number}
    with transaction.atomic(), connection.cursor() as cursor:
        if release.status in OPEN_STATUSES or release.status == ReleaseStatus.REJECTED:
            crosswalk_release.build(release)
            cursor.execute(f"{_STAGED} UNION ALL {_REFUSED}", given)
        elif release.number:
            cursor.execute(_PUBLISHED, given)
        else:
            return []
        return cursor.fetchall()


def _name(catalog: Catalog, found: list[Line]) -> None:
    """Names of both ends, each on the line's first day; the other tables, a query each."""
    tables = Catalog.objects.in_bulk({line.other_id for line in found})
    now = lineage_facts.NOW
    own = lineage_facts.names_on(catalog, {(line.level, line.code, line.valid_from) for line in found}, known_in=now)
    theirs = {
        pk: lineage_facts.names_on(
            table,
            {(line.other_level, line.other_code, line.valid_from) for line in found if line.other_id == pk},
            known_in=now,
        )
        for pk, table in tables.items()
    }
    for line in found:
        line.other = tables[line.other_id]
        line.name = own.get((line.level, line.code, line.valid_from), "")
        line.other_name = theirs[line.other_id].get((line.other_level, line.other_code, line.valid_from), "")


def _fits(line: Line, wanted: list[str]) -> bool:
    said = " " + " ".join(words(f"{line.code} {line.name} {line.other_code} {line.other_name}"))
    return all(f" {word}" in said for word in wanted)
