"""Rows are refused one by one, each with its reason; trees of any shape never put a circle or an orphan among what is live."""

import datetime as dt
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.catalogs import actions
from apps.catalogs.choices import HoldReason, ReleaseStatus
from apps.catalogs.models import Entry, StagedEntry
from tests.factories.catalogs import DAY, CatalogFactory, SelfTreeCatalogFactory, TreeCatalogFactory, judged, published, rows

pytestmark = pytest.mark.django_db
JUN = dt.date(2025, 6, 1)
GOOD = {"code": "G1", "name": "Dòng tốt"}

BAD_ROWS = {
    "no code": ({"code": "", "name": "Tên"}, "no_code"),
    "code is None": ({"code": None, "name": "Tên"}, "no_code"),
    "no name": ({"code": "B1", "name": ""}, "no_name"),
    "only spaces": ({"code": "B1", "name": "  \u00a0 "}, "no_name"),
    "code is a number": ({"code": 12, "name": "Tên"}, "wrong_shape"),
    "name is a list": ({"code": "B1", "name": ["Tên"]}, "wrong_shape"),
    "row is a text": ("B1", "wrong_shape"),
    "attributes are a list": ({"code": "B1", "name": "Tên", "attributes": [1]}, "wrong_shape"),
    "attributes hold a date object": ({"code": "B1", "name": "Tên", "attributes": {"x": object()}}, "wrong_shape"),
    "code pattern": ({"code": "b-1", "name": "Tên"}, "code_pattern"),
    "code too long": ({"code": "B" * 80, "name": "Tên"}, "too_long"),
    "name too long": ({"code": "B1", "name": "Tên " * 200}, "too_long"),
    "decomposed name": ({"code": "B1", "name": unicodedata.normalize("NFD", "Hà Nội")}, "not_nfc"),
    "31 February": ({"code": "B1", "name": "Tên", "valid_from": "31/02/2025"}, "impossible_date"),
    "30 February, ISO": ({"code": "B1", "name": "Tên", "valid_from": "2025-02-30"}, "impossible_date"),
    "month 13": ({"code": "B1", "name": "Tên", "valid_to": "05/13/2026"}, "impossible_date"),
    "a year of two digits": ({"code": "B1", "name": "Tên", "valid_from": "01/01/25"}, "impossible_date"),
    "date is a number": ({"code": "B1", "name": "Tên", "valid_from": 45000}, "impossible_date"),
    "a day in full-width digits": ({"code": "B1", "name": "Tên", "valid_from": "０１/０６/２０２５"}, "impossible_date"),
    "a day in Arabic digits, ISO": ({"code": "B1", "name": "Tên", "valid_from": "٢٠٢٥-٠٦-٠١"}, "impossible_date"),
    "ends before it begins": ({"code": "B1", "name": "Tên", "valid_from": "2025-05-01", "valid_to": "2025-05-01"}, "ends_before_start"),
    "replacement character": ({"code": "B1", "name": "H\ufffd N\ufffdi"}, "wrong_encoding"),
    "UTF-8 read as Latin-1": ({"code": "B1", "name": "Hà Nội".encode().decode("latin-1")}, "wrong_encoding"),
    "UTF-8 read as cp1252": ({"code": "B1", "name": "Tỉnh Bắc Kạn".encode().decode("cp1252", "replace")}, "wrong_encoding"),
    "NUL": ({"code": "B1", "name": "Tên\x00"}, "wrong_encoding"),
    "NUL in attributes": ({"code": "B1", "name": "Tên", "attributes": {"x": "\x00"}}, "wrong_encoding"),
    "zero-width space": ({"code": "B1", "name": "Tên\u200b"}, "wrong_encoding"),
    "byte order mark": ({"code": "\ufeffB1", "name": "Tên"}, "wrong_encoding"),
    "lone surrogate": ({"code": "B1", "name": "Tên \ud800"}, "wrong_encoding"),
    "text that turns direction": ({"code": "B1", "name": "Tên \u202e"}, "wrong_encoding"),
    "formula": ({"code": "B1", "name": "=HYPERLINK(1)"}, "formula"),
    "formula behind a quote": ({"code": "B1", "name": "'=1+1"}, "formula"),
    "full-width formula": ({"code": "B1", "name": "\uff1d1+1"}, "formula"),
    "command": ({"code": "B1", "name": "Tên", "full_name": "@SUM(1)"}, "formula"),
    **{f"attribute: {why}": ({"code": "B1", "name": "Tên", "attributes": attributes}, problem) for why, attributes, problem in [
        ("formula", {"ghi chú": "=cmd|' /C calc'!A0"}, "formula"),
        ("formula behind a quote", {"ghi chú": "'=1+1"}, "formula"),
        ("formula with a minus", {"ghi chú": "-2+3+cmd|' /C calc'!A0"}, "formula"),
        ("full-width formula", {"ghi chú": "\uff1d1+1"}, "formula"),
        ("formula behind many spaces", {"ghi chú": " " * 30 + "=1+1"}, "formula"),
        ("formula behind an escape", {"a": "\\", "ghi chú": "@SUM(1)"}, "formula"),
        ("formula as a name", {"=1+1": "x"}, "formula"),
        ("formula deep down", {"a": [{"b": ["=1+1"]}]}, "formula"),
        ("decomposed", {"ghi chú": unicodedata.normalize("NFD", "Hà Nội")}, "not_nfc"),
        ("decomposed name", {unicodedata.normalize("NFD", "tên cũ"): "x"}, "not_nfc"),
        ("zero-width space", {"ghi chú": "Hà\u200bNội"}, "wrong_encoding"),
        ("text that turns direction", {"ghi chú": "\u202eHà Nội"}, "wrong_encoding"),
        ("control", {"ghi chú": "Hà\x07Nội"}, "wrong_encoding"),
        ("UTF-8 read as Latin-1", {"ghi chú": "Hà Nội".encode().decode("latin-1")}, "wrong_encoding"),
        ("too long", {"ghi chú": "ấ" * 2_001}, "too_long"),
    ]},
    "unknown level": ({"code": "B1", "name": "Tên", "level": "nowhere"}, "unknown_level"),
    "parent in a flat list": ({"code": "B1", "name": "Tên", "parent_code": "G1"}, "unknown_parent"),
    "ends a code that is not live": ({"code": "B1", "closes": True}, "unknown_code"),
}  # fmt: skip


