"""A new version of a service in use: who breaks is named before it is published, and what does not break goes on."""

from __future__ import annotations

import datetime
import json

import pytest
from django.test import Client
from django.utils import timezone, translation

from apps.agreements.actions import (
    announce_end_of_version,
    approve_request,
    end_grant,
    publish_service_version,
    retire_service_version,
)
from apps.agreements.choices import GrantStatus
from apps.agreements.impact import impact, users_of
from apps.agreements.models import Grant
from apps.audit.models import AuditEvent
from apps.connections.completeness import missing
from apps.core.errors import Conflict, InvalidFact, NotPermitted
from apps.core.models import PolicyChange
from apps.notices.models import Notice
from apps.notices.outbox import render
from apps.registry.actions import add_version, change_service, define_contract, retire_service
from apps.registry.contract import contract_of
from apps.registry.contract_reading import read_contract
from apps.registry.models import ServiceVersion
from tests.factories.agreements import accepted
from tests.factories.connections import World, forwarded, world
from tests.factories.organizations import FocalPointFactory
from tests.factories.registry import BUSINESS_REGISTRATION
from tests.fixtures.worlds import remembered


@pytest.fixture
def live(w: World):
    return version_in_use(w)


@remembered
def version_in_use(w: World) -> ServiceVersion:
    """By an agreement with production access."""
    if not w.provider.focal_points.filter(ended_at=None).exists():
        FocalPointFactory(organization=w.provider)
    accepted(w)
    return w.service.versions.get()


def successor(w: World, change=lambda data: None, bump: str = "minor"):
    draft = add_version(w.service, by=w.provider_officer, bump=bump)
    data = json.loads(json.dumps(contract_of(draft).as_data()))
    _complete(data)
    change(data)
    return define_contract(draft, data, by=w.provider_officer)


def _complete(data: dict) -> None:
    for operation in data["operations"]:
        for field in operation["fields"]:
            field["label"] = field["label"] or field["path"]
    sampled = {row["operation"] for row in data["samples"]}
    data["samples"] += [{"operation": op["code"], "request": "", "response": {}} for op in data["operations"]
                        if op["code"] not in sampled]  # fmt: skip
    data["errors"] = data["errors"] or [{"code": "404", "meaning": "Không có"}]


def without_field(path: str):
    def change(data: dict) -> None:
        for operation in data["operations"]:
            operation["fields"] = [field for field in operation["fields"] if field["path"] != path]

    return change


def ungranted(w: World) -> str:
    granted = set(Grant.objects.filter(operation=w.operation).first().fields)
    return next(f.path for f in w.operation.fields.all() if f.is_leaf and f.path not in granted)


def test_a_minor_that_breaks_nothing_agreed_replaces_and_the_access_goes_on_in_place(w, live):
    grants = {row.pk: row.operation.code for row in Grant.objects.exclude(status=GrantStatus.ENDED)}
    draft = successor(w, without_field(ungranted(w)))
    found = impact(draft)
    assert [change.code for change in found.changes if change.breaks]
    assert found.breakages == ()
    publish_service_version(draft, by=w.provider_officer)
    live.refresh_from_db()
    draft.refresh_from_db()
    assert (live.status, draft.status) == ("retired", "published")
    told = set(PolicyChange.objects.values_list("kind", "ref"))
    assert {("serviceversion", live.uuid), ("serviceversion", draft.uuid)} <= told
    after = Grant.objects.exclude(status=GrantStatus.ENDED)
    assert {row.pk: row.operation.code for row in after} == grants, "the same rows: what was used of a quota stays used"
    assert {row.operation.version_id for row in after} == {draft.pk}
    assert AuditEvent.objects.filter(event="grant.carried_over").count() == len(grants) == 2
    notice = Notice.objects.get(kind="service_version.published", recipient=w.consumer_officer)
    assert notice.url == f"/portal/services/{w.service.code}/"


