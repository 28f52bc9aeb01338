"""The pages of agreements, access and accounts."""

from __future__ import annotations

import datetime
import html
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import approve_request, start_change
from apps.agreements.choices import AgreementStatus, CredentialStatus, GrantStatus
from apps.agreements.models import AcceptanceRecord, Agreement, Credential
from apps.agreements.secrets import secret_matches
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.registry.choices import Environment
from tests.factories import agreements
from tests.factories.accounts import PASSWORD
from tests.factories.organizations import InformationSystemFactory, officer
from tests.factories.registry import UsageRegulationFactory


@pytest.fixture
def agreement(world):
    return agreements.agreement_in_force(world)


@pytest.fixture
def special(db):
    return agreements.special_world()


def page_of(obj) -> str:
    return reverse("portal:agreement", args=[obj.uuid])


def post(client, name: str, obj, *args, **data):
    obj.refresh_from_db()
    return client.post(
        reverse(name, args=[obj.uuid, *args]), {"version": getattr(obj, "version", ""), "back": reverse("home"), **data}
    )


def test_the_end_shown_is_the_last_day_asked_for(world, as_person):
    agreement = agreements.agreement_in_force(world, wanted_to=datetime.date(2027, 12, 1))
    consumer = as_person(world.consumer_officer)
    for url in (page_of(agreement), reverse("portal:agreements")):
        shown = consumer.get(url).content.decode()
        assert "01/12/2027" in shown
        assert "02/12/2027" not in shown


def test_parties_and_operator_open_the_page_a_stranger_does_not(world, agreement, as_person):
    for user in (world.consumer_officer, world.provider_officer, world.consumer_signer, world.operator):
        assert as_person(user).get(page_of(agreement)).status_code == 200
    assert as_person(world.stranger).get(page_of(agreement)).status_code == 404
    assert agreement.number not in as_person(world.stranger).get(reverse("portal:agreements")).content.decode()


def test_the_page_tells_the_twenty_items_in_the_decrees_order(world, agreement, as_person):
    page = as_person(world.operator).get(page_of(agreement)).content.decode()
    for number in range(1, 21):
        assert f"<h3>{number}. " in page
    assert "NĐ 47/2020" in page or "Nghị định 47/2020" in page


def bodies(page: str) -> dict[int, list[str]]:
    """Number of an item → its lines, as they stand under its heading."""
    found = re.findall(r"<h3>(\d+)\. [^<]+</h3>(.*?)(?=<h3>|</ol>)", page.split('<ol class="items">')[1], re.DOTALL)
    return {int(number): [html.unescape(line) for line in re.findall("<p[^>]*>([^<]*)</p>", body)] for number, body in found}


def test_each_of_the_twenty_items_says_what_its_content_says(world, as_person):
    wanted = {"note": "Bàn giao tài liệu trước ngày kết nối.", "source_networks": ["10.20.30.0/24"]}
    agreement = agreements.agreement_in_force(world, **wanted)
    version, request = agreement.current_version, agreement.bases.get().request
    text, regulation = version.content, world.service.usage_regulation
    point = world.consumer.focal_points.get()
    signers = "; ".join(
        f"{person}, Chuyên viên" for person in sorted([regulation.terms_signed_by, world.provider_signer], key=str)
    )
    expected = {
        1: [
            f"Cơ quan cung cấp: {world.provider} ({signers})",
            f"Cơ quan khai thác: {world.consumer} ({world.consumer_signer}, Chuyên viên)",
        ],
        2: [f"{world.service.name}, Chi tiết doanh nghiệp: 3 mục tin"],
        3: ["Nền tảng tích hợp, chia sẻ dữ liệu cấp tỉnh (LGSP)", world.system.name, world.system.get_network_display()],
        4: [
            f"từ ngày có hiệu lực đến {request.wanted_to:%d/%m/%Y}",
            f"Thời hạn sử dụng dữ liệu đã nhận: {regulation.usage_duration}",
        ],
        5: ["truy vấn trực tuyến", "REST/JSON", "500 lượt gọi/ngày", "tối đa 5 lượt gọi/giây", "tính riêng cho mỗi thao tác của mỗi hệ thống"],
        6: ["Hiển thị cho công chức một cửa, không lưu lại."],
        7: [
            f"Mục đích: {world.purpose.name}", "Kiểm tra thông tin doanh nghiệp khi tiếp nhận hồ sơ.", text["restrictions"]["text"],
            "Chỉ từ: 10.20.30.0/24", "Thủ tục hành chính phục vụ: 2.001610",
        ],
        8: [text["commitments"]],
        9: [
            text["security"]["text"],
            f"{world.system.code}: cấp độ an toàn {world.system.security_level}, quyết định {world.system.security_decision}",
        ],
        10: [text["storage"]["ground"], text["storage"]["derived_data"]],
        11: [text["disposal"]["method"], text["disposal"]["deadline"]],
        12: ["Bàn giao tài liệu trước ngày kết nối."],
        13: [f"{regulation.number} – {regulation.title} ({world.provider})"],
        14: ["12 tháng"],
        15: ["Nghị định 47/2020/NĐ-CP", "Nghị định 61/2018/NĐ-CP"],
        16: ["Sẵn sàng 99,5 %; trả lời trong 2 giây."],
        17: [
            f"{world.consumer}: {point.name}, {point.position}, {point.phone}, {point.email}",
            f"{world.consumer}: Nguyễn Văn Kỹ, 0209 111 222",
        ],
        18: ["Không chia sẻ dữ liệu cá nhân nhạy cảm."],
        19: ["cho phép bên thứ ba tham gia", text["joining"]],
        20: ["Phiên bản 1", f"Theo yêu cầu {request.number}"],
    }  # fmt: skip
    shown = bodies(as_person(world.operator).get(page_of(agreement)).content.decode())
    assert all(line.strip() for lines in expected.values() for line in lines), "an empty value proves nothing"
    for number, lines in expected.items():
        assert [line for line in shown[number] if line.strip()] == lines, number
    assert len(shown) == 20


