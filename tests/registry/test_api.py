"""The REST API of services, versions, contracts, addresses, regulations and purposes."""

from __future__ import annotations

import copy
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.organizations.choices import Role
from apps.registry.choices import Environment, VersionStatus
from apps.registry.models import DataService, ServiceVersion, UsageRegulation
from tests.factories.accounts import PASSWORD, UserFactory
from tests.factories.catalogs import CatalogFactory
from tests.factories.organizations import FocalPointFactory, MinistryFactory, OrganizationFactory, officer
from tests.factories.registry import (
    BUSINESS_REGISTRATION,
    DataServiceFactory,
    DraftVersionFactory,
    PublishedServiceFactory,
    PurposeFactory,
    SignedRegulationFactory,
    SpecialServiceFactory,
    UpstreamFactory,
    UsageRegulationFactory,
    operation_of,
)

pytestmark = pytest.mark.django_db
ADDRESS = "http://127.0.0.1:8002/api"
CANARY = "BI-MAT-KHONG-AI-DUOC-THAY"


@pytest.fixture(autouse=True)
def _allowed(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]


def signed_in(user) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


@pytest.fixture
def provider():
    organization = OrganizationFactory(code="H03.50")
    FocalPointFactory(organization=organization)
    return organization


@pytest.fixture
def owner(provider):
    return signed_in(officer(Role.PROVIDER_OFFICER, provider))


@pytest.fixture
def consumer():
    return signed_in(officer(Role.CONSUMER_OFFICER))


@pytest.fixture
def draft(provider):
    version = DraftVersionFactory(service=DataServiceFactory(provider=provider, code="nhap"))
    for environment in Environment.values:
        UpstreamFactory(version=version, environment=environment, secret=json.dumps({"token": CANARY}), auth_kind="bearer")
    return version


def test_a_service_is_found_without_tones_and_by_its_properties(consumer):
    PublishedServiceFactory(code="dkdn", name="Đăng ký doanh nghiệp")
    small = {"operations": [{"code": "mot", "name": "Một", "path": "/mot", "fields": [{"path": "a", "label": "A"}]}]}
    lands = MinistryFactory(code="G10", name="Bộ Nông nghiệp và Môi trường")
    SpecialServiceFactory(code="thua-dat", name="Thửa đất", provider=lands, version__contract=small, protocol="soap")
    address = {"path": "a", "label": "A", "personal_data": "basic"}
    homes = {"operations": [{"code": "mot", "name": "Một", "path": "/mot", "fields": [address]}]}
    PublishedServiceFactory(code="ho-khau", name="Hộ khẩu", description="Nơi ở.", version__contract=homes)

    def found(query: str) -> list[str]:
        return [row["code"] for row in consumer.get(f"/api/v1/services?{query}").json()["results"]]

    assert found("q=thua dat") == ["thua-dat"]
    assert sorted(found("q=dang ky doanh")) == ["dkdn", "thua-dat"]  # of the other in the description
    assert found("sharing_form=special") == ["thua-dat"]
    assert found("protocol=soap") == ["thua-dat"]
    assert found("provider=G10") == found("provider=g10") == ["thua-dat"]
    assert found("provider=G1") == []
    assert found("personal_data=none") == ["thua-dat"]
    assert sorted(found("personal_data=basic")) == ["dkdn", "ho-khau"]
    assert found("personal_data=sensitive") == ["dkdn"]
    assert sorted(found("live=true")) == ["dkdn", "ho-khau", "thua-dat"]


def test_a_service_is_found_by_a_word_of_its_providers_name_in_as_many_queries_for_three(consumer, django_assert_num_queries):
    provider = MinistryFactory(name="Bộ Nông nghiệp và Môi trường")
    PublishedServiceFactory(provider=provider, code="ruong", name="Ruộng")
    PublishedServiceFactory(code="khac", name="Khác")

    def found(words: str) -> list[str]:
        return sorted(row["code"] for row in consumer.get("/api/v1/services", {"q": words}).json()["results"])

    with CaptureQueriesContext(connection) as one:
        assert found("moi truong") == ["ruong"]
        asked = len(one)
    assert found("ruong nong nghiep") == ["ruong"]
    for code in ("vuon", "ao"):
        PublishedServiceFactory(provider=provider, code=code, name=code)
    with django_assert_num_queries(asked):
        assert found("moi truong") == ["ao", "ruong", "vuon"]
    assert found("status=retired") == []
    assert consumer.get("/api/v1/services?sharing_form=free").status_code == 400


