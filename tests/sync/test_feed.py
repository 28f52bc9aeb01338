"""The feed of changed enterprises: read by a system's own token, as far as its grant goes, no further."""

from __future__ import annotations

import datetime
import hashlib
import secrets

import pytest
from django.test import Client
from django.utils import timezone

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.agreements.models import Agreement, Grant
from apps.gateway.models import AccessToken
from apps.organizations.choices import Role
from apps.registry.models import DataService, Operation
from apps.sync.models import EnterpriseChange
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


def ask(token: str = "", client: Client | None = None, **query):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
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


NOW = timezone.now()


@pytest.mark.parametrize(
    ("model", "facts"),
    [
        (Grant, {"status": GrantStatus.SUSPENDED}),
        (Grant, {"status": GrantStatus.ENDED}),
        (Grant, {"valid_to": NOW - datetime.timedelta(seconds=1)}),
        (Grant, {"valid_from": NOW + datetime.timedelta(days=1)}),
        (Grant, {"environment": "test"}),
        (Grant, {"networks": ["10.20.0.0/16"]}),
        (Grant, {"hours_from": datetime.time(0, 0), "hours_to": datetime.time(0, 0, 1)}),
        (Agreement, {"status": AgreementStatus.SUSPENDED}),
        (DataService, {"status": "suspended"}),
        (DataService, {"status": "retired"}),
    ],
)
def test_a_right_that_does_not_hold_now_opens_nothing(source, grant, system, model, facts):
    token = token_of(system)
    assert ask(token).status_code == 200
    model.objects.update(**facts)
    answer = ask(token)
    assert (answer.status_code, answer.json()["code"]) == (403, "feed_not_granted")


def test_a_grant_to_another_operation_opens_nothing(source, operation, system):
    other = operation.version.operations.get(code="chiTietDoanhNghiep")
    make_grant(other, system, PurposeFactory(), fields=["Data.MainInformation.NAME"])
    assert ask(token_of(system)).status_code == 403


def test_another_systems_grant_opens_nothing(source, grant):
    assert ask(token_of(InformationSystemFactory())).status_code == 403


def test_a_test_account_does_not_open_production_data(source, grant, system):
    assert ask(token_of(system, "test")).status_code == 403


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
