"""The door of requests: who sees which, what the body may hold, how it answers."""

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.agreements.models import Agreement
from apps.connections.actions import forward_request, sign_request, submit_request
from apps.connections.choices import RequestStatus
from apps.connections.content import request_hash
from apps.connections.models import Attachment, ConnectionRequest
from apps.organizations.choices import Role
from tests.factories.accounts import PASSWORD
from tests.factories.connections import complete_draft, forwarded, refused, returned, signed_draft, submitted, world
from tests.factories.organizations import InformationSystemFactory, officer

LIST = "/api/v1/requests"


def browser(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def post(user, address: str, body: dict | None = None, **headers):
    return browser(user).post(address, body or {}, content_type="application/json", headers=headers)


def body_of(w, **changes) -> dict:
    plain = {name: value for name, value in w.content().items() if name not in ("systems", "scope", "purpose", "wanted_to")}
    return {
        **plain, "consumer": w.consumer.code, "systems": [w.system.code], "purpose": w.purpose.code, "wanted_to": "2030-12-31",
        "scope": [{"operation": str(w.operation.uuid), "fields": w.fields()}], **changes,
    }  # fmt: skip


def test_the_whole_way_by_api(w):
    made = post(w.consumer_officer, LIST, body_of(w))
    assert made.status_code == 201, made.content
    row = made.json()
    here = f"{LIST}/{row['uuid']}"
    assert [gap["field"] for gap in row["missing"]] == ["signatures"]
    assert [step["verb"] for step in row["available_actions"]] == ["submit", "withdraw"]
    assert (
        post(w.consumer_signer, f"{here}/sign", {"content_hash": row["content_hash"], "password": PASSWORD}).status_code == 200
    )
    sent = post(w.consumer_officer, f"{here}/submit", {"version": row["version"]})
    assert sent.json()["status"] == RequestStatus.CHECKING
    assert sent.json()["due_at"]
    assert sent.json()["deadline_citation"]
    assert post(w.operator, f"{here}/forward").json()["status"] == RequestStatus.AWAITING_PROVIDER
    approved = post(w.provider_officer, f"{here}/approve", {"comment": "Đồng ý."}).json()
    assert approved["status"] == RequestStatus.APPROVED
    assert approved["number"] == Agreement.objects.get(uuid=approved["agreement"]).number


def test_who_signs_proves_again_who_they_are(w):
    request = complete_draft(w)
    body = {"content_hash": request_hash(request)}
    here = f"{LIST}/{request.uuid}/sign"
    assert post(w.consumer_signer, here, body).status_code == 400
    wrong = post(w.consumer_signer, here, {**body, "password": "sai"})
    assert (wrong.status_code, wrong.json()["code"]) == (403, "not_proven")
    assert not request.signatures.exists()
    assert post(w.consumer_signer, here, {**body, "password": PASSWORD}).status_code == 200
    assert request.signatures.count() == 1


def test_cc_05_the_same_key_twice_is_one_request(w):
    key = str(uuid.uuid4())
    answers = [post(w.consumer_officer, LIST, body_of(w), **{"Idempotency-Key": key}) for _turn in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["uuid"] for answer in answers} == {key}
    assert ConnectionRequest.objects.count() == 1


def test_a_key_that_is_no_uuid_is_refused(w):
    assert post(w.consumer_officer, LIST, body_of(w), **{"Idempotency-Key": "1"}).json()["code"] == "idempotency_key"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"systems": ["khong-co"]}, "unknown_system"),
        ({"scope": [{"operation": "00000000-0000-4000-8000-000000000000", "fields": []}]}, "unknown_operation"),
        ({"purpose": "khong-co"}, "invalid"), ({"wanted_to": "31/02/2027"}, "invalid"), ({"calls_per_day": 0}, "invalid"),
        ({"calls_per_day": 10**23}, "invalid"), ({"scope": {"operation": 1}}, "invalid"), ({"systems": "mot-cua"}, "invalid"),
        ({"source_networks": ["10.0.0.999"]}, "invalid"), ({"consumer": "H99.99"}, "unknown_organization"),
        ({"title": "x" * 301}, "invalid"), ({"title": "a\u0000b"}, "invalid"), ({"method": "copy"}, "invalid"),
    ],
    ids=str,
)  # fmt: skip
def test_bad_input_is_a_clear_problem_and_writes_nothing(w, change, code):
    answer = post(w.consumer_officer, LIST, body_of(w, **change))
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert code == "invalid" or " " in answer.json()["detail"], "a sentence, not only the value"
    assert not ConnectionRequest.objects.exists()


