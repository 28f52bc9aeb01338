"""The judgement of a staged release: what is wrong row by row, what would change, and what the brake holds.

Everything is set-based; only names that changed come to Python, to be compared as names.
"""

# ruff: noqa: S608 - statements are put together from constants of these modules, values go as parameters.
from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

from apps.catalogs import crosswalk_release, difference
from apps.catalogs.choices import TREE_PROBLEMS, HoldReason, RowProblem, Scope
from apps.catalogs.models import Catalog, Release
from apps.core.text import words

P = RowProblem

_MARK = "UPDATE catalogs_stagedentry AS staged SET problems = staged.problems || %(problem)s::varchar[] WHERE staged.release_id = %(release)s"

# Judged again because the live list moved: what depends on it is found anew, what the row itself says stays.
_NEIGHBORS = (P.UNKNOWN_CODE, P.OVERLAPS_HISTORY, P.UNKNOWN_PARENT)
_FORGET = """UPDATE catalogs_stagedentry SET reused = false,
    problems = ARRAY(SELECT p FROM unnest(problems) AS p WHERE p <> ALL(%(again)s) OR (p = 'unknown_parent' AND parent_level = ''))
    WHERE release_id = %(release)s AND (reused OR problems && %(again)s::varchar[])"""
SHORT_LIST = 50  # rows by which any list may grow unseen: a short one is several times as long soon
_DEPTH = 12  # levels a tree may have: a refused parent takes its children along, one level a turn

_DUPLICATES = f"""{_MARK} AND (level, code) IN (
    SELECT level, code FROM catalogs_stagedentry
    WHERE release_id = %(release)s AND code <> '' GROUP BY level, code HAVING count(*) > 1)"""

# Composed and decomposed twins of one code are duplicates too, also where each form stands once.
_TWINS = f"""{_MARK} AND NOT (problems @> %(problem)s::varchar[]) AND (level, normalize(code, NFC)) IN (
    SELECT level, normalize(code, NFC) FROM catalogs_stagedentry
    WHERE release_id = %(release)s AND code ~ '[^ -~]' GROUP BY 1, 2 HAVING count(*) > 1)"""

_KINDS_OF_ROWS = """
SELECT bool_or(closes), bool_or(parent_code <> ''), bool_or(code ~ '[^ -~]') FROM catalogs_stagedentry WHERE release_id = %(release)s
"""

_UNKNOWN_CODE = f"""{_MARK} AND staged.closes AND NOT EXISTS (
    SELECT FROM catalogs_entry AS live WHERE live.level = staged.level AND live.code = staged.code
        AND {difference._LIVE.format(day="%(day)s")})"""

_OVERLAPS = f"""{_MARK} AND problems = '{{}}' AND EXISTS (
    SELECT FROM catalogs_diff AS diff JOIN catalogs_entry AS other
        ON other.catalog_id = %(catalog)s AND other.level = diff.level AND other.code = diff.code
        AND other.superseded_in IS NULL AND other.id IS DISTINCT FROM diff.live_id
        AND other.valid_from < coalesce(diff.ends, 'infinity') AND diff.starts < coalesce(other.valid_to, 'infinity')
    WHERE diff.staged_id = staged.id AND NOT diff.closed)"""

_BACKWARDS = f"""{_MARK} AND problems = '{{}}' AND EXISTS (
    SELECT FROM catalogs_diff AS diff WHERE diff.staged_id = staged.id
        AND ((diff.closed AND diff.cut <= diff.live_from) OR diff.ends <= diff.starts))"""

# A parent is good when it comes with this release or stays live; a refused row keeps its own live entry, nothing more.
_ORPHANS = f"""{_MARK} AND problems = '{{}}' AND staged.parent_level <> '' AND NOT staged.closes
    AND NOT EXISTS (SELECT FROM catalogs_stagedentry AS parent WHERE parent.release_id = %(release)s
        AND parent.level = staged.parent_level AND parent.code = staged.parent_code
        AND parent.problems = '{{}}' AND NOT parent.closes)
    AND NOT EXISTS (SELECT FROM catalogs_entry AS live WHERE live.level = staged.parent_level AND live.code = staged.parent_code
        AND {difference._LIVE.format(day="%(day)s")}
        AND CASE WHEN %(full)s AND (%(levels)s::text[] = '{{}}' OR live.level = ANY(%(levels)s))
            THEN EXISTS (SELECT FROM catalogs_stagedentry AS own WHERE own.release_id = %(release)s
                AND own.level = live.level AND own.code = live.code AND own.problems <> '{{}}')
            ELSE NOT EXISTS (SELECT FROM catalogs_stagedentry AS own WHERE own.release_id = %(release)s
                AND own.level = live.level AND own.code = live.code AND own.problems = '{{}}' AND own.closes) END)"""

