"""FI-40: a right ends while a call is on its way. The call goes by what was decided at its start and is on record with it; no other passes."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.epoch import current_epoch
from apps.gateway.choices import Outcome
from apps.gateway.endpoints import open_endpoint
from apps.gateway.models import CallIntent, CallRefusal
from apps.gateway.policy_kinds import Upstream
from tests.faults.gateway_checker import Client, violations, wait_until_closed
from tests.gateway.conftest import ask_token, wait_for_epoch
from tests.gateway.processes import database_url
from tests.gateway.world import ANSWER
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]
ANSWER_PATH = "/api/companies/0999999999"


@pytest.fixture
def client(gateways, world) -> Client:
    (process,) = gateways()
    wait_for_epoch(process.url, current_epoch())
    token = ask_token(process.url, world.credential.client_id, world.secret)
    return Client([process.url], world.path, {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code})


def suspend_right(world) -> str:
    world.change(world.grant, "grant", status="suspended")
    return "grant_suspended"


def suspend_agreement(world) -> str:
    world.change(world.agreement, "agreement", status="suspended")
    return "agreement_suspended"


def let_it_expire(world) -> str:
    """By the database's clock alone: the end was set before the call began, no state follows and no epoch rises."""
    until(lambda: timezone.now() >= world.agreement.valid_to, "the clock stands still")
    return "agreement_expired"


def revoke_account(world) -> str:
    world.change(world.credential, "credential", status="revoked")
    return "credential_revoked"


@pytest.mark.parametrize("end", [suspend_right, suspend_agreement, let_it_expire, revoke_account])
def test_fi_40_a_call_on_its_way_is_answered_and_the_next_is_refused(client, world, provider, end):
    (url,) = client.urls
    if end is let_it_expire:
        # Far enough for the call to begin, however slow the machine: it is waited for, not guessed.
        world.change(world.agreement, "agreement", valid_to=timezone.now() + timedelta(seconds=8))
    decided_by = current_epoch()
    release = provider.hold(ANSWER_PATH, json.dumps(ANSWER).encode())
    on_its_way = threading.Thread(target=client.once, args=(url,))
    on_its_way.start()
    try:
        until(lambda: provider.seen, "the call is not at the provider")
        code = end(world)
        refused = [client.once(url) for _n in range(3)]
        assert {json.loads(attempt.body)["code"] for attempt in refused} == {code}
        assert len(provider.seen) == 1
    finally:
        release()
        on_its_way.join(60)
    wait_until_closed(database_url())
    answered = client.attempts[-1]
    assert answered.status == 200
    call = CallIntent.objects.select_related("grant__version_of", "outcome").get()
    assert (str(call.call_id), call.outcome.outcome) == (answered.call_id, Outcome.DELIVERED)
    assert (call.epoch, call.grant.version_of.agreement_id, call.grant.version_of.number) == (decided_by, world.agreement.pk, 1)
    assert CallRefusal.objects.filter(code=code).count() == 3
    assert violations(database_url(), client.attempts, [(seen.call_id, seen.at) for seen in provider.seen]) == []
    print(f"FI-40: {code}: 1 call on its way answered under epoch {decided_by}, 3 later ones refused, 1 at the provider")


def test_fi_40_a_stream_that_goes_on_after_the_right_ended_ends_at_the_calls_deadline_with_nothing_given(
    client, world, provider
):
    world.change(world.version.upstreams.get(), "upstream", timeout_ms=2_000)

    async def drip(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"7")
            await writer.drain()
            await asyncio.sleep(0.05)

    provider.behave(ANSWER_PATH, drip)
    (url,) = client.urls
    on_its_way = threading.Thread(target=client.once, args=(url,))
    on_its_way.start()
    until(lambda: provider.seen, "the call is not at the provider")
    suspend_right(world)
    on_its_way.join(60)
    (attempt,) = client.attempts
    assert (attempt.status, json.loads(attempt.body)["code"]) == (504, "provider_timeout")
    assert CallIntent.objects.get().outcome.outcome != Outcome.DELIVERED


def test_fi_40_no_call_to_a_provider_may_take_a_minute_whatever_the_registry_says():
    row = Upstream(1, "production", "https://93.184.216.34/api", "none", "", "", 3_600_000, 1, 1)
    assert open_endpoint(row, lambda base: None).timeout < 60
