"""GW-16: whatever the gateway rests on fails, it refuses; a provider is not contacted, an answer not given uncut."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from django.db import transaction

from apps.core.epoch import current_epoch, raise_epoch
from apps.gateway.models import AnonymousRefusalCount, CallIntent, CallOutcome, CallRefusal
from tests.factories.organizations import InformationSystemFactory
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import ANSWER, CUT, make_credential, make_grant, make_service, make_world
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)
BEFORE = ["token store", "row agreement", "row organization", "row informationsystem", "decision",
          "ledger", "database", "digest", "address"]  # fmt: skip
AFTER = ["names of fields", "filter", "pseudonym", "way out"]
"""The call was admitted by then; what the provider answered, if it was asked, stays here."""


@pytest.fixture
def breakable(world, provider, tmp_path):
    """`breakable(part)` calls while `part` fails (empty: nothing does)."""
    switch = tmp_path / "broken"
    switch.write_text("")
    process = GatewayProcess(
        database_url(), allow=[f"127.0.0.1:{provider.port}"], module="tests.gateway.broken", LGSP_TEST_BROKEN=str(switch)
    ).start()
    try:
        wait_for_epoch(process.url, current_epoch())
        token = ask_token(process.url, world.credential.client_id, world.secret)

        def call(part: str, path: str = world.path):
            switch.write_text(part)
            try:
                return send(
                    process.url,
                    path=path,
                    headers={"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code},
                )
            finally:
                switch.write_text("")

        yield call
    finally:
        process.stop()


def test_gw_16_a_part_that_fails_opens_nothing(breakable, provider):
    for part in BEFORE:
        assert breakable("").json == CUT
        before = len(provider.seen)
        answer = breakable(part)
        assert (answer.status, answer.code) in ((500, "internal"), (503, "not_ready")), (part, answer.body)
        assert answer.code == "not_ready" or not part.startswith("row "), part
        assert b"0209" not in answer.body.replace(answer.call_id.encode(), b"")
        assert len(provider.seen) == before, f"{part}: the provider was contacted"
        written = list(CallRefusal.objects.filter(call_id=answer.call_id).values_list("code", flat=True))
        assert written == (["internal"] if answer.code == "internal" and part != "token store" else []), part
    assert CallIntent.objects.count() == len(provider.seen) == len(BEFORE)
    counted = AnonymousRefusalCount.objects.filter(code="not_ready")
    until(lambda: sum(counted.values_list("count", flat=True)) >= 1, "what could not be written was not counted")


def test_gw_16_without_its_filter_no_answer_is_given_and_the_call_is_on_record(breakable, provider):
    for part in AFTER:
        answer = breakable(part)
        assert (answer.status, answer.code) == (500, "internal"), (part, answer.body)
        assert b"0999999999" not in answer.body
        assert CallOutcome.objects.get(call_id=answer.call_id).outcome == "provider_failed"
        assert breakable("").json == CUT


def test_gw_16_a_try_of_a_paused_provider_that_fails_here_leaves_the_next_call_to_try(breakable, provider):
    """Else nobody would ever try again, and one fault of ours would close the provider until the process ends."""

    async def hang_up(_seen, writer):
        writer.close()

    provider.behave("/api/companies/0999999999", hang_up)
    until(lambda: breakable("").code == "provider_unavailable", "the provider is not paused")
    provider.answer("/api/companies/0999999999", ANSWER)
    until(lambda: breakable("way out").code == "internal", "nobody tries")
    assert breakable("").json == CUT


def test_gw_16_what_an_account_may_call_is_told_or_it_is_said_that_it_cannot_be(breakable):
    assert breakable("", "/gw/me").status == 200
    answer = breakable("description", "/gw/me")
    assert (answer.status, answer.code) == (503, "not_ready")


def test_gw_16_a_policy_that_cannot_be_read_anew_refuses_what_it_refused(breakable, world, provider):
    """What decides is read again before a refusal is told; without that nobody is told anything for sure, and nothing passes."""
    assert breakable("").json == CUT
    world.change(world.grant, "grant", status="suspended")
    answer = breakable("policy store")
    assert (answer.status, answer.code) == (503, "not_ready")
    assert breakable("").code == "grant_suspended"
    assert len(provider.seen) == 1


def test_gw_16_rows_that_cannot_be_read_stop_calls_with_a_sign_that_names_them(call, gateway, world, provider):
    """A kind that cannot be read at all leaves no policy: 503 and a fault that says which, not a 500 nobody can explain."""
    assert call().json == CUT
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute("UPDATE agreements_agreement SET valid_to = '20000-01-01' WHERE id = %s", [world.agreement.pk])
    try:
        with transaction.atomic():
            raise_epoch("agreement", world.agreement.uuid)
        answer = call()
        assert (answer.status, answer.code) == (503, "not_ready")
        told = until(lambda: (found := send(gateway.url, path="/readyz").json)["unreadable"] and found, "nobody is told")
        assert (told["ready"], "policy_unreadable" in told["faults"]) == (False, True)
        assert told["unreadable"] == ["agreement: OverflowError"]
        assert 'lgsp_gateway_fault{fault="policy_unreadable"} 1' in send(gateway.url, path="/metrics").body.decode()
        until(lambda: any("agreement: OverflowError" in line for line in list(gateway.lines)), "the log does not name it")
        assert len(provider.seen) == 1
    finally:
        world.change(world.agreement, "agreement", valid_to=None)
    assert call().json == CUT
    assert send(gateway.url, path="/readyz").json["unreadable"] == []


def by_hand(operation, path: str) -> None:
    """Change what the platform never would: the rules of the database are put aside."""
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE registry_operation SET path_template = %s WHERE id = %s", [path, operation.pk])
    with transaction.atomic():
        raise_epoch("serviceversion", operation.version.uuid)


def test_gw_16_one_row_that_cannot_be_read_closes_what_rests_on_it_and_nothing_else(call, gateway, world, provider):
    """The version's paths cannot be told apart: it is not called, other services are served."""
    service, version, operation = make_service(provider.url + "/api")
    _agreement, grant = make_grant(operation, world.system, world.purpose)
    for obj, kind in ((version, "serviceversion"), (grant, "grant")):
        with transaction.atomic():
            raise_epoch(kind, obj.uuid)
    path = f"/gw/{service.code}/v1/companies/0999999999"
    assert call(path).json == call().json == CUT
    by_hand(operation, "/companies//{code}")
    assert call(path).code == "not_ready"
    assert call(path.replace("/v1/", "/v2/")).code == "service_unknown"
    assert call().json == CUT
    told = send(gateway.url, path="/readyz").json
    assert told["unreadable"] == [f"serviceversion {version.uuid}: IndexError"]
    assert (told["ready"], "rows_unreadable" in told["warnings"]) == (True, True)
    assert 'lgsp_gateway_policy_unreadable_rows{kind="serviceversion"} 1' in send(gateway.url, path="/metrics").body.decode()
    assert len(provider.seen) == 3
    by_hand(operation, "/companies/{code}")
    assert call(path).json == CUT
    assert send(gateway.url, path="/readyz").json["unreadable"] == []


