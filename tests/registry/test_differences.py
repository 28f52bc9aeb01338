"""What a new contract changes, and which of it breaks."""

from __future__ import annotations

import copy

import pytest
from django.utils import translation
from rest_framework.test import APIClient

from apps.organizations.choices import Role
from apps.registry.contract import write_contract
from apps.registry.contract_reading import read_contract
from apps.registry.differences import breaking, differences
from tests.factories.organizations import officer
from tests.factories.registry import BUSINESS_REGISTRATION, DraftVersionFactory, PublishedServiceFactory

OLD = read_contract(BUSINESS_REGISTRATION)


def changed(change) -> list[tuple[str, str, bool]]:
    data = copy.deepcopy(BUSINESS_REGISTRATION)
    change(data["operations"], data)
    return [(row.code, row.path, row.breaks) for row in differences(OLD, read_contract(data))]


def field(operations, path):
    return next(row for row in operations[0]["fields"] if row["path"] == path)


NAME = "Data.MainInformation.NAME"
CITY = "Data.HOAdress.CityID"
SOAP = {"request": "TraCuu", "response": "KetQua", "elements": [{"path": "MaSo", "parameter": "msdn"}]}
CHANGES = {
    "nothing": (lambda ops, data: None, []),
    "a label": (lambda ops, data: field(ops, NAME).update(label="Khác"), []),
    "a field gone": (lambda ops, data: ops[0]["fields"].remove(field(ops, NAME)), [("field_removed", NAME, True)]),
    "a new field": (lambda ops, data: ops[0]["fields"].append({"path": "Data.New"}), [("field_added", "Data.New", False)]),
    "another type": (lambda ops, data: field(ops, NAME).update(type="number"), [("type_changed", NAME, True)]),
    "a stricter class": (lambda ops, data: field(ops, NAME).update(personal_data="sensitive"), [("class_changed", NAME, True)]),
    "a field that now comes with every access": (
        lambda ops, data: field(ops, NAME).update(is_envelope=True), [("envelope_changed", NAME, False)]),
    "another path": (lambda ops, data: ops[0].update(path="/khac"), [("address_changed", "", True)]),
    "a parameter gone": (lambda ops, data: ops[0].update(parameters=[]), [("parameter_removed", "?msdn", True)]),
    "a required parameter more": (
        lambda ops, data: ops[0]["parameters"].append({"name": "moi", "required": True}), [("parameter_added", "?moi", True)]),
    "an optional parameter more": (
        lambda ops, data: ops[0]["parameters"].append({"name": "moi"}), [("parameter_added", "?moi", False)]),
    "a shorter value": (lambda ops, data: ops[0]["parameters"][0].update(max_length=5), [("parameter_narrower", "?msdn", True)]),
    "answers in another format": (lambda ops, data: ops[0].update(answer="xml"), [("format_changed", "", True)]),
    "a SOAP message that is given as before": (lambda ops, data: ops[0].update(answer="xml", soap=SOAP), []),
    "codes of another day": (lambda ops, data: ops[0].update(codes_day="2025-06-30"), [("codes_day_changed", "", True)]),
    "another catalog": (lambda ops, data: field(ops, CITY).update(catalog_code="countries"), [("catalog_changed", CITY, True)]),
    "no catalog any more": (lambda ops, data: field(ops, CITY).update(catalog_code=""), [("catalog_changed", CITY, True)]),
    "a catalog named": (lambda ops, data: field(ops, NAME).update(catalog_code="countries"), [("catalog_named", NAME, True)]),
    "a catalog of a parameter": (
        lambda ops, data: ops[0]["parameters"][0].update(catalog_code="countries"), [("catalog_named", "?msdn", True)]),
    "an operation gone": (
        lambda ops, data: (ops.pop(3), data["samples"].pop(3)), [("operation_removed", "", True)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_named_and_judged(name):
    change, expected = CHANGES[name]
    assert changed(change) == expected


def test_breaking_changes_come_first_and_alone_when_asked():
    data = copy.deepcopy(BUSINESS_REGISTRATION)
    data["operations"][0]["fields"].append({"path": "Data.New"})
    data["operations"][0]["path"] = "/khac"
    new = read_contract(data)
    assert [row.breaks for row in differences(OLD, new)] == [True, False]
    assert [row.code for row in breaking(OLD, new)] == ["address_changed"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"answer": "xml", "soap": SOAP}, {"answer": "xml"}, "dạng XML thay vì JSON"),
        ({"answer": "xml"}, {"answer": "xml", "soap": SOAP}, "dạng JSON thay vì XML"),
        ({"soap": SOAP}, {"answer": "json"}, ""),
    ],
)
def test_the_format_is_compared_as_the_consumer_gets_it(before, after, said):
    contracts = []
    for change in (before, after):
        data = copy.deepcopy(BUSINESS_REGISTRATION)
        data["operations"][0].update(change)
        contracts.append(read_contract(data))
    found = [row for row in differences(*contracts) if row.code == "format_changed"]
    assert [said in row.text and row.breaks for row in found] == ([True] if said else [])


@pytest.mark.parametrize(("language", "words"), [("en", "instead of the present day"), ("vi", "thay vì ngày hiện tại")])
def test_days_of_codes_are_told_in_words(language, words):
    data = copy.deepcopy(BUSINESS_REGISTRATION)
    data["operations"][0]["codes_day"] = "2025-06-30"
    with translation.override(language):
        (row,) = differences(OLD, read_contract(data))
    assert words in row.text
    assert "2025" in row.text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "from not personal to sensitive personal data"),
        ("vi", "từ không phải dữ liệu cá nhân sang dữ liệu cá nhân nhạy cảm"),
    ],
)
def test_classes_are_told_in_words(language, words):
    data = copy.deepcopy(BUSINESS_REGISTRATION)
    field(data["operations"], NAME).update(personal_data="sensitive")
    with translation.override(language):
        (row,) = differences(OLD, read_contract(data))
    assert words in row.text


def test_a_lower_class_breaks_nothing_and_one_that_is_not_said_is_no_change():
    data = copy.deepcopy(BUSINESS_REGISTRATION)
    person = "Data.MainInformation.LEGAL_NAMES"
    field(data["operations"], person).update(personal_data="none")
    assert [(row.code, row.breaks) for row in differences(OLD, read_contract(data))] == [("class_changed", False)]
    del field(data["operations"], person)["personal_data"]
    assert not differences(OLD, read_contract(data))


@pytest.mark.django_db
def test_a_draft_is_compared_with_the_live_version_by_api():
    service = PublishedServiceFactory()
    draft = DraftVersionFactory(service=service, minor=1)
    data = copy.deepcopy(BUSINESS_REGISTRATION)
    data["operations"][0]["fields"].remove(field(data["operations"], NAME))
    write_contract(draft, read_contract(data))
    client = APIClient()
    client.force_login(officer(Role.PROVIDER_OFFICER, service.provider))
    rows = client.get(f"/api/v1/service-versions/{draft.uuid}/differences").json()
    assert [(row["code"], row["path"], row["breaks"]) for row in rows] == [("field_removed", NAME, True)]
