"""The agreement's document, versions, changes, one consumer's suspension, joining and merging, by hand in the portal."""

from __future__ import annotations

import datetime
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.agreements import documents
from apps.agreements.actions import approve_request, decline_change, propose_content, start_change
from apps.agreements.models import Agreement, ConsumerSuspension, Credential, Signature
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request, withdraw_request
from apps.connections.models import ConnectionRequest
from apps.disputes.actions import raise_dispute
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from tests.factories import connections
from tests.factories.accounts import PASSWORD
from tests.factories.agreements import (
    accepted,
    agreement_in_force,
    awaiting_signatures,
    negotiating,
    signed_special,
    special_world,
)
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer


@pytest.fixture
def special(db):
    return special_world()


def address(agreement, **query) -> str:
    page = reverse("portal:agreement", args=[agreement.uuid])
    return page + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")


def pending_change(w) -> Agreement:
    """A special agreement in force whose change waits for signatures."""
    agreement = signed_special(w)
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, calls_per_day=900, change_reason="Tăng số lượt")
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    return agreement


def test_the_access_counts_the_agreed_fields_as_the_content_does_and_the_envelope_apart(world, as_person):
    agreement = accepted(world)
    answer = as_person(world.consumer_officer).get(address(agreement))
    (part,) = agreement.current_version.content["scope"]
    envelope = [field for field in world.operation.fields.all() if field.is_envelope and field.is_leaf]
    rows = answer.context["grants"]
    assert len(rows) == 2
    assert {(row.field_count, row.envelope_count) for row in rows} == {(len(part["fields"]), len(envelope))}
    assert f"và {len(envelope)} trường của phần bao" in answer.content.decode()


@pytest.mark.parametrize(
    ("language", "limits"),
    [
        ("vi", ("500 lượt gọi/ngày", "tối đa 5 lượt/giây", "chỉ từ 07:00 đến 19:30", "Mục đích: ")),
        ("en", ("500 calls a day", "at most 5 a second", "only from 07:00 to 19:30", "Purpose: ")),
    ],
)
def test_the_access_says_every_limit_by_which_a_call_is_refused(world, as_person, language, limits):
    """`rate_exceeded`, `outside_hours` and `purpose_not_granted` are refusals of the gateway like the others."""
    agreement = accepted(world)

    def told() -> str:
        page = as_person(world.consumer_officer, language).get(address(agreement)).content.decode()
        return page.split('id="g-h"')[1].split("</table>")[0]

    assert "07:00" not in told()
    agreement.grants.update(hours_from=datetime.time(7), hours_to=datetime.time(19, 30))
    for said in (*limits, world.purpose.name, f">{world.purpose.code}</code>"):
        assert said in told(), said
    agreement.grants.update(rate_per_second=None)
    assert limits[1] not in told()


# --- the document -------------------------------------------------------------------------------


def test_the_print_view_is_the_document_and_runs_nothing(special, as_person):
    agreement = awaiting_signatures(special)
    answer = as_person(special.consumer_signer).get(reverse("portal:agreement-print", args=[agreement.uuid]))
    text = answer.content.decode()
    assert "Độc lập - Tự do - Hạnh phúc" in text
    assert agreement.current_version.content_hash in text
    assert "<script" not in text
    assert (
        "script-src" not in answer["Content-Security-Policy"]
        or "unsafe-inline" not in answer["Content-Security-Policy"].split("script-src")[1].split(";")[0]
    )
    assert as_person(special.stranger).get(answer.request["PATH_INFO"]).status_code == 404


def test_without_the_pdf_library_the_reader_gets_the_print_view_and_is_told(special, as_person, monkeypatch):
    agreement = awaiting_signatures(special)

    def unavailable(version, **kwargs):
        raise documents.PdfUnavailable

    monkeypatch.setattr(documents, "render_pdf", unavailable)
    answer = as_person(special.consumer_signer).get(reverse("portal:agreement-document", args=[agreement.uuid]), follow=True)
    assert answer.status_code == 200
    assert "thiếu thư viện hệ thống" in answer.content.decode()


def test_a_signed_file_that_is_none_is_refused_with_its_reason(special, as_person):
    agreement = awaiting_signatures(special)
    browser = as_person(special.consumer_signer)
    door = reverse("portal:agreement-sign-file", args=[agreement.uuid])
    file = SimpleUploadedFile("ky.pdf", b"<html>", content_type="application/pdf")
    answer = browser.post(door, {"file": file, "back": address(agreement), "version": agreement.version}, follow=True)
    assert answer.status_code == 200
    assert "msg--error" in answer.content.decode()
    assert not Signature.objects.exists()
    answer = browser.post(door, {"back": address(agreement)}, follow=True)
    assert "msg--error" in answer.content.decode()


