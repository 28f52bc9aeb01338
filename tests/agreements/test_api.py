"""The door of agreements, grants, accounts and test records."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.agreements.models import Agreement, Credential
from apps.agreements.secrets import secret_matches
from tests.factories.accounts import PASSWORD
from tests.factories.agreements import accepted, agreement_in_force, awaiting_signatures, collected, negotiating, recorded

API = "/api/v1"


def browser(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def post(user, address: str, body: dict | None = None):
    return browser(user).post(f"{API}{address}", body or {}, content_type="application/json")


def verbs(user, address: str) -> list[str]:
    return [step["verb"] for step in browser(user).get(f"{API}{address}").json()["available_actions"]]


def test_from_the_test_account_to_production_by_api(w):
    agreement = agreement_in_force(w)
    account = Credential.objects.get()
    claimed = post(w.consumer_officer, f"/credentials/{account.uuid}/claim")
    assert claimed["Cache-Control"] == "no-store"
    account.refresh_from_db()
    assert secret_matches(claimed.json()["client_secret"], account.secret_hash)
    test = {"system": w.system.code, "tested_on": timezone.localdate().isoformat(), "summary": "10 lượt gọi đạt."}
    record = post(w.consumer_officer, f"/agreements/{agreement.uuid}/acceptances", test)
    assert record.status_code == 201
    assert post(w.provider_officer, f"/acceptances/{record.json()['uuid']}/confirm").json()["status"] == "confirmed"
    detail = browser(w.consumer_officer).get(f"{API}/agreements/{agreement.uuid}").json()
    assert {grant["environment"] for grant in detail["grants"]} == {"test", "production"}
    assert detail["current_version"]["content_hash"] == agreement.current_version.content_hash
    assert detail["requests"] == [agreement.bases.get().request.number]


def test_special_sharing_by_api(special):
    agreement = negotiating(special)
    here = f"/agreements/{agreement.uuid}"
    assert verbs(special.consumer_officer, here) == ["agree", "decline"]
    proposal = {"changes": {"other_terms": "Báo cáo quý."}, "note": "Thêm báo cáo."}
    content_hash = post(special.consumer_officer, f"{here}/propose", proposal).json()["current_version"]["content_hash"]
    assert (
        post(special.provider_officer, f"{here}/agree", {"content_hash": content_hash}).json()["status"]
        == "awaiting_signatures"
    )
    body = {"content_hash": content_hash, "password": PASSWORD}
    assert post(special.provider_signer, f"{here}/sign", body).status_code == 200
    # The consumer's officer drafted this version, so only the signer of that side signs it.
    assert post(special.consumer_signer, f"{here}/sign", body).json()["status"] == "in_force"
    rows = browser(special.consumer_officer).get(f"{API}{here}/versions").json()
    assert [(row["number"], row["state"], len(row["signatures"])) for row in rows] == [(2, "current", 2), (1, "superseded", 0)]


def test_signing_needs_the_password_again_and_five_failures_close_the_door(special):
    agreement = awaiting_signatures(special)
    here = f"/agreements/{agreement.uuid}/sign"
    body = {"content_hash": agreement.current_version.content_hash, "password": "sai"}
    codes = [post(special.consumer_signer, here, body).json()["code"] for _turn in range(6)]
    assert codes == ["not_proven"] * 5 + ["too_many_attempts"]
    right = post(special.consumer_signer, here, {**body, "password": PASSWORD})
    assert right.json()["code"] == "too_many_attempts"
    assert not agreement.current_version.signatures.exists()


def test_reopening_and_declining_by_api(special):
    agreement = awaiting_signatures(special)
    here = f"/agreements/{agreement.uuid}"
    assert post(special.provider_officer, f"{here}/reopen", {"reason": "Sai thời hạn"}).json()["status"] == "negotiating"
    assert post(special.provider_officer, f"{here}/decline", {"reason": "Không thống nhất"}).json()["status"] == "declined"


def test_suspending_resuming_terminating_by_api(w):
    agreement = agreement_in_force(w)
    here = f"/agreements/{agreement.uuid}"
    reason = {"kind": "violation", "violation": "Quá mục đích", "plan": "Ngừng", "restore_conditions": "Báo cáo"}
    assert post(w.provider_officer, f"{here}/suspend", reason).json()["status"] == "suspended"
    assert post(w.provider_officer, f"{here}/resume").json()["status"] == "in_force"
    ended = post(w.consumer_officer, f"{here}/terminate", {"ground": "consumer", "reason": "Thôi dùng"}).json()
    assert ended["status"] == "ending"
    assert post(w.provider_officer, f"{here}/finish").json()["code"] == "duties_open"
    for duty in ended["duties"]:
        by = w.consumer_officer if duty["party"]["side"] == "consumer" else w.provider_officer
        here_too = f"{API}/duties/{duty['uuid']}"
        if duty["kind"] == "data_deleted":
            bare = post(by, f"/duties/{duty['uuid']}/complete", {"note": "Đã làm"})
            assert (bare.status_code, bare.json()["code"]) == (422, "certificate_missing")
            assert browser(by).get(f"{here_too}/certificate").status_code == 404
        paper = SimpleUploadedFile("xoa.pdf", b"%PDF-1.7")
        done = browser(by).post(f"{here_too}/complete", {"note": "Đã làm", "certificate": paper})
        assert (done.status_code, done.json()["certificate"]["name"]) == (200, "xoa.pdf")
        assert browser(w.stranger).get(f"{here_too}/certificate").status_code == 404
        given = browser(w.provider_officer).get(f"{here_too}/certificate")
        assert (given.content, given["X-Content-Type-Options"]) == (b"%PDF-1.7", "nosniff")
        assert given["Content-Disposition"].startswith("attachment")
        assert "sandbox" in given["Content-Security-Policy"]
    assert post(w.provider_officer, f"{here}/finish").json()["status"] == "terminated"


def test_a_grant_is_suspended_resumed_and_ended_by_api(w):
    here = f"/grants/{agreement_in_force(w).grants.get().uuid}"
    assert post(w.provider_officer, f"{here}/suspend", {"reason": "Bất thường"}).json()["status"] == "suspended"
    assert verbs(w.provider_officer, here) == ["resume", "end"]
    assert post(w.provider_officer, f"{here}/resume").json()["status"] == "active"
    assert post(w.consumer_officer, f"{here}/end", {"reason": "Thôi"}).json()["status"] == "ended"


def test_an_account_is_rotated_revoked_and_issued_anew_by_api(w):
    agreement_in_force(w)
    account, _secret = collected(w, "test")
    here = f"/credentials/{account.uuid}"
    assert post(w.consumer_officer, f"{here}/rotate").json()["status"] == "unclaimed"
    assert post(w.consumer_officer, f"{here}/revoke", {"reason": "Lộ"}).json()["status"] == "revoked"
    waiting = Credential.objects.get(status="unclaimed")
    post(w.consumer_officer, f"/credentials/{waiting.uuid}/revoke", {"reason": "Lộ"})
    new = post(w.operator, "/credentials", {"system": w.system.code, "environment": "test"})
    assert (new.status_code, new.json()["status"]) == (201, "unclaimed")


def test_no_answer_ever_holds_a_secret_or_its_hash(w):
    accepted(w)
    account, secret = collected(w)
    account.refresh_from_db()
    for user in (w.consumer_officer, w.operator):
        for address in ("/credentials", f"/credentials/{account.uuid}"):
            text = browser(user).get(f"{API}{address}").content.decode()
            assert secret not in text
            assert account.secret_hash not in text


def addresses(w) -> dict[str, list[str]]:
    agreement = accepted(w)
    return {
        f"/agreements/{agreement.uuid}": ["propose", "agree", "reopen", "decline", "sign", "suspend", "resume", "terminate", "finish",
                                          "acceptances", "extend-test"],
        f"/grants/{agreement.grants.first().uuid}": ["suspend", "resume", "end"],
        f"/acceptances/{agreement.acceptances.get().uuid}": ["confirm", "reject"],
        f"/credentials/{Credential.objects.first().uuid}": ["claim", "rotate", "revoke"],
    }  # fmt: skip


def test_az_04_a_stranger_finds_nothing_of_it(w):
    for address, steps in addresses(w).items():
        assert browser(w.stranger).get(f"{API}{address}").status_code == 404
        assert {post(w.stranger, f"{address}/{step}").status_code for step in steps} == {404}
    for rows in ("agreements", "grants", "acceptances", "credentials", "duties"):
        assert browser(w.stranger).get(f"{API}/{rows}").json()["count"] == 0
    assert post(w.stranger, "/credentials", {"system": w.system.code, "environment": "test"}).status_code == 404


def test_nobody_without_login_gets_in(w):
    for address, steps in addresses(w).items():
        assert Client().get(f"{API}{address}").status_code in (401, 403)
        for step in steps:
            assert Client().post(f"{API}{address}/{step}", {}, content_type="application/json").status_code in (401, 403)


def test_the_provider_does_not_see_the_consumers_account(w):
    accepted(w)
    assert browser(w.provider_officer).get(f"{API}/credentials").json()["count"] == 0


@pytest.mark.parametrize(
    ("address", "count"),
    [
        ("/agreements?status=in_force", 1), ("/agreements?status=expired", 0), ("/agreements?sharing_form=special", 0),
        ("/agreements?party={consumer}", 1), ("/agreements?party=H99", 0), ("/grants?environment=production", 1),
        ("/grants?status=ended", 0), ("/grants?system=khong-co", 0), ("/credentials?environment=test", 1),
        ("/acceptances?status=confirmed", 1), ("/acceptances?status=rejected", 0),
    ],
)  # fmt: skip
def test_the_lists_are_filtered_by_what_is_allowed(w, address, count):
    accepted(w)
    answer = browser(w.consumer_officer).get(API + address.format(consumer=w.consumer.code))
    assert answer.json()["count"] == count


@pytest.mark.parametrize("rows", ["agreements", "grants", "acceptances", "credentials"])
def test_the_lists_cost_the_same_for_one_row_and_for_several(w, rows, django_assert_max_num_queries):
    client = browser(w.consumer_officer)
    agreement = accepted(w)
    with django_assert_max_num_queries(9) as one:
        client.get(f"{API}/{rows}")
    for _turn in range(2):
        recorded(w, agreement_in_force(w))
    with django_assert_max_num_queries(len(one)):
        client.get(f"{API}/{rows}")
    assert Agreement.objects.count() == 3
    assert agreement


def test_change_renewal_and_announcement_by_api(w):
    here = f"/agreements/{agreement_in_force(w).uuid}"
    assert post(w.consumer_officer, f"{here}/change").json()["kind"] == "change"
    assert post(w.consumer_officer, f"{here}/renew").json()["kind"] == "renewal"
    Agreement.objects.update(valid_to=None)
    endless = post(w.consumer_officer, f"{here}/renew")
    assert (endless.status_code, endless.json()["code"]) == (409, "no_end")
    body = {"starts_at": "2099-01-01T22:00:00+07:00", "ends_at": "2099-01-02T02:00:00+07:00", "reason": "Nâng cấp"}
    made = post(w.provider_officer, f"{here}/planned-suspensions", body)
    assert made.status_code == 201, made.content
    assert post(w.provider_officer, f"/planned-suspensions/{made.json()['uuid']}/cancel").json()["cancelled_at"]
    assert post(w.stranger, f"/planned-suspensions/{made.json()['uuid']}/cancel").status_code == 404


def test_an_outsider_joins_by_number_and_sees_nothing_else(w):
    agreement = agreement_in_force(w)
    own = w.stranger.memberships.first().organization
    made = post(w.stranger, f"/joining/{agreement.number}", {"consumer": own.code})
    assert (made.status_code, made.json()["kind"]) == (201, "join")
    assert browser(w.stranger).get(f"{API}/agreements/{agreement.uuid}").status_code == 404
    assert post(w.stranger, "/joining/TT-1999-000001", {"consumer": own.code}).status_code == 404


def test_the_document_and_the_differences_by_api(w):
    here = f"{API}/agreements/{agreement_in_force(w).uuid}"
    answer = browser(w.consumer_officer).get(f"{here}/document")
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/pdf", "nosniff")
    assert answer.content.startswith(b"%PDF-")
    assert browser(w.consumer_officer).get(f"{here}/differences").json() == []
    for address in ("document", "differences"):
        assert browser(w.stranger).get(f"{here}/{address}").status_code == 404
