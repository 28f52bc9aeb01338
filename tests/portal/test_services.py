"""The catalog of data services as a consumer searches it."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from tests.factories.organizations import MinistryFactory
from tests.factories.registry import BUSINESS_REGISTRATION, PublishedServiceFactory, SpecialServiceFactory


def contract_with(personal_data: str) -> dict:
    fields = [{"path": "A", "label": "A", "personal_data": personal_data}]
    return {"operations": [{"code": "mot", "name": "Một", "path": "/mot", "fields": fields}]}


@pytest.fixture
def catalog(db):
    """Four services that differ in everything that can be asked for."""
    lands = MinistryFactory(code="G10", name="Bộ Nông nghiệp và Môi trường")
    PublishedServiceFactory(
        code="dkdn", name="Đăng ký kinh doanh", description="Tra cứu.", version__contract=BUSINESS_REGISTRATION
    )
    SpecialServiceFactory(
        code="thua-dat", name="Thửa đất", description="Bản đồ.", provider=lands, protocol="soap", version__contract=contract_with("none"),
    )  # fmt: skip
    PublishedServiceFactory(code="ho-khau", name="Hộ khẩu", description="Nơi ở.", version__contract=contract_with("basic"))
    PublishedServiceFactory(
        code="benh-an", name="Bệnh án", description="Lịch sử.", version__contract=contract_with("sensitive")
    )


@pytest.fixture
def found(catalog, world, as_person):
    """`found(q=…)` is what the page lists, in its order; the world's own service is left out."""
    reader = as_person(world.consumer_officer)

    def ask(**asked) -> list[str]:
        page = reader.get(reverse("portal:services"), asked)
        assert page.status_code == 200
        listed = re.findall(r'<th scope="row"><a href="/portal/services/([^/"]+)/">', page.content.decode())
        return [code for code in listed if code != world.service.code]

    return ask


@pytest.mark.parametrize("words", ["Thửa đất", "thua dat", "THUA   dat", "thua-dat", "dat moi truong", "ban do"])
def test_a_service_is_found_without_tones_by_its_words_and_its_providers(found, words):
    assert found(q=words) == ["thua-dat"]


def test_the_catalog_is_in_the_order_of_the_vietnamese_alphabet(found):
    assert found() == found(q="", provider="", form="", personal="", protocol="") == ["benh-an", "dkdn", "ho-khau", "thua-dat"]


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({"form": "special"}, ["thua-dat"]),
        ({"form": "default"}, ["benh-an", "dkdn", "ho-khau"]),
        ({"protocol": "soap"}, ["thua-dat"]),
        ({"protocol": "rest"}, ["benh-an", "dkdn", "ho-khau"]),
        ({"provider": "G10"}, ["thua-dat"]),
        ({"provider": "G99"}, []),
        ({"personal": "no"}, ["thua-dat"]),
        ({"personal": "basic"}, ["dkdn", "ho-khau"]),
        ({"personal": "sensitive"}, ["benh-an", "dkdn"]),
        ({"form": "default", "personal": "basic", "protocol": "rest", "q": "ho khau"}, ["ho-khau"]),
        ({"form": "special", "protocol": "rest"}, []),
        ({"q": "thua dat", "form": "default"}, []),
    ],
    ids=str,
)
def test_a_service_is_found_by_its_properties_and_by_all_that_are_asked_at_once(found, asked, codes):
    assert found(**asked) == codes


def test_a_property_nobody_has_is_no_error_and_asks_for_nothing(found):
    everything = found()
    for name in ("form", "protocol", "personal"):
        assert found(**{name: "x' OR 1=1"}) == everything


def test_the_page_offers_the_choices_and_keeps_what_was_chosen(catalog, world, as_person):
    asked = {"q": "dat", "provider": "G10", "form": "special", "personal": "no", "protocol": "soap"}
    page = as_person(world.consumer_officer).get(reverse("portal:services"), asked).content.decode()
    assert 'name="q" value="dat"' in page
    for name, value in asked.items():
        if name != "q":
            menu = page.split(f'<select id="{name}"')[1].split("</select>")[0]
            assert re.findall(r'value="([^"]+)" selected', menu) == [value], name
            assert menu.count("<option") > 2, name
    assert "Thửa đất" in page
    assert "Hộ khẩu" not in page


def test_each_line_tells_the_worst_class_of_personal_data_it_holds_and_an_empty_list_says_so(catalog, world, as_person):
    reader = as_person(world.consumer_officer, "en")
    rows = reader.get(reverse("portal:services")).content.decode().split('<th scope="row">')[1:]
    held = {re.search("/portal/services/([^/]+)/", row)[1]: re.findall('<span class="chip[^"]*">([^<]+)<', row) for row in rows}
    assert held.pop(world.service.code) == ["default sharing", "sensitive"]
    assert held == {
        "benh-an": ["default sharing", "sensitive"],
        "dkdn": ["default sharing", "sensitive"], "ho-khau": ["default sharing", "basic"], "thua-dat": ["special sharing", "none"],
    }  # fmt: skip
    assert "No service fits." in reader.get(reverse("portal:services"), {"q": "khong co gi"}).content.decode()