def test_signing_by_a_file_is_offered_where_it_can_be_verified(special, as_person, settings, tmp_path):
    agreement = awaiting_signatures(special)
    door = reverse("portal:agreement-sign-file", args=[agreement.uuid])
    signer = as_person(special.consumer_signer)
    assert door not in signer.get(address(agreement)).content.decode()
    settings.SIGNATURE_ROOTS = str(tmp_path)
    assert door in signer.get(address(agreement)).content.decode()


# --- versions and signatures --------------------------------------------------------------------


def test_the_signer_finds_the_place_to_sign_and_the_officer_does_not(special, as_person, settings, tmp_path):
    settings.SIGNATURE_ROOTS = str(tmp_path)
    agreement = awaiting_signatures(special)
    assert (
        reverse("portal:agreement-sign", args=[agreement.uuid])
        in as_person(special.consumer_signer).get(address(agreement)).content.decode()
    )
    for person in (special.consumer_officer, special.provider_officer, special.operator):
        assert "sign-file" not in as_person(person).get(address(agreement)).content.decode()


def test_a_change_is_read_with_its_difference_and_signed_by_both_while_the_old_one_is_in_force(
    special, as_person, settings, tmp_path
):
    settings.SIGNATURE_ROOTS = str(tmp_path)
    agreement = pending_change(special)
    first = as_person(special.consumer_signer).get(address(agreement)).content.decode()
    assert "?version=2" in first
    assert "sign-file" not in first, "the version in force is signed already"
    for signer in (special.consumer_signer, special.provider_signer):
        browser = as_person(signer)
        page = browser.get(address(agreement, version=2)).content.decode()
        assert "900" in page
        assert "500" in page, "the difference shows what it was"
        version = agreement.versions.get(number=2)
        door = reverse("portal:agreement-sign", args=[agreement.uuid])
        agreement.refresh_from_db()
        browser.post(door, {"password": PASSWORD, "content_hash": version.content_hash, "version": agreement.version})
    assert agreement.versions.get(number=2).state == "current"
    assert set(agreement.grants.filter(status="active").values_list("quota_per_day", flat=True)) == {900}


def test_a_change_nobody_signs_is_declined_on_its_page(special, as_person):
    agreement = pending_change(special)
    door = reverse("portal:agreement-step", args=[agreement.uuid, "decline_change"])
    assert door not in as_person(special.consumer_signer).get(address(agreement, version=2)).content.decode()
    browser = as_person(special.provider_officer)
    assert door not in browser.get(address(agreement)).content.decode(), "the version in force is not declined"
    assert door in browser.get(address(agreement, version=2)).content.decode()
    agreement.refresh_from_db()
    seen = agreement.version
    answer = browser.post(door, {"reason": "Không thống nhất.", "version": seen}, follow=True)
    assert "Đã từ chối thay đổi" in answer.content.decode()
    second = as_person(special.consumer_officer).post(door, {"reason": "Không cần nữa.", "version": seen})
    assert second.status_code == 409
    assert special.provider_officer.full_name in second.content.decode(), "who comes second is told who was first"
    assert agreement.versions.get(number=2).state == "superseded"
    assert door not in browser.get(address(agreement, version=2)).content.decode()


def test_an_agreement_rests_on_the_requests_of_the_content_that_is_shown(special, as_person):
    agreement = pending_change(special)
    first, second = (row.request for row in agreement.bases.order_by("id"))
    browser = as_person(special.provider_officer)

    def rests_on(**shown) -> list:
        return [row.request for row in browser.get(address(agreement, **shown)).context["bases"]]

    assert rests_on() == [first]
    assert rests_on(version=2) == [first, second]
    decline_change(agreement, by=special.provider_officer, reason="Không thống nhất.")
    start_change(agreement, by=special.consumer_officer)
    assert rests_on() == [first], "neither on what was declined nor on what is a draft yet"
    fallen = {row.number: row.has_fallen for row in browser.get(address(agreement)).context["versions"]}
    assert fallen == {1: False, 2: True}
    assert "bị từ chối, không có hiệu lực" in browser.get(address(agreement)).content.decode()


def test_a_change_that_waits_is_on_the_signers_home_page(special, as_person):
    agreement = pending_change(special)
    home = as_person(special.provider_signer).get(reverse("home")).content.decode()
    assert agreement.number in home


@pytest.mark.parametrize("number", ["99", "x", "9999999", "-1"])
def test_a_version_that_is_not_there_is_not_found(world, as_person, number):
    agreement = agreement_in_force(world)
    assert as_person(world.consumer_officer).get(address(agreement, version=number)).status_code == 404