_LEFT_BEHIND = f"""
SELECT count(*) FROM catalogs_entry AS live
JOIN catalogs_diff AS parent ON parent.closed AND parent.level = live.parent_level AND parent.code = live.parent_code
WHERE {difference._LIVE.format(day="%(day)s")}
    AND NOT EXISTS (SELECT FROM catalogs_diff AS own WHERE own.live_id = live.id)
"""

_CANDIDATE_CIRCLES = """
SELECT id, code, parent_code FROM catalogs_stagedentry
WHERE release_id = %s AND parent_code <> '' AND NOT closes AND (parent_level = level OR parent_level = '')
"""

# The tree as it will be: good rows of the release over what stays live (not named, or kept because its row was refused).
_TREE_TO_BE = f"""
SELECT id, level, code, parent_code FROM catalogs_stagedentry
WHERE release_id = %(release)s AND problems = '{{}}' AND NOT closes AND parent_level = level AND level = ANY(%(selves)s)
UNION ALL
SELECT NULL, live.level, live.code, live.parent_code FROM catalogs_entry AS live
LEFT JOIN catalogs_stagedentry AS own ON own.release_id = %(release)s AND own.level = live.level AND own.code = live.code
WHERE {difference._LIVE.format(day="%(day)s")} AND live.parent_level = live.level AND live.level = ANY(%(selves)s)
    AND CASE WHEN own.id IS NULL THEN NOT (%(full)s AND (%(levels)s::text[] = '{{}}' OR live.level = ANY(%(levels)s)))
        ELSE own.problems <> '{{}}' END
"""

_RENAMED = """
SELECT staged.id, live.name, staged.name FROM catalogs_diff AS diff
JOIN catalogs_stagedentry AS staged ON staged.id = diff.staged_id JOIN catalogs_entry AS live ON live.id = diff.live_id
WHERE diff.renamed AND staged.name <> live.name
UNION ALL
SELECT staged.id, past.name, staged.name FROM catalogs_diff AS diff
JOIN catalogs_stagedentry AS staged ON staged.id = diff.staged_id
JOIN (SELECT DISTINCT ON (level, code) level, code, name, valid_from FROM catalogs_entry
      WHERE catalog_id = %(catalog)s AND superseded_in IS NULL AND valid_from < %(day)s
      ORDER BY level, code, valid_from DESC) AS past ON past.level = diff.level AND past.code = diff.code
WHERE diff.added AND past.name <> staged.name
"""

_COUNTS = """
SELECT count(*) FILTER (WHERE added AND NOT closed), count(*) FILTER (WHERE closed), count(*) FILTER (WHERE renamed),
    count(*) FILTER (WHERE reparented), count(*) FILTER (WHERE changed) FROM catalogs_diff
"""

_LINEAGE = """
UPDATE catalogs_stagedsuccession AS line SET problems = problems || '{unknown_unit}'::varchar[]
WHERE line.release_id = %(release)s AND line.problems = '{}' AND (
    NOT EXISTS (SELECT FROM catalogs_entry AS old WHERE old.catalog_id = %(catalog)s AND old.superseded_in IS NULL
        AND old.level = line.old_level AND old.code = line.old_code AND old.valid_from < coalesce(line.effective_on, %(day)s)
        AND (old.valid_to IS NULL OR old.valid_to >= coalesce(line.effective_on, %(day)s)))
    OR (line.new_code <> '' AND NOT EXISTS (SELECT FROM catalogs_stagedentry AS fresh WHERE fresh.release_id = %(release)s
            AND fresh.level = line.new_level AND fresh.code = line.new_code AND fresh.problems = '{}' AND NOT fresh.closes)
        AND NOT EXISTS (SELECT FROM catalogs_entry AS live WHERE live.level = line.new_level AND live.code = line.new_code
            AND live.catalog_id = %(catalog)s AND live.superseded_in IS NULL
            AND live.valid_from <= coalesce(line.effective_on, %(day)s)
            AND (live.valid_to IS NULL OR live.valid_to > coalesce(line.effective_on, %(day)s)))))
"""

_NEW_LINES = """
SELECT count(*) FROM catalogs_stagedsuccession AS line WHERE line.release_id = %(release)s AND line.problems = '{}'
AND NOT EXISTS (SELECT FROM catalogs_succession AS known WHERE known.catalog_id = %(catalog)s AND known.superseded_in IS NULL
    AND (known.old_level, known.old_code, known.new_level, known.new_code, known.kind, known.area_share, known.population_share)
      = (line.old_level, line.old_code, line.new_level, line.new_code, line.kind, line.area_share, line.population_share)
    AND known.effective_on = coalesce(line.effective_on, %(day)s))
"""