def test_a_list_of_services_costs_the_same_however_long(consumer, django_assert_num_queries):
    for _i in range(8):
        PublishedServiceFactory()
    with django_assert_num_queries(6):
        assert consumer.get("/api/v1/services").json()["count"] == 8


def test_a_draft_is_nobody_elses(consumer, owner, draft):
    assert consumer.get("/api/v1/services").json()["count"] == 0
    paths = [
        "/api/v1/services/nhap",
        f"/api/v1/service-versions/{draft.uuid}",
        f"/api/v1/service-versions/{draft.uuid}/contract",
        f"/api/v1/service-versions/{draft.uuid}/completeness",
        f"/api/v1/service-versions/{draft.uuid}/upstreams",
        f"/api/v1/operations/{draft.operations.first().uuid}",
    ]
    for path in paths:
        assert consumer.get(path).status_code == 404, path
        assert owner.get(path).status_code == 200, path
    for verb in ("publish", "ready", "deprecate", "retire", "discard"):
        assert consumer.post(f"/api/v1/service-versions/{draft.uuid}/{verb}", {}).status_code == 404
    assert consumer.put(f"/api/v1/service-versions/{draft.uuid}/contract", BUSINESS_REGISTRATION).status_code == 404
    for person in (APIClient(), signed_in(UserFactory())):
        assert person.get("/api/v1/services/nhap").status_code in (401, 404)


def test_others_draft_of_a_published_service_stays_hidden(consumer):
    service = PublishedServiceFactory()
    DraftVersionFactory(service=service, minor=1)
    assert [row["status"] for row in consumer.get(f"/api/v1/services/{service.code}").json()["versions"]] == ["published"]


def test_an_operation_shows_its_tree_in_order(consumer):
    operation = operation_of(PublishedServiceFactory())
    body = consumer.get(f"/api/v1/operations/{operation.uuid}").json()
    paths = [field["path"] for field in body["fields"]]
    assert paths.index("Data.BusinessActivity[]") < paths.index("Data.BusinessActivity[].CODE")
    legal = next(field for field in body["fields"] if field["path"] == "Data.MainInformation.LEGAL_NAMES")
    assert (legal["personal_data"], legal["is_leaf"]) == ("basic", True)
    assert body["parameters"][0] == {
        "name": "msdn", "label": "Mã số doanh nghiệp", "location": "query", "required": True,
        "pattern": "^[0-9]{10}(-[0-9]{3})?$", "max_length": 14, "is_subject": True, "example": "0990000001",
        "catalog_code": "",
    }  # fmt: skip


def test_a_version_with_all_its_operations_costs_the_same(consumer, django_assert_num_queries):
    version = PublishedServiceFactory().versions.get()
    with django_assert_num_queries(7):
        body = consumer.get(f"/api/v1/service-versions/{version.uuid}").json()
    assert len(body["operations"]) == 4
    assert len(body["operations"][0]["fields"]) > 30


