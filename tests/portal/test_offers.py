"""A provider's pages: from a file to a published version by hand, and nothing for anybody else."""

from __future__ import annotations

import datetime
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from apps.agreements.models import Grant
from apps.gateway import call_ids
from apps.gateway.models import CallIntent
from apps.legal.models import LegalRule
from apps.organizations.choices import Role
from apps.portal import inbox
from apps.registry.actions import add_version, define_contract, give_feedback, mark_ready
from apps.registry.contract import contract_of
from apps.registry.models import DataService, DefaultShareList
from tests.factories.agreements import accepted
from tests.factories.organizations import FocalPointFactory, OrganizationFactory, officer
from tests.factories.registry import SignedRegulationFactory, UsageRegulationFactory
from tests.servers import RawServer, reply

OPENAPI = {
    "openapi": "3.0.3",
    "info": {"title": "Land", "version": "1"},
    "paths": {
        "/parcels/{id}": {
            "get": {
                "operationId": "getParcel",
                "summary": "Tra cứu thửa đất",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {
                    "200": {
                        "description": "ok",
                        "content": {"application/json": {"schema": {"type": "object", "properties": {
                            "status": {"type": "string"},
                            "parcel": {"type": "object", "properties": {"area": {"type": "number"}, "owner": {"type": "string"}}},
                        }}}},
                    }
                },
            }
        }
    },
}  # fmt: skip


@pytest.fixture
def provider(db):
    organization = OrganizationFactory(code="H03.50")
    FocalPointFactory(organization=organization)
    return organization


@pytest.fixture
def owner(provider):
    return officer(Role.PROVIDER_OFFICER, provider)


def text(response) -> str:
    return response.content.decode()


def facts(provider, **more) -> dict:
    regulation = SignedRegulationFactory(organization=provider)
    return {
        "provider": provider.code, "code": "thua-dat", "name": "Tra cứu thửa đất", "description": "Thông tin thửa đất",
        "sharing_form": "default", "classification": "shared", "protocol": "rest", "usage_regulation": str(regulation.uuid),
        "capacity_rps": 5, "daily_quota": 500, "contact": "Tổ dữ liệu", "sla": "99 %", **more,
    }  # fmt: skip


def document(content=OPENAPI) -> SimpleUploadedFile:
    return SimpleUploadedFile("land.json", json.dumps(content).encode())


def boxes(form) -> dict:
    """What a browser would send of the form as it stands."""
    given = {box.html_name: box.value() for box in form}
    return {name: value for name, value in given.items() if value not in (None, False)}


def test_from_a_file_to_a_published_version(provider, owner, as_person, settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]
    browser = as_person(owner)
    answer = browser.post(reverse("portal:offer-new"), facts(provider, file=document()))
    assert answer.status_code == 302, text(answer)
    version = DataService.objects.get(code="thua-dat").versions.get()
    page = reverse("portal:version", args=[version.uuid])
    assert answer.url == page
    shown = browser.get(page)
    assert "parcel.owner" in text(shown)
    assert "chưa phân loại" in text(shown)
    assert {item.code for item in shown.context["completeness"].missing} == {
        "labels", "classes", "samples", "errors", "upstream_test", "upstream_production",
    }  # fmt: skip
    assert not shown.context["may_publish"]
    early = browser.post(reverse("portal:version-step", args=[version.uuid, "publish"]), {"expected": version.version})
    assert early.status_code == 422

    step = reverse("portal:version-step", args=[version.uuid, "operation"])
    form = browser.get(step).context["form"]
    given = boxes(form)
    for row in form.table():
        given[row["boxes"]["label"].html_name] = f"Tên {row['field'].name}"
        if row["field"].path == "parcel.owner":
            given[row["boxes"]["personal_data"].html_name] = "basic"
    given[form["rest"].html_name] = "none"
    given[form.parameter_table()[0]["boxes"]["is_subject"].html_name] = "on"
    assert browser.post(step, given).status_code == 302
    version.refresh_from_db()
    operation = contract_of(version).operations[0]
    assert operation.leaves()["parcel.owner"].personal_data == "basic"
    assert {spec.personal_data for path, spec in operation.leaves().items() if path != "parcel.owner"} == {"none"}
    assert "rest" not in browser.get(step).context["form"].fields, "nothing is left to be classified"
    assert operation.parameters[0].is_subject

    step = reverse("portal:version-step", args=[version.uuid, "examples"])
    form = browser.get(step).context["form"]
    assert json.loads(form["s0-response"].value()) == {"status": "", "parcel": {"area": 0, "owner": ""}}
    wrong = browser.post(step, {**boxes(form), "s0-response": "{", "errors_told": "404"})
    assert wrong.status_code == 400
    assert len(wrong.context["form"].errors) == 2
    assert browser.post(step, {**boxes(form), "errors_told": "404 | Không tìm thấy"}).status_code == 302

    for environment in ("test", "production"):
        step = reverse("portal:version-step", args=[version.uuid, "address"])
        sent = {"environment": environment, "base_url": "http://127.0.0.1:8002/api", "auth_kind": "none"}
        assert browser.post(step, sent).status_code == 302
    shown = browser.get(page)
    assert shown.context["may_publish"]
    version.refresh_from_db()
    done = browser.post(reverse("portal:version-step", args=[version.uuid, "publish"]), {"expected": version.version})
    assert done.status_code == 302, text(done)
    version.refresh_from_db()
    assert version.status == "published"
    assert "Tra cứu thửa đất" in text(browser.get(reverse("portal:services")))


