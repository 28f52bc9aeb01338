"""The pages of requests: who finds what, and forms that do what the verbs do."""

from __future__ import annotations

import datetime
import uuid

import pytest
from django.urls import reverse

from apps.agreements.models import Agreement
from apps.audit.models import AuditEvent
from apps.connections.actions import save_draft
from apps.connections.actions.request import PLAIN
from apps.connections.choices import RequestStatus
from apps.connections.completeness import missing
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest
from apps.legal.models import RefusalGround
from apps.portal.panel import REMARKABLE
from apps.registry.choices import SharingForm
from tests.factories import connections
from tests.factories.accounts import PASSWORD
from tests.factories.organizations import InformationSystemFactory

STEPS = ("submit", "sign", "forward", "return", "refuse", "withdraw", "approve")


def case_url(request) -> str:
    return reverse("portal:request", args=[request.uuid])


def step(client, request, verb: str, **data):
    request.refresh_from_db()
    data = {"version": request.version, "back": case_url(request), **data}
    return client.post(reverse("portal:request-step", args=[request.uuid, verb]), data)


def told(response) -> str:
    """What the page says after a step, with the redirect followed."""
    return response.wsgi_request and response.client.get(response["Location"]).content.decode()


@pytest.mark.parametrize("status", [*connections.IN_STATE])
def test_a_case_opens_for_its_consumer_and_not_for_a_stranger(world, as_person, status):
    request = connections.IN_STATE[status](world)
    assert as_person(world.consumer_officer).get(case_url(request)).status_code == 200
    assert as_person(world.stranger).get(case_url(request)).status_code == 404


def test_the_provider_finds_a_case_once_it_was_forwarded(world, as_person):
    request = connections.submitted(world)
    provider = as_person(world.provider_officer)
    assert provider.get(case_url(request)).status_code == 404
    step(as_person(world.operator), request, "forward")
    assert provider.get(case_url(request)).status_code == 200


@pytest.mark.parametrize("verb", STEPS)
def test_no_step_is_taken_by_reading(world, as_person, verb):
    request = connections.submitted(world)
    assert as_person(world.operator).get(reverse("portal:request-step", args=[request.uuid, verb])).status_code == 405


@pytest.mark.parametrize("verb", STEPS)
def test_a_stranger_takes_no_step_and_learns_nothing(world, as_person, verb):
    request = connections.forwarded(world)
    before = request.version
    assert step(as_person(world.stranger), request, verb).status_code == 404
    request.refresh_from_db()
    assert request.version == before


def test_a_step_needs_the_forms_token(world, as_person):
    client = as_person(world.operator)
    client.handler.enforce_csrf_checks = True
    request = connections.submitted(world)
    assert step(client, request, "forward").status_code == 403
    request.refresh_from_db()
    assert request.status == RequestStatus.CHECKING


def test_an_unknown_step_is_not_found(world, as_person):
    request = connections.submitted(world)
    assert step(as_person(world.operator), request, "lapse").status_code == 404


def test_buttons_are_those_of_the_lifecycle_table(world, as_person):
    request = connections.forwarded(world)
    provider = as_person(world.provider_officer).get(case_url(request)).content.decode()
    consumer = as_person(world.consumer_officer).get(case_url(request)).content.decode()
    for verb, for_provider, for_consumer in [
        ("approve", 1, 0),
        ("refuse", 1, 0),
        ("return", 1, 0),
        ("withdraw", 0, 1),
        ("forward", 0, 0),
    ]:
        address = reverse("portal:request-step", args=[request.uuid, verb])
        assert (address in provider, address in consumer) == (bool(for_provider), bool(for_consumer)), verb


def test_signing_asks_for_the_password_and_for_the_content_that_was_shown(world, as_person):
    request = connections.complete_draft(world)
    signer = as_person(world.consumer_signer)
    step(signer, request, "sign", password="sai mat khau", content_hash=request_hash(request))
    assert not request.signatures.exists()
    assert step(signer, request, "sign", password=PASSWORD, content_hash="0" * 64).status_code == 409
    assert not request.signatures.exists()
    step(signer, request, "sign", password=PASSWORD, content_hash=request_hash(request))
    assert request.signatures.get().signer == world.consumer_signer