def test_a_service_from_nothing_to_published_by_api(owner, provider):
    for code in ("administrative-units", "economic-sectors", "countries"):
        CatalogFactory(code=code)
    regulation = owner.post(
        "/api/v1/usage-regulations",
        {"organization": "H03.50", "number": "1/QĐ", "title": "Quy chế", "issued_on": "2026-01-05",
         "effective_from": "2026-01-15", "terms": "Chỉ dùng đúng mục đích."},
    )  # fmt: skip
    assert regulation.status_code == 201, regulation.json()
    signer = signed_in(officer(Role.SIGNER, provider))
    assert owner.post(f"/api/v1/usage-regulations/{regulation.json()['uuid']}/sign").status_code == 403
    here = f"/api/v1/usage-regulations/{regulation.json()['uuid']}/sign"
    assert signer.post(here, {}).status_code == 400
    assert signer.post(here, {"password": "khác"}).json()["code"] == "not_proven"
    assert signer.post(here, {"password": PASSWORD, "version": 7}).json()["code"] == "stale_version"
    assert signer.post(here, {"password": PASSWORD, "version": regulation.json()["version"]}).json()["is_signed"] is True
    made = owner.post(
        "/api/v1/services",
        {"provider": "H03.50", "code": "dkdn", "name": "Đăng ký doanh nghiệp", "description": "Tra cứu.", "contact": "Tổ dữ liệu",
         "sla": "99 %", "capacity_rps": 10, "daily_quota": 1000, "usage_regulation": regulation.json()["uuid"]},
    )  # fmt: skip
    assert made.status_code == 201, made.json()
    version = owner.post("/api/v1/services/dkdn/versions", {}).json()
    path = f"/api/v1/service-versions/{version['uuid']}"
    early = owner.post(f"{path}/publish", {})
    assert (early.status_code, early.json()["code"]) == (422, "incomplete")
    assert "operations" in early.json()["fields"]
    assert owner.put(f"{path}/contract", BUSINESS_REGISTRATION).status_code == 200
    for environment in Environment.values:
        set_up = owner.put(f"{path}/upstreams/{environment}", {"base_url": ADDRESS})
        assert set_up.status_code == 200, set_up.json()
    assert owner.get(f"{path}/completeness").json()["score"] == 100
    assert owner.post(f"{path}/ready", {}).status_code == 200
    published = owner.post(f"{path}/publish", {})
    assert (published.status_code, published.json()["status"]) == (200, "published")
    assert DataService.objects.live().get().code == "dkdn"


def test_a_contract_goes_in_and_comes_out_the_same(owner, draft):
    path = f"/api/v1/service-versions/{draft.uuid}/contract"
    out = owner.get(path).json()
    seen = ServiceVersion.objects.get(pk=draft.pk).version
    assert owner.put(f"{path}?version={seen}", out).status_code == 200
    assert owner.get(path).json() == out
    assert owner.put(f"{path}?version={seen}", out).status_code == 409


@pytest.mark.parametrize("seen", ["abc", "1.5", "9" * 5000], ids=["word", "fraction", "endless"])
def test_a_row_version_that_is_no_number_is_told_and_overwrites_nothing(owner, draft, seen):
    path = f"/api/v1/service-versions/{draft.uuid}/contract"
    answer = owner.put(f"{path}?version={seen}", owner.get(path).json())
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["version"])