def test_nothing_signed_reads_otherwise_than_it_is_stored(w):
    answer = post(w.consumer_officer, LIST, body_of(w, title="Tra \u202eức", legal_basis="a\u2066b", procedures=["1.0\u200f"]))
    assert (answer.json()["title"], answer.json()["legal_basis"], answer.json()["procedures"]) == ("Tra ức", "ab", ["1.0"])


def test_a_foreign_system_is_answered_like_an_unknown_one(w):
    foreign = InformationSystemFactory()
    answers = [post(w.consumer_officer, LIST, body_of(w, systems=[code])).json() for code in (foreign.code, "khong-co")]
    assert {answer["code"] for answer in answers} == {"unknown_system"}
    assert foreign.name not in str(answers)


def test_az_05_fields_that_are_not_content_change_nothing(w):
    answer = post(
        w.consumer_officer, LIST,
        body_of(w, status="approved", number="YC-1", created_by=1, submitted_by=1, due_at="2030-01-01", kind="change", version=9),
    ).json()  # fmt: skip
    assert (answer["status"], answer["version"], answer["due_at"], answer["kind"]) == ("draft", 1, None, "new")
    assert answer["number"] != "YC-1"


def test_cc_03_a_stale_version_is_a_conflict(w):
    request = complete_draft(w)
    client = browser(w.consumer_officer)
    here = f"{LIST}/{request.uuid}"
    first = client.patch(here, {"title": "Một", "version": 1}, content_type="application/json")
    second = client.patch(here, {"title": "Hai", "version": 1}, content_type="application/json")
    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json()["code"] == "stale_version"


def test_returning_and_refusing_by_api(w):
    request = submitted(w)
    here = f"{LIST}/{request.uuid}"
    answer = post(w.operator, f"{here}/return", {"remarks": [{"field": "note", "text": "Thiếu công văn"}]}).json()
    assert (answer["status"], answer["remarks"][0]["text"]) == ("returned", "Thiếu công văn")
    other = forwarded(w)
    refusal = {"ground": "R3", "reason": "Không thuộc chức năng", "citation": "Điều 52"}
    assert post(w.provider_officer, f"{LIST}/{other.uuid}/refuse", refusal).json()["refusal_ground"] == "R3"
    assert post(w.provider_officer, f"{LIST}/{forwarded(w).uuid}/refuse", {**refusal, "ground": "R9"}).status_code == 400


def test_withdrawing_by_api(w):
    assert post(w.consumer_officer, f"{LIST}/{forwarded(w).uuid}/withdraw").json()["status"] == "withdrawn"


VERBS = ["sign", "submit", "return", "forward", "refuse", "withdraw", "approve"]


@pytest.mark.parametrize("verb", VERBS)
def test_az_04_a_stranger_finds_no_such_request(w, verb):
    request = forwarded(w)
    assert post(w.stranger, f"{LIST}/{request.uuid}/{verb}").status_code == 404
    assert browser(w.stranger).get(f"{LIST}/{request.uuid}").status_code == 404
    assert browser(w.stranger).get(LIST).json()["count"] == 0


@pytest.mark.parametrize("verb", VERBS)
def test_nobody_without_login_gets_in(w, verb):
    answer = Client().post(f"{LIST}/{forwarded(w).uuid}/{verb}", {}, content_type="application/json")
    assert answer.status_code in (401, 403)
    assert Client().get(LIST).status_code in (401, 403)


def test_a_provider_sees_a_case_only_once_it_was_forwarded(w):
    request = submitted(w)
    provider = browser(w.provider_officer)
    assert provider.get(f"{LIST}/{request.uuid}").status_code == 404
    assert browser(w.operator).get(f"{LIST}/{request.uuid}").status_code == 200
    post(w.operator, f"{LIST}/{request.uuid}/forward")
    assert provider.get(f"{LIST}/{request.uuid}").status_code == 200