def test_a_refused_document_registers_nothing_and_keeps_what_was_typed(provider, owner, as_person):
    bomb = SimpleUploadedFile("x.wsdl", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>')
    answer = as_person(owner).post(reverse("portal:offer-new"), facts(provider, file=bomb, name="Tên đã gõ"))
    assert answer.status_code == 400
    assert "Tên đã gõ" in text(answer)
    assert "root:" not in text(answer)
    assert not DataService.objects.exists()


def test_a_secret_classification_cannot_be_chosen(provider, owner, as_person):
    answer = as_person(owner).post(reverse("portal:offer-new"), facts(provider, classification="secret"))
    assert answer.status_code == 400
    assert not DataService.objects.exists()


def test_a_document_is_fetched_from_an_address_on_the_list_only(provider, owner, as_person, settings):
    body = reply("200 OK", json.dumps(OPENAPI).encode(), "Content-Type: application/json")
    with RawServer(lambda connection, _head: connection.sendall(body)) as server:
        settings.EGRESS_ALLOW = []
        sent = facts(provider, url=f"{server.url}/openapi.json")
        refused = as_person(owner).post(reverse("portal:offer-new"), sent)
        assert refused.status_code in (400, 502)
        assert server.seen == []
        settings.EGRESS_ALLOW = [f"127.0.0.1:{server.port}"]
        assert as_person(owner).post(reverse("portal:offer-new"), sent).status_code == 302
    assert contract_of(DataService.objects.get().versions.get()).operations[0].code == "getParcel"


def test_the_page_names_who_breaks_before_publishing(world, as_person):
    accepted(world)
    draft = add_version(world.service, by=world.provider_officer)
    granted = Grant.objects.filter(operation=world.operation).first().fields
    field = next(
        f for f in draft.operations.get(code=world.operation.code).fields.all() if f.path in granted and not f.is_envelope
    )
    field.delete()
    page = reverse("portal:version", args=[draft.uuid])
    shown = as_person(world.provider_officer).get(page)
    assert [row.system for row in shown.context["breakages"]] == [world.system]
    assert world.system.name in text(shown)
    assert field.path in text(shown)
    assert shown.context["breakages"][0].last_called is None
    called = timezone.now()
    for at in (called - datetime.timedelta(seconds=2), called):
        CallIntent.objects.create(
            call_id=call_ids.make(int(at.timestamp() * 1000)), admitted_at=at, grant=Grant.objects.filter(operation=world.operation).first(),
            credential=world.system.credentials.first(), epoch=1, request_digest=b"0" * 32,
        )  # fmt: skip
    assert as_person(world.provider_officer).get(page).context["breakages"][0].last_called == called
    assert not shown.context["may_publish"]
    for person in (world.stranger, world.consumer_officer, world.consumer_signer):
        assert as_person(person).get(page).status_code == 404
    step = reverse("portal:version-step", args=[draft.uuid, "publish"])
    refused = as_person(world.provider_officer).post(step, {"expected": draft.version})
    assert refused.status_code == 409
    told = [str(reason) for reason in refused.context["form"].non_field_errors()]
    assert "Phiên bản mới làm ảnh hưởng nội dung đã thỏa thuận." in told[0], "what is refused comes first, then for whom"
    assert world.system.name in told[1]
    assert not told[1].startswith("agreements:"), "a name of the API says nothing to who reads the page"


@pytest.mark.parametrize("verb", ["document", "operation", "examples", "address", "ready", "publish", "discard"])
def test_nobody_else_takes_a_step_of_a_draft(world, as_person, verb):
    draft = add_version(world.service, by=world.provider_officer)
    address = reverse("portal:version-step", args=[draft.uuid, verb])
    for person in (world.stranger, world.consumer_officer, world.provider_signer, world.operator):
        for answer in (as_person(person).get(address), as_person(person).post(address, {})):
            assert answer.status_code in (403, 404)
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_the_address_form_never_shows_a_secret_and_begins_with_what_is_stored(world, as_person, settings):
    version = world.service.versions.get()
    stored = version.upstreams.get(environment="test")
    stored.auth_kind, stored.secret = "bearer", '{"token": "BI-MAT"}'
    stored.save()
    page = as_person(world.provider_officer).get(
        reverse("portal:version-step", args=[version.uuid, "address"]) + "?environment=test"
    )
    assert stored.base_url in text(page)
    assert "BI-MAT" not in text(page)
    assert "BI-MAT" not in text(as_person(world.provider_officer).get(reverse("portal:version", args=[version.uuid])))


def test_the_lists_open_with_few_queries(world, as_person, django_assert_max_num_queries):
    accepted(world)
    browser = as_person(world.operator)
    for name in ("portal:offers", "portal:regulations", "portal:default-lists", "portal:agencies"):
        browser.get(reverse(name))
        with django_assert_max_num_queries(25):
            assert browser.get(reverse(name)).status_code == 200


def test_a_regulation_is_written_changed_and_signed_by_another(provider, owner, as_person):
    sent = {
        "organization": provider.code, "number": "7/QĐ", "title": "Quy chế", "issued_on": "05/01/2026",
        "effective_from": "15/01/2026", "log_retention_months": 12, "terms": "Chỉ dùng đúng mục đích.",
    }  # fmt: skip
    answer = as_person(owner).post(reverse("portal:regulation-new"), sent)
    regulation = provider.usage_regulations.get()
    assert answer.url == reverse("portal:terms", args=[regulation.uuid])
    change = reverse("portal:terms-step", args=[regulation.uuid, "change"])
    assert as_person(owner).post(change, {**sent, "title": "Quy chế mới"}).status_code == 302
    regulation.refresh_from_db()
    assert regulation.title == "Quy chế mới"
    assert as_person(officer(Role.PROVIDER_OFFICER)).get(change).status_code == 404
    assert UsageRegulationFactory().title in text(as_person(officer(Role.OPERATOR)).get(reverse("portal:regulations")))


def test_home_names_what_a_provider_owes_and_nobody_elses(world, as_person):
    give_feedback(world.service, by=world.consumer_officer, text="Hỏi về dữ liệu")
    draft = add_version(world.service, by=world.provider_officer)
    mark_ready(draft, by=world.provider_officer)
    DefaultShareList.objects.create(
        organization=world.provider, number="8/QĐ", decided_on="2026-01-05", next_review_on=timezone.localdate(),
        review_rule=LegalRule.objects.get(code="default_list.review"), decided_by=world.provider_officer,
    )  # fmt: skip
    urls = {task.url for task in inbox.tasks(world.provider_officer)}
    assert {
        reverse("portal:service", args=[world.service.code]) + "#questions",
        reverse("portal:version", args=[draft.uuid]),
        reverse("portal:default-lists"),
    } <= urls
    assert as_person(world.provider_officer).get(reverse("home")).status_code == 200
    assert not urls & {task.url for task in inbox.tasks(world.stranger)}


@pytest.mark.parametrize(
    ("language", "words"), [("vi", "trả kết quả dạng XML thay vì JSON"), ("en", "is answered in XML instead of JSON")]
)
def test_the_page_says_that_the_format_of_an_answer_changes(world, as_person, language, words):
    draft = add_version(world.service, by=world.provider_officer)
    data = contract_of(draft).as_data()
    data["operations"][0]["answer"] = "xml"
    define_contract(draft, data, by=world.provider_officer)
    page = text(as_person(world.provider_officer, language).get(reverse("portal:version", args=[draft.uuid])))
    assert words in page