@pytest.mark.parametrize("garbage", [[], "text", 5, None, {"operations": "x"}, {"operations": [[[]]]}, {"operations": [{}]}])
def test_garbage_for_a_contract_is_told_place_by_place(owner, draft, garbage):
    answer = owner.put(f"/api/v1/service-versions/{draft.uuid}/contract", garbage, format="json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "contract_invalid"


def test_a_secret_never_comes_out(owner, draft, provider):
    platform = [signed_in(officer(role)) for role in (Role.OPERATOR, Role.AUDITOR, Role.LEGAL_OFFICER)]
    for person in (owner, signed_in(officer(Role.SIGNER, provider)), *platform):
        for path in ("", "/contract", "/upstreams"):
            body = person.get(f"/api/v1/service-versions/{draft.uuid}{path}").content.decode()
            assert CANARY not in body
    answer = owner.put(
        f"/api/v1/service-versions/{draft.uuid}/upstreams/test",
        {"base_url": ADDRESS, "auth_kind": "bearer", "secret": {"token": CANARY}},
    )
    assert answer.json()["has_secret"] is True
    assert CANARY not in answer.content.decode()
    broken = owner.put(
        f"/api/v1/service-versions/{draft.uuid}/upstreams/test",
        {"base_url": "http://169.254.169.254/", "auth_kind": "bearer", "secret": {"token": CANARY}},
    )
    assert (broken.status_code, broken.json()["code"]) == (400, "egress_refused")
    assert CANARY not in broken.content.decode()


def test_addresses_are_the_providers_and_the_platforms_to_know(consumer):
    version = PublishedServiceFactory().versions.get()
    path = f"/api/v1/service-versions/{version.uuid}/upstreams"
    assert consumer.get(path).json() == []
    assert len(signed_in(officer(Role.OPERATOR)).get(path).json()) == 2
    assert consumer.put(f"{path}/test", {"base_url": ADDRESS}).status_code == 403


def test_a_published_contract_is_not_edited_by_api(owner, provider):
    version = PublishedServiceFactory(provider=provider).versions.get()
    answer = owner.put(f"/api/v1/service-versions/{version.uuid}/contract", BUSINESS_REGISTRATION)
    assert (answer.status_code, answer.json()["code"]) == (409, "transition_not_allowed")


def test_a_stranger_who_sees_a_published_service_changes_nothing(consumer):
    service = PublishedServiceFactory()
    version = service.versions.get()
    stranger = signed_in(officer(Role.PROVIDER_OFFICER))
    for person in (consumer, stranger):
        assert person.patch(f"/api/v1/services/{service.code}", {"name": "x"}).status_code == 403
        for verb in ("suspend", "resume", "retire"):
            assert person.post(f"/api/v1/services/{service.code}/{verb}", {"reason": "x"}).status_code == 403
        assert person.post(f"/api/v1/services/{service.code}/versions", {}).status_code == 403
        for verb in ("publish", "ready", "deprecate", "retire", "discard"):
            assert person.post(f"/api/v1/service-versions/{version.uuid}/{verb}", {}).status_code == 403, verb


def test_mass_assignment_changes_nothing_else(owner, provider):
    service = PublishedServiceFactory(provider=provider)
    given = {"status": "retired", "code": "khac", "provider": "H03.1", "uuid": "x", "suspended_by_operator": True, "sla": "Mới"}
    assert owner.patch(f"/api/v1/services/{service.code}", given).status_code == 200
    stored = DataService.objects.get(pk=service.pk)
    assert (stored.status, stored.code, stored.provider, stored.sla) == ("active", service.code, provider, "Mới")


def test_a_state_secret_is_refused_by_api(owner, provider):
    given = {"provider": "H03.50", "code": "mat", "name": "Mật", "classification": "secret"}
    answer = owner.post("/api/v1/services", given)
    assert (answer.status_code, "classification" in answer.json()["fields"]) == (400, True)


def test_an_unsigned_regulation_is_its_own_agencys(consumer, owner, provider):
    unsigned = UsageRegulationFactory(organization=provider)
    signed = SignedRegulationFactory()
    assert consumer.get(f"/api/v1/usage-regulations/{unsigned.uuid}").status_code == 404
    assert consumer.get(f"/api/v1/usage-regulations/{signed.uuid}").status_code == 200
    assert consumer.post(f"/api/v1/usage-regulations/{signed.uuid}/sign").status_code == 403
    assert (
        owner.patch(
            f"/api/v1/usage-regulations/{unsigned.uuid}", {"terms": "Khác", "terms_signed_at": "2026-01-01"}
        ).status_code
        == 200
    )
    assert UsageRegulation.objects.get(pk=unsigned.pk).terms_signed_at is None
    assert owner.patch(f"/api/v1/usage-regulations/{signed.uuid}", {"terms": "Khác"}).status_code == 403


def test_a_services_regulation_must_be_seen_and_its_own(owner, provider):
    foreign, hidden = SignedRegulationFactory(), UsageRegulationFactory()
    service = DataServiceFactory(provider=provider)
    for regulation in (foreign, hidden):
        answer = owner.patch(f"/api/v1/services/{service.code}", {"usage_regulation": str(regulation.uuid)})
        assert (answer.status_code, list(answer.json()["fields"])) == (400, ["usage_regulation"])


def test_purposes_are_read_by_members_and_kept_by_the_law(consumer):
    PurposeFactory(code="giai-quyet-tthc")
    assert consumer.get("/api/v1/purposes").json()["results"][0]["code"] == "giai-quyet-tthc"
    assert consumer.post("/api/v1/purposes", {"code": "khac", "name": "Khác"}).status_code == 403
    law = signed_in(officer(Role.LEGAL_OFFICER))
    assert law.post("/api/v1/purposes", {"code": "khac", "name": "Khác"}).status_code == 201
    assert law.patch("/api/v1/purposes/khac", {"is_active": False}).json()["is_active"] is False


def test_the_example_contract_survives_a_change_of_one_label(owner, draft):
    contract = copy.deepcopy(BUSINESS_REGISTRATION)
    contract["operations"][0]["fields"][0]["label"] = "Trạng thái"
    assert owner.put(f"/api/v1/service-versions/{draft.uuid}/contract", contract).status_code == 200
    assert ServiceVersion.objects.get(pk=draft.pk).status == VersionStatus.DRAFT