def test_who_filed_is_not_offered_to_sign(world, as_person):
    world.consumer_officer.memberships.create(organization=world.consumer, role="signer")
    request = connections.complete_draft(world)
    page = as_person(world.consumer_officer).get(case_url(request)).content.decode()
    assert reverse("portal:request-step", args=[request.uuid, "sign"]) not in page


@pytest.mark.parametrize("form", SharingForm.values)
def test_the_signer_is_offered_to_sign_only_where_the_request_itself_is_signed(db, as_person, form):
    """Of special sharing the agreement is signed (NĐ 47/2020 Điều 36): a signature here would count for nothing."""
    w = connections.world(sharing_form=form)
    request = connections.complete_draft(w, special_reason="Dịch vụ mặc định không đủ." if form == SharingForm.SPECIAL else "")
    connections.considered(request, w)
    assert not missing(request, signatures=False)
    page = as_person(w.consumer_signer).get(case_url(request)).content.decode()
    assert (reverse("portal:request-step", args=[request.uuid, "sign"]) in page) is (form == SharingForm.DEFAULT)


def test_submitting_an_incomplete_request_says_what_is_missing_and_changes_nothing(world, as_person):
    request = connections.complete_draft(world, legal_basis="")
    response = step(as_person(world.consumer_officer), request, "submit")
    assert response.status_code == 302
    request.refresh_from_db()
    assert request.status == RequestStatus.DRAFT
    assert "Hãy điền" in response.client.get(response["Location"]).content.decode()


def test_a_return_needs_a_remark_and_shows_it_beside_its_field(world, as_person):
    request = connections.submitted(world)
    operator = as_person(world.operator)
    step(operator, request, "return")
    request.refresh_from_db()
    assert request.status == RequestStatus.CHECKING
    step(operator, request, "return", **{"return-on_legal_basis": "Nêu rõ điều khoản."})
    request.refresh_from_db()
    assert request.status == RequestStatus.RETURNED
    page = as_person(world.consumer_officer).get(case_url(request)).content.decode()
    assert "Nêu rõ điều khoản." in page


def test_every_part_that_can_be_mended_can_be_named_in_a_return(world, as_person):
    """A wrong scan, a network, the last day: what is missing is said beside it, not in a note about something else."""
    missing = {*PLAIN, "systems", "scope", "signatures", "attachments"} - {"method"} - set(REMARKABLE)
    assert not missing
    request = connections.submitted(world)
    step(as_person(world.operator), request, "return", **{"return-on_attachments": "Bản quét thiếu trang 2."})
    shown = as_person(world.consumer_officer).get(reverse("portal:request-edit", args=[request.uuid, "check"])).content.decode()
    assert "Bản quét thiếu trang 2." in shown


def test_a_refusal_needs_ground_reason_and_provision(world, as_person):
    request = connections.forwarded(world)
    provider = as_person(world.provider_officer)
    step(provider, request, "refuse", **{"refuse-ground": "R3", "refuse-reason": "", "refuse-citation": ""})
    request.refresh_from_db()
    assert request.status == RequestStatus.AWAITING_PROVIDER
    given = {"refuse-ground": "R3", "refuse-reason": "Không thuộc chức năng.", "refuse-citation": "NĐ 47/2020 Điều 52"}
    step(provider, request, "refuse", **given)
    request.refresh_from_db()
    assert request.status == RequestStatus.REFUSED
    assert request.refusal_ground == RefusalGround.objects.get(code="R3")


def test_approving_leads_to_the_agreement_it_made(world, as_person):
    request = connections.forwarded(world)
    response = step(as_person(world.provider_officer), request, "approve", **{"approve-comment": "Đồng ý."})
    agreement = Agreement.objects.get()
    assert response["Location"] == reverse("portal:agreement", args=[agreement.uuid])


