"""The verbs: stage, judge, publish, reject, undo a release; correct an entry.

Every verb that looks at what is live first takes the catalog's row, so that two releases of one catalog never decide on
the same live list. A reader is never kept waiting.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.audit import actions as audit
from apps.catalogs import crosswalk_release, judgement, publication, render, staging, tree, unchanged, webhooks
from apps.catalogs.calendar import proposed_day
from apps.catalogs.choices import NEVER_ACCEPTED, OPEN_STATUSES, HoldReason, ReleaseStatus, RowProblem, Scope
from apps.catalogs.models import Catalog, Entry, Release
from apps.catalogs.succession_lines import read_successions
from apps.catalogs.workflow import RELEASE
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted


class ReasonsNotAccepted(FactMissing):
    """The release is held and not every reason was accepted by name."""

    code = "reasons_not_accepted"
    title = _("Each reason for which the release is held must be accepted by name.")


class LaterReleaseBuildsOnIt(Conflict):
    """An older release cannot be undone under a newer one that rests on it."""

    code = "later_release_builds_on_it"
    title = _("A later release builds on this one. Undo that one first.")


@transaction.atomic
def stage_release(
    catalog: Catalog,
    rows: Iterable[Mapping],
    *,
    by,
    source: str,
    effective_on: dt.date | None = None,
    scope: str = Scope.FULL,
    levels: Iterable[str] = (),
    instrument: str = "",
    instrument_date: dt.date | None = None,
    successions: Iterable[Mapping] = (),
    correspondences: Iterable[Mapping] = (),
    expected_rows: int | None = None,
    note: str = "",
) -> Release:
    """Keep `rows` apart from what is live, as a release in state `staged`.

    `rows` and `successions` are mappings as described in `staging`, `correspondences` as in `crosswalk_release`. `scope` "full": the rows are the whole list (of `levels`
    when named), codes missing from it end; "changes": other codes stay. `effective_on` defaults to the catalog's rule.
    `expected_rows` is what the source announced. Rows are never refused here: their faults are written beside them.

    Returns an `unchanged` release when this very content is live already, and the waiting release when this very content
    waits already for the same source; an older list of the same source that waits is replaced.
    """
    if not by.has_perm("catalogs.stage_release", None):
        raise NotPermitted(permission="catalogs.stage_release")
    levels = list(levels)
    if unknown := set(levels) - set(catalog.level_codes):
        raise InvalidFact(_("Unknown level: %(levels)s.") % {"levels": ", ".join(sorted(unknown))}, fields=["levels"])
    lines = staging.RowReader(catalog).read(rows)
    lineage = read_successions(catalog, successions)
    crosswalk = crosswalk_release.read(catalog, correspondences)
    content = staging.digest(lines, [*lineage, *crosswalk_release.digest_lines(crosswalk)])
    catalog = _lock(catalog)
    if crosswalk and not lines:
        scope = Scope.CHANGES  # no list came: none of its codes ends
    facts = {"scope": scope, "levels": levels, "content_digest": content, "source": source}
    day = effective_on or proposed_day(catalog)
    waiting = Release.objects.open().filter(catalog=catalog, source=source).first()
    if waiting and _says_the_same(waiting, facts, day if effective_on else waiting.effective_on):
        return waiting
    if waiting:
        RELEASE.move(waiting, "replace", by=by)
        publication.forget_staged(waiting)
    release = Release(
        catalog=catalog, effective_on=day, instrument=instrument, instrument_date=instrument_date, note=note,
        rows=len(lines), expected_rows=expected_rows, staged_by=by, judged_on=catalog.current, **facts,
    )  # fmt: skip
    try:
        with transaction.atomic():
            release.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(_("Another list of this source is being staged.")) from error
    if lines and _is_live_already(release):
        RELEASE.move(release, "find_unchanged", by=by, judged_at=timezone.now())
    else:
        staging.copy_rows(release, lines, lineage)
        crosswalk_release.keep(release, crosswalk)
    audit.record(
        "release.staged", release, by=by, source=source, rows=len(lines), replaced=str(waiting.uuid) if waiting else None
    )
    return release


@transaction.atomic
def judge_release(release: Release, *, by, effective_on: dt.date | None = None) -> Release:
    """Compare a staged release with what is live: it becomes `unchanged`, `ready` or `held` with coded reasons.

    Writes `counts` and, beside each refused row, why. Judging again (the live list moved, or `effective_on` is another day,
    which is kept) is allowed while it waits.
    """
    if not by.has_perm("catalogs.stage_release", None):
        raise NotPermitted(permission="catalogs.stage_release")
    release.catalog = _lock(release.catalog)
    release.effective_on = effective_on or release.effective_on
    return _judge(release, by=by)


@transaction.atomic
def judge_if_moved(release: Release, *, by) -> Release:
    """Judge a waiting release unless it was judged on what is live now. The catalog stays locked until the caller's transaction
    ends: what the release is found to be holds until then."""
    release.catalog = _lock(release.catalog)
    is_judged = release.status != ReleaseStatus.STAGED and release.judged_on_id == release.catalog.current_id
    if release.status not in OPEN_STATUSES or is_judged:
        return release
    return judge_release(release, by=by)


@transaction.atomic
def publish_release(
    release: Release,
    *,
    by,
    accept: Iterable[str] = (),
    effective_on: dt.date | None = None,
    note: str = "",
    version: int | None = None,
) -> Release:
    """Make the release live in one transaction, as the next number of its catalog.

    A held release needs every reason in `accept`. `effective_on` confirms or changes the proposed day. If the live list moved
    since the judgement, or the day changes, it is judged again first; reasons that are new must be accepted too.
    Raises NotPermitted, TransitionNotAllowed, StaleVersion, ReasonsNotAccepted.
    """
    release.catalog = catalog = _lock(release.catalog)
    RELEASE.check(release, "publish", by=by, version=version)
    if effective_on and effective_on != release.effective_on or release.judged_on_id != catalog.current_id:
        release.effective_on = effective_on or release.effective_on
        _judge(release, by=by)
        if release.status == ReleaseStatus.UNCHANGED:
            return release
        RELEASE.check(release, "publish", by=by)
    else:
        judgement.difference.build(release)
    accept = [str(reason) for reason in accept]
    missing = [reason for reason in release.hold_reasons if reason not in accept or reason in NEVER_ACCEPTED]
    if missing:
        labels = "; ".join(str(HoldReason(reason).label) for reason in missing)
        raise ReasonsNotAccepted(labels, reasons=missing)
    number = _next_number(catalog)
    RELEASE.move(
        release, "publish", by=by, number=number, published_by=by, published_at=_now(), decision_note=note,
        accepted=release.hold_reasons, effective_on=release.effective_on,
    )  # fmt: skip
    publication.write(release, number)
    publication.forget_staged(release)
    _make_current(catalog, release)
    audit.record(
        "release.published", release, by=by, number=number, counts=release.counts, accepted=release.accepted, note=note
    )
    return release


@transaction.atomic
def reject_release(release: Release, *, by, note: str, version: int | None = None) -> Release:
    """Refuse a waiting release for the reason `note`. Its rows stay to be looked at; the live list is untouched."""
    if not note.strip():
        raise FactMissing(_("Say why the release is rejected."), fields=["note"])
    RELEASE.move(release, "reject", by=by, version=version, decision_note=note)
    audit.record("release.rejected", release, by=by, note=note)
    return release


@transaction.atomic
def undo_release(release: Release, *, by, note: str, version: int | None = None) -> Release:
    """Publish the inverse of `release` as a new release and return it. What `release` answered can still be asked.

    Raises LaterReleaseBuildsOnIt when a newer release rests on what it wrote, or stands under or over it in the tree.
    """
    if not note.strip():
        raise FactMissing(_("Say why the release is undone."), fields=["note"])
    catalog = _lock(release.catalog)
    RELEASE.check(release, "undo", by=by, version=version)
    if later := publication.built_upon(release):
        raise LaterReleaseBuildsOnIt(number=later)
    number = _next_number(catalog)
    RELEASE.move(release, "undo", by=by)
    inverse = Release.objects.create(
        catalog=catalog, number=number, status=ReleaseStatus.PUBLISHED, source="undo", scope=Scope.CHANGES,
        effective_on=release.effective_on, instrument=release.instrument, note=note, decision_note=note, inverse_of=release,
        counts=_inverse_counts(release.counts),
        judged_on=catalog.current, staged_by=by, published_by=by, published_at=_now(),
    )  # fmt: skip
    publication.write_inverse(release, number)
    if broken := tree.broken_by(catalog, number, accepted=release.number - 1):
        newest = tree.newest_touch(catalog, number, broken) or 0
        raise LaterReleaseBuildsOnIt(number=max(newest, release.number + 1))
    _make_current(catalog, inverse)
    audit.record("release.undone", release, by=by, undone_by=str(inverse.uuid), number=number, note=note)
    return inverse


@transaction.atomic
def correct_entry(entry: Entry, *, by, note: str, instrument: str = "", **facts) -> Entry:
    """Put right what was wrong from the beginning: a new record of the same code, the old one kept as corrected.

    `facts` are among name, full_name, parent_level, parent_code, attributes, valid_from, valid_to. Returns the new entry.
    Raises InvalidFact for a fact that cannot be true, Conflict when the entry was corrected meanwhile.
    """
    if not by.has_perm("catalogs.correct_entry", entry):
        raise NotPermitted(permission="catalogs.correct_entry")
    if not note.strip():
        raise FactMissing(_("Say what was wrong."), fields=["note"])
    catalog = _lock(entry.catalog)
    corrected = _corrected(entry, catalog, facts)
    number = _next_number(catalog)
    release = Release.objects.create(
        catalog=catalog, number=number, status=ReleaseStatus.PUBLISHED, source="correction", scope=Scope.CHANGES, rows=1,
        effective_on=corrected.valid_from, instrument=instrument, note=note, decision_note=note, counts={"rows": 1, "corrected": 1},
        judged_on=catalog.current, staged_by=by, published_by=by, published_at=_now(),
    )  # fmt: skip
    if Entry.objects.filter(pk=entry.pk, superseded_in__isnull=True).update(superseded_in=number) != 1:
        raise Conflict()
    corrected.recorded_in = number
    try:
        with transaction.atomic():
            corrected.save(force_insert=True)
    except IntegrityError as error:
        raise InvalidFact(_("The dates overlap the code's own history."), fields=["valid_from", "valid_to"]) from error
    _refuse_broken(tree.broken_by(catalog, number), corrected, fields=sorted(facts))
    _make_current(catalog, release)
    audit.record(
        "entry.corrected", release, by=by, code=entry.code, level=entry.level, note=note, fields=sorted(facts), number=number
    )
    return corrected


def _inverse_counts(counts: dict[str, int]) -> dict[str, int]:
    """What was opened is closed, and the other way."""
    turned = {
        "added": "closed",
        "closed": "added",
        "crosswalk_opened": "crosswalk_closed",
        "crosswalk_closed": "crosswalk_opened",
    }
    return {**counts, **{name: counts[other] for name, other in turned.items() if other in counts}}


CORRECTABLE = ("name", "full_name", "parent_level", "parent_code", "attributes", "valid_from", "valid_to")


def _corrected(entry: Entry, catalog: Catalog, facts: dict) -> Entry:
    """The entry as it should have been, judged as a row of a release would be."""
    if unknown := set(facts) - set(CORRECTABLE):
        raise InvalidFact(
            _("Cannot be corrected: %(fields)s.") % {"fields": ", ".join(sorted(unknown))}, fields=sorted(unknown)
        )
    row = {name: facts.get(name, getattr(entry, name)) for name in CORRECTABLE}
    problems, columns = staging.read_one(catalog, {**row, "level": entry.level, "code": entry.code})
    if not problems and not _parent_holds(catalog, columns):
        problems = [RowProblem.UNKNOWN_PARENT]
    if problems:
        raise InvalidFact(_("The corrected row is refused."), problems=problems)
    if all(columns[name] == getattr(entry, name) for name in CORRECTABLE):
        raise FactMissing(_("Nothing is different."), fields=sorted(facts))
    return Entry(catalog=catalog, level=entry.level, code=entry.code, **columns)


def _parent_holds(catalog: Catalog, columns: dict) -> bool:
    if not columns["parent_code"]:
        return True
    rows = Entry.objects.valid_on(columns["valid_from"]).filter(catalog=catalog)
    return rows.filter(level=columns["parent_level"], code=columns["parent_code"]).exists()


def _refuse_broken(broken: tree.Broken, corrected: Entry, *, fields: list[str]) -> None:
    """Raise InvalidFact when the correction leaves an entry without its parent on any day, or closes a circle."""
    if broken.circles:
        raise InvalidFact(_("The corrected row is refused."), problems=[RowProblem.CYCLIC_PARENT], fields=fields)
    under = sorted({orphan.code for orphan in broken.orphans if orphan[:2] != (corrected.level, corrected.code)})
    if under:
        shown = ", ".join(under[:10]) + (" …" if len(under) > 10 else "")
        text = _("Codes under it would be without their parent: %(codes)s.") % {"codes": shown}
        raise InvalidFact(text, problems=[RowProblem.UNKNOWN_PARENT], fields=fields)
    if broken.orphans:
        raise InvalidFact(_("The corrected row is refused."), problems=[RowProblem.UNKNOWN_PARENT], fields=fields)


def _judge(release: Release, *, by) -> Release:
    """Judge under the catalog's lock; leaves `catalogs_diff` behind for the publication in the same transaction."""
    counts, reasons = judgement.judge(release)
    if reasons:
        verb = "hold"
    elif judgement.changes_anything(counts):
        verb = "find_harmless"
    else:
        verb = "find_unchanged"
    RELEASE.move(
        release, verb, by=by, counts=counts, hold_reasons=reasons, judged_at=timezone.now(),
        judged_on_id=release.catalog.current_id, effective_on=release.effective_on,
    )  # fmt: skip
    if verb == "find_unchanged":
        publication.forget_staged(release)
    audit.record("release.judged", release, by=by, verdict=release.status, counts=counts, reasons=reasons)
    return release


