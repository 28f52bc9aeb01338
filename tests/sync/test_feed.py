"""The feed of changed enterprises: read by a system's own token, as far as its grant goes, no further; each reading is a call."""

from __future__ import annotations

import datetime
import hashlib
import secrets
import time

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.agreements.models import Agreement, Grant, PlannedSuspension
from apps.core.epoch import raise_epoch
from apps.gateway import outcomes, readings
from apps.gateway.models import AccessToken, CallIntent, CallOutcome, CallRefusal
from apps.gateway.refusals import TABLE
from apps.organizations.choices import Role
from apps.registry.models import DataService, Operation
from apps.sync.models import EnterpriseChange
from tests.factories.accounts import UserFactory
from tests.factories.organizations import InformationSystemFactory, officer
from tests.factories.registry import PublishedServiceFactory, PurposeFactory, operation_of
from tests.factories.sync import ChangesSourceFactory
from tests.gateway.world import make_credential, make_grant

pytestmark = pytest.mark.django_db
ALL = ["Data[].ENTERPRISE_GDT_CODE", "Data[].DOCUMENT_TYPE", "Data[].RECEIPT_DATE"]


@pytest.fixture
def source():
    source = ChangesSourceFactory(code="business-registration", watermark=datetime.date(2026, 11, 19))
    EnterpriseChange.objects.bulk_create(
        EnterpriseChange(source=source, enterprise_code=f"09900000{n:02d}", journal_no=f"J{n}", document_type="AMEND",
                         received_on=datetime.date(2026, 11, 18)) for n in range(1, 8)
    )  # fmt: skip
    return source


@pytest.fixture
def operation() -> Operation:
    return operation_of(PublishedServiceFactory(code="business-registration"), "danhSachHoSo")


@pytest.fixture
def system():
    return InformationSystemFactory()


@pytest.fixture
def grant(operation, system):
    return make_grant(operation, system, PurposeFactory(), fields=ALL)[1]


def token_of(system, environment: str = "production", **facts) -> str:
    token = secrets.token_urlsafe(32)
    now = timezone.now()
    AccessToken.objects.create(
        token_hash=hashlib.sha256(token.encode()).digest(), credential=make_credential(system, environment)[0], issued_at=now,
        expires_at=now + datetime.timedelta(hours=1), **facts,
    )  # fmt: skip
    return token


def ask(token: str = "", client: Client | None = None, purpose: str = "", headers: dict | None = None, **query):
    headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
    headers |= {"X-Purpose-Code": purpose} if purpose else {}
    return (client or Client()).get("/api/v1/sync/enterprise-changes/business-registration", query, headers=headers)


def test_a_granted_system_reads_the_codes_and_goes_on_where_it_stopped(source, grant, system):
    token = token_of(system)
    read, since = [], 0
    while True:
        body = ask(token, since=since, limit=3).json()
        read += [change["enterprise_code"] for change in body["changes"]]
        since = body["next"]
        if not body["more"]:
            break
    assert read == [f"09900000{n:02d}" for n in range(1, 8)]
    assert ask(token, since=since).json() == {"changes": [], "next": since, "more": False, "complete_until": "2026-11-19"}


def test_a_member_that_is_not_granted_is_left_out(source, operation, system):
    make_grant(operation, system, PurposeFactory(), fields=["Data[].ENTERPRISE_GDT_CODE"])
    (change, *_rest) = ask(token_of(system)).json()["changes"]
    assert set(change) == {"position", "enterprise_code", "recorded_at"}


def test_a_grant_without_the_code_opens_nothing(source, operation, system):
    make_grant(operation, system, PurposeFactory(), fields=["Data[].DOCUMENT_TYPE"])
    answer = ask(token_of(system))
    assert (answer.status_code, answer.json()["code"]) == (403, "feed_not_granted")
    assert "/go/change/" in answer.json()["request_url"]


NOW = timezone.now()


