"""A release's lines of a crosswalk: read, judged, compared with what is known, published, undone.

A row is a mapping with `code`, `relation` and, where they are known, `level`, `other` (code of the other table), `other_code`,
`other_level`, `valid_from`, `valid_to` (half-open), `legal_basis`, `note`, `row_no`, `problems`.

What a release says of a code towards another table replaces, from the first day it speaks of, what was known of that code towards
that table. Codes it does not name stay; so do codes of which any line was refused.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, values go as parameters.
from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Iterable, Mapping

from django.db import connection
from django.utils.translation import gettext_lazy as _

from apps.catalogs.choices import Relation, RowProblem
from apps.catalogs.crosswalk_models import StagedCorrespondence
from apps.catalogs.export import is_risky
from apps.catalogs.models import Catalog, Release
from apps.catalogs.staging import parse_date
from apps.core.errors import InvalidFact
from apps.core.text import clean

P = RowProblem
LIMITS = {"code": 60, "other_code": 60, "level": 30, "other_level": 30, "legal_basis": 300, "note": 2000}


# --- read ----------------------------------------------------------------------------------------


def read(catalog: Catalog, rows: Iterable[Mapping]) -> list[StagedCorrespondence]:
    """The lines, not saved, each with what is wrong with it by itself. Raises InvalidFact for a table that is not there."""
    tables = {table.code: table for table in Catalog.objects.exclude(pk=catalog.pk)}
    return [_line(catalog, _table(tables, row), row, position) for position, row in enumerate(rows, 1)]


def _table(tables: dict[str, Catalog], row: Mapping) -> Catalog:
    code = str(row.get("other") or "")
    if code not in tables:
        raise InvalidFact(_("Unknown table: %(code)s.") % {"code": code[:60] or "–"}, fields=["other"])
    return tables[code]


def digest_lines(lines: list[StagedCorrespondence]) -> list[str]:
    """Each line as one text, for the digest of the release's content."""
    names = (
        "other_id",
        "level",
        "code",
        "other_level",
        "other_code",
        "relation",
        "valid_from",
        "valid_to",
        "legal_basis",
        "note",
    )
    return ["crosswalk\t" + "\t".join([*(str(getattr(line, name)) for name in names), *line.problems]) for line in lines]


def _line(catalog: Catalog, other: Catalog, row: Mapping, position: int) -> StagedCorrespondence:
    problems = list(row.get("problems") or ())
    texts = {name: _text(problems, row.get(name), limit) for name, limit in LIMITS.items()}
    if not texts["code"]:
        problems.append(P.NO_CODE)
    texts["level"] = _level(problems, catalog, texts["level"], texts["code"])
    if texts["other_code"]:
        texts["other_level"] = _level(problems, other, texts["other_level"], texts["other_code"])
    else:
        texts["other_level"] = ""
    relation = _relation(problems, row.get("relation"), texts["other_code"])
    start, end = _days(problems, row.get("valid_from"), row.get("valid_to"))
    return StagedCorrespondence(
        row_no=row.get("row_no") or position, other=other, relation=relation, valid_from=start, valid_to=end,
        problems=list(dict.fromkeys(str(problem) for problem in problems)), **texts,
    )  # fmt: skip


def _text(problems: list[str], value: object, limit: int) -> str:
    if value is not None and not isinstance(value, str):  # a number has lost its leading zeros already
        problems.append(P.WRONG_SHAPE)
    text = str(value or "")
    if not unicodedata.is_normalized("NFC", text):
        problems.append(P.NOT_NFC)
    if "\ufffd" in text or "\x00" in text:
        problems.append(P.WRONG_ENCODING)
    if is_risky(text):
        problems.append(P.FORMULA)
    text = clean(text.encode("utf-8", "replace").decode())
    if len(text) > limit:
        problems.append(P.TOO_LONG)
    return text[:limit]


def _level(problems: list[str], catalog: Catalog, given: str, code: str) -> str:
    """The level that was named; of a table with one level, that one. Codes repeat across levels: none is guessed."""
    level = given or (catalog.level_codes[0] if len(catalog.level_codes) == 1 else "")
    if level not in catalog.level_codes and code:
        problems.append(P.UNKNOWN_LEVEL)
    return level