@pytest.mark.parametrize(("row", "problem"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused_with_its_reason_and_the_good_ones_are_not(machine, operator, row, problem):
    catalog = CatalogFactory()
    release = judged(catalog, [GOOD, row, {"code": "G2", "name": "Dòng tốt"}], by=machine)
    refused = {staged.row_no: staged.problems for staged in StagedEntry.objects.filter(release=release).exclude(problems=[])}
    assert list(refused) == [2]
    assert problem in refused[2]
    assert release.status == ReleaseStatus.HELD
    actions.publish_release(release, by=operator, accept=release.hold_reasons)
    assert set(Entry.objects.filter(catalog=catalog).values_list("code", flat=True)) == {"G1", "G2"}


@pytest.mark.parametrize(
    "row",
    [
        {"code": "B1", "name": "  Hà \u00a0 Nội "},
        {"code": "B1", "name": "Hà Nội", "valid_from": "01/06/2024"},
        {"code": "B1", "name": "A (B) – “C” / D’E: 1-2 \\ x\ty"},
        {
            "code": "B1",
            "name": "Số",
            "attributes": {"a": "-12,5", "b": "+84 (24) 3825-1234", "c": "-", "d": "2-3", "e": -5, "f": "a=b"},
        },
        {"code": "B1", "name": "Dài", "attributes": {"a": "ấ" * 2_000, "b": "x" * 2_000, "c": "một\n- hai\u00a0ba"}},
        {"code": "B1", "name": "Ấn Độ", "attributes": {"a": "\\N \t {x} \n ' \" \\u0041", "n": None, "l": [1, {"b": "Đ"}]}},
    ],
    ids=["spaces", "local date", "punctuation", "numbers in attributes", "long attributes", "odd attributes"],
)
def test_a_good_row_is_stored_as_it_was_meant(operator, row):
    catalog = CatalogFactory()
    published(catalog, [row], by=operator)
    entry = Entry.objects.get(catalog=catalog)
    assert entry.name == " ".join(row["name"].split())
    assert entry.attributes == row.get("attributes", {})


@pytest.mark.parametrize("code", ["０００１１", "0001１", "٠٠٠١١", "०००११", "𝟎𝟎𝟎𝟏𝟏"])
def test_digits_of_another_script_are_no_code_where_the_pattern_wants_digits(operator, code):
    """Half the world's scripts have digits of their own, and `\\d` in a pattern means all of them."""
    catalog = TreeCatalogFactory()
    published(catalog, [{"code": "01", "name": "Tỉnh Một"}, {"code": "00011", "name": "Xã", "parent_code": "01"}], by=operator)
    twins = [{"code": code, "level": "commune", "name": "Xã Giả"}, {"code": code, "name": "Xã Giả", "parent_code": "01"}]
    child = {"code": "00012", "name": "Xã Con", "parent_code": "０１"}
    release = judged(catalog, [*twins, child], by=operator, scope="changes", effective_on=JUN)
    assert release.status == ReleaseStatus.HELD
    problems = [staged.problems for staged in StagedEntry.objects.filter(release=release).order_by("row_no")]
    assert ["code_pattern" in problems[0], "code_pattern" in problems[1], problems[2]] == [True, True, ["unknown_parent"]]


def test_letters_of_the_language_still_fit_a_pattern_of_letters(operator):
    catalog = CatalogFactory(levels=[{"code": "item", "name": "Mục", "pattern": r"\w{2,5}", "parents": []}])
    published(catalog, [{"code": "Đồ1", "name": "Đồ một"}], by=operator)
    assert Entry.objects.get(catalog=catalog).code == "Đồ1"


def test_the_fifth_of_december_is_not_the_twelfth_of_may(operator):
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "x", "valid_from": "05/12/2024"}], by=operator)
    assert Entry.objects.get(catalog=catalog).valid_from == dt.date(2024, 12, 5)