def test_a_stale_page_gets_409_and_the_way_back(world, as_person):
    request = connections.submitted(world)
    response = step(as_person(world.operator), request, "forward", version=request.version - 1)
    assert response.status_code == 409
    assert case_url(request) in response.content.decode()
    request.refresh_from_db()
    assert request.status == RequestStatus.CHECKING


def test_the_second_click_gets_409_not_a_second_step(world, as_person):
    request = connections.submitted(world)
    operator = as_person(world.operator)
    version = request.version
    assert step(operator, request, "forward", version=version).status_code == 302
    assert step(operator, request, "forward", version=version).status_code == 409
    assert AuditEvent.objects.filter(event="request.forwarded", object_ref=str(request.uuid), outcome="done").count() == 1


def test_a_second_approval_is_told_what_the_first_one_did_not_that_the_role_is_wrong(world, as_person):
    """Two tabs, or the back button: both were opened while the case awaited the decision."""
    request = connections.forwarded(world)
    officer, version = as_person(world.provider_officer), request.version
    assert step(officer, request, "approve", version=version).status_code == 302
    for verb in ("approve", "refuse"):
        again = step(officer, request, verb, version=version, **{"refuse-ground": RefusalGround.objects.first().code,
                     "refuse-reason": "x", "refuse-citation": "x"})  # fmt: skip
        assert again.status_code == 409, verb
        assert str(world.provider_officer) in again.content.decode()
    assert Agreement.objects.count() == 1


def test_a_wrong_password_is_no_matter_of_the_role(world, as_person):
    request = connections.complete_draft(world)
    signer = as_person(world.consumer_signer)
    step(signer, request, "sign", password="sai mat khau", content_hash=request_hash(request))
    said = signer.get(case_url(request)).content.decode()
    assert "Mật khẩu không đúng" in said
    assert "Vai trò của bạn" not in said


def test_the_way_back_never_leads_to_another_host(world, as_person):
    request = connections.complete_draft(world, legal_basis="")
    response = step(as_person(world.consumer_officer), request, "submit", back="https://evil.example/")
    assert response["Location"] == reverse("home")


def test_saving_a_draft_many_times_is_one_line_of_its_history(world, as_person):
    request = connections.complete_draft(world)
    for title in ("Một", "Hai", "Ba"):
        save_draft(request, by=world.consumer_officer, title=title)
    shown = as_person(world.consumer_officer).get(case_url(request)).content.decode()
    assert shown.count("Sửa bản nháp") == 1
    assert "× 3" in shown
    assert AuditEvent.objects.filter(event="request.edited", object_ref=str(request.uuid)).count() == 3


# --- the list -----------------------------------------------------------------------------------


def test_the_list_shows_only_what_is_visible(world, as_person):
    request = connections.submitted(world)
    url = reverse("portal:requests")
    assert request.number in as_person(world.consumer_officer).get(url).content.decode()
    assert request.number not in as_person(world.stranger).get(url).content.decode()


def test_the_most_urgent_first_are_those_in_process(world, as_person):
    decided, waiting = connections.refused(world), connections.submitted(world)
    type(decided).objects.filter(pk=decided.pk).update(due_at=waiting.due_at - datetime.timedelta(days=400))
    browser = as_person(world.operator)
    shown = browser.get(reverse("portal:requests"), {"order": "due"})
    assert [row.pk for row in shown.context["page"]] == [waiting.pk]
    assert '<option value="open" selected>' in shown.content.decode(), "and the page says so"
    shown = browser.get(reverse("portal:requests"), {"order": "due", "status": "refused"})
    assert [row.pk for row in shown.context["page"]] == [decided.pk]


