"""What the database itself refuses, whoever writes."""

import contextlib
import datetime as dt
import threading

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from apps.catalogs import actions
from apps.catalogs.models import Correspondence, Entry, Release, Succession
from apps.organizations.choices import Role
from tests.factories.catalogs import CatalogFactory, published, staged
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
JAN, MAR, JUN = dt.date(2025, 1, 1), dt.date(2025, 3, 1), dt.date(2025, 6, 1)


@pytest.fixture
def catalog(operator):
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "Một"}], by=operator)
    catalog.refresh_from_db()
    return catalog


def entry(catalog, **facts) -> Entry:
    given = {"level": "item", "code": "A", "name": "x", "full_name": "x", "valid_from": MAR, "recorded_in": 1, **facts}
    return Entry(catalog=catalog, **given)


@pytest.mark.parametrize(
    ("start", "end"), [(JAN, None), (MAR, None), (dt.date(2024, 6, 1), None), (MAR, JUN), (dt.date(2024, 6, 1), MAR)]
)
def test_two_entries_of_one_code_cannot_overlap_in_valid_time(catalog, start, end):
    with pytest.raises(IntegrityError), transaction.atomic():
        entry(catalog, valid_from=start, valid_to=end).save()


MANY = 5_000
"""From here on the check walks the catalog instead of joining (migration 0006)."""


@pytest.mark.parametrize("count", [MANY - 1, MANY])
@pytest.mark.parametrize(
    ("start", "end", "is_refused"),
    [
        (MAR, None, True),
        (dt.date(2024, 6, 1), None, True),
        (dt.date(2024, 6, 1), MAR, True),
        (dt.date(2024, 6, 1), JAN, False),
        (MAR, JUN, True),
    ],
)
def test_one_overlap_among_many_rows_is_refused_however_many_are_written(catalog, count, start, end, is_refused):
    rows = [entry(catalog, code=f"C{number}") for number in range(count - 1)]
    rows.append(entry(catalog, valid_from=start, valid_to=end))
    refused = pytest.raises(IntegrityError, match="overlap") if is_refused else contextlib.nullcontext()
    with refused, transaction.atomic():
        Entry.objects.bulk_create(rows)
    assert Entry.objects.filter(catalog=catalog).count() == 1 + (0 if is_refused else count)


def test_many_rows_may_overlap_each_other_no_more_than_the_ones_that_are_there(catalog):
    many = [entry(catalog, code=f"C{number}") for number in range(MANY)]
    twice = entry(catalog, code="C0", valid_from=JUN)
    with pytest.raises(IntegrityError, match="C0"), transaction.atomic():
        Entry.objects.bulk_create([*many, twice])
    Entry.objects.bulk_create([*many[1:], entry(catalog, code="C0", valid_to=JUN), twice])


def test_entries_that_touch_do_not_overlap_and_other_levels_and_codes_are_free(catalog):
    entry(catalog, valid_from=dt.date(2024, 1, 1), valid_to=JAN).save()
    entry(catalog, level="other").save()
    entry(catalog, code="B").save()


def test_a_superseded_entry_does_not_stand_in_the_way(catalog, operator):
    published(catalog, [{"code": "B", "name": "Hai"}], by=operator, scope="changes", source="other")
    Entry.objects.filter(catalog=catalog, code="A").update(superseded_in=2)
    entry(catalog, valid_from=JAN, recorded_in=2).save()


@pytest.mark.parametrize("number", [0, 7])
def test_record_time_must_be_a_release_of_the_catalog(catalog, number):
    with pytest.raises(IntegrityError), transaction.atomic():
        entry(catalog, code="B", recorded_in=number).save()
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(IntegrityError), transaction.atomic():
        Entry.objects.filter(catalog=catalog).update(superseded_in=number)


def refused_writes(*writes) -> list[bool]:
    """For each write past the verbs: whether the database refused it."""
    outcomes = []
    for write in writes:
        try:
            with transaction.atomic():
                write()
                transaction.set_rollback(True)
            outcomes.append(False)
        except DatabaseError:
            outcomes.append(True)
    return outcomes


def test_record_time_is_written_in_the_newest_release_only(catalog, operator):
    """Whatever is written under an older number changes what that release answered."""
    published(catalog, [{"code": "B", "name": "Hai"}], by=operator, scope="changes", source="other")
    entries = Entry.objects.filter(catalog=catalog, code="A")
    for number, is_refused in ((1, True), (2, False)):
        outcomes = refused_writes(
            lambda number=number: entry(catalog, code="C", recorded_in=number).save(),
            lambda number=number: entry(catalog, code="C", recorded_in=2, valid_to=JUN, closed_in=number).save(),
            lambda number=number: entry(catalog, code="C", recorded_in=2, superseded_in=number).save(),
            lambda number=number: entries.update(superseded_in=number),
            lambda number=number: entries.update(valid_to=JUN, closed_in=number),
        )
        assert outcomes == [is_refused] * 5, number
    assert refused_writes(lambda: entries.update(valid_to=JUN, closed_in=1, superseded_in=2)) == [True]


