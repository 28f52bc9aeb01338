"""What a counter-proposal may say, item by item; anything of another shape is refused and named."""

from __future__ import annotations

import datetime

import pytest
from django.utils import translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.agreements.actions import agree_content, approve_request, propose_content, sign_agreement
from apps.agreements.content import NEGOTIABLE
from apps.agreements.documents import document_html
from apps.agreements.models import Agreement
from apps.agreements.proposals import checked
from apps.core.errors import FactMissing, InvalidFact
from apps.organizations.choices import Role
from apps.registry.models import DataService
from tests.factories.agreements import negotiating
from tests.factories.connections import forwarded
from tests.factories.organizations import officer
from tests.factories.registry import PublishedServiceFactory, operation_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["text", "valid_to", "valid_from", "codes_day", "calls_per_day", "hours", "from", "to", "code", "service", "x"]), inner, max_size=4
    ), max_leaves=8,
)  # fmt: skip


@pytest.fixture
def content(special):
    return negotiating(special, codes_day=datetime.date(2025, 6, 30)).current_version.content


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("term", {"valid_to": "2020-01-01"}), ("term", {"valid_to": "mai"}), ("term", {"valid_to": 5}), ("term", []),
        ("term", {"valid_to": "9999-12-31"}),
        ("method", {"calls_per_day": -1}), ("method", {"calls_per_day": "nhiều"}), ("method", {"method": "sync"}),
        ("method", {"calls_per_second": True}), ("restrictions", {"hours": {"from": "7", "to": "19:00"}}),
        ("restrictions", {"hours": {"from": "07:00"}}), ("restrictions", {"source_networks": ["đâu đó"]}),
        ("restrictions", {"source_networks": "10.0.0.0/8"}), ("restrictions", {"other": 1}), ("open_to_join", "yes"),
        ("other_terms", 5), ("other_terms", "x" * 30_000), ("systems", []), ("systems", "x"), ("scope", []),
        ("service_level", [{"service": "khác", "text": "x"}]), ("storage", {"ground": ["x", 5]}), ("disposal", None),
        ("storage", {"ground": ["x"]}), ("place", {"exchange_point": ["x"]}), ("place", {"usage_location": "x"}),
        ("term", {"usage_duration": "x"}), ("term", {"valid_from": "mai"}), ("term", {"valid_from": 0}),
        ("term", {"valid_from": "2030-01-02", "valid_to": "2030-01-01"}), ("method", {"codes_day": "hôm qua"}),
    ],
    ids=str,
)  # fmt: skip
def test_an_item_of_another_shape_is_refused(content, item, value):
    with pytest.raises(InvalidFact):
        checked({item: value}, content, content)


def test_a_day_is_kept_as_contents_write_it(content):
    found = checked({"term": {"valid_from": "20300102", "valid_to": ""}}, content, content)
    assert (found["term"]["valid_from"], found["term"]["valid_to"]) == ("2030-01-02", None)


def test_a_part_of_an_item_is_enough_and_what_follows_stays(content):
    found = checked(
        {"restrictions": {"hours": {"from": "07:00", "to": "19:00"}, "source_networks": ["10.1.2.0/24"]},
         "security": {"text": "Chữ ký số", "levels": []}}, content, content,
    )  # fmt: skip
    assert found["restrictions"]["text"] == content["restrictions"]["text"]
    assert found["security"]["levels"] == content["security"]["levels"]


def test_a_narrower_scope_keeps_the_labels_of_the_first(content):
    (row,) = content["scope"]
    lie = {**row, "operation_name": "Khác", "fields": [{**row["fields"][0], "personal_data": "none", "label": "Khác"}]}
    found = checked({"scope": [lie]}, content, content)
    assert found["scope"] == [{**row, "fields": [row["fields"][0]]}]
    assert found["personal_data"]["sensitive_fields"] == []


def test_a_proposal_that_changes_nothing_is_none(special):
    agreement = negotiating(special)
    same = {"other_terms": agreement.current_version.content["other_terms"]}
    with pytest.raises(FactMissing):
        propose_content(agreement, by=special.consumer_officer, changes=same, note="x")