def test_cc_03_who_agrees_to_a_former_page_is_shown_what_changed_and_nothing_is_agreed(special, as_person):
    agreement = negotiating(special)
    seen = agreement.current_version.content_hash
    version = agreement.version
    propose_content(agreement, by=special.provider_officer, changes={"other_terms": "Báo cáo hằng quý."}, note="Thêm báo cáo")
    door = reverse("portal:agreement-step", args=[agreement.uuid, "agree"])
    body = {"version": version, "content_hash": seen, "back": address(agreement)}
    answer = as_person(special.consumer_officer).post(door, body)
    assert answer.status_code == 409
    assert "Báo cáo hằng quý." in answer.content.decode()
    agreement.refresh_from_db()
    assert agreement.status == "negotiating"


def test_a_counter_proposal_by_hand_narrows_fields_and_sets_hours(special, as_person):
    agreement = negotiating(special)
    browser = as_person(special.consumer_officer)
    form = browser.get(address(agreement)).context["proposal_form"]
    body = {f"propose-{name}": value for name, value in form.initial.items() if value not in (None, "", False)}
    body |= {
        "propose-kept_fields": form.initial["kept_fields"][:1], "propose-hours_from": "07:00", "propose-hours_to": "19:00",
        "propose-valid_to": f"{form.initial['valid_to']:%d/%m/%Y}", "propose-note": "Giờ hành chính", "version": agreement.version,
        "propose-source_networks": "10.1.2.0/24", "back": address(agreement),
    }  # fmt: skip
    answer = browser.post(reverse("portal:agreement-propose", args=[agreement.uuid]), body, follow=True)
    assert "msg--error" not in answer.content.decode()
    content = agreement.versions.order_by("-number").first().content
    assert content["version"] == 2
    assert [len(row["fields"]) for row in content["scope"]] == [1]
    assert content["restrictions"]["hours"] == {"from": "07:00", "to": "19:00"}
    assert content["restrictions"]["source_networks"] == ["10.1.2.0/24"]
    assert content["commitments"], "what was not touched stays"


# --- one consumer -------------------------------------------------------------------------------


def test_one_consumer_is_suspended_and_let_in_again_by_hand(world, as_person):
    agreement = accepted(world)
    browser = as_person(world.provider_officer)
    body = {
        "one-party": world.consumer.uuid, "one-violation": "Chuyển tiếp dữ liệu", "one-plan": "Xác minh",
        "one-restore_conditions": "Báo cáo", "one-determined_at": "01/01/2026 08:00", "back": address(agreement),
    }  # fmt: skip
    browser.post(reverse("portal:consumer-suspend", args=[agreement.uuid]), body)
    row = ConsumerSuspension.objects.get()
    assert set(agreement.grants.values_list("status", flat=True)) == {"suspended"}
    assert "Chuyển tiếp dữ liệu" in as_person(world.consumer_officer).get(address(agreement)).content.decode()
    door = reverse("portal:consumer-lift", args=[row.uuid])
    assert as_person(world.stranger).post(door).status_code == 404
    as_person(world.consumer_officer).post(door, {"back": address(agreement)})
    row.refresh_from_db()
    assert row.lifted_at is None
    browser.post(door, {f"lift-{row.pk}-comment": "Đã khắc phục"})
    row.refresh_from_db()
    assert (row.comment, row.lifted_by) == ("Đã khắc phục", world.provider_officer)
    assert set(agreement.grants.values_list("status", flat=True)) == {"active"}


# --- previews -----------------------------------------------------------------------------------


def test_the_preview_of_a_version_is_for_whoever_sees_the_agreement(special, as_person):
    agreement = awaiting_signatures(special)
    page = reverse("portal:agreement-preview", args=[agreement.uuid])
    text = as_person(special.provider_signer).get(page).content.decode()
    assert all(path in text for path in special.fields())
    assert as_person(special.stranger).get(page).status_code == 404


# --- accounts -----------------------------------------------------------------------------------


def test_the_accounts_of_my_systems_are_listed_and_a_lost_one_is_issued_anew(world, as_person):
    agreement = accepted(world)
    page = reverse("portal:accounts")
    credential = Credential.objects.get(environment="production")
    assert credential.client_id in as_person(world.consumer_officer).get(page + "?environment=production").content.decode()
    assert credential.client_id not in as_person(world.stranger).get(page).content.decode()
    credential.status = "revoked"
    credential.save()
    body = {"system": world.system.uuid, "environment": "production", "back": address(agreement)}
    door = reverse("portal:account-new", args=[agreement.uuid])
    issuer = world.operator if world.service.account_issuing_delegated else world.provider_officer
    assert "new-account" in as_person(issuer).get(address(agreement)).content.decode()
    as_person(world.consumer_officer).post(door, body)
    assert not Credential.objects.filter(environment="production", status="unclaimed").exists()
    as_person(issuer).post(door, body)
    assert Credential.objects.filter(environment="production", status="unclaimed").count() == 1