def test_suspending_and_resuming_an_agreement(world, agreement, as_person):
    provider = as_person(world.provider_officer)
    post(
        provider, "portal:agreement-step", agreement, "suspend", kind="violation", violation="", plan="", restore_conditions=""
    )
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.IN_FORCE, "a violation must be named"
    post(provider, "portal:agreement-step", agreement, "suspend", kind="violation", violation="Dùng sai mục đích",
         plan="Xác minh", restore_conditions="Báo cáo giải trình")  # fmt: skip
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.SUSPENDED
    assert "Dùng sai mục đích" in as_person(world.consumer_officer).get(page_of(agreement)).content.decode()
    post(provider, "portal:agreement-step", agreement, "resume")
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.IN_FORCE


def test_the_consumer_does_not_suspend(world, agreement, as_person):
    post(
        as_person(world.consumer_officer),
        "portal:agreement-step",
        agreement,
        "suspend",
        kind="force_majeure",
        violation="x",
        plan="x",
    )
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.IN_FORCE


def test_ending_with_its_duties(world, agreement, as_person):
    consumer, provider = as_person(world.consumer_officer), as_person(world.provider_officer)
    post(consumer, "portal:agreement-step", agreement, "terminate", ground="consumer", reason="Hết nhu cầu")
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.ENDING
    post(provider, "portal:agreement-step", agreement, "finish")
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.ENDING, "duties are still open"
    finish = reverse("portal:agreement-step", args=[agreement.uuid, "finish"])
    assert finish not in provider.get(page_of(agreement)).content.decode(), "what would be refused is no button"
    for duty in agreement.duties.all():
        client = consumer if duty.party.side == "consumer" else provider
        assert reverse("portal:duty-done", args=[duty.uuid]) in client.get(page_of(agreement)).content.decode()
        paper = {"certificate": SimpleUploadedFile("xoa.pdf", b"%PDF-1.7")} if duty.kind == "data_deleted" else {}
        client.post(reverse("portal:duty-done", args=[duty.uuid]), {"note": "Đã thực hiện.", **paper})
    deleted = agreement.duties.get(kind="data_deleted")
    paper = reverse("portal:duty-certificate", args=[deleted.uuid])
    assert paper in provider.get(page_of(agreement)).content.decode()
    assert provider.get(paper)["Content-Disposition"].startswith("attachment")
    assert as_person(world.stranger).get(paper).status_code == 404
    assert finish in provider.get(page_of(agreement)).content.decode()
    post(provider, "portal:agreement-step", agreement, "finish")
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.TERMINATED


def test_access_of_one_system_is_suspended_resumed_and_ended(world, agreement, as_person):
    operator, grant = as_person(world.operator), agreement.grants.get()
    post(operator, "portal:grant-step", grant, "suspend", reason="Lưu lượng bất thường")
    grant.refresh_from_db()
    assert grant.status == GrantStatus.SUSPENDED
    assert "Lưu lượng bất thường" in operator.get(page_of(agreement)).content.decode()
    post(operator, "portal:grant-step", grant, "resume")
    post(operator, "portal:grant-step", grant, "end", reason="Theo đề nghị")
    grant.refresh_from_db()
    assert grant.status == GrantStatus.ENDED


