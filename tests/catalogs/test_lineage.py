"""What became of a code. Property tests run over the real lists."""

import csv
import datetime as dt
from collections import defaultdict

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.catalogs import actions
from apps.catalogs.first_releases import DATA
from apps.catalogs.lineage import translate, translate_many
from apps.catalogs.models import Catalog, Entry
from tests.factories.catalogs import DAY, CatalogFactory, TreeCatalogFactory, published

pytestmark = pytest.mark.django_db
EVE, REFORM, LATER = dt.date(2025, 6, 30), dt.date(2025, 7, 1), dt.date(2026, 11, 23)


@pytest.fixture
def units(loaded) -> Catalog:
    return Catalog.objects.get(code="administrative-units")


@pytest.fixture(scope="module")
def pairs() -> dict:
    """The file's own answer: (level, old code) → rows."""
    found = defaultdict(list)
    with (DATA / "administrative-unit-successions.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["level"], row["old_code"]].append(row)
    return found


def codes_on(catalog: Catalog, day: dt.date, *levels: str) -> list[tuple[str, str]]:
    rows = Entry.objects.filter(catalog=catalog, level__in=levels).valid_on(day).order_by("level", "code")
    return list(rows.values_list("level", "code"))


def test_every_legacy_commune_and_province_translates_as_the_law_says(units, pairs):
    old = codes_on(units, EVE, "province", "commune")
    answers = translate_many(units, old, EVE, REFORM)
    for unit, answer in zip(old, answers, strict=True):
        lines = pairs[unit]
        assert {heir["code"] for heir in answer.heirs} == {line["new_code"] for line in lines}, unit
        whole = len(lines) == 1 and lines[0]["area_share"] == lines[0]["population_share"] == "all"
        assert answer.result == ("exact" if whole else "many"), unit
        assert {ground["legal_basis"] for ground in answer.via} == {
            line["legal_basis"] or None for line in lines
        } or "kept" in {line["kind"] for line in lines}


def test_every_unit_of_2025_has_predecessors_and_exact_means_the_only_one(units, pairs):
    back = defaultdict(list)
    for (level, old), lines in pairs.items():
        for line in lines:
            back["commune" if level == "district" else level, line["new_code"]].append((level, old, line))
    new = codes_on(units, REFORM, "province", "commune")
    for unit, answer in zip(new, translate_many(units, new, REFORM, EVE), strict=True):
        origins = back[unit]
        assert {(heir["level"], heir["code"]) for heir in answer.heirs} == {(level, old) for level, old, _ in origins}, unit
        only = len(origins) == 1 and origins[0][2]["area_share"] == origins[0][2]["population_share"] == "all"
        assert answer.result == ("exact" if only else "many"), unit


def test_382_split_communes_have_no_single_heir_of_the_population(units, pairs):
    split = [("commune", old) for (level, old), lines in pairs.items() if level == "commune" and len(lines) > 1]
    answers = translate_many(units, split, EVE, REFORM)
    assert len(split) == 441
    assert sum(all(heir["population_share"] != "all" for heir in answer.heirs) for answer in answers) == 382
    assert {answer.result for answer in answers} == {"many"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_forward_then_backward_contains_the_start(units, data):
    starts = codes_on_cached(units)
    unit = data.draw(st.sampled_from(starts))
    day = data.draw(st.dates(REFORM, LATER))
    answer = translate(units, *unit, EVE, day)
    assert answer.result in ("exact", "many")
    for heir in answer.heirs:
        back = translate(units, heir["level"], heir["code"], day, EVE)
        if not answer.derived:
            assert unit in {(origin["level"], origin["code"]) for origin in back.heirs}
    if answer.result == "exact":
        assert [(h["area_share"], h["population_share"]) for h in answer.heirs] == [("all", "all")]


_STARTS: list = []


def codes_on_cached(catalog):
    if not _STARTS:
        _STARTS.extend(codes_on(catalog, EVE, "province", "district", "commune"))
    return _STARTS


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_on_any_two_days_an_answer_is_one_of_four_and_says_why(units, data):
    unit = data.draw(st.sampled_from(codes_on_cached(units)))
    days = st.dates(dt.date(2024, 1, 1), dt.date(2027, 1, 1))
    start, end = data.draw(days), data.draw(days)
    answer = translate(units, *unit, start, end)
    assert answer.result in ("exact", "many", "ended", "unknown")
    assert bool(answer.heirs) == (answer.result in ("exact", "many"))
    crosses = min(start, end) <= EVE < max(start, end)
    if answer.heirs and crosses:
        assert answer.via
    for heir in answer.heirs:
        assert Entry.objects.filter(catalog=units, level=heir["level"], code=heir["code"]).valid_on(end).exists()


def test_the_commune_of_the_issue_is_answered_as_written_there(units):
    assert translate(units, "commune", "01834", EVE, REFORM).as_dict() == {
        "result": "exact",
        "heirs": [
            {"code": "01840", "name": "Phường Đức Xuân", "level": "commune", "valid_from": "2025-07-01", "area_share": "all",
             "population_share": "all"}
        ],
        "via": [{"kind": "merged", "effective_date": "2025-07-01", "legal_basis": "1683/NQ-UBTVQH15"}],
    }  # fmt: skip


def test_a_district_is_derived_through_its_communes_and_never_exact(units):
    answer = translate(units, "district", "001", EVE, REFORM)
    assert answer.result == "many"
    assert answer.as_dict()["derived"] is True
    communes = Entry.objects.filter(catalog=units, parent_level="district", parent_code="001").valid_on(EVE)
    direct = translate_many(units, [("commune", c) for c in communes.values_list("code", flat=True)], EVE, REFORM)
    assert {h["code"] for h in answer.heirs} == {h["code"] for a in direct for h in a.heirs}


def test_all_691_districts_that_ended_are_derived_and_5_island_districts_are_not(units):
    districts = codes_on(units, EVE, "district")
    answers = translate_many(units, districts, EVE, REFORM)
    assert sum(answer.derived for answer in answers) == 691
    assert [answer.result for answer in answers if not answer.derived] == ["exact"] * 5
    assert all(answer.heirs for answer in answers)


def test_two_reforms_in_a_row_are_followed_in_both_directions(units):
    forward = translate(units, "province", "75", EVE, LATER)
    assert (forward.result, forward.heirs[0]["name"]) == ("exact", "Thành phố Đồng Nai")
    assert [ground["effective_date"] for ground in forward.via] == ["2025-07-01", "2026-04-30"]
    backward = translate(units, "commune", "25270", LATER, EVE)
    assert backward.result == "many"
    assert [ground["legal_basis"] for ground in backward.via] == ["1662/NQ-UBTVQH15", "237/NQ-UBTVQH16"]


def test_a_code_that_is_not_there_on_the_first_day_is_unknown(units):
    assert translate(units, "commune", "99999", EVE, REFORM).result == "unknown"
    assert translate(units, "commune", "01834", dt.date(2024, 1, 1), REFORM).result == "unknown"
    assert translate(units, "commune", "01834", EVE, dt.date(2024, 1, 1)).result == "unknown"


def test_the_level_is_part_of_the_question(units):
    assert translate(units, "province", "01834", EVE, REFORM).result == "unknown"


def test_between_two_days_without_reform_a_code_is_its_own_heir(units):
    answer = translate(units, "district", "001", dt.date(2025, 3, 1), EVE)
    assert (answer.result, answer.heirs[0]["code"], answer.via) == ("exact", "001", [])


def test_ten_thousand_codes_need_as_many_queries_as_one(units):
    many = codes_on(units, EVE, "commune")
    translate(units, "commune", "00001", EVE, REFORM)
    with CaptureQueriesContext(connection) as one:
        translate(units, "commune", "00634", EVE, REFORM)
    with CaptureQueriesContext(connection) as all_of_them:
        translate_many(units, many, EVE, REFORM)
    assert len(all_of_them) <= len(one) + 2


def test_answers_of_the_past_do_not_change_when_lineage_is_learned_later(operator):
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "Cũ Một"}, {"code": "B", "name": "Khác Hai"}], by=operator)
    day = dt.date(2025, 6, 1)
    published(catalog, [{"code": "A", "closes": True}], by=operator, scope="changes", effective_on=day)
    before = translate(catalog, "item", "A", dt.date(2025, 5, 1), day)
    assert before.result == "ended"
    line = {"old_code": "A", "new_code": "B", "kind": "merged", "effective_on": day, "legal_basis": "NQ 5"}
    published(catalog, [], by=operator, scope="changes", effective_on=day, successions=[line], source="lineage")
    assert translate(catalog, "item", "A", dt.date(2025, 5, 1), day).result == "exact"
    assert translate(catalog, "item", "A", dt.date(2025, 5, 1), day, known_in=2) == before