def test_the_operator_does_not_read_drafts(w):
    assert browser(w.operator).get(f"{LIST}/{complete_draft(w).uuid}").status_code == 404


def test_a_wrong_role_of_a_party_is_told_so(w):
    request = forwarded(w)
    answer = post(w.consumer_officer, f"{LIST}/{request.uuid}/approve")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 3), ("?status=draft", 1), ("?status=draft&status=returned", 2), ("?kind=change", 0), ("?late=true", 0),
        ("?q=tra%20cứu", 3), ("?q=zzz", 0), ("?ordering=-due_at", 3), ("?page_size=1", 3),
    ],
)  # fmt: skip
def test_the_list_is_filtered_by_what_is_allowed(w, query, count):
    complete_draft(w)
    returned(w)
    refused(w)
    assert browser(w.consumer_officer).get(LIST + query).json()["count"] == count


@pytest.mark.parametrize("query", ["?status=x", "?kind=x", "?ordering=consumer__name"])
def test_az_07_an_unknown_choice_or_order_is_400(w, query):
    assert browser(w.consumer_officer).get(LIST + query).status_code == 400


def test_the_list_costs_the_same_for_one_row_and_for_twenty(w, django_assert_max_num_queries):
    client = browser(w.operator)
    submitted(w)
    with django_assert_max_num_queries(8) as one:
        client.get(LIST)
    for _turn in range(9):
        request = complete_draft(w)
        ConnectionRequest.objects.filter(pk=request.pk).update(status="checking")
    with django_assert_max_num_queries(len(one)):
        assert client.get(LIST).json()["count"] == 10


def test_two_pages_hold_every_row_once(w):
    for _turn in range(5):
        complete_draft(w)
    client = browser(w.consumer_officer)
    pages = [client.get(f"{LIST}?page_size=2&page={page}").json()["results"] for page in (1, 2, 3)]
    numbers = [row["number"] for page in pages for row in page]
    assert len(numbers) == len(set(numbers)) == 5


def test_the_signature_in_the_answer_belongs_to_the_hash(w):
    request = signed_draft(w)
    row = browser(w.consumer_officer).get(f"{LIST}/{request.uuid}").json()
    assert row["signatures"][0]["content_hash"] == row["content_hash"] == request_hash(request)
    assert row["missing"] == []


def test_a_second_consumer_whose_system_is_named_sees_the_request(db):
    w = world()
    w.consumer_officer.memberships.create(organization=w.stranger.memberships.first().organization, role=Role.CONSUMER_OFFICER)
    third = officer(Role.CONSUMER_OFFICER)
    other = w.stranger.memberships.first().organization
    request = complete_draft(w, systems=[w.system, InformationSystemFactory(organization=other)])
    assert browser(w.stranger).get(f"{LIST}/{request.uuid}").status_code == 200
    assert browser(third).get(f"{LIST}/{request.uuid}").status_code == 404


# --- thread, files, paper -----------------------------------------------------------------------

PDF = b"%PDF-1.7\n%%EOF\n"


def upload(user, request, name="cv.pdf", data=PDF):
    return browser(user).post(f"{LIST}/{request.uuid}/attachments", {"file": SimpleUploadedFile(name, data)})


def test_a_file_goes_in_and_comes_out_as_a_download(w):
    request = complete_draft(w)
    made = upload(w.consumer_officer, request, "Công văn số 12.pdf")
    assert made.status_code == 201, made.content
    file = browser(w.consumer_officer).get(f"/api/v1/attachments/{made.json()['uuid']}")
    assert file.content == PDF
    assert file["Content-Disposition"].startswith("attachment;")
    assert (file["X-Content-Type-Options"], file["Content-Security-Policy"]) == ("nosniff", "default-src 'none'; sandbox")
    assert browser(w.stranger).get(f"/api/v1/attachments/{made.json()['uuid']}").status_code == 404
    assert browser(w.consumer_officer).delete(f"/api/v1/attachments/{made.json()['uuid']}").json()["removed_at"]