def test_record_time_of_lineage_and_crosswalks_is_written_in_the_newest_release_only(catalog, operator):
    other = CatalogFactory()
    published(other, [{"code": "X", "name": "Bảng kia"}], by=operator)
    line = {"old_code": "A", "kind": "ended", "effective_on": JUN}
    pair = {"code": "A", "other": other.code, "other_code": "X", "relation": "exact"}
    closing = {"by": operator, "scope": "changes", "effective_on": JUN}
    published(catalog, [{"code": "A", "closes": True}], successions=[line], **closing)
    published(catalog, (), by=operator, correspondences=[pair], source="crosswalk", effective_on=JAN)
    for model, facts in (
        (Succession, {"effective_on": MAR}),
        (Correspondence, {"valid_from": dt.date(2020, 1, 1), "valid_to": JAN}),
    ):
        known = model.objects.get(catalog=catalog)
        for number, is_refused in ((1, True), (2, True), (3, False)):
            fresh = model.objects.get(pk=known.pk)
            fresh.pk, fresh.recorded_in = None, number
            for name, value in facts.items():
                setattr(fresh, name, value)
            outcomes = refused_writes(
                lambda fresh=fresh: fresh.save(force_insert=True),
                lambda model=model, number=number: model.objects.filter(catalog=catalog).update(superseded_in=number),
            )
            assert outcomes == [is_refused] * 2, (model, number)


@pytest.mark.parametrize(
    "change",
    [{"name": "y"}, {"code": "Z"}, {"valid_from": MAR}, {"recorded_in": 2}, {"attributes": {"a": 1}}, {"valid_to": JUN}],
    ids=lambda change: next(iter(change)),
)
def test_a_published_entry_is_never_edited(catalog, change):
    with pytest.raises(DatabaseError), transaction.atomic():
        Entry.objects.filter(catalog=catalog).update(**change)


def test_a_published_entry_is_never_deleted(catalog):
    with pytest.raises(DatabaseError), transaction.atomic():
        Entry.objects.filter(catalog=catalog)._raw_delete("default")


def test_an_end_is_written_once(catalog, operator):
    published(catalog, [{"code": "A", "closes": True}], by=operator, scope="changes", effective_on=JUN)
    for change in ({"valid_to": MAR}, {"valid_to": None}, {"closed_in": None}):
        with pytest.raises(DatabaseError), transaction.atomic():
            Entry.objects.filter(catalog=catalog).update(**change)


def test_a_published_release_is_never_edited_nor_deleted(catalog):
    release = Release.objects.filter(catalog=catalog)
    for change in ({"note": "other"}, {"number": 9}, {"status": "rejected"}, {"effective_on": MAR}):
        with pytest.raises(DatabaseError), transaction.atomic():
            release.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        release.filter(number=1)._raw_delete("default")


def test_a_succession_is_never_edited(catalog, operator):
    line = {"old_code": "A", "kind": "ended", "effective_on": JUN}
    published(catalog, [{"code": "A", "closes": True}], by=operator, scope="changes", effective_on=JUN, successions=[line])
    with pytest.raises(DatabaseError), transaction.atomic():
        Succession.objects.filter(catalog=catalog).update(note="other")


def test_one_list_at_most_waits_for_one_source(catalog, machine):
    staged(catalog, [{"code": "A", "name": "Khác"}], by=machine)
    with pytest.raises(IntegrityError), transaction.atomic():
        Release.objects.create(catalog=catalog, source="test", effective_on=JAN, staged_by=machine)


def test_only_a_published_release_has_a_number(catalog, machine):
    with pytest.raises(IntegrityError), transaction.atomic():
        Release.objects.create(
            catalog=catalog, source="x", effective_on=JAN, staged_by=machine, number=5, published_at=timezone.now()
        )


@pytest.mark.django_db(transaction=True)
def test_concurrent_writers_cannot_write_overlapping_entries():
    """Each round two writers insert the same code past the verbs; exactly one may succeed."""
    person = officer(Role.OPERATOR)
    catalog = CatalogFactory()
    published(catalog, [{"code": "SEED", "name": "Gốc"}], by=person)
    outcomes: list[str] = []

    def write(number: int, barrier: threading.Barrier, day: int) -> None:
        try:
            with transaction.atomic():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")  # a snapshot's worth of work before the race
                barrier.wait(10)
                entry(catalog, code=f"R{number}", valid_from=JAN + dt.timedelta(day)).save()
            outcomes.append("written")
        except DatabaseError:
            outcomes.append("refused")
        finally:
            connection.close()

    for number in range(12):
        barrier = threading.Barrier(3)
        writers = [threading.Thread(target=write, args=(number, barrier, day)) for day in (0, 10, 20)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    assert outcomes.count("written") == 12
    assert outcomes.count("refused") == 24
    assert Entry.objects.filter(catalog=catalog, code__startswith="R").count() == 12


@pytest.mark.django_db(transaction=True)
def test_two_people_who_publish_two_releases_at_once_both_see_the_live_list():
    """Publishing queues on the catalog: the second is judged against what the first left, and nothing is lost."""
    person = officer(Role.OPERATOR)
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "Một"}, {"code": "B", "name": "Hai"}], by=person)
    waiting = []
    for source, code in (("one", "A"), ("two", "B")):
        given = [{"code": code, "name": f"Tên {code} mới Một Hai"}]
        release = actions.stage_release(catalog, given, by=person, source=source, effective_on=JUN, scope="changes")
        waiting.append(actions.judge_release(release, by=person))
    barrier = threading.Barrier(2)
    errors: list[Exception] = []

    def publish(release: Release) -> None:
        try:
            barrier.wait(10)
            actions.publish_release(release, by=person, accept=release.hold_reasons)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=publish, args=(release,)) for release in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(Release.objects.filter(catalog=catalog).live().values_list("number", flat=True)) == [1, 2, 3]
    assert Entry.objects.filter(catalog=catalog).valid_on(JUN).filter(name__contains="mới").count() == 2