def test_a_reused_code_is_no_heir_of_its_namesake(operator):
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "Bạch Đằng"}, {"code": "B", "name": "Kim Liên"}], by=operator)
    day = dt.date(2025, 6, 1)
    published(catalog, [{"code": "A", "name": "Thượng Lý"}, {"code": "B", "name": "Kim Liên"}], by=operator, effective_on=day)
    assert translate(catalog, "item", "A", dt.date(2025, 5, 1), day).result == "ended"
    assert translate(catalog, "item", "A", day, dt.date(2025, 5, 1)).result == "unknown"
    assert translate(catalog, "item", "B", dt.date(2025, 5, 1), day).result == "exact"


def test_a_code_closed_and_reused_on_one_day_by_two_releases_is_no_heir_of_its_namesake(operator):
    catalog, day, eve = CatalogFactory(), dt.date(2025, 6, 1), dt.date(2025, 5, 31)
    published(catalog, [{"code": "A", "name": "Bạch Đằng"}, {"code": "B", "name": "Kim Liên"}], by=operator)
    closing = {"by": operator, "scope": "changes", "effective_on": day}
    published(catalog, [{"code": "A", "closes": True}, {"code": "B", "closes": True}], **closing)
    back = [{"code": "A", "name": "Thượng Lý"}, {"code": "B", "name": "Kim Liên"}]
    reuse = published(catalog, back, source="another", **closing)
    assert reuse.counts["reused"] == 1
    assert translate(catalog, "item", "A", eve, day).result == "ended"
    assert translate(catalog, "item", "A", day, eve).result == "unknown"
    assert translate(catalog, "item", "B", eve, day).result == "exact"
    actions.undo_release(reuse, by=operator, note="Nhầm")
    assert not catalog.successions.known_in(None).exists()