def test_of_duplicates_none_is_chosen(machine):
    release = judged(CatalogFactory(), [GOOD, {"code": "D", "name": "Một"}, {"code": "D", "name": "Hai"}], by=machine)
    refused = StagedEntry.objects.filter(release=release, problems__contains=["duplicate_code"])
    assert set(refused.values_list("row_no", flat=True)) == {2, 3}
    assert release.hold_reasons == [HoldReason.REFUSED_ROWS]


def test_composed_and_decomposed_twins_of_a_code_are_duplicates(machine):
    levels = [{"code": "item", "name": "Mục", "pattern": r"[\w\u0300-\u036f]+", "parents": []}]
    twins = [{"code": unicodedata.normalize(form, "Đồ"), "name": "Tên"} for form in ("NFC", "NFD")]
    release = judged(CatalogFactory(levels=levels), twins, by=machine)
    problems = dict(StagedEntry.objects.filter(release=release).values_list("row_no", "problems"))
    assert "duplicate_code" in problems[1]
    assert set(problems[2]) >= {"not_nfc", "duplicate_code"}


def test_an_orphan_and_a_child_of_a_refused_parent_are_refused(machine):
    given = [
        {"code": "01", "name": "Tỉnh \ufffd"},
        {"code": "02", "name": "Tỉnh Hai"},
        {"code": "00001", "name": "Con của dòng bị từ chối", "parent_code": "01"},
        {"code": "00002", "name": "Con tốt", "parent_code": "02"},
        {"code": "00003", "name": "Mồ côi", "parent_code": "99"},
    ]
    release = judged(TreeCatalogFactory(), given, by=machine)
    problems = {code: p for code, p in StagedEntry.objects.filter(release=release).values_list("code", "problems") if p}
    assert problems == {"01": ["wrong_encoding"], "00001": ["unknown_parent"], "00003": ["unknown_parent"]}
    assert set(release.hold_reasons) == {HoldReason.BROKEN_TREE, HoldReason.REFUSED_ROWS}


def test_circles_and_own_parents_are_told_apart_from_those_that_hang_on_them(machine):
    given = [
        {"code": "U1", "name": "a", "parent_code": "U1"},
        {"code": "U2", "name": "b", "parent_code": "U3"},
        {"code": "U3", "name": "c", "parent_code": "U2"},
        {"code": "U4", "name": "d", "parent_code": "U3"},
        {"code": "U5", "name": "e"},
        {"code": "U6", "name": "f", "parent_code": "U5"},
    ]
    release = judged(SelfTreeCatalogFactory(), given, by=machine)
    problems = dict(StagedEntry.objects.filter(release=release).values_list("code", "problems"))
    assert problems == {
        "U1": ["self_parent"], "U2": ["cyclic_parent"], "U3": ["cyclic_parent"], "U4": ["unknown_parent"], "U5": [], "U6": [],
    }  # fmt: skip


