"""What changed, in words a signer reads."""

import copy

import pytest
from django.utils import translation

from apps.agreements.differences import ADDED, CHANGED, REMOVED, differences
from tests.factories.agreements import agreement_in_force


def test_nothing_changed_is_nothing_to_read(w):
    content = agreement_in_force(w).current_version.content
    assert differences(content, copy.deepcopy(content)) == []


def test_fields_come_first_with_their_class(w):
    old = agreement_in_force(w).current_version.content
    new = copy.deepcopy(old)
    gone = new["scope"][0]["fields"].pop(0)
    new["scope"][0]["fields"].append({"path": "Data.X", "label": "Địa chỉ", "personal_data": "basic"})
    new["method"]["calls_per_day"] = 900
    first, second, third = differences(old, new)
    assert {(d.kind, d.personal_data) for d in (first, second)} == {(ADDED, "basic"), (REMOVED, "none")}
    assert any(gone["label"] in d.before for d in (first, second))
    assert (third.kind, third.before, third.after) == (CHANGED, "500", "900")


def test_parties_systems_networks_terms_are_named(w):
    old = agreement_in_force(w).current_version.content
    new = copy.deepcopy(old)
    new["consumers"].append({"code": "H03.9", "name": "Sở Mới", "kind": "department"})
    new["systems"] = []
    new["restrictions"]["source_networks"] = ["10.0.0.0/8"]
    new["term"]["valid_to"] = None
    new["legal_bases"] = new["legal_bases"][:1]
    with translation.override("en"):
        found = {(str(d.item), d.kind) for d in differences(old, new)}
    assert found == {
        ("Consumer", ADDED), ("System", REMOVED), ("Network", ADDED), ("Network", REMOVED), ("Valid until", CHANGED),
        ("Legal basis", REMOVED),
    }  # fmt: skip


@pytest.mark.parametrize(("language", "words"), [("vi", "mọi địa chỉ"), ("en", "every address")])
def test_a_network_taken_out_that_leaves_none_opens_every_address_and_is_told_so(w, language, words):
    old = agreement_in_force(w, source_networks=["10.0.0.0/8"]).current_version.content
    new = copy.deepcopy(old)
    new["restrictions"]["source_networks"] = []
    with translation.override(language):
        assert {(d.kind, str(d.before), str(d.after)) for d in differences(old, new)} == {
            (REMOVED, "10.0.0.0/8", ""), (ADDED, "", words),
        }  # fmt: skip


def test_what_is_said_of_what_stays_is_told_too(w):
    """Items that a proposal may change and no list names: they were signed without a word about them."""
    old = agreement_in_force(w).current_version.content
    new = copy.deepcopy(old)
    new["service_level"][0]["text"] = "99,9 %"
    new["term"]["usage_duration"] = ["Trong ngày"]
    new["place"]["usage_location"] = ["Trung tâm dữ liệu khác"]
    new["security"]["levels"][0]["level"] = 4
    new["usage_regulations"][0]["terms"] = "Điều khoản khác."
    with translation.override("en"):
        found = {(str(d.item), d.kind) for d in differences(old, new)}
    assert found == {(item, CHANGED) for item in (
        "Service level", "Use of received data", "Place of use", "Security level", "Usage regulation")}  # fmt: skip
