"""Idempotency keys: the repeat of a call that may change something does not reach the provider (GW-12)."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from apps.gateway.models import CallIntent, CallRefusal, QuotaUse
from apps.registry.models import Upstream
from tests.gateway.conftest import ask_token, wait_for_epoch
from tests.gateway.world import ANSWER, make_credential, make_grant

pytestmark = pytest.mark.django_db(transaction=True)
BODY = json.dumps({"code": "0999999999"}).encode()


@pytest.fixture
def post(call, world, provider):
    """Call a POST operation of the same service with a key."""
    operation = world.version.operations.get(code="search")
    _agreement, grant = make_grant(operation, world.system, world.purpose, fields=[], quota_per_day=100)
    world.change(grant, "grant", status="active")
    provider.answer("/api/search", ANSWER)

    def _post(key: str | None = "key-1", body: bytes | None = BODY, **headers):
        given = {"Idempotency_Key": key, "Content_Type": "application/json", **headers}
        return call(f"/gw/{world.service.code}/v1/search", method="POST", body=body, **given)

    _post.grant = grant
    return _post


def test_a_repeat_is_told_what_became_of_the_first_call(post, provider):
    first = post()
    assert (first.status, first.json) == (200, {"Status": "1"})
    again = post()
    assert (again.status, again.code) == (409, "already_completed")
    assert again.json["first_call"] == {
        "call_id": first.call_id, "outcome": "delivered", "status": 200, "digest": hashlib.sha256(first.body).hexdigest(),
    }  # fmt: skip
    assert len(provider.seen) == 1
    assert provider.seen[0].body == BODY
    assert CallIntent.objects.count() == 1
    assert QuotaUse.objects.get(grant=post.grant).in_day == 1
    assert CallRefusal.objects.get().code == "already_completed"


def test_whose_first_call_got_no_answer_is_told_to_take_a_fresh_key(post, provider):
    async def hang_up(_seen, writer):
        writer.close()

    provider.behave("/api/search", hang_up)
    assert post().status == 502
    provider.answer("/api/search", ANSWER)
    again = post()
    assert (again.code, again.json["first_call"]["outcome"]) == ("already_completed", "provider_failed")
    assert "delivered" in again.json["next_step"]
    assert "khóa mới" in again.json["next_step"]
    assert post(key="key-2").json == {"Status": "1"}


def test_the_same_key_for_another_body_is_refused(post, provider):
    post()
    other = post(body=b'{"code":"1"}')
    assert (other.status, other.code) == (409, "idempotency_key_reused")
    assert len(provider.seen) == 1


def test_without_a_key_nothing_is_sent(post, provider):
    assert post(key=None).code == "idempotency_key_missing"
    assert post(key="with space").code == "header_invalid"
    assert provider.seen == []


def test_many_at_the_same_instant_reach_the_provider_once(post, provider):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _n: post(), range(12)))
    assert sorted(a.status for a in answers) == [200] + [409] * 11
    assert {a.code for a in answers if a.status == 409} <= {"already_completed", "still_running"}
    assert len(provider.seen) == CallIntent.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"<a/>", {}, "body_invalid"),
        (b'{"a":"\xff"}', {}, "body_invalid"),
        (b"{}", {"Content_Type": "text/plain"}, "body_invalid"),
        (b"{}", {"Content_Encoding": "gzip"}, "body_invalid"),
        (b" " * 1_100_000, {}, "body_too_large"),
    ],
)
def test_bodies_are_json_within_a_cap(post, provider, body, headers, code):
    assert post(body=body, **headers).code == code
    assert provider.seen == []


def test_a_post_is_never_sent_twice_on_a_broken_connection(post, provider):
    async def cut(seen, writer):
        writer.close()

    assert post(key="warm").status == 200
    provider.behave("/api/search", cut)
    answer = post(key="cut")
    assert (answer.status, answer.code) == (502, "provider_protocol_error")
    assert len(provider.by_call(answer.call_id)) == 1
    again = post(key="cut")
    assert again.json["first_call"]["outcome"] == "provider_failed"
    assert len(provider.seen) == 2


def test_a_key_used_in_the_test_environment_is_fresh_in_production(post, call, world, gateway, provider):
    """Programs make keys of case numbers and are tried out with the same ones: the call that counts must reach the provider."""
    upstream = world.version.upstreams.get()
    tried = Upstream.objects.create(version=world.version, environment="test", base_url=upstream.base_url, timeout_ms=30_000)
    world.change(tried, "upstream", environment="test")
    search = world.version.operations.get(code="search")
    _agreement, grant = make_grant(search, world.system, world.purpose, fields=[], environment="test")
    credential, secret = make_credential(world.system, "test")
    world.change(credential, "credential", status="active")
    wait_for_epoch(gateway.url, world.change(grant, "grant", status="active"))
    token = ask_token(gateway.url, credential.client_id, secret)
    assert post("case-1", Authorization=f"Bearer {token}").status == 200
    assert post("case-1", Authorization=f"Bearer {token}").code == "already_completed"
    assert post("case-1").status == 200
    assert post("case-1").code == "already_completed"
    assert len(provider.seen) == 2


def test_who_has_used_up_the_quota_still_learns_what_became_of_the_last_call(post, world, provider):
    """The answer that was lost may be that of the last call of the day; telling of it takes nothing."""
    world.change(post.grant, "grant", quota_per_day=1)
    first = post()
    assert first.status == 200
    again = post()
    assert (again.status, again.code) == (409, "already_completed")
    assert again.json["first_call"]["call_id"] == first.call_id
    assert post(body=b'{"code":"1"}').code == "idempotency_key_reused"
    assert post("another").code == "quota_day_exceeded"
    assert len(provider.seen) == 1