def judge(release: Release) -> tuple[dict[str, int], list[str]]:
    """Mark the refused rows, leave the difference in `catalogs_diff`; return (counts, reasons to hold).

    Must run inside a transaction that holds the catalog's row.
    """
    _mark_rows(release)
    difference.build(release)
    if _mark_by_difference(release):
        difference.build(release)
    reused = _mark_reused(release)
    counts = {**_count(release, reused), **crosswalk_release.judge(release)}
    return counts, _reasons(release, counts)


def is_distant(old: str, new: str) -> bool:
    """True when two names are not one name: neither holds the other, nor is a spelling (Kontum, Kon Tum) or an abbreviation of it.

    A syllable in common makes no name: Nghĩa Tân is not Nghĩa Đô, Sở Tài chính is not Sở Y tế.
    """
    before, after = words(old), words(new)
    shared = set(before) & set(after)
    ours, theirs = ([word for word in name if word not in shared] for name in (before, after))
    if shared and not (ours and theirs) or _abbreviates(ours, theirs) or _abbreviates(theirs, ours):
        return False
    return _likeness("".join(before), "".join(after)) < 0.7


def _abbreviates(short: list[str], long: list[str]) -> bool:
    """UBND for Ủy ban nhân dân, TT&TT for Thông tin và Truyền thông."""
    initials = "".join(word[0] for word in long if word != "va")
    return len(long) > len(short) and len(initials) > 1 and "".join(short) == initials


def _likeness(one: str, other: str) -> float:
    """Share of letter pairs in common (Dice), 0 to 1."""
    first = {one[i : i + 2] for i in range(len(one) - 1)}
    second = {other[i : i + 2] for i in range(len(other) - 1)}
    return 2 * len(first & second) / (len(first) + len(second)) if first or second else float(one == other)


def _mark_rows(release: Release) -> None:
    given = {**difference.parameters(release), "full": release.scope == Scope.FULL}
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64MB'")  # see difference.build
        cursor.execute(_KINDS_OF_ROWS, given)
        closings, children, odd_codes = cursor.fetchone()
        if release.judged_at:
            cursor.execute(_FORGET, {**given, "again": [str(p) for p in _NEIGHBORS]})
            cursor.execute(
                "UPDATE catalogs_stagedsuccession SET problems = array_remove(problems, 'unknown_unit') WHERE release_id = %s",
                [release.pk],
            )
        else:
            cursor.execute(_DUPLICATES, {**given, "problem": [P.DUPLICATE_CODE]})
            if odd_codes:
                cursor.execute(_TWINS, {**given, "problem": [P.DUPLICATE_CODE]})
            circles = []
            if children:
                cursor.execute(_CANDIDATE_CIRCLES, [release.pk])
                circles = list(_in_circles(cursor.fetchall()))
            if circles:
                cursor.execute(
                    "UPDATE catalogs_stagedentry SET problems = array_remove(problems, 'unknown_parent') || %s::varchar[] WHERE id = ANY(%s)",
                    [[P.CYCLIC_PARENT], circles],
                )
        if closings:
            cursor.execute(_UNKNOWN_CODE, {**given, "problem": [P.UNKNOWN_CODE]})
        for _ in range(_DEPTH if children else 0):
            cursor.execute(_ORPHANS, {**given, "problem": [P.UNKNOWN_PARENT]})
            if not cursor.rowcount and not _mark_circles(release, given):
                break


def _mark_circles(release: Release, given: dict) -> int:
    """Refuse rows that would close a circle together with what stays live; the number of rows refused.

    A refused row keeps its live parent, so refusing one may close another circle: the caller asks again.
    """
    selves = [level["code"] for level in release.catalog.levels if level["code"] in level.get("parents", ())]
    if not selves:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_TREE_TO_BE, {**given, "selves": selves})
        rows = [(pk, f"{level} {code}", f"{level} {parent}") for pk, level, code, parent in cursor.fetchall()]
        circles = [pk for pk in _in_circles(rows) if pk is not None]
        if circles:
            cursor.execute(
                "UPDATE catalogs_stagedentry SET problems = problems || %s::varchar[] WHERE id = ANY(%s)",
                [[P.CYCLIC_PARENT], circles],
            )
    return len(circles)