def test_a_meaning_corrected_on_the_day_of_a_renaming_is_no_heir_either(operator):
    """The second list of the day corrects the first: the entry that began on it never held."""
    catalog, day, eve = CatalogFactory(), dt.date(2025, 6, 1), dt.date(2025, 5, 31)
    for name, source in (("Bạch Đằng", "one"), ("Bạch Đằng Một", "two"), ("Thượng Lý", "three")):
        published(
            catalog, [{"code": "A", "name": name}], by=operator, source=source, effective_on=DAY if source == "one" else day
        )
    assert translate(catalog, "item", "A", eve, day).result == "ended"


def test_a_renaming_is_exact_and_says_so(operator):
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "Sở Nội vụ", "attributes": {"legal_basis": "QĐ 1"}}], by=operator)
    day = dt.date(2025, 6, 1)
    published(
        catalog, [{"code": "A", "name": "Sở Nội vụ tỉnh", "attributes": {"legal_basis": "QĐ 2"}}], by=operator, effective_on=day
    )
    answer = translate(catalog, "item", "A", dt.date(2025, 5, 1), day)
    assert answer.via == [{"kind": "renamed", "effective_date": "2025-06-01", "legal_basis": "QĐ 2"}]
    assert answer.result == "exact"


def test_a_unit_that_parts_with_a_piece_and_stays_has_two_heirs(operator):
    catalog = TreeCatalogFactory()
    rows = [{"code": "01", "name": "Tỉnh Một"}, {"code": "02", "name": "Tỉnh Hai"}]
    published(catalog, rows, by=operator)
    line = {"old_level": "province", "new_level": "province", "old_code": "01", "new_code": "02", "kind": "split",
            "effective_on": "2025-06-01", "area_share": "part", "population_share": "none"}  # fmt: skip
    published(catalog, [], by=operator, scope="changes", successions=[line], effective_on=dt.date(2025, 6, 1))
    forward = translate(catalog, "province", "01", dt.date(2025, 5, 1), dt.date(2025, 7, 1))
    assert (forward.result, [h["code"] for h in forward.heirs]) == ("many", ["01", "02"])
    backward = translate(catalog, "province", "02", dt.date(2025, 7, 1), dt.date(2025, 5, 1))
    assert (backward.result, [h["code"] for h in backward.heirs]) == ("many", ["01", "02"])


def test_an_undone_reform_gives_the_answers_of_before(operator):
    catalog = CatalogFactory()
    published(catalog, [{"code": "A", "name": "Một"}, {"code": "B", "name": "Hai"}], by=operator)
    day = dt.date(2025, 6, 1)
    line = {"old_code": "A", "new_code": "B", "kind": "merged", "effective_on": day}
    reform = published(
        catalog, [{"code": "A", "closes": True}], by=operator, scope="changes", effective_on=day, successions=[line]
    )
    assert translate(catalog, "item", "A", dt.date(2025, 5, 1), day).heirs[0]["code"] == "B"
    actions.undo_release(reform, by=operator, note="Nhầm ngày")
    answer = translate(catalog, "item", "A", dt.date(2025, 5, 1), day)
    assert (answer.result, answer.heirs[0]["code"], answer.via) == ("exact", "A", [])
    assert translate(catalog, "item", "A", dt.date(2025, 5, 1), day, known_in=2).heirs[0]["code"] == "B"
