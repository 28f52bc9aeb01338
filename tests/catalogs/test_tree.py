"""Undoing and correcting go live without a judgement beforehand: they break no tree for that."""

import datetime as dt

import pytest

from apps.catalogs import actions
from apps.catalogs.choices import RowProblem
from apps.catalogs.models import Catalog, Entry
from apps.core.errors import InvalidFact
from tests.factories.catalogs import DAY, CatalogFactory, SelfTreeCatalogFactory, TreeCatalogFactory, published

pytestmark = pytest.mark.django_db
JUN, SEP = dt.date(2025, 6, 1), dt.date(2025, 9, 1)
PROVINCES = [{"code": "01", "name": "Tỉnh Một"}, {"code": "02", "name": "Tỉnh Hai"}]


def commune(parent: str = "01", code: str = "00001", **facts) -> dict:
    return {"code": code, "name": f"Xã {code}", "parent_code": parent, **facts}


def changes(catalog: Catalog, rows: list[dict], *, by, day: dt.date = JUN, source: str = "test"):
    return published(catalog, rows, by=by, scope="changes", effective_on=day, source=source)


@pytest.fixture
def catalog(operator) -> Catalog:
    catalog = TreeCatalogFactory()
    published(catalog, PROVINCES, by=operator)
    return catalog


def current(catalog: Catalog, code: str, **facts) -> Entry:
    return Entry.objects.current().get(catalog=catalog, code=code, **facts)


def refused_undo(release, operator) -> int:
    """The number of the release that must be undone first."""
    before = Entry.objects.current().count()
    with pytest.raises(actions.LaterReleaseBuildsOnIt) as refusal:
        actions.undo_release(release, by=operator, note="Nhầm")
    release.refresh_from_db()
    assert (release.status, Entry.objects.current().count()) == ("published", before)
    return refusal.value.extra["number"]


def test_a_parent_is_not_undone_while_later_children_stand_under_it(catalog, operator):
    parent = changes(catalog, [{"code": "03", "name": "Tỉnh Ba"}], by=operator)
    children = changes(catalog, [commune("03"), commune("03", "00002")], by=operator)
    assert refused_undo(parent, operator) == children.number
    actions.undo_release(children, by=operator, note="Nhầm")
    actions.undo_release(parent, by=operator, note="Nhầm")
    assert set(Entry.objects.filter(catalog=catalog).valid_on(SEP).values_list("code", flat=True)) == {"01", "02"}


def test_a_child_does_not_come_back_under_a_parent_that_ended_meanwhile(catalog, operator):
    changes(catalog, [commune("02")], by=operator, day=DAY)
    moved = changes(catalog, [commune("01")], by=operator)
    ended = changes(catalog, [{"code": "02", "closes": True}], by=operator, day=SEP)
    assert refused_undo(moved, operator) == ended.number


def test_a_circle_does_not_come_back_by_an_undoing(operator):
    catalog = SelfTreeCatalogFactory()
    units = [{"code": "U1", "name": "a", "parent_code": "U2"}, {"code": "U2", "name": "b"}, {"code": "U3", "name": "c"}]
    published(catalog, units, by=operator)
    turned = changes(catalog, [{"code": "U1", "name": "a", "parent_code": "U3"}], by=operator)
    other = changes(catalog, [{"code": "U2", "name": "b", "parent_code": "U1"}], by=operator)
    assert refused_undo(turned, operator) == other.number


def test_children_left_behind_that_a_person_accepted_do_not_hinder_an_undoing(catalog, operator):
    """The province ended under its commune by decision; what came after is undone, and that state is back."""
    changes(catalog, [commune("01")], by=operator, day=DAY)
    ended = changes(catalog, [{"code": "01", "closes": True}], by=operator)
    assert ended.accepted == ["closed_share", "broken_tree"]
    back = changes(catalog, [{"code": "01", "name": "Tỉnh Một"}], by=operator)
    actions.undo_release(back, by=operator, note="Nhầm")
    assert current(catalog, "01").valid_to == JUN
    actions.undo_release(ended, by=operator, note="Nhầm")