def test_where_no_number_of_calls_is_left_the_smallest_default_of_the_services_stands_in_content_document_and_grant(special):
    """What the provider states for one consumer (NĐ 47/2020 Điều 23(4)) is no mere decoration of the catalog."""
    agreement, beside = of_two_services(special, provider=special.provider, daily_quota=700)
    draft = propose_content(agreement, by=special.consumer_officer, changes={"method": {"calls_per_day": None}}, note="x")
    assert (draft.content["method"]["calls_per_day"], draft.content["method"]["calls_per_second"]) == (700, 5)
    (row,) = [row for row in draft.content["scope"] if row["service"] == special.service.code]
    narrower = {"scope": [row], "method": {"calls_per_day": None}}
    draft = propose_content(agreement, by=special.consumer_officer, changes=narrower, note="x")
    assert draft.content["method"]["calls_per_day"] == special.service.daily_quota == 10_000
    assert "không quá 10.000 lượt/ngày" in document_html(draft)
    agree_content(agreement, by=special.provider_officer, content_hash=draft.content_hash)
    for signer in (special.consumer_signer, special.provider_signer):
        sign_agreement(agreement, by=signer, content_hash=draft.content_hash)
    assert {grant.quota_per_day for grant in agreement.grants.all()} == {10_000}


def of_two_services(special, **facts) -> tuple[Agreement, DataService]:
    """An agreement on the table over the world's service and another one, made with `facts`."""
    beside = PublishedServiceFactory(sharing_form="special", **facts)
    request = forwarded(special, scope={special.operation: special.fields(), operation_of(beside): special.fields()},
                        special_reason="Dịch vụ mặc định không có.")  # fmt: skip
    agreement = approve_request(request, by=special.provider_officer)
    if beside.provider != special.provider:
        agreement = approve_request(request, by=officer(Role.PROVIDER_OFFICER, beside.provider))
    return agreement, beside


def test_nothing_is_said_any_more_of_a_service_that_was_given_up_until_it_comes_back(special):
    """It was signed with the regulation, the service level and the protocol of what is not shared."""
    agreement, beside = of_two_services(special, provider=special.provider, protocol="soap", sla="Trong giờ hành chính",
                                        usage_regulation__log_retention_months=36)  # fmt: skip
    first = agreement.versions.get().content
    kept, given_up = sorted(first["scope"], key=lambda row: row["service"] != special.service.code)
    narrower = propose_content(agreement, by=special.consumer_officer, changes={"scope": [kept]}, note="x").content
    assert [row["service"] for row in narrower["service_level"]] == [special.service.code]
    assert [row["number"] for row in narrower["usage_regulations"]] == [special.service.usage_regulation.number]
    assert (narrower["log_retention_months"], narrower["method"]["protocols"]) == (12, [special.service.protocol])
    assert first["log_retention_months"] == 36
    whole = {"scope": [kept, given_up], "service_level": [{"service": special.service.code, "text": "99 %"}]}
    back = propose_content(agreement, by=special.provider_officer, changes=whole, note="x").content
    assert {row["service"]: row["text"] for row in back["service_level"]} == {
        special.service.code: "99 %", beside.code: "Trong giờ hành chính",
    }  # fmt: skip
    for item in ("usage_regulations", "log_retention_months", "method"):
        assert back[item] == first[item], item


def test_no_provider_is_left_without_a_service_that_it_would_sign_for(special):
    agreement, _beside = of_two_services(special)
    rows = agreement.versions.get().content["scope"]
    with pytest.raises(InvalidFact) as refusal:
        propose_content(agreement, by=special.consumer_officer, changes={"scope": rows[:1]}, note="x")
    assert refusal.value.code == "scope_malformed"
    assert agreement.versions.count() == 1


def test_no_agency_is_left_without_a_system(content):
    other = {**content, "systems": [*content["systems"], {"code": "khac", "name": "Khác", "organization": "H99"}]}
    with pytest.raises(InvalidFact) as refusal:
        checked({"systems": content["systems"]}, other, other)
    assert refusal.value.extra["item"] == "systems"


def test_where_no_service_has_a_default_the_number_has_to_be_said(content):
    DataService.objects.update(daily_quota=None)
    with translation.override("en"), pytest.raises(InvalidFact) as refusal:
        checked({"method": {"calls_per_day": None}}, content, content)
    assert (refusal.value.code, refusal.value.extra["item"]) == ("item_malformed", "method")
    assert refusal.value.extra["fields"] == {"method": ["State the number of calls per day: these services have no default."]}
    assert checked({"method": {"calls_per_day": 9}}, content, content)["method"]["calls_per_day"] == 9


def test_a_content_on_the_table_that_says_no_number_gets_one_with_the_next_proposal(content):
    """As it was proposed before a number had to stand there."""
    old = {**content, "method": {**content["method"], "calls_per_day": None}}
    assert checked({"other_terms": "x"}, content, old)["method"]["calls_per_day"] == 10_000
    assert "method" not in checked({"other_terms": "x"}, content, content)


@given(st.dictionaries(st.sampled_from(NEGOTIABLE), JSON, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_shape_breaks_the_check(content, changes):
    """Whatever JSON comes in: checked items, or one clear refusal."""
    try:
        found = checked(changes, content, content)
    except InvalidFact:
        return
    assert set(changes) <= set(found)
