"""The registers of services in the admin shell: every page, every verb page, nothing written but by a verb."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.organizations.choices import Role
from apps.registry.actions import change_terms
from apps.registry.models import DataService, Purpose, ServiceVersion, UsageRegulation
from tests.factories.accounts import PASSWORD
from tests.factories.organizations import FocalPointFactory, OrganizationFactory, officer
from tests.factories.registry import (
    DataServiceFactory,
    DraftVersionFactory,
    PublishedServiceFactory,
    PurposeFactory,
    SignedRegulationFactory,
    UpstreamFactory,
    UsageRegulationFactory,
)

pytestmark = pytest.mark.django_db
ADDRESS = "http://127.0.0.1:8002/api"
CANARY = "BI-MAT-KHONG-AI-DUOC-THAY"


@pytest.fixture(autouse=True)
def _allowed(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]


def signed_in(user) -> Client:
    client = Client()
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
def draft(provider):
    version = DraftVersionFactory(service=DataServiceFactory(provider=provider, code="nhap"))
    for environment in ("test", "production"):
        UpstreamFactory(version=version, environment=environment, auth_kind="bearer", secret=f'{{"token": "{CANARY}"}}')
    return version


def page_of(row) -> str:
    public_id = row.code if hasattr(row, "code") else row.uuid
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(public_id,))


def text(response) -> str:
    return response.content.decode()


def test_a_version_shows_what_is_missing_and_its_fields_but_no_secret(owner, draft):
    draft.service.contact = ""
    draft.service.save()
    body = text(owner.get(page_of(draft)))
    assert "Data" in body
    assert "MainInformation" in body
    assert "NĐ 47/2020/NĐ-CP" in body
    assert ADDRESS.rsplit("/", 1)[0] in body
    assert CANARY not in body


def test_lists_open_for_a_member_and_show_no_foreign_draft(draft):
    consumer = signed_in(officer(Role.CONSUMER_OFFICER))
    published = PublishedServiceFactory(name="Dịch vụ đã công bố")
    PurposeFactory()
    SignedRegulationFactory()
    for model in (DataService, ServiceVersion, UsageRegulation, Purpose):
        answer = consumer.get(reverse(f"admin:registry_{model._meta.model_name}_changelist"))
        assert answer.status_code == 200
        assert draft.service.name not in text(answer)
    assert "Dịch vụ đã công bố" in text(consumer.get(reverse("admin:registry_dataservice_changelist")))
    assert consumer.get(page_of(published)).status_code == 200
    for row in (draft, draft.service):
        assert consumer.get(page_of(row)).status_code in (302, 404)
        assert draft.service.name not in text(consumer.get(page_of(row), follow=True))


def test_a_service_is_registered_by_hand_and_published_where_its_agreements_are_known(owner, provider):
    SignedRegulationFactory(organization=provider)
    regulation = UsageRegulation.objects.get()
    answer = owner.post(
        "/admin/registry/dataservice/do/register/",
        {"provider": "H03.50", "code": "dkdn", "name": "Đăng ký doanh nghiệp", "description": "Tra cứu", "sharing_form": "default",
         "classification": "shared", "protocol": "rest", "usage_regulation": str(regulation.uuid), "capacity_rps": 5,
         "daily_quota": 500, "contact": "Tổ dữ liệu", "sla": "99 %"},
    )  # fmt: skip
    assert answer.status_code == 302, text(answer)
    service = DataService.objects.get(code="dkdn")
    answer = owner.post("/admin/registry/dataservice/dkdn/do/add-version/", {"bump": "minor"})
    version = service.versions.get()
    assert answer.url == page_of(version)
    early = owner.post(f"{page_of(version).removesuffix('change/')}do/publish/", {"expected": version.version})
    assert early.status_code == 404, "the portal's page looks at agreements; this register does not"
    assert ServiceVersion.objects.get().status == "draft"


def test_an_address_is_set_by_hand_and_its_secret_box_is_empty_again(owner, draft):
    path = f"/admin/registry/serviceversion/{draft.uuid}/do/address/"
    given = {"environment": "test", "base_url": ADDRESS, "auth_kind": "basic", "name": "may", "secret": CANARY}
    assert owner.post(path, given).status_code == 302
    assert CANARY in draft.upstreams.get(environment="test").secret
    assert CANARY not in text(owner.get(path))
    refused = owner.post(path, {**given, "base_url": "http://169.254.169.254/"})
    assert refused.status_code == 400
    assert CANARY not in text(refused)


def test_a_form_keeps_what_was_typed_when_the_verb_refuses(owner, provider):
    PublishedServiceFactory(code="dkdn")
    answer = owner.post(
        "/admin/registry/dataservice/do/register/",
        {"provider": "H03.50", "code": "dkdn", "name": "Tên tôi đã gõ", "sharing_form": "default", "classification": "shared",
         "protocol": "rest"},
    )  # fmt: skip
    assert answer.status_code == 400
    assert "Tên tôi đã gõ" in text(answer)


def test_an_officer_cannot_name_another_agency_as_provider(owner):
    OrganizationFactory(code="H03.51")
    given = {"provider": "H03.51", "code": "x-y", "name": "X", "sharing_form": "default", "classification": "shared"}
    owner.post("/admin/registry/dataservice/do/register/", {**given, "protocol": "rest"})
    assert not DataService.objects.exists()


@pytest.mark.parametrize("role", [r for r in Role if r != Role.PROVIDER_OFFICER])
def test_other_roles_open_no_verb_page_of_a_draft(draft, provider, role):
    person = signed_in(officer(role, provider))
    for verb in ("address", "document", "ready", "discard"):
        path = f"/admin/registry/serviceversion/{draft.uuid}/do/{verb}/"
        for answer in (person.get(path), person.post(path, {})):
            assert answer.status_code in (403, 404), (verb, answer.status_code)
    draft.refresh_from_db()
    assert (draft.status, draft.ready_at is None) == ("draft", False)


def test_a_stranger_finds_neither_draft_nor_its_verbs(draft):
    stranger = signed_in(officer(Role.PROVIDER_OFFICER))
    for verb in ("address", "publish", "ready", "discard", "khong-co"):
        assert stranger.post(f"/admin/registry/serviceversion/{draft.uuid}/do/{verb}/", {}).status_code == 404
    assert stranger.post("/admin/registry/dataservice/nhap/do/change/", {"name": "x"}).status_code == 404


def test_the_admin_itself_writes_and_deletes_nothing(draft, owner):
    operator = signed_in(officer(Role.OPERATOR))
    rows = [draft, draft.service, UsageRegulationFactory(), PurposeFactory()]
    for person in (operator, owner):
        for row in rows:
            base = f"/admin/registry/{row._meta.model_name}/"
            name = row.code if hasattr(row, "code") else row.uuid
            assert person.post(f"{base}add/", {"name": "x"}).status_code in (403, 404)
            assert person.post(f"{base}{name}/change/", {"name": "x", "status": "retired"}).status_code in (302, 403, 404)
            assert person.post(f"{base}{name}/delete/", {"post": "yes"}).status_code in (302, 403, 404)
            assert person.post(base, {"action": "delete_selected", "_selected_action": row.pk}).status_code in (
                200,
                302,
                403,
                404,
            )
            assert type(row).objects.filter(pk=row.pk).exists()
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_terms_are_written_by_one_and_signed_by_another_by_hand(owner, provider):
    given = {"organization": "H03.50", "number": "1/QĐ", "title": "Quy chế", "issued_on": "05/01/2026", "effective_from": "15/01/2026",
             "log_retention_months": 12, "terms": "Đúng mục đích."}  # fmt: skip
    assert owner.post("/admin/registry/usageregulation/do/write/", given).status_code == 302
    regulation = UsageRegulation.objects.get()
    assert regulation.issued_on.month == 1
    signer = signed_in(officer(Role.SIGNER, provider))
    # One signs on the page where the terms are read, with the password again.
    assert signer.post(f"/admin/registry/usageregulation/{regulation.uuid}/do/sign/").status_code == 404
    here = f"/portal/regulations/{regulation.uuid}/"
    given = {"password": PASSWORD, "back": here, "version": regulation.version}
    owner.post(f"{here}sign/", given)
    signer.post(f"{here}sign/", {**given, "password": "khác"})
    regulation.refresh_from_db()
    assert not regulation.is_signed
    assert signer.post(f"{here}sign/", given).status_code == 302
    regulation.refresh_from_db()
    assert regulation.is_signed


def test_terms_that_changed_after_they_were_read_are_not_signed(provider):
    regulation = UsageRegulationFactory(organization=provider)
    signer, here = signed_in(officer(Role.SIGNER, provider)), f"/portal/regulations/{regulation.uuid}/"
    assert f'name="version" value="{regulation.version}"' in text(signer.get(here))
    change_terms(regulation, by=officer(Role.PROVIDER_OFFICER, provider), terms="Chia sẻ lại cho ai cũng được.")
    answer = signer.post(f"{here}sign/", {"password": PASSWORD, "back": here, "version": regulation.version - 1})
    assert answer.status_code == 409
    regulation.refresh_from_db()
    assert not regulation.is_signed


@pytest.mark.parametrize(
    "lookup", ["folded__startswith=x", "provider__folded__startswith=x", "usage_regulation__terms__contains=x"]
)
def test_columns_cannot_be_probed_by_address(lookup):
    consumer = signed_in(officer(Role.CONSUMER_OFFICER))
    assert consumer.get(f"/admin/registry/dataservice/?{lookup}").status_code in (302, 400)


def test_lists_cost_the_same_however_long(django_assert_max_num_queries):
    consumer = signed_in(officer(Role.CONSUMER_OFFICER))
    for _i in range(6):
        PublishedServiceFactory()
    for model in ("dataservice", "serviceversion", "usageregulation"):
        with django_assert_max_num_queries(12):
            consumer.get(f"/admin/registry/{model}/")