@pytest.mark.parametrize(
    ("model", "facts", "code"),
    [
        (Grant, {"status": GrantStatus.SUSPENDED}, "grant_suspended"),
        (Grant, {"status": GrantStatus.ENDED}, "grant_ended"),
        (Grant, {"valid_to": NOW - datetime.timedelta(seconds=1)}, "grant_expired"),
        (Grant, {"valid_from": NOW + datetime.timedelta(days=1)}, "grant_not_yet_valid"),
        (Grant, {"environment": "test"}, "grant_missing"),
        (Grant, {"networks": ["10.20.0.0/16"]}, "network_not_allowed"),
        (Grant, {"hours_from": datetime.time(0, 0), "hours_to": datetime.time(0, 0, 1)}, "outside_hours"),
        (Agreement, {"status": AgreementStatus.SUSPENDED}, "agreement_suspended"),
        (Agreement, {"valid_to": NOW - datetime.timedelta(seconds=1)}, "agreement_expired"),
        (DataService, {"status": "suspended"}, "service_not_active"),
        (DataService, {"status": "retired"}, "service_not_active"),
    ],
)
def test_a_right_that_does_not_hold_now_opens_nothing(source, grant, system, model, facts, code):
    token = token_of(system)
    assert ask(token).status_code == 200
    model.objects.update(**facts)
    answer = ask(token)
    assert (answer.status_code, answer.json()["code"]) == (TABLE[code].status, code)
    assert CallIntent.objects.count() == 1
    refusal = CallRefusal.objects.get()
    assert (refusal.code, refusal.status, str(refusal.call_id)) == (code, answer.status_code, answer["X-Call-Id"])
    assert (refusal.system, refusal.operation.code) == (system, "danhSachHoSo")


def test_an_announced_suspension_stops_the_feed_at_its_instant(source, grant, system):
    now = timezone.now()
    PlannedSuspension.objects.create(
        agreement=grant.agreement, starts_at=now - datetime.timedelta(minutes=1), ends_at=now + datetime.timedelta(hours=1),
        reason="Bảo trì", announced_by=UserFactory(),
    )  # fmt: skip
    answer = ask(token_of(system))
    assert (answer.status_code, answer.json()["code"]) == (503, "maintenance")
    assert int(answer["Retry-After"]) > 3000


def test_a_grant_to_another_operation_opens_nothing(source, operation, system):
    other = operation.version.operations.get(code="chiTietDoanhNghiep")
    make_grant(other, system, PurposeFactory(), fields=["Data.MainInformation.NAME"])
    assert ask(token_of(system)).status_code == 403


def test_another_systems_grant_opens_nothing(source, grant):
    assert ask(token_of(InformationSystemFactory())).status_code == 403


def test_a_test_account_does_not_open_production_data(source, operation, grant, system):
    make_grant(operation, system, PurposeFactory(), fields=ALL, environment="test")
    answer = ask(token_of(system, "test"))
    assert (answer.status_code, answer.json()["code"]) == (403, "environment_mismatch")


# --- a reading is a call ---------------------------------------------------------------------------


def test_a_reading_is_in_the_access_log_like_a_call(source, operation, system):
    grant = make_grant(operation, system, PurposeFactory(), fields=ALL[:2])[1]
    token = token_of(system)
    answer = ask(token, limit=2)
    call = CallIntent.objects.select_related("outcome__delivered", "outcome__withheld").get()
    assert (str(call.call_id), call.grant, call.source) == (answer["X-Call-Id"], grant, "127.0.0.1")
    assert call.credential == AccessToken.objects.get().credential
    outcome = call.outcome
    assert (outcome.outcome, outcome.status, outcome.provider_status) == ("delivered", 200, None)
    assert outcome.answer_bytes == len(answer.content)
    assert bytes(outcome.answer_digest) == hashlib.sha256(answer.content).digest()
    assert outcome.delivered.names == sorted(ALL[:2])
    assert outcome.withheld.names == ALL[2:]
    assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize("minutes", [-5, 5])
def test_fi_38_a_reading_is_of_the_databases_clock(source, grant, system, minutes):
    """A portal whose clock is off reads all the same, and an intent it leaves is closed as soon as any other."""
    token, really = token_of(system), time.time()
    with time_machine.travel(timezone.now() + datetime.timedelta(minutes=minutes)):
        answer = ask(token)
    assert answer.status_code == 200
    made = int(CallIntent.objects.get().call_id.hex[:12], 16) / 1000
    assert abs(made - really) < 60


def test_consumer_and_provider_find_the_reading_in_their_log_and_strangers_do_not(source, grant, system):
    call_id = ask(token_of(system))["X-Call-Id"]
    consumer = officer(Role.CONSUMER_OFFICER, organization=system.organization)
    provider = officer(Role.PROVIDER_OFFICER, organization=grant.operation.version.service.provider)
    for person, sees in ((consumer, True), (provider, True), (officer(Role.CONSUMER_OFFICER), False)):
        assert CallIntent.objects.visible_to(person).filter(call_id=call_id).exists() is sees