def _relation(problems: list[str], given: object, other_code: str) -> str:
    relation = clean(str(given or "")).lower()
    if relation not in Relation.values or (relation == Relation.NONE) == bool(other_code):
        problems.append(P.UNKNOWN_RELATION)
        return Relation.RELATED if other_code else Relation.NONE
    return relation


def _days(problems: list[str], start: object, end: object) -> tuple[dt.date | None, dt.date | None]:
    try:
        days = parse_date(start), parse_date(end)
    except ValueError:
        problems.append(P.IMPOSSIBLE_DATE)
        return None, None
    if None not in days and days[1] <= days[0]:
        problems.append(P.ENDS_BEFORE_START)
        return None, None
    return days


def keep(release: Release, lines: list[StagedCorrespondence]) -> None:
    """Put the lines apart, beside the staged rows of `release`."""
    for line in lines:
        line.release = release
    StagedCorrespondence.objects.bulk_create(lines, batch_size=2000)


# --- judge ---------------------------------------------------------------------------------------

_GOOD = "line.release_id = %(release)s AND line.problems = '{}'"
_FROM = "coalesce({line}.valid_from, %(day)s)"
_MEETS = f"""{{entry}}.superseded_in IS NULL AND {{entry}}.valid_from < coalesce(line.valid_to, 'infinity')
    AND coalesce({{entry}}.valid_to, 'infinity') > {_FROM.format(line="line")}"""
_MARK = "UPDATE catalogs_stagedcorrespondence AS line SET problems = problems || %(problem)s::varchar[] WHERE "
_NEIGHBORS = (P.UNKNOWN_OWN_CODE, P.UNKNOWN_COUNTERPART, P.CONTRADICTS, P.BESIDE_REFUSED, P.ENDS_BEFORE_START)
_JUDGED: tuple[tuple[str, str], ...] = (
    (P.ENDS_BEFORE_START, f"{_GOOD} AND line.valid_from IS NULL AND line.valid_to <= %(day)s"),
    (
        P.UNKNOWN_OWN_CODE,
        f"""{_GOOD} AND NOT EXISTS (SELECT FROM catalogs_entry AS own WHERE own.catalog_id = %(catalog)s
            AND own.level = line.level AND own.code = line.code AND {_MEETS.format(entry="own")})
        AND NOT EXISTS (SELECT FROM catalogs_stagedentry AS fresh WHERE fresh.release_id = %(release)s AND fresh.level = line.level
            AND fresh.code = line.code AND fresh.problems = '{{}}' AND NOT fresh.closes)""",
    ),
    (
        P.UNKNOWN_COUNTERPART,
        f"""{_GOOD} AND line.other_code <> '' AND NOT EXISTS (SELECT FROM catalogs_entry AS theirs
            WHERE theirs.catalog_id = line.other_id AND theirs.level = line.other_level AND theirs.code = line.other_code
            AND {_MEETS.format(entry="theirs")})""",
    ),
    (
        P.CONTRADICTS,
        f"""{_GOOD} AND EXISTS (SELECT FROM catalogs_stagedcorrespondence AS twin WHERE twin.release_id = line.release_id
            AND twin.id <> line.id AND (twin.other_id, twin.level, twin.code) = (line.other_id, line.level, line.code)
            AND ((twin.other_level, twin.other_code) = (line.other_level, line.other_code) OR '' IN (twin.other_code, line.other_code))
            AND {_FROM.format(line="twin")} < coalesce(line.valid_to, 'infinity')
            AND {_FROM.format(line="line")} < coalesce(twin.valid_to, 'infinity'))""",
    ),
    (
        P.BESIDE_REFUSED,
        f"""{_GOOD} AND EXISTS (SELECT FROM catalogs_stagedcorrespondence AS twin WHERE twin.release_id = line.release_id
            AND (twin.other_id, twin.level, twin.code) = (line.other_id, line.level, line.code) AND twin.problems <> '{{}}')""",
    ),
)
_FORGET = """
UPDATE catalogs_stagedcorrespondence SET problems = ARRAY(SELECT p FROM unnest(problems) AS p WHERE p <> ALL(%(again)s))
WHERE release_id = %(release)s AND problems && %(again)s::varchar[]
"""
_COUNTS = """
SELECT (SELECT count(*) FROM catalogs_stagedcorrespondence WHERE release_id = %(release)s),
    (SELECT count(*) FROM catalogs_stagedcorrespondence WHERE release_id = %(release)s AND problems <> '{}'),
    (SELECT count(*) FROM catalogs_crosswalk_diff WHERE staged_id IS NOT NULL),
    (SELECT count(*) FROM catalogs_crosswalk_diff WHERE live_id IS NOT NULL)
"""