def _mark_by_difference(release: Release) -> bool:
    """Mark rows whose dates do not fit the code's own history; True when any was."""
    given = difference.parameters(release)
    with connection.cursor() as cursor:
        cursor.execute(_OVERLAPS, {**given, "problem": [P.OVERLAPS_HISTORY]})
        marked = cursor.rowcount
        cursor.execute(_BACKWARDS, {**given, "problem": [P.OVERLAPS_HISTORY]})
        marked += cursor.rowcount
        cursor.execute(_LINEAGE, given)
    return bool(marked)


def _in_circles(rows: list[tuple[int, str, str]]) -> Iterator[int]:
    """Ids of rows whose parents lead back to themselves. Leaves of the rest are peeled off, what stays is a circle."""
    parent_of = {code: parent for _, code, parent in rows if parent != code}
    on_circle: set[str] = set()
    done: set[str] = set()
    for start in parent_of:
        path: list[str] = []
        seen: set[str] = set()
        code = start
        while code in parent_of and code not in done and code not in seen:
            seen.add(code)
            path.append(code)
            code = parent_of[code]
        if code in seen:
            on_circle.update(path[path.index(code) :])
        done.update(path)
    return (pk for pk, code, _ in rows if code in on_circle)


def _mark_reused(release: Release) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_RENAMED, difference.parameters(release))
        ids = [pk for pk, old, new in cursor.fetchall() if is_distant(old, new)]
        if ids:
            cursor.execute("UPDATE catalogs_stagedentry SET reused = true WHERE id = ANY(%s)", [ids])
    return len(ids)


def _count(release: Release, reused: int) -> dict[str, int]:
    given = difference.parameters(release)
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        added, closed, renamed, reparented, changed = cursor.fetchone()
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE problems <> '{}'), count(*) FILTER (WHERE problems && %s::varchar[])"
            " FROM catalogs_stagedentry WHERE release_id = %s",
            [[str(p) for p in TREE_PROBLEMS], release.pk],
        )
        rows, refused, broken = cursor.fetchone()
        cursor.execute(
            f"SELECT count(*) FROM catalogs_entry AS live WHERE {difference._LIVE.format(day='%(day)s')}"
            " AND (%(levels)s::text[] = '{}' OR live.level = ANY(%(levels)s))",
            given,
        )
        live = cursor.fetchone()[0]
        cursor.execute(_LEFT_BEHIND, given)
        left_behind = cursor.fetchone()[0]
        cursor.execute(_NEW_LINES, given)
        lineage = cursor.fetchone()[0]
        cursor.execute(
            "SELECT count(*) FROM catalogs_stagedsuccession WHERE release_id = %s AND problems <> '{}'", [release.pk]
        )
        refused_lines = cursor.fetchone()[0]
    return {
        "rows": rows, "live": live, "added": added, "closed": closed, "renamed": renamed, "reparented": reparented,
        "changed": changed, "reused": reused, "refused": refused, "broken": broken, "left_behind": left_behind,
        "lineage": lineage, "lineage_refused": refused_lines,
    }  # fmt: skip


def _reasons(release: Release, counts: dict[str, int]) -> list[str]:
    catalog: Catalog = release.catalog
    reasons = []
    lines, refused_lines = counts.get("crosswalk", 0), counts.get("crosswalk_refused", 0)
    if not counts["rows"] and not counts["lineage"] and lines == refused_lines:
        reasons.append(HoldReason.EMPTY_LIST)
    if counts["live"] and counts["closed"] * 100 > catalog.brake_closed_percent * counts["live"]:
        reasons.append(HoldReason.CLOSED_SHARE)
    short = release.scope == Scope.FULL and counts["rows"] * 100 < catalog.brake_short_percent * counts["live"]
    if counts["rows"] and (short or (release.expected_rows or 0) > counts["rows"]):
        reasons.append(HoldReason.TRUNCATED_LIST)
    more = counts["rows"] - counts["live"]
    if (
        release.scope == Scope.FULL
        and counts["live"]
        and more >= SHORT_LIST
        and counts["rows"] * 100 > catalog.brake_grown_percent * counts["live"]
    ):
        reasons.append(HoldReason.GROWN_LIST)
    if counts["reused"]:
        reasons.append(HoldReason.REUSED_CODE)
    if counts["broken"] or counts["left_behind"]:
        reasons.append(HoldReason.BROKEN_TREE)
    if counts["refused"] > counts["broken"] or counts["lineage_refused"] or refused_lines:
        reasons.append(HoldReason.REFUSED_ROWS)
    return [str(reason) for reason in reasons]


def changes_anything(counts: dict[str, int]) -> bool:
    kinds = ("added", "closed", "renamed", "reparented", "changed", "lineage", "crosswalk_opened", "crosswalk_closed")
    return any(counts.get(key) for key in kinds)