def test_gw_16_a_consumer_whose_right_cannot_be_read_is_not_told_that_it_has_none(call, gateway, world, provider):
    """Its calls are answered 503 until the row can be read; others are served, and learn nothing of it."""
    stranger, secret = make_credential(InformationSystemFactory())
    with transaction.atomic():
        raise_epoch("credential", stranger.uuid)
    wait_for_epoch(gateway.url, current_epoch())
    theirs = {"Authorization": f"Bearer {ask_token(gateway.url, stranger.client_id, secret)}"}
    other = make_world(provider.url + "/api")
    assert (call().json, call("/gw/me").json["complete"]) == (CUT, True)
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute("UPDATE agreements_grant SET fields = '{{a},{b}}' WHERE id = %s", [world.grant.pk])
    try:
        with transaction.atomic():
            raise_epoch("grant", world.grant.uuid)
        answer = call()
        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "not_ready", "2")
        me = call("/gw/me").json
        assert (me["complete"], me["grants"]) == (False, [])
        assert call(**theirs).code == "grant_missing"
        assert call("/gw/me", **theirs).json["complete"] is True
        theirs["Authorization"] = f"Bearer {ask_token(gateway.url, other.credential.client_id, other.secret)}"
        assert call(other.path, X_Purpose_Code=other.purpose.code, **theirs).json == CUT
        assert send(gateway.url, path="/readyz").json["unreadable"] == [f"grant {world.grant.uuid}: TypeError"]
        assert len(provider.seen) == 2
    finally:
        world.change(world.grant, "grant", fields=world.grant.fields)
    assert (call().json, call("/gw/me").json["complete"]) == (CUT, True)


def test_gw_16_every_part_that_can_be_broken_is_broken_by_a_list_above():
    source = Path(__file__).with_name("broken.py").read_text()
    named = set(re.findall(r'_guard\([^"]+"[a-z_]+", "([a-z ]+)"', source))
    assert named == {part for part in (*BEFORE, *AFTER, "policy store", "description") if not part.startswith("row ")}