def judge(release: Release) -> dict[str, int]:
    """Mark the refused lines and leave the difference in `catalogs_crosswalk_diff`; return the counts. Empty when there are no lines."""
    given = parameters(release)
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM catalogs_stagedcorrespondence WHERE release_id = %(release)s)", given)
        if not cursor.fetchone()[0]:
            return {}
        if release.judged_at:
            cursor.execute(_FORGET, {**given, "again": [str(problem) for problem in _NEIGHBORS]})
        for problem, condition in _JUDGED:
            cursor.execute(_MARK + condition, {**given, "problem": [str(problem)]})
        build(release)
        cursor.execute(_COUNTS, given)
        lines, refused, opened, closed = cursor.fetchone()
    return {"crosswalk": lines, "crosswalk_opened": opened, "crosswalk_closed": closed, "crosswalk_refused": refused}


# --- the difference ------------------------------------------------------------------------------
#
# One row a line that comes (`staged_id`, `starts`) and one a known line that ends or never was (`live_id`, `cut`).

_SAYS_THE_SAME = """known.catalog_id = %(catalog)s AND known.superseded_in IS NULL
    AND (known.other_id, known.level, known.code, known.other_level, known.other_code, known.relation, known.note)
      = (line.other_id, line.level, line.code, line.other_level, line.other_code, line.relation, line.note)
    AND known.valid_to IS NOT DISTINCT FROM line.valid_to
    AND coalesce(nullif(line.legal_basis, ''), nullif(%(instrument)s, ''), known.legal_basis) = known.legal_basis
    AND (known.valid_from = line.valid_from
        OR (line.valid_from IS NULL AND known.valid_from <= %(day)s AND coalesce(known.valid_to, 'infinity') > %(day)s))"""
_DIFFERENCE = f"""
CREATE TEMPORARY TABLE catalogs_crosswalk_diff ON COMMIT DROP AS
WITH fresh AS (
    SELECT line.id, line.other_id, line.level, line.code, {_FROM.format(line="line")}::date AS starts,
        (SELECT min(known.id) FROM catalogs_correspondence AS known WHERE {_SAYS_THE_SAME}) AS same_id
    FROM catalogs_stagedcorrespondence AS line WHERE {_GOOD}
), cuts AS (
    SELECT other_id, level, code, coalesce(min(starts) FILTER (WHERE same_id IS NULL), %(day)s)::date AS cut
    FROM fresh GROUP BY other_id, level, code
)
SELECT id AS staged_id, NULL::bigint AS live_id, starts, NULL::date AS cut FROM fresh WHERE same_id IS NULL
UNION ALL
SELECT NULL, known.id, known.valid_from, cuts.cut
FROM catalogs_correspondence AS known
JOIN cuts ON (cuts.other_id, cuts.level, cuts.code) = (known.other_id, known.level, known.code)
WHERE known.catalog_id = %(catalog)s AND known.superseded_in IS NULL AND coalesce(known.valid_to, 'infinity') > cuts.cut
    AND NOT EXISTS (SELECT FROM fresh WHERE fresh.same_id = known.id)
"""


def parameters(release: Release) -> dict:
    return {
        "release": release.pk, "catalog": release.catalog_id, "day": release.effective_on, "instrument": release.instrument,
    }  # fmt: skip


