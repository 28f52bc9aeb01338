import datetime as dt
from collections import Counter

import pytest
from django.core.management import CommandError, call_command

from apps.audit.models import AuditEvent
from apps.catalogs import actions, first_releases
from apps.catalogs.choices import HoldReason
from apps.catalogs.models import Catalog, Entry, Release, Succession

pytestmark = pytest.mark.django_db


@pytest.fixture
def units(loaded) -> Catalog:
    return Catalog.objects.get(code="administrative-units")


def count_on(catalog: Catalog, day: dt.date) -> dict:
    return dict(Counter(Entry.objects.filter(catalog=catalog).as_of(day).values_list("level", flat=True)))


def test_34_provinces_and_3321_communes_hold_on_the_day_of_the_reform(units):
    assert count_on(units, dt.date(2025, 7, 1)) == {"province": 34, "commune": 3321}


def test_63_provinces_696_districts_and_10035_communes_hold_on_its_eve(units):
    assert count_on(units, dt.date(2025, 6, 30)) == {"province": 63, "district": 696, "commune": 10035}


def test_nothing_is_known_before_the_first_day_of_the_legacy_list(units):
    assert count_on(units, dt.date(2025, 2, 28)) == {}


def test_the_reform_was_held_by_the_brake_and_accepted_by_a_named_officer(loaded, units):
    officer, _ = loaded
    reform = Release.objects.get(catalog=units, number=2)
    assert set(reform.hold_reasons) == {HoldReason.CLOSED_SHARE, HoldReason.TRUNCATED_LIST, HoldReason.REUSED_CODE}
    assert reform.accepted == reform.hold_reasons
    assert reform.published_by == officer
    assert reform.counts["reused"] > 1000
    assert AuditEvent.objects.about(reform).filter(event="release.published", actor=officer).exists()


def test_the_reform_cannot_be_published_without_accepting_its_reasons(units, operator):
    release = actions.stage_release(
        units, list(first_releases.legacy_units()), by=operator, source="again", effective_on=dt.date(2026, 5, 1)
    )
    release = actions.judge_release(release, by=operator)
    with pytest.raises(actions.ReasonsNotAccepted):
        actions.publish_release(release, by=operator, accept=[HoldReason.CLOSED_SHARE])


def test_a_release_that_changes_eleven_rows_writes_eleven_rows(units):
    assert Entry.objects.filter(catalog=units, recorded_in=3).count() == 11
    assert Entry.objects.filter(catalog=units, closed_in=3).count() == 11


def test_dong_nai_is_a_province_before_and_a_city_after_the_change_of_2026(units):
    name_on = {
        day: Entry.objects.filter(catalog=units).as_of(day).get(level="province", code="75").full_name
        for day in (dt.date(2026, 4, 29), dt.date(2026, 4, 30))
    }
    assert list(name_on.values()) == ["Tỉnh Đồng Nai", "Thành phố Đồng Nai"]


def test_all_10634_successions_are_there_with_their_instruments(units):
    pairs = Succession.objects.filter(catalog=units).known_in(None)
    assert Counter(pairs.values_list("old_level", flat=True)) == {"province": 63, "district": 5, "commune": 10566}
    assert not pairs.filter(legal_basis="").exclude(kind="kept").exists()


def test_other_catalogs_carry_instrument_scheme_and_counts(loaded):
    counts = {
        code: Entry.objects.filter(catalog__code=code).current().count()
        for code in ("ethnic-groups", "countries", "economic-sectors", "religions", "agency-identifiers")
    }
    assert counts == {
        "ethnic-groups": 54, "countries": 249, "economic-sectors": 368, "religions": 16, "agency-identifiers": 32,
    }  # fmt: skip
    assert "121-TCTK/PPCĐ" in Catalog.objects.get(code="ethnic-groups").scheme
    assert set(Catalog.objects.filter(is_sample=True).values_list("code", flat=True)) == {"positions", "document-kinds"}


def test_sectors_form_a_tree_of_22_87_and_259(loaded):
    levels = Counter(Entry.objects.filter(catalog__code="economic-sectors").values_list("level", flat=True))
    assert levels == {"1": 22, "2": 87, "3": 259}
    assert Entry.objects.get(catalog__code="economic-sectors", code="011").parent_code == "01"


def test_loading_twice_makes_nothing_new(loaded):
    officer, made = loaded
    assert len(made) == 10
    assert first_releases.load(by=officer) == []


def test_the_command_names_the_officer_who_publishes(db):
    with pytest.raises(CommandError, match="no user"):
        call_command("load_catalogs", by="nobody")
