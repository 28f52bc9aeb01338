"""What a release changes, to be looked at: from the staged rows while it waits, from the entries once it is published."""

# ruff: noqa: S608 - statements are put together from constants of this module, values go as parameters.
from __future__ import annotations

from dataclasses import dataclass

import orjson
from django.db import connection, transaction
from django.db.models import TextChoices
from django.utils.formats import number_format
from django.utils.translation import gettext as now
from django.utils.translation import gettext_lazy as _

from apps.catalogs import difference
from apps.catalogs.choices import OPEN_STATUSES, HoldReason, ReleaseStatus
from apps.catalogs.judgement import is_distant
from apps.catalogs.models import Release
from apps.core.text import words


class Kind(TextChoices):
    ADDED = "added", _("added")
    CLOSED = "closed", _("ended")
    RENAMED = "renamed", _("renamed or retyped")
    REPARENTED = "reparented", _("under another parent")
    CHANGED = "changed", _("other attributes")
    REUSED = "reused", _("code re-used with another meaning")
    REFUSED = "refused", _("refused rows")


@dataclass(frozen=True)
class Change:
    """One line of the difference. `before` or `after` is None where the code is new or ends."""

    level: str
    code: str
    kinds: tuple[str, ...]
    before: dict | None
    after: dict | None
    row_no: int | None = None
    problems: tuple[str, ...] = ()


def reasons_in_words(release: Release) -> list[tuple[str, str]]:
    """Each reason for which the release is (or was) held, with the numbers that made it one, in the reader's language."""
    return [(reason, _in_words(release, reason)) for reason in release.hold_reasons]


def _in_words(release: Release, reason: str) -> str:
    counts, catalog = release.counts, release.catalog
    rows, live = counts.get("rows", release.rows), counts.get("live", 0)
    if reason == HoldReason.CLOSED_SHARE:
        return now(
            "%(closed)s of %(live)s live codes end (%(share)s %%). More than %(limit)s %% never passes unseen in this catalog."
        ) % {**_amounts(closed=counts["closed"], live=live), **_shares(catalog.brake_closed_percent, counts["closed"], live)}
    if reason == HoldReason.TRUNCATED_LIST and (release.expected_rows or 0) > rows:
        text = now("The list is cut short: its source announced %(expected)s rows and %(rows)s came.")
        return text % _amounts(expected=release.expected_rows, rows=rows)
    if reason == HoldReason.TRUNCATED_LIST:
        return now(
            "The list is short: %(rows)s rows where %(live)s codes are live (%(share)s %%). Below %(limit)s %% it may be cut."
        ) % {**_amounts(rows=rows, live=live), **_shares(catalog.brake_short_percent, rows, live)}
    if reason == HoldReason.GROWN_LIST:
        text = now("The list is very long: %(rows)s rows where %(live)s codes are live.")
        return text % _amounts(rows=rows, live=live)
    if reason == HoldReason.REUSED_CODE:
        text = now("%(codes)s codes would mean something else from that day on: the same code, a distant name.")
        return text % _amounts(codes=counts.get("reused", 0))
    if reason == HoldReason.BROKEN_TREE:
        text = now(
            "The tree breaks: %(rows)s rows have a parent that is missing, ends or leads in a circle; %(left)s units lose theirs."
        )
        return text % _amounts(rows=counts.get("broken", 0), left=counts.get("left_behind", 0))
    if reason == HoldReason.REFUSED_ROWS and not counts.get("refused") and not counts.get("lineage_refused"):
        text = now("%(lines)s lines of the crosswalk were refused. Publishing leaves what is known of their codes.")
        return text % _amounts(lines=counts.get("crosswalk_refused", 0))
    if reason == HoldReason.REFUSED_ROWS and not counts.get("lineage_refused"):
        text = now("%(rows)s rows were refused. Publishing leaves their codes as they are.")
        return text % _amounts(rows=counts.get("refused", 0))
    if reason == HoldReason.REFUSED_ROWS:
        text = now("%(rows)s rows and %(lines)s lines of lineage were refused. Publishing leaves their codes as they are.")
        return text % _amounts(rows=counts.get("refused", 0), lines=counts.get("lineage_refused", 0))
    return str(HoldReason(reason).label)


def _amounts(**numbers: int) -> dict[str, str]:
    return {name: number_format(number, force_grouping=True) for name, number in numbers.items()}


def _shares(limit, part: int, whole: int) -> dict[str, str]:
    share = number_format(100 * part / whole if whole else 100, decimal_pos=1)
    return {"share": share, "limit": number_format(limit.normalize() if limit else 0)}