def build(release: Release) -> None:
    """Make `catalogs_crosswalk_diff` for a judged release. Must run inside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS catalogs_crosswalk_diff")
        cursor.execute(_DIFFERENCE, parameters(release))


# --- publish and undo ----------------------------------------------------------------------------

_COLUMNS = "catalog_id, other_id, level, code, other_level, other_code, relation, legal_basis, note"
_WRITE = (
    """UPDATE catalogs_correspondence AS known SET superseded_in = %(number)s
       FROM catalogs_crosswalk_diff AS diff WHERE known.id = diff.live_id""",
    f"""INSERT INTO catalogs_correspondence ({_COLUMNS}, valid_from, valid_to, recorded_in)
        SELECT {_COLUMNS}, valid_from, diff.cut, %(number)s FROM catalogs_correspondence AS known
        JOIN catalogs_crosswalk_diff AS diff ON diff.live_id = known.id WHERE known.valid_from < diff.cut""",
    f"""INSERT INTO catalogs_correspondence ({_COLUMNS}, valid_from, valid_to, recorded_in)
        SELECT %(catalog)s, other_id, level, code, other_level, other_code, relation,
            coalesce(nullif(legal_basis, ''), %(instrument)s), note, diff.starts, valid_to, %(number)s
        FROM catalogs_stagedcorrespondence AS line JOIN catalogs_crosswalk_diff AS diff ON diff.staged_id = line.id""",
)
# To undo release n is to believe again, about every code it touched, what was believed under n - 1 (as in `publication`).
_TOUCHED = """
CREATE TEMPORARY TABLE catalogs_touched_crosswalk ON COMMIT DROP AS
SELECT DISTINCT other_id, level, code FROM catalogs_correspondence
WHERE catalog_id = %(catalog)s AND %(undone)s IN (recorded_in, superseded_in)
"""
_BELIEF_COLUMNS = f"{_COLUMNS}, valid_from, valid_to"
_BELIEF = f"""(
    SELECT {_BELIEF_COLUMNS} FROM catalogs_correspondence JOIN catalogs_touched_crosswalk USING (other_id, level, code)
    WHERE catalog_id = %(catalog)s AND recorded_in <= {{number}} AND (superseded_in IS NULL OR superseded_in > {{number}})
)"""
_NOW, _THEN, _BEFORE = str(2**31 - 1), "%(undone)s", "%(undone)s - 1"
_NOW_BELIEF, _THEN_BELIEF = _BELIEF.format(number=_NOW), _BELIEF.format(number=_THEN)
_BUILT_UPON = (
    f"SELECT EXISTS ({_NOW_BELIEF} EXCEPT {_THEN_BELIEF}) OR EXISTS ({_THEN_BELIEF} EXCEPT {_NOW_BELIEF}),"
    " (SELECT max(greatest(recorded_in, superseded_in)) FROM catalogs_correspondence"
    " JOIN catalogs_touched_crosswalk USING (other_id, level, code) WHERE catalog_id = %(catalog)s)"
)
_INVERSE = (
    """UPDATE catalogs_correspondence AS now SET superseded_in = %(number)s FROM catalogs_touched_crosswalk AS touched
       WHERE now.catalog_id = %(catalog)s AND now.superseded_in IS NULL
       AND (now.other_id, now.level, now.code) = (touched.other_id, touched.level, touched.code)""",
    f"""INSERT INTO catalogs_correspondence ({_BELIEF_COLUMNS}, recorded_in)
        SELECT {_BELIEF_COLUMNS}, %(number)s FROM {_BELIEF.format(number=_BEFORE)} AS before""",
)


def write(release: Release, number: int) -> None:
    """Write the lines of the judged release as release `number`."""
    if release.counts.get("crosswalk"):
        build(release)
        _run(_WRITE, {**parameters(release), "number": number})


def built_upon(release: Release) -> int | None:
    """The number of a later release that says something else of a code this one spoke of; None when it can be undone.

    Leaves behind the temporary table that `write_inverse` needs in the same transaction.
    """
    given = {"catalog": release.catalog_id, "undone": release.number}
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS catalogs_touched_crosswalk")
        cursor.execute(_TOUCHED, given)
        cursor.execute(_BUILT_UPON, given)
        differs, latest = cursor.fetchone()
    return latest if differs else None


def write_inverse(release: Release, number: int) -> None:
    """Write the inverse of the published `release` as release `number`, after `built_upon` found nothing."""
    _run(_INVERSE, {"catalog": release.catalog_id, "undone": release.number, "number": number})


def _run(statements: tuple[str, ...], given: dict) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, given)