@pytest.mark.parametrize("verb", ["suspend", "resume", "end"])
def test_a_stranger_changes_no_access(world, agreement, as_person, verb):
    grant = agreement.grants.get()
    assert post(as_person(world.stranger), "portal:grant-step", grant, verb, reason="x").status_code == 404
    grant.refresh_from_db()
    assert grant.status == GrantStatus.ACTIVE


def test_the_test_record_opens_production(world, agreement, as_person):
    consumer, provider = as_person(world.consumer_officer), as_person(world.provider_officer)
    day = timezone.localdate().strftime("%d/%m/%Y")
    post(consumer, "portal:acceptance-new", agreement, system=world.system.code, tested_on=day, summary="10 lượt gọi, đúng.")
    record = AcceptanceRecord.objects.get()
    assert (
        reverse("portal:acceptance-step", args=[record.uuid, "confirm"])
        not in consumer.get(page_of(agreement)).content.decode()
    )
    assert reverse("portal:acceptance-step", args=[record.uuid, "confirm"]) in provider.get(page_of(agreement)).content.decode()
    post(consumer, "portal:acceptance-step", record, "confirm")
    assert not agreement.grants.filter(environment=Environment.PRODUCTION).exists(), (
        "the consumer does not confirm its own test"
    )
    post(provider, "portal:acceptance-step", record, "confirm")
    assert agreement.grants.get(environment=Environment.PRODUCTION).status == GrantStatus.ACTIVE


def test_the_time_to_test_is_extended_on_the_page_once(world, agreement, as_person):
    clock = agreement.clocks.get()
    door = reverse("portal:test-extend", args=[clock.uuid])
    people = {
        name: as_person(getattr(world, name))
        for name in ("consumer_officer", "consumer_signer", "provider_officer", "operator")
    }
    offered = {name for name, client in people.items() if door in client.get(page_of(agreement)).content.decode()}
    assert offered == {"consumer_officer"}
    typed = {"version": agreement.version, "back": page_of(agreement), "reason": "Chờ nhà thầu sửa lỗi"}
    consumer = people["consumer_officer"]
    for name, status in (("consumer_signer", 302), ("provider_officer", 302), ("operator", 302)):
        answer = people[name].post(door, typed)
        assert (answer.status_code, answer.wsgi_request.refused.status) == (status, 403), name
    assert as_person(world.stranger).post(door, typed).status_code == 404
    assert consumer.post(door, {**typed, "reason": " "}).status_code == 302
    assert consumer.post(door, {**typed, "version": ""}).status_code == 409
    assert agreement.clocks.get().extended_at is None
    assert consumer.post(door, typed).status_code == 302
    due = agreement.clocks.get().due_at
    assert due > clock.due_at
    shown = {name: client.get(page_of(agreement)).content.decode() for name, client in people.items()}
    for name, page in shown.items():
        assert door not in page, name
        assert timezone.localtime(due).strftime("%H:%M %d/%m/%Y") in page, name
        assert "Gia hạn thử nghiệm một hệ thống" in page, name
        assert "Chờ nhà thầu sửa lỗi" in page, name
    again = consumer.post(door, typed)
    assert again.status_code == 409
    assert str(world.consumer_officer) in again.content.decode()
    assert agreement.clocks.get().due_at == due


def test_the_time_of_another_step_is_not_extended(special, as_person):
    clock = agreements.negotiating(special).clocks.get()
    door = reverse("portal:test-extend", args=[clock.uuid])
    assert as_person(special.consumer_officer).post(door, {"version": 1, "reason": "x"}).status_code == 404


def test_what_a_change_widened_gets_its_own_test_record(world, as_person):
    agreement = agreements.accepted(world)
    consumer, form = as_person(world.consumer_officer), reverse("portal:acceptance-new", args=[agreement.uuid])
    assert form not in consumer.get(page_of(agreement)).content.decode()
    request = start_change(agreement, by=world.consumer_officer)
    save_draft(request, by=world.consumer_officer, scope={world.operation: world.fields(5)})
    sign_request(request, by=world.consumer_signer)
    submit_request(request, by=world.consumer_officer)
    forward_request(request, by=world.operator)
    approve_request(request, by=world.provider_officer)
    assert form in consumer.get(page_of(agreement)).content.decode()
    day = timezone.localdate().strftime("%d/%m/%Y")
    post(consumer, "portal:acceptance-new", agreement, system=world.system.code, tested_on=day, summary="10 lượt gọi, đúng.")
    assert AcceptanceRecord.objects.filter(for_version=agreement.current_version).exists()