def _lock(catalog: Catalog) -> Catalog:
    return Catalog.objects.select_for_update(no_key=True).get(pk=catalog.pk)


def _next_number(catalog: Catalog) -> int:
    newest = Release.objects.filter(catalog=catalog, number__isnull=False).order_by("-number").values_list("number", flat=True)
    return (newest.first() or 0) + 1


def _make_current(catalog: Catalog, release: Release) -> None:
    Catalog.objects.filter(pk=catalog.pk).update(current=release)
    catalog.current = release
    render.write_snapshots(catalog, release)
    webhooks.announce(catalog, release)
    transaction.on_commit(unchanged.forget)


def _now() -> dt.datetime:
    """The clock after the catalog's row was taken: publishing times rise with the numbers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


def _says_the_same(waiting: Release, facts: dict, day: dt.date) -> bool:
    return waiting.effective_on == day and all(getattr(waiting, name) == value for name, value in facts.items())


def _is_live_already(release: Release) -> bool:
    """True when the newest settled release of this very content is still what the catalog shows: nothing to compare.

    Between the day for which it was settled and the day of `release` no entry may begin or end: what is live changes by time alone.
    """
    if release.judged_on is None:
        return False
    same = Release.objects.filter(
        catalog=release.catalog, content_digest=release.content_digest, scope=release.scope, levels=release.levels
    )
    published = Q(pk=release.judged_on_id, status=ReleaseStatus.PUBLISHED)
    found = Q(judged_on=release.judged_on_id, status=ReleaseStatus.UNCHANGED) & ~Q(pk=release.pk)
    days = set(same.filter(published | found).values_list("effective_on", flat=True))
    before = max((day for day in days if day <= release.effective_on), default=None)
    after = min((day for day in days if day >= release.effective_on), default=None)
    entries = Entry.objects.filter(catalog=release.catalog)
    return (before is not None and not entries.moves_between(before, release.effective_on)) or (
        after is not None and not entries.moves_between(release.effective_on, after)
    )