def test_a_parent_that_ends_while_its_children_stay_is_held(operator, machine):
    catalog = TreeCatalogFactory()
    provinces = [{"code": f"{n:02}", "name": f"Tỉnh {n}"} for n in range(1, 99)]
    published(catalog, [*provinces, {"code": "00001", "name": "Xã", "parent_code": "01"}], by=operator)
    release = judged(catalog, provinces[1:], by=machine, levels=["province"], effective_on=JUN)
    assert release.hold_reasons == [HoldReason.BROKEN_TREE]
    assert release.counts["left_behind"] == 1


def test_lineage_that_names_unknown_units_is_refused(operator, machine):
    catalog = CatalogFactory()
    published(catalog, rows(60), by=operator)
    lines = [
        {"old_code": "A001", "new_code": "A002", "kind": "merged", "effective_on": JUN},
        {"old_code": "X", "new_code": "A002", "kind": "merged", "effective_on": JUN},
        {"old_code": "A001", "new_code": "X", "kind": "merged", "effective_on": JUN},
        {"old_code": "A001", "new_code": "A003", "kind": "eaten", "effective_on": JUN},
        {"old_code": "A001", "new_code": "A003", "kind": "ended", "effective_on": JUN},
        {"old_code": "A001", "new_code": "A003", "kind": "merged", "effective_on": "31/02/2025"},
    ]
    release = judged(
        catalog, [{"code": "A001", "closes": True}], by=machine, scope="changes", effective_on=JUN, successions=lines
    )
    assert release.counts["lineage"] == 1
    assert release.counts["lineage_refused"] == 5
    assert release.hold_reasons == [HoldReason.REFUSED_ROWS]


trees = st.lists(
    st.tuples(st.integers(1, 12), st.one_of(st.none(), st.integers(1, 14))),
    min_size=1,
    max_size=12,
    unique_by=lambda row: row[0],
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=trees, second=trees)
def test_whatever_the_shape_of_the_tree_what_is_live_is_a_forest(operator, first, second):
    catalog = SelfTreeCatalogFactory()
    for day, shape in ((DAY, first), (JUN, second)):
        given = [{"code": f"U{n}", "name": f"Đơn vị {n}", "parent_code": f"U{p}" if p else ""} for n, p in shape]
        release = judged(catalog, given, by=operator, effective_on=day)
        if release.status in (ReleaseStatus.READY, ReleaseStatus.HELD):
            actions.publish_release(release, by=operator, accept=release.hold_reasons)
    parents = dict(Entry.objects.filter(catalog=catalog).valid_on(JUN).values_list("code", "parent_code"))
    left_behind = release.counts.get("left_behind", 0)
    for start in parents:
        code, seen = start, set()
        while code:
            assert code not in seen, "a circle among what is live"
            seen.add(code)
            if code not in parents:
                assert left_behind, "an orphan among what is live that nobody was told of"
                break
            code = parents[code]


def test_a_circle_that_would_close_through_what_is_live_is_refused(operator, machine):
    catalog = SelfTreeCatalogFactory()
    published(catalog, [{"code": "U1", "name": "a", "parent_code": "U2"}, {"code": "U2", "name": "b"}], by=operator)
    release = judged(catalog, [{"code": "U2", "name": "b", "parent_code": "U1"}], by=machine, scope="changes", effective_on=JUN)
    assert StagedEntry.objects.get(release=release).problems == ["cyclic_parent"]
    assert HoldReason.BROKEN_TREE in release.hold_reasons


def test_a_circle_that_would_close_through_a_refused_row_is_refused(operator, machine):
    catalog = SelfTreeCatalogFactory()
    published(catalog, [{"code": "U1", "name": "a", "parent_code": "U2"}, {"code": "U2", "name": "b"}], by=operator)
    given = [{"code": "U1", "name": "\ufffd"}, {"code": "U2", "name": "b", "parent_code": "U1"}]
    release = judged(catalog, given, by=machine, effective_on=JUN)
    problems = dict(StagedEntry.objects.filter(release=release).values_list("code", "problems"))
    assert problems == {"U1": ["wrong_encoding"], "U2": ["cyclic_parent"]}