def test_two_corrections_do_not_close_a_circle(operator):
    catalog = SelfTreeCatalogFactory()
    published(catalog, [{"code": f"U{n}", "name": f"Đơn vị {n}"} for n in (1, 2, 3)], by=operator)
    for child, parent in (("U1", "U2"), ("U2", "U3")):
        actions.correct_entry(
            current(catalog, child), by=operator, note="Sai cấp trên", parent_level="unit", parent_code=parent
        )
    for parent in ("U1", "U2"):
        with pytest.raises(InvalidFact) as refusal:
            facts = {"parent_level": "unit", "parent_code": parent}
            actions.correct_entry(current(catalog, "U3"), by=operator, note="Sai cấp trên", **facts)
        assert refusal.value.extra["problems"] == [RowProblem.CYCLIC_PARENT]
    assert (current(catalog, "U3").parent_code, catalog.releases.live().count()) == ("", 3)


def test_edges_that_never_hold_together_are_no_circle(operator):
    catalog = SelfTreeCatalogFactory()
    published(catalog, [{"code": "U1", "name": "a", "parent_code": "U2"}, {"code": "U2", "name": "b"}], by=operator)
    changes(catalog, [{"code": "U1", "name": "a"}], by=operator)
    changes(catalog, [{"code": "U2", "name": "b", "attributes": {"n": 1}}], by=operator)
    late = current(catalog, "U2", valid_from=JUN)
    made = actions.correct_entry(late, by=operator, note="Sai", parent_level="unit", parent_code="U1")
    assert made.parent_code == "U1"


@pytest.mark.parametrize(
    ("code", "facts", "is_refused"),
    [
        ("01", {"valid_to": SEP}, True),
        ("01", {"valid_from": dt.date(2025, 7, 1)}, True),
        ("01", {"valid_from": JUN}, False),
        ("02", {"valid_to": SEP}, False),
        ("00001", {"valid_to": SEP}, False),
        ("00001", {"parent_code": "03"}, True),
        ("00001", {"parent_code": "03", "valid_to": SEP}, False),
        ("00001", {"parent_code": "02"}, False),
    ],
)
def test_a_correction_leaves_nobody_without_a_parent_on_any_day(catalog, operator, code, facts, is_refused):
    """Commune 00001 stands under 01 from June on; province 03 ends in September."""
    changes(catalog, [commune("01"), {"code": "03", "name": "Tỉnh Ba", "valid_from": DAY, "valid_to": SEP}], by=operator)
    before = list(Entry.objects.current().values_list("pk", flat=True))
    if not is_refused:
        actions.correct_entry(current(catalog, code), by=operator, note="Sai", **facts)
        return
    with pytest.raises(InvalidFact) as refusal:
        actions.correct_entry(current(catalog, code), by=operator, note="Sai", **facts)
    assert refusal.value.extra["problems"] == [RowProblem.UNKNOWN_PARENT]
    assert ("00001" in str(refusal.value)) == (code == "01")
    assert list(Entry.objects.current().values_list("pk", flat=True)) == before


def test_a_parent_that_only_changes_its_name_holds_on_all_days(catalog, operator):
    changes(catalog, [commune("01")], by=operator, day=DAY)
    changes(catalog, [{"code": "01", "name": "Tỉnh Một mới"}], by=operator)
    entry = current(catalog, "01", valid_from=JUN)
    actions.correct_entry(entry, by=operator, note="Sai", name="Tỉnh Một Mới", full_name="Tỉnh Một Mới")
    actions.correct_entry(current(catalog, "00001"), by=operator, note="Sai", name="Xã Một", full_name="Xã Một")


def test_what_was_broken_before_does_not_hinder_a_correction_of_something_else(catalog, operator):
    changes(catalog, [commune("01")], by=operator, day=DAY)
    changes(catalog, [{"code": "01", "closes": True}], by=operator)
    actions.correct_entry(current(catalog, "00001"), by=operator, note="Sai", name="Xã Một", full_name="Xã Một")


def test_a_flat_list_is_corrected_as_ever(operator):
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "Một"}], by=operator)
    actions.correct_entry(current(catalog, "A"), by=operator, note="Sai", valid_to=SEP)
    assert current(catalog, "A").valid_to == SEP