def test_search_needs_no_tones(world, as_person):
    request = connections.submitted(world)
    world.consumer.name = "Sở Công Thương tỉnh Đồng Nai"
    world.consumer.save()
    client = as_person(world.operator)
    assert request.number in client.get(reverse("portal:requests"), {"q": "cong thuong dong nai"}).content.decode()
    assert request.number not in client.get(reverse("portal:requests"), {"q": "giao duc"}).content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [({"status": "checking"}, True), ({"status": "refused"}, False), ({"due": "open"}, True), ({"due": "late"}, False),
     ({"status": "'; drop"}, True), ({"page": "99999"}, True), ({"page": "x"}, True), ({"order": "password"}, True),
     ({"q": "\x00%_\\"}, True), ({"provider": "\x00"}, True), ({"provider": "H99.99"}, False)],
)  # fmt: skip
def test_filters_are_allow_listed(world, as_person, query, found):
    request = connections.submitted(world)
    response = as_person(world.operator).get(reverse("portal:requests"), query)
    assert response.status_code == 200
    assert (request.number in response.content.decode()) is found


def test_a_longer_list_takes_no_more_queries(world, as_person, django_assert_max_num_queries):
    client = as_person(world.operator)
    connections.submitted(world)
    url = reverse("portal:requests")
    client.get(url)
    with django_assert_max_num_queries(40) as few:
        client.get(url)
    for _n in range(4):
        connections.submitted(world)
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get(url)


# --- filing -------------------------------------------------------------------------------------


def edit(request, key: str) -> str:
    return reverse("portal:request-edit", args=[request.uuid, key])


def test_filing_in_four_steps(world, as_person):
    client = as_person(world.consumer_officer)
    new = reverse("portal:request-new")
    assert client.get(new, {"service": world.service.code}).status_code == 200
    assert not ConnectionRequest.objects.exists(), "opening the page makes no draft"
    who = {"consumer": world.consumer.pk, "title": "Tra cứu", "systems": [world.system.pk], "uuid": str(uuid.uuid4()),
           "service": world.service.code, "go": "next"}  # fmt: skip
    response = client.post(new, who)
    request = ConnectionRequest.objects.get()
    assert response["Location"] == f"{edit(request, 'data')}?service={world.service.code}"
    assert world.service.name in client.get(response["Location"]).content.decode()

    ticks = [f"{world.operation.uuid}|{path}" for path in world.fields()]
    response = client.post(edit(request, "data"), {"version": request.version, "field": ticks, "go": "next"})
    assert response["Location"] == edit(request, "why")
    assert sorted(request.requested_operations.get().fields.values_list("path", flat=True)) == sorted(world.fields())

    request.refresh_from_db()
    why = {"version": request.version, "purpose": world.purpose.pk, "purpose_text": "Kiểm tra.", "solution": "Hiển thị.",
           "legal_basis": "NĐ 47/2020/NĐ-CP", "procedures": "1.001612\n2.001610", "calls_per_day": "500",
           "wanted_from": "05/12/2026", "technician": "An", "go": "next"}  # fmt: skip
    response = client.post(edit(request, "why"), why)
    assert response["Location"] == edit(request, "check")
    request.refresh_from_db()
    assert request.procedures == ["1.001612", "2.001610"]
    assert (request.wanted_from.day, request.wanted_from.month) == (5, 12), "day/month/year"

    page = client.get(edit(request, "check")).content.decode()
    assert "chưa ký nội dung này" in page
    assert reverse("portal:request-step", args=[request.uuid, "submit"]) not in page


def test_the_same_form_sent_twice_makes_one_draft(world, as_person):
    client = as_person(world.consumer_officer)
    who = {"consumer": world.consumer.pk, "title": "Tra cứu", "systems": [world.system.pk], "uuid": str(uuid.uuid4())}
    client.post(reverse("portal:request-new"), who)
    client.post(reverse("portal:request-new"), who)
    assert ConnectionRequest.objects.count() == 1


def test_nobody_files_for_another_agency(world, as_person):
    client = as_person(world.stranger)
    who = {"consumer": world.consumer.pk, "title": "x", "systems": [], "uuid": str(uuid.uuid4())}
    assert client.post(reverse("portal:request-new"), who).status_code == 400
    assert not ConnectionRequest.objects.exists()