@pytest.mark.parametrize("kind", ["field", "type", "class", "parameter", "address", "format", "codes", "operation"])
def test_a_minor_that_breaks_what_is_agreed_is_refused_and_says_who_and_how(w, live, kind):
    granted = w.fields()[0]

    def change(data: dict) -> None:
        operation = next(op for op in data["operations"] if op["code"] == w.operation.code)
        field = next(f for f in operation["fields"] if f["path"] == granted)
        if kind == "field":
            operation["fields"].remove(field)
        elif kind == "type":
            field["type"] = "number" if field["type"] != "number" else "boolean"
        elif kind == "class":
            field["personal_data"] = "sensitive"
        elif kind == "parameter":
            operation["parameters"].append({"name": "moi", "required": True})
        elif kind == "address":
            operation["path"] = f"/v-moi{operation['path']}"
        elif kind == "format":
            operation["answer"] = "xml"
        elif kind == "codes":
            operation["codes_day"] = "2025-06-30"
        else:
            operation["code"] = "doiTen"
            data["samples"] = [
                {**s, "operation": "doiTen"} if s["operation"] == w.operation.code else s for s in data["samples"]
            ]

    draft = successor(w, change)
    found = impact(draft)
    assert [(row.system, row.agreement.number) for row in found.breakages] == [
        (w.system, Grant.objects.first().agreement.number)
    ]
    with pytest.raises(Conflict) as caught:
        publish_service_version(draft, by=w.provider_officer)
    assert caught.value.code == "breaks_agreements"
    assert w.system.name in caught.value.extra["fields"]["agreements"][0]
    live.refresh_from_db()
    draft.refresh_from_db()
    assert (live.status, draft.status) == ("published", "draft")
    assert {row.operation.version_id for row in Grant.objects.all()} == {live.pk}


def test_json_made_of_soap_is_not_replaced_by_xml_that_fits_the_protocol_too(db):
    """A described operation is given as JSON, its description left out as XML: both are SOAP/XML to the provider."""
    contract = read_contract(BUSINESS_REGISTRATION).as_data()
    for row in contract["operations"]:
        sent = [{"path": part["name"], "parameter": part["name"]} for part in row["parameters"]]
        row.update(answer="xml", soap={"request": "TraCuu", "response": "KetQua", "elements": sent})
    w = world(protocol="soap", version__contract=contract)
    version_in_use(w)

    def undescribed(data: dict) -> None:
        for row in data["operations"]:
            row["soap"] = {}

    draft = successor(w, undescribed)
    assert {change.code for change in impact(draft).changes} == {"format_changed"}
    with pytest.raises(Conflict) as caught:
        publish_service_version(draft, by=w.provider_officer)
    assert (caught.value.code, "XML" in caught.value.extra["fields"]["agreements"][0]) == ("breaks_agreements", True)
    define_contract(draft, contract_of(w.service.versions.live().get()).as_data(), by=w.provider_officer)
    assert impact(draft).changes == ()


@pytest.mark.parametrize(("granted", "breaks"), [(True, True), (False, False)])
def test_another_catalog_of_a_field_breaks_who_was_granted_it(w, granted, breaks):
    coded = "Data.HOAdress.CityID"
    FocalPointFactory(organization=w.provider)
    accepted(w, scope={w.operation: [coded] if granted else w.fields()})

    def recoded(data: dict) -> None:
        for row in data["operations"]:
            for field in row["fields"]:
                if field["path"] == coded:
                    field["catalog_code"] = "countries"

    assert bool(impact(successor(w, recoded)).breakages) is breaks


@pytest.mark.parametrize(("codes_day", "breaks"), [(None, False), (datetime.date(2025, 6, 30), True)])
def test_a_catalog_named_for_the_first_time_breaks_whose_codes_are_translated(w, codes_day, breaks):
    named = w.fields()[0]
    FocalPointFactory(organization=w.provider)
    accepted(w, codes_day=codes_day)

    def coded(data: dict) -> None:
        for row in data["operations"]:
            for field in row["fields"]:
                if field["path"] == named:
                    field["catalog_code"] = "countries"

    assert bool(impact(successor(w, coded)).breakages) is breaks


def test_a_major_version_stands_beside_and_breaks_nobody(w, live):
    draft = successor(w, without_field(w.fields()[0]), bump="major")
    assert impact(draft).live is None
    publish_service_version(draft, by=w.provider_officer)
    live.refresh_from_db()
    assert live.status == "published"


def test_a_major_version_is_told_to_who_uses_an_older_one_once_and_changes_nothing_for_them(w, live):
    before = list(Grant.objects.order_by("pk").values("pk", "operation", "status", "fields", "version"))
    draft = successor(w, bump="major")
    publish_service_version(draft, by=w.provider_officer)
    assert list(Grant.objects.order_by("pk").values("pk", "operation", "status", "fields", "version")) == before
    (notice,) = Notice.objects.filter(kind__startswith="service_version.", recipient=w.consumer_officer)
    assert (notice.kind, notice.facts["params"]["number"]) == ("service_version.published_beside", "2.0")
    assert notice.url == f"/portal/services/{w.service.code}/"
    for language, words in (("vi", "Quyền khai thác của cơ quan không thay đổi."), ("en", "Nothing changes for your access.")):
        with translation.override(language):
            assert words in render(notice.facts)
    assert not Notice.objects.filter(kind="service_version.published_beside").exclude(recipient=w.consumer_officer).exists()
    minor = successor(w)
    assert minor.number == "2.1"
    publish_service_version(minor, by=w.provider_officer)
    assert Notice.objects.filter(kind="service_version.published_beside").count() == 1, "a minor of it concerns who uses it"


