import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.text import clean, fold, prefix_query, sort_key, undisguised, words


@pytest.mark.parametrize(
    ("text", "folded"),
    [("Đồng Nai", "dong nai"), ("  Thừa  Thiên Huế ", "thua thien hue"), ("ĐĂK LĂK", "dak lak"), ("", "")],
)
def test_folding_drops_tones_case_and_the_bar_of_d(text, folded):
    assert fold(text) == folded


def test_text_reads_in_the_order_in_which_it_is_stored():
    assert undisguised("hạn mức \u202e0001\u202c lượt\n🙂") == "hạn mức 0001 lượt\n🙂"
    assert undisguised(["a\u2067b", 7, None]) == ["ab", 7, None]
    assert undisguised(None) is None


def test_search_text_cannot_carry_operators():
    assert prefix_query("dong & !nai | 'x':*") == "'dong':* & 'nai':* & 'x':*"
    assert words("'); drop") == ["drop"]


def test_names_sort_by_the_vietnamese_alphabet_whatever_the_locale():
    names = ["Ea", "Đà", "Da", "Ấn", "An", "Ăn", "Tình", "Tỉnh", "Tinh"]
    assert sorted(names, key=sort_key) == ["An", "Ăn", "Ấn", "Da", "Đà", "Ea", "Tinh", "Tình", "Tỉnh"]


@given(st.text(max_size=60))
def test_cleaning_and_folding_are_stable(text):
    assert clean(clean(text)) == clean(text)
    assert fold(fold(text)) == fold(text)


VIETNAMESE = st.text(alphabet="aăâdđeêoôơuưyz áàảãạấềỗựỵ", max_size=12)


@given(VIETNAMESE, VIETNAMESE)
def test_two_texts_share_a_sort_key_only_when_they_are_the_same(one, other):
    assert (sort_key(one) == sort_key(other)) == (clean(one) == clean(other))