def test_a_file_that_was_taken_out_is_given_to_nobody(w):
    """The wrong file, another case's, was taken out before the request was sent: the provider neither reads nor counts it."""
    request = complete_draft(w)
    made = upload(w.consumer_officer, request).json()["uuid"]
    assert browser(w.consumer_officer).delete(f"/api/v1/attachments/{made}").status_code == 200
    request.refresh_from_db()
    sign_request(request, by=w.consumer_signer)
    forward_request(submit_request(request, by=w.consumer_officer), by=w.operator)
    for person in (w.consumer_officer, w.provider_officer, w.operator):
        assert browser(person).get(f"/api/v1/attachments/{made}").status_code == 404
        assert browser(person).get(f"{LIST}/{request.uuid}").json()["attachments"] == []
    assert Attachment.objects.get(uuid=made).removed_at


def test_a_disguised_file_is_refused_with_its_reason(w):
    answer = upload(w.consumer_officer, complete_draft(w), "anh.png", PDF)
    assert (answer.status_code, answer.json()["code"]) == (400, "file_not_what_it_says")


def test_the_thread_by_api_hides_internal_words(w):
    here = f"{LIST}/{forwarded(w).uuid}/comments"
    assert post(w.provider_officer, here, {"text": "Nội bộ", "is_internal": True}).status_code == 201
    assert post(w.provider_officer, here, {"text": "Chung"}).status_code == 201
    assert [row["text"] for row in browser(w.consumer_officer).get(here).json()] == ["Chung"]
    assert [row["text"] for row in browser(w.provider_officer).get(here).json()] == ["Nội bộ", "Chung"]
    assert browser(w.stranger).get(here).status_code == 404


def test_a_case_is_given_to_somebody_by_api(w):
    request = submitted(w)
    answer = post(w.operator, f"{LIST}/{request.uuid}/assign", {"handler": str(w.operator.uuid)})
    assert answer.status_code == 200
    request.refresh_from_db()
    assert request.handler == w.operator
    assert answer.json()["handler"] == str(w.operator)


def test_each_side_reads_its_own_handler_and_no_other(w):
    request = forwarded(w)
    for person in (w.operator, w.provider_officer):
        post(person, f"{LIST}/{request.uuid}/assign", {"handler": str(person.uuid)})

    def seen(person):
        row = browser(person).get(f"{LIST}/{request.uuid}").json()
        return row["handler"], row["decisions"][0]["handler"]

    assert seen(w.operator) == (str(w.operator), None)
    assert seen(w.provider_officer) == (None, str(w.provider_officer))
    assert seen(w.provider_signer) == (None, str(w.provider_officer))
    assert seen(w.consumer_officer) == (None, None)


def test_the_operator_enters_paper_by_api(w):
    body = body_of(w, received_on="2026-01-05", paper_signer="Trần Thị Ký")
    made = post(w.operator, f"{LIST}/paper", body)
    assert made.status_code == 201, made.content
    assert made.json()["channel"] == "paper"
    assert post(w.consumer_officer, f"{LIST}/paper", body).status_code == 403


def test_an_operation_is_named_once(w):
    """Of two rows of one operation the last one would count, unsaid."""
    rows = [{"operation": str(w.operation.uuid), "fields": [path]} for path in w.fields()[:2]]
    answer = post(w.consumer_officer, LIST, body_of(w, scope=rows))
    assert answer.status_code == 400
    assert "scope" in answer.json()["fields"]
    assert not ConnectionRequest.objects.exists()


def test_a_paper_shows_its_day_and_who_signed_it_in_the_api_and_its_clock_runs(w):
    body = body_of(w, received_on="2026-01-05", paper_signer="Trần Thị Ký")
    made = post(w.operator, f"{LIST}/paper", body).json()
    seen = browser(w.consumer_officer).get(f"{LIST}/{made['uuid']}").json()
    assert (seen["paper_received_on"], seen["paper_signer"]) == ("2026-01-05", "Trần Thị Ký")
    assert seen["due_at"].startswith("2026-01-07")
    late = browser(w.operator).get(f"{LIST}?late=true").json()["results"]
    assert [row["number"] for row in late] == [made["number"]]
    assert browser(w.stranger).get(f"{LIST}/{made['uuid']}").status_code == 404