def test_who_has_no_access_any_more_is_not_told_of_a_new_major(w, live):
    for grant in Grant.objects.exclude(status=GrantStatus.ENDED):
        end_grant(grant, by=w.consumer_officer, reason="Không dùng nữa")
    publish_service_version(successor(w, bump="major"), by=w.provider_officer)
    assert not Notice.objects.filter(kind__startswith="service_version.").exists()


def test_what_one_may_not_see_is_counted_and_not_named(w, live):
    draft = successor(w, without_field(w.fields()[0]))
    found = impact(draft)
    assert found.visible_to(w.provider_officer) == (found.breakages, 0)
    assert found.visible_to(w.stranger) == ((), 1)
    assert [row.system for row in users_of(live, w.consumer_officer)][:1] == [w.system]
    assert users_of(live, w.stranger) == []


def test_an_open_request_goes_on_under_the_version_that_replaced_it(w, live):
    request = forwarded(w)
    draft = successor(w, without_field(ungranted(w)))
    publish_service_version(draft, by=w.provider_officer)
    assert missing(request) == []
    agreement = approve_request(request, by=w.provider_officer)
    assert {grant.operation.version_id for grant in agreement.grants.all()} == {draft.pk}


def test_a_request_for_a_field_that_is_gone_says_so(w):
    FocalPointFactory(organization=w.provider)
    request = forwarded(w)
    draft = successor(w, without_field(w.fields()[0]))
    publish_service_version(draft, by=w.provider_officer)
    assert any(name == "scope" and w.fields()[0] in text for name, text in missing(request))


def test_a_service_in_use_is_not_retired_past_its_versions_nor_given_another_protocol(w, live):
    service = live.service
    with pytest.raises(Conflict) as caught:
        retire_service(service, by=w.provider_officer, reason="Thay bằng dịch vụ khác")
    assert caught.value.code == "service_in_use"
    with pytest.raises(InvalidFact) as refusal:
        change_service(service, by=w.provider_officer, protocol="soap")
    assert refusal.value.code == "service_in_use"
    change_service(service, by=w.provider_officer, protocol=service.protocol, capacity_rps=7)
    type(live).objects.filter(pk=live.pk).update(status="deprecated", deprecated_on=timezone.localdate())
    live.refresh_from_db()
    retire_service_version(live, by=w.provider_officer, reason="Thay bằng dịch vụ khác")
    service.refresh_from_db()
    change_service(service, by=w.provider_officer, protocol="soap")
    retire_service(service, by=w.provider_officer, reason="Thay bằng dịch vụ khác")
    assert service.status == "retired"


def test_an_end_is_announced_to_who_uses_it_and_comes_on_its_day(w, live):
    with pytest.raises(Conflict) as caught:
        retire_service_version(live, by=w.provider_officer, reason="Thay bằng 2.0")
    assert caught.value.code == "version_in_use"
    day = timezone.localdate() + datetime.timedelta(days=30)
    announce_end_of_version(live, by=w.provider_officer, until=day)
    assert Notice.objects.filter(kind="service_version.end_announced", recipient=w.consumer_officer).count() == 1
    with pytest.raises(Conflict):
        retire_service_version(live, by=w.provider_officer, reason="Thay bằng 2.0")
    type(live).objects.filter(pk=live.pk).update(deprecated_on=timezone.localdate())
    live.refresh_from_db()
    retire_service_version(live, by=w.provider_officer, reason="Thay bằng 2.0")
    assert set(Grant.objects.values_list("status", flat=True)) == {GrantStatus.ENDED}
    assert Notice.objects.filter(kind="service_version.retired", recipient=w.consumer_officer).exists()


def test_others_publish_nothing(w, live):
    draft = successor(w)
    for person in (w.stranger, w.consumer_officer, w.provider_signer, w.operator):
        with pytest.raises(NotPermitted):
            publish_service_version(draft, by=person)


def test_the_api_names_who_breaks_before_publishing(w, live):
    draft = successor(w, without_field(w.fields()[0]))
    client = Client()
    client.force_login(w.provider_officer)
    path = f"/api/v1/service-versions/{draft.uuid}"
    answer = client.get(f"{path}/impact")
    assert answer.status_code == 200, answer.content
    row = answer.json()["breakages"][0]
    assert (row["system"], row["organization"]) == (w.system.code, w.consumer.code)
    refused = client.post(f"{path}/publish", {}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "breaks_agreements")
    client.force_login(w.consumer_officer)
    assert client.get(f"{path}/impact").status_code == 404