# --- joining and merging ------------------------------------------------------------------------


def test_an_outsider_joins_by_the_number_and_reads_nothing_else(world, as_person):
    agreement = agreement_in_force(world)
    newcomer = ReadyOrganizationFactory()
    browser = as_person(officer(Role.CONSUMER_OFFICER, newcomer))
    assert browser.get(address(agreement)).status_code == 404
    answer = browser.post(
        reverse("portal:joining"), {"number": agreement.number.lower(), "consumer": newcomer.pk, "uuid": uuid4()}
    )
    draft = ConnectionRequest.objects.get(kind="join")
    assert answer["Location"] == reverse("portal:request-edit", args=[draft.uuid, "who"])
    wrong = browser.post(reverse("portal:joining"), {"number": "TT-1999-000001", "consumer": newcomer.pk, "uuid": uuid4()})
    assert wrong.status_code == 400
    foreign = browser.post(
        reverse("portal:joining"), {"number": agreement.number, "consumer": world.consumer.pk, "uuid": uuid4()}
    )
    assert foreign.status_code == 400


def test_the_operator_sees_what_a_merge_carries_over_before_it_is_done(world, as_person):
    agreement = accepted(world)
    InformationSystemFactory(organization=world.consumer, name="Hệ thống chuyển tiếp")
    successor = ReadyOrganizationFactory()
    browser, page = as_person(world.operator), reverse("portal:reorganization")
    body = {"source": world.consumer.code, "into": successor.code, "instrument": "Nghị quyết 12/NQ-HĐND"}
    plan = browser.post(page, body)
    assert "Hệ thống chuyển tiếp" in plan.content.decode()
    assert plan.context["missing_roles"] == ["đầu mối khai thác"]
    assert "Sẽ không có người được nhắc việc" in plan.content.decode()
    open_case = connections.submitted(world)
    blocked = browser.post(page, body).content.decode()
    assert f'href="{reverse("portal:requests")}?q={open_case.number}"' in blocked
    withdraw_request(open_case, by=world.consumer_officer)
    assert agreement.number in plan.content.decode()
    assert Organization.objects.get(pk=world.consumer.pk).status == "active"
    browser.post(page, {**body, "confirm": "1"})
    assert Organization.objects.get(pk=world.consumer.pk).status == "closed"
    assert set(agreement.grants.values_list("system__organization", flat=True)) == {successor.pk}
    task = "Giao vai trò cho cán bộ của cơ quan"
    assert task in browser.get(reverse("home")).content.decode()
    officer(Role.CONSUMER_OFFICER, successor)
    assert task not in browser.get(reverse("home")).content.decode()
    listed = as_person(world.operator).get(reverse("portal:agreements")).content.decode()
    assert successor.name in listed
    assert world.consumer.name not in listed, "who left is no party any more"
    assert as_person(world.provider_officer).get(page).status_code == 403


def test_the_page_of_a_merge_names_what_else_goes_over_and_the_agencies_under_it(world, as_person):
    dispute = raise_dispute(
        accepted(world), by=world.consumer_officer, category="data", title="Sai tên", description="Sai dấu."
    )
    regulation, child = world.service.usage_regulation, ReadyOrganizationFactory(parent=world.provider)
    into = ReadyOrganizationFactory()
    browser, page = as_person(world.operator), reverse("portal:reorganization")
    body = {"source": world.provider.code, "into": into.code, "instrument": "Nghị quyết 12/NQ-HĐND"}
    told = browser.post(page, {**body, "confirm": "1"}).content.decode()
    assert reverse("portal:agency", args=[child.code]) in told
    assert 'name="confirm"' not in told
    assert Organization.objects.get(pk=world.provider.pk).status == "active"
    Organization.objects.filter(pk=child.pk).update(parent=None)
    plan = browser.post(page, body).content.decode()
    for here in (reverse("portal:dispute", args=[dispute.uuid]), reverse("portal:terms", args=[regulation.uuid])):
        assert f'href="{here}"' in plan
    browser.post(page, {**body, "confirm": "1"})
    keeper = as_person(officer(Role.PROVIDER_OFFICER, into))
    shown = keeper.get(reverse("portal:terms", args=[regulation.uuid])).content.decode()
    assert "Do sáp nhập cơ quan" in shown
    assert reverse("portal:terms-step", args=[regulation.uuid, "end"]) in shown
    listed = keeper.get(reverse("portal:regulations"))
    assert list(listed.context["own"]) == [regulation]
    assert regulation not in listed.context["page"].object_list
    timeline = keeper.get(reverse("portal:dispute", args=[dispute.uuid])).content.decode()
    assert "Chuyển sang cơ quan kế thừa" in timeline
