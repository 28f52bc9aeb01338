"""The shortcuts of staging give what the long way gives, and no row, whatever its shape, ends in an error."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.catalogs import keys, staging
from apps.catalogs.first_releases import RELEASES
from apps.catalogs.models import Catalog
from apps.core.text import sort_key
from tests.factories.catalogs import FLAT, SELF_TREE, TREE

NAMES = st.one_of(
    st.sampled_from(
        ["Hà Nội", "Đắk Lắk", "Xã Phú Đồng", "P. 1", "Hòa", "O'Nil", "A  B", " A", "ấ", "=1", "中 文", "x-y", "ＡＢ", "Σας Σ"]
    ),
    st.text(max_size=12),
)
CODES = st.one_of(st.from_regex(r"[0-9]{2}|[0-9]{5}|U[0-9]{1,3}", fullmatch=True), st.text(max_size=7))
ANYTHING = st.one_of(st.none(), st.booleans(), st.integers(), NAMES, CODES, st.lists(st.integers(), max_size=2))
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "code": st.one_of(CODES, ANYTHING),
        "name": st.one_of(NAMES, ANYTHING),
        "full_name": st.one_of(NAMES, ANYTHING),
        "level": st.one_of(st.sampled_from(["", "item", "province", "commune", "unit"]), ANYTHING),
        "parent_code": st.one_of(CODES, ANYTHING),
        "parent_level": st.one_of(st.sampled_from(["province", "x"]), ANYTHING),
        "attributes": st.one_of(st.dictionaries(st.text(max_size=5), st.one_of(st.text(max_size=5), st.integers())), ANYTHING),
        "valid_from": st.one_of(st.sampled_from(["2025-01-01", "31/02/2025"]), ANYTHING),
        "closes": ANYTHING,
        "row_no": ANYTHING,
        "problems": st.lists(st.sampled_from(["formula"]), max_size=1),
    },
)


@settings(max_examples=1500, deadline=None)
@given(row=st.one_of(ROWS, ANYTHING), levels=st.sampled_from([FLAT, TREE, SELF_TREE]))
@example(row={"code": "10", "name": "A", "parent_code": "10", "level": "province"}, levels=TREE)
@example(row={"code": "00001", "name": "Xã Một", "parent_code": "10", "level": "commune"}, levels=TREE)
@example(row={"code": "U1", "name": "a\\b", "attributes": {"x": "\\"}}, levels=SELF_TREE)
def test_the_shortcut_says_what_the_long_way_says(row, levels):
    reader = staging.RowReader(Catalog(levels=levels))
    long_way = reader._line(reader.values(row), row, 7)
    assert (reader._plain_line(row, 7) or long_way) == long_way
    assert reader.read([row])[0][0].count("\t") == 9


@settings(max_examples=1500, deadline=None)
@given(code=CODES, name=NAMES, full_name=NAMES)
@example(code="00001", name="Phú Đồng", full_name="Xã Phú Đồng")
@example(code="00001", name="Xã", full_name="Xã Phú")
def test_keys_from_words_are_the_keys_of_the_whole(code, name, full_name):
    for full in (full_name, f"Xã {name}", name):
        assert keys.both(code, name, full) == (keys.search_line(code, name, full), sort_key(name))


def test_most_rows_of_the_real_lists_take_the_shortcut():
    levels = {"administrative-units-legacy": 3, "administrative-units-2025": 2}
    for release in RELEASES:
        if release.source.removeprefix("data:") in levels:
            from apps.catalogs.first_releases import ADMINISTRATIVE_UNITS

            reader = staging.RowReader(Catalog(levels=ADMINISTRATIVE_UNITS["levels"]))
            rows = list(release.rows())
            taken = sum(reader._plain_line(row, 1) is not None for row in rows)
            assert taken > 0.98 * len(rows)


@pytest.mark.parametrize(
    "row", [None, 5, [], "x", {"level": ["x"], "code": "1", "name": "a"}, {"parent_level": {}, "parent_code": "1"}]
)
def test_a_row_of_another_shape_is_refused_not_an_error(row):
    reader = staging.RowReader(Catalog(levels=TREE))
    assert reader.values(row)[-1]