def test_the_secret_is_shown_once_and_kept_nowhere(world, agreement, as_person):
    credential = Credential.objects.get()
    consumer = as_person(world.consumer_officer)
    url = reverse("portal:credential", args=[credential.uuid])
    assert 'id="secret"' not in consumer.get(url).content.decode()
    response = post(consumer, "portal:credential-step", credential, "claim")
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    secret = response.content.decode().split('id="secret" tabindex="0">')[1].split("<")[0]
    credential.refresh_from_db()
    assert secret_matches(secret, credential.secret_hash)
    assert secret not in consumer.get(url).content.decode()
    assert post(consumer, "portal:credential-step", credential, "claim").status_code == 409


def test_only_the_systems_own_agency_collects(world, agreement, as_person):
    credential = Credential.objects.get()
    for user, status in ((world.stranger, 404), (world.provider_officer, 404), (world.operator, 302)):
        assert post(as_person(user), "portal:credential-step", credential, "claim").status_code == status
    credential.refresh_from_db()
    assert credential.status == CredentialStatus.UNCLAIMED


def test_no_secret_is_made_by_reading(world, agreement, as_person):
    credential = Credential.objects.get()
    assert (
        as_person(world.consumer_officer).get(reverse("portal:credential-step", args=[credential.uuid, "claim"])).status_code
        == 405
    )


def test_rotating_and_revoking(world, agreement, as_person):
    credential, _secret = agreements.collected(world, Environment.TEST)
    consumer = as_person(world.consumer_officer)
    response = post(consumer, "portal:credential-step", credential, "rotate")
    new = Credential.objects.get(status=CredentialStatus.UNCLAIMED)
    assert response["Location"] == reverse("portal:credential", args=[new.uuid])
    post(consumer, "portal:credential-step", credential, "revoke", reason="")
    credential.refresh_from_db()
    assert credential.status == CredentialStatus.ACTIVE, "a reason is needed"
    post(consumer, "portal:credential-step", credential, "revoke", reason="Lộ mã bí mật")
    credential.refresh_from_db()
    assert credential.status == CredentialStatus.REVOKED


def test_special_sharing_is_agreed_on_and_signed_by_both_sides(special, as_person):
    agreement = agreements.negotiating(special)
    shown = agreement.current_version.content_hash
    assert (
        post(
            as_person(special.consumer_officer), "portal:agreement-step", agreement, "agree", content_hash="0" * 64
        ).status_code
        == 409
    )
    post(as_person(special.consumer_officer), "portal:agreement-step", agreement, "agree", content_hash=shown)
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.AWAITING_SIGNATURES
    for signer in (special.consumer_signer, special.provider_signer):
        assert (
            reverse("portal:agreement-sign", args=[agreement.uuid])
            in as_person(signer).get(page_of(agreement)).content.decode()
        )
        post(as_person(signer), "portal:agreement-sign", agreement, password="sai", content_hash=shown)
        assert not agreement.current_version.signatures.filter(signer=signer).exists()
        post(as_person(signer), "portal:agreement-sign", agreement, password=PASSWORD, content_hash=shown)
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.IN_FORCE


def test_the_terms_are_signed_by_their_signer(world, as_person):
    regulation = UsageRegulationFactory(organization=world.provider)
    url = reverse("portal:terms", args=[regulation.uuid])
    assert as_person(world.stranger).get(url).status_code == 404
    signer = as_person(world.provider_signer)
    assert regulation.number in signer.get(reverse("home")).content.decode()
    signer.post(reverse("portal:terms-sign", args=[regulation.uuid]), {"password": PASSWORD, "version": regulation.version})
    regulation.refresh_from_db()
    assert regulation.is_signed
    assert regulation.terms_signed_by == world.provider_signer


def test_a_bigger_agreement_takes_no_more_queries(world, agreement, as_person, django_assert_max_num_queries):
    client = as_person(officer("auditor"))
    client.get(page_of(agreement))
    with django_assert_max_num_queries(70) as one:
        client.get(page_of(agreement))
    for _n in range(4):
        agreements.agreement_in_force(world, systems=[InformationSystemFactory(organization=world.consumer)])
    with django_assert_max_num_queries(len(one.captured_queries)):
        client.get(page_of(agreement))
    with django_assert_max_num_queries(30) as listed:
        client.get(reverse("portal:agreements"))
    assert Agreement.objects.count() == 5
    agreements.agreement_in_force(world, systems=[InformationSystemFactory(organization=world.consumer)])
    with django_assert_max_num_queries(len(listed.captured_queries)):
        client.get(reverse("portal:agreements"))