def test_nobody_names_another_agencys_system(world, as_person):
    client = as_person(world.consumer_officer)
    foreign = InformationSystemFactory()
    who = {"consumer": world.consumer.pk, "title": "x", "systems": [foreign.pk], "uuid": str(uuid.uuid4())}
    assert client.post(reverse("portal:request-new"), who).status_code == 400
    assert not ConnectionRequest.objects.exists()


def test_who_is_no_consumer_officer_files_nothing(world, as_person):
    for user in (world.provider_officer, world.consumer_signer, world.operator):
        assert as_person(user).get(reverse("portal:request-new")).status_code == 403


def test_nobody_else_edits_a_draft(world, as_person):
    request = connections.complete_draft(world)
    assert as_person(world.stranger).get(edit(request, "why")).status_code == 404
    assert as_person(world.consumer_signer).get(edit(request, "why")).status_code == 403


def test_a_field_outside_the_service_is_refused_with_a_word(world, as_person):
    request = connections.complete_draft(world)
    before = sorted(request.requested_operations.get().fields.values_list("path", flat=True))
    client = as_person(world.consumer_officer)
    for tick in (f"{world.operation.uuid}|Data.PASSWORD", f"{uuid.uuid4()}|Data", "khong-phai|x", "|"):
        response = client.post(edit(request, "data"), {"version": request.version, "field": [tick]})
        assert response.status_code == 302, tick
        assert response["Location"] == edit(request, "data")
        assert "msg--error" in client.get(response["Location"]).content.decode()
    assert sorted(request.requested_operations.get().fields.values_list("path", flat=True)) == before


@pytest.mark.parametrize(
    "wrong", [{"wanted_from": "31/02/2026"}, {"wanted_from": "12/31/2026"}, {"calls_per_day": "-1"}, {"calls_per_day": "x"},
              {"purpose": "999999"}, {"calls_per_day": "0"}, {"calls_per_day": "99999999999"}, {"procedures": "1" * 61},
              {"source_networks": "10.0.0.0/99"}, {"wanted_from": "02/01/2027", "wanted_to": "01/01/2027"}, {"note": "x" * 10_001}]
)  # fmt: skip
def test_wrong_input_is_shown_again_with_its_error(world, as_person, wrong):
    request = connections.complete_draft(world)
    typed = {"version": request.version, "legal_basis": "Điều khoản vừa gõ, chưa lưu", **wrong}
    response = as_person(world.consumer_officer).post(edit(request, "why"), typed)
    assert response.status_code == 400
    assert 'class="error"' in response.content.decode()
    assert "Điều khoản vừa gõ, chưa lưu" in response.content.decode(), "nothing has to be typed twice"
    assert "does not appear to be" not in response.content.decode()
    version = request.version
    request.refresh_from_db()
    assert request.version == version


def test_sensitive_fields_are_not_chosen_beforehand(world, as_person):
    client = as_person(world.consumer_officer)
    request = connections.complete_draft(world, scope={})
    page = client.get(edit(request, "data"), {"service": world.service.code}).content.decode()
    assert 'data-class="none"' in page
    assert "checked" not in page.split("data-count-group", 1)[1]


def test_a_submitted_request_is_not_edited_any_more(world, as_person):
    request = connections.submitted(world)
    response = as_person(world.consumer_officer).get(edit(request, "why"))
    assert response["Location"] == case_url(request)


def test_what_people_typed_is_never_markup(world, as_person):
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    request = connections.complete_draft(
        world, title=attack, purpose_text=attack, legal_basis=attack, solution=attack, note=attack
    )
    for url in (case_url(request), edit(request, "check"), edit(request, "why"), reverse("portal:requests"), reverse("home")):
        page = as_person(world.consumer_officer).get(url).content.decode()
        assert "<script>alert" not in page, url
        assert "<img src=x" not in page, url