@pytest.mark.parametrize(
    ("facts", "code"),
    [({"quota_per_day": 2}, "quota_day_exceeded"), ({"quota_per_month": 2}, "quota_month_exceeded"),
     ({"rate_per_second": 2, "quota_per_day": 2}, "quota_day_exceeded")],
)  # fmt: skip
def test_readings_count_in_the_quotas_of_the_grant(source, operation, system, facts, code):
    grant = make_grant(operation, system, PurposeFactory(), fields=ALL, **facts)[1]
    token = token_of(system)
    assert [ask(token).status_code for _reading in range(3)] == [200, 200, 429]
    assert (CallIntent.objects.count(), CallRefusal.objects.get().code, grant.use.in_day) == (2, code, 2)


def test_a_refused_question_takes_no_quota(source, operation, system):
    make_grant(operation, system, PurposeFactory(), fields=ALL, quota_per_day=1)
    token = token_of(system)
    assert ask(token, limit=0).status_code == 400
    assert ask(token).status_code == 200


def test_of_several_purposes_one_must_be_named(source, operation, system):
    purposes = [PurposeFactory(), PurposeFactory()]
    grants = [
        make_grant(operation, system, purpose, fields=fields)[1]
        for purpose, fields in zip(purposes, (ALL, ALL[:1]), strict=True)
    ]
    token = token_of(system)
    assert ask(token).json()["code"] == "purpose_missing"
    assert ask(token, purpose="other").json()["code"] == "purpose_not_granted"
    answer = ask(token, purpose=purposes[1].code)
    assert "document_type" not in answer.json()["changes"][0]
    assert CallIntent.objects.get().grant == grants[1]


def test_a_right_withdrawn_while_it_was_judged_is_withdrawn(source, grant, system, monkeypatch):
    """The judgement read the rows before the suspension committed; the epoch in the one write says so."""
    token, judge, seen = token_of(system), readings._judge, []

    def slow(reading):
        right = judge(reading)
        if not seen:
            Grant.objects.update(status=GrantStatus.SUSPENDED)
            raise_epoch("grant", grant.uuid)
        seen.append(right)
        return right

    monkeypatch.setattr(readings, "_judge", slow)
    assert ask(token).json()["code"] == "grant_suspended"
    assert len(seen) == 1
    assert not CallIntent.objects.exists()


def test_an_answer_that_cannot_be_recorded_is_not_given_and_its_intent_is_closed_as_unknown(source, grant, system, monkeypatch):
    monkeypatch.setattr(readings, "_fetch", lambda statement, given, fetch=readings._fetch: (
        [{"count": 0}] if statement is outcomes.STORE_NEW else fetch(statement, given)))  # fmt: skip
    answer = ask(token_of(system))
    assert (answer.status_code, answer.json()["code"]) == (503, "record_failed")
    assert CallIntent.objects.count() == 1
    assert not CallOutcome.objects.exists()


def test_the_address_is_the_one_the_trusted_proxy_saw(source, operation, system, settings):
    make_grant(operation, system, PurposeFactory(), fields=ALL, networks=["10.20.0.0/16"])
    token = token_of(system)
    claimed = {"X-Forwarded-For": "192.0.2.1, 10.20.3.4"}
    assert ask(token, headers=claimed).json()["code"] == "network_not_allowed"
    settings.TRUSTED_PROXIES = frozenset({"127.0.0.1"})
    assert ask(token, headers=claimed).status_code == 200
    assert CallIntent.objects.get().source == "10.20.3.4"


def test_without_a_good_token_the_answer_is_401(source, grant, system):
    assert ask().status_code == 401
    assert ask("x" * 43).status_code == 401
    assert ask(token_of(system, revoked_at=timezone.now())).status_code == 401


@pytest.mark.parametrize("role", list(Role))
def test_people_do_not_read_it_by_their_session(source, role):
    client = Client()
    client.force_login(officer(role), backend="django.contrib.auth.backends.ModelBackend")
    assert ask(client=client).status_code == 401


@pytest.mark.parametrize(
    "query", [{"since": "-1"}, {"since": "x"}, {"limit": "0"}, {"limit": "1001"}, {"since": "99999999999999999999"}]
)
def test_a_wrong_question_is_told(source, grant, system, query):
    answer = ask(token_of(system), **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


def test_a_source_of_another_kind_is_not_a_feed(grant, system):
    assert ask(token_of(system)).status_code == 404