_SIDES = """
    live.name, live.full_name, live.parent_code, live.attributes, live.valid_from, {end},
    fresh.name, fresh.full_name, fresh.parent_code, fresh.attributes, {start}, {fresh_end}
"""
_STAGED = f"""
SELECT diff.level, diff.code, diff.added AND NOT diff.closed, diff.closed, diff.renamed, diff.reparented, diff.changed, fresh.reused,
    fresh.row_no, {_SIDES.format(end="diff.cut", start="diff.starts", fresh_end="diff.ends")}
FROM catalogs_diff AS diff
LEFT JOIN catalogs_stagedentry AS fresh ON fresh.id = diff.staged_id
LEFT JOIN catalogs_entry AS live ON live.id = diff.live_id
"""
# Published: what the release recorded beside what it closed or corrected. A shortened copy stands for the ending itself.
_PUBLISHED = f"""
SELECT coalesce(live.level, fresh.level), coalesce(live.code, fresh.code), live.id IS NULL, fresh.id IS NULL,
    (live.name, live.full_name) IS DISTINCT FROM (fresh.name, fresh.full_name),
    (live.parent_level, live.parent_code) IS DISTINCT FROM (fresh.parent_level, fresh.parent_code),
    live.attributes IS DISTINCT FROM fresh.attributes, NULL, NULL,
    {_SIDES.format(end="live.valid_to", start="fresh.valid_from", fresh_end="fresh.valid_to")}
FROM (SELECT * FROM catalogs_entry WHERE catalog_id = %(catalog)s AND (closed_in = %(number)s OR superseded_in = %(number)s)) AS live
FULL JOIN (SELECT * FROM catalogs_entry WHERE catalog_id = %(catalog)s AND recorded_in = %(number)s) AS fresh
    ON fresh.level = live.level AND fresh.code = live.code
"""
_REFUSED = """
SELECT level, code, row_no, problems, name, full_name, parent_code, attributes, valid_from, valid_to
FROM catalogs_stagedentry WHERE release_id = %(release)s AND problems <> '{}' ORDER BY row_no
"""


def changes(release: Release, *, kind: str = "", text: str = "") -> list[Change]:
    """The difference of `release`, by code; only lines of `kind`, only lines whose code or names begin words of `text`."""
    if kind == Kind.REFUSED:
        found = _refused(release)
    elif release.status in OPEN_STATUSES or release.status == ReleaseStatus.REJECTED:
        found = _staged(release)
    else:
        found = _published(release)
    wanted = words(text)
    if text.strip() and not wanted:
        return []
    return [change for change in found if (not kind or kind in change.kinds) and _matches(change, wanted)]


def _staged(release: Release) -> list[Change]:
    with transaction.atomic(), connection.cursor() as cursor:
        difference.build(release)
        cursor.execute(f"{_STAGED} ORDER BY diff.level, diff.code")
        return [_change(row) for row in cursor.fetchall()]


def _published(release: Release) -> list[Change]:
    if release.number is None:
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"{_PUBLISHED} ORDER BY 1, 2", {"catalog": release.catalog_id, "number": release.number})
        return [_change(row) for row in cursor.fetchall()]


def _change(row: tuple) -> Change:
    level, code, added, closed, renamed, reparented, changed, reused, row_no, *sides = row
    before, after = _side(sides[:6]), _side(sides[6:])
    if closed:
        after = None
    if added:
        before = None
    kinds = []
    if added or closed:
        kinds.append(Kind.ADDED.value if added else Kind.CLOSED.value)
    else:
        flags = ((renamed, Kind.RENAMED), (reparented, Kind.REPARENTED), (changed, Kind.CHANGED))
        kinds += [kind.value for flag, kind in flags if flag]
    if reused or (reused is None and before and after and is_distant(before["name"], after["name"])):
        kinds.append(Kind.REUSED.value)
    return Change(level, code, tuple(kinds), before, after, row_no)


def _side(values: list) -> dict | None:
    name, full_name, parent_code, attributes, start, end = values
    if name is None:
        return None
    if isinstance(attributes, str):  # a plain cursor hands JSON over as text
        attributes = orjson.loads(attributes)
    return {
        "name": name, "full_name": full_name, "parent_code": parent_code or None, "attributes": attributes, "valid_from": start,
        "valid_to": end,
    }  # fmt: skip


def _refused(release: Release) -> list[Change]:
    with connection.cursor() as cursor:
        cursor.execute(_REFUSED, {"release": release.pk})
        return [
            Change(level, code, (Kind.REFUSED.value,), None, _side(side), row_no, tuple(problems))
            for level, code, row_no, problems, *side in cursor.fetchall()
        ]


def _matches(change: Change, wanted: list[str]) -> bool:
    if not wanted:
        return True
    names = [change.code, *(side["full_name"] for side in (change.before, change.after) if side)]
    line = " " + " ".join(words(" ".join(names)))
    return all(f" {word}" in line for word in wanted)
