"""Quotas and revocations over several processes under load, from the client's and the provider's records."""

from __future__ import annotations

import bisect
import hashlib
import json
import os
import socket
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.core.epoch import current_epoch
from apps.gateway.models import AccessToken, CallIntent, CallOutcome, CallRefusal, IdempotencyKey
from tests.faults.gateway_checker import Client, violations
from tests.gateway.conftest import ask_token, wait_for_epoch
from tests.gateway.processes import database_url
from tests.gateway.test_boundaries import statuses
from tests.gateway.world import ANSWER, make_grant
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]
FULL = os.environ.get("LGSP_FULL") == "1"


@pytest.fixture
def crowd(gateways, world):
    """Three processes and a client that calls all of them."""
    world.change(world.version.upstreams.get(), "upstream", timeout_ms=30_000)
    processes = gateways(3)
    wait_for_epoch(processes[0].url, current_epoch())
    token = ask_token(processes[0].url, world.credential.client_id, world.secret)
    urls = [process.url for process in processes]
    return Client(urls, world.path, {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code}, threads=12)


def test_a_quota_is_exact_over_processes(crowd, world, provider):
    """GW-11: N + k callers at once, N pass, k are told why; round after round."""
    rounds, quota, callers = (1_000 if FULL else 6), 20, 32
    allowed = 0
    for _round in range(rounds):
        allowed += quota
        world.change(world.grant, "grant", quota_per_day=allowed)
        barrier, results = threading.Barrier(callers), []

        def one(number: int, barrier=barrier, results=results) -> None:
            barrier.wait()
            results.append(crowd.once(crowd.urls[number % 3]).status)

        threads = [threading.Thread(target=one, args=(n,)) for n in range(callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(results) == [200] * quota + [429] * (callers - quota)
    assert CallIntent.objects.count() == len(provider.seen) == allowed
    assert violations(database_url(), crowd.attempts, [(s.call_id, s.at) for s in provider.seen]) == []
    print(f"GW-11: {rounds} rounds of {callers} callers on 3 processes, {allowed} admitted of {allowed} allowed")


def test_the_rate_of_a_second_is_exact(crowd, world):
    """GW-11: under load on three processes no second of the database's clock admits more than its rate; some admit all of it."""
    rate = 3
    world.change(world.grant, "grant", rate_per_second=rate)
    crowd.start()
    try:
        until(lambda: sum(n >= rate for n in admitted_in_seconds().values()) >= 3 and refused(crowd), admitted_in_seconds)
    finally:
        crowd.stop()
    assert max(admitted_in_seconds().values()) == rate
    print(f"GW-11: rate {rate}/s, {len(admitted_in_seconds())} seconds, {refused(crowd)} calls above it refused")


def admitted_in_seconds() -> Counter[int]:
    return Counter(int(at.timestamp()) for at in CallIntent.objects.values_list("admitted_at", flat=True))


def refused(client: Client) -> int:
    return sum(attempt.status == 429 for attempt in list(client.attempts))


def test_no_call_is_admitted_after_a_revocation_was_committed(crowd, world, provider):
    """AN-03, invariant (v): under load on three processes; a call that begins after the commit never gets through.

    Before each revocation every process has let a call through, so what is refused afterwards was open a moment ago.
    """
    trials = 10_000 if FULL else 24
    things = [(world.grant, "grant", "suspended"), (world.system, "informationsystem", "suspended"),
              (world.consumer, "organization", "suspended"), (world.service, "dataservice", "suspended"),
              (world.credential, "credential", "revoked"), (world.agreement, "agreement", "suspended")]  # fmt: skip
    closed: list[tuple[float, float]] = []
    crowd.start(pause=0.05 if FULL else 0.005)
    try:
        for number in range(trials):
            until(lambda: all(crowd.once(url).status == 200 for url in crowd.urls), "an open right lets nobody through")
            thing, kind, status = things[number % len(things)]
            before = thing.status
            world.change(thing, kind, status=status)
            began = time.time()
            answers = [crowd.once(url) for url in crowd.urls]
            closed.append((began, time.time()))
            assert all(answer.status in (401, 403, 503) for answer in answers), [a.body for a in answers]
            world.change(thing, kind, status=before)
    finally:
        crowd.stop()
    assert [attempt for attempt in crowd.attempts if attempt.status == 200 and lies_within(attempt, closed)] == []
    assert violations(database_url(), crowd.attempts, [(s.call_id, s.at) for s in provider.seen]) == []
    print(f"AN-03: {trials} revocations under load on 3 processes, {len(crowd.attempts)} calls, 0 admitted after a commit")


def lies_within(attempt, closed: list[tuple[float, float]]) -> bool:
    place = bisect.bisect_right(closed, (attempt.began, float("inf"))) - 1
    return place >= 0 and attempt.ended <= closed[place][1]


# --- the same call again ---------------------------------------------------------------------------


@pytest.fixture
def keyed(crowd, world, provider):
    """Bytes of a keyed call, as somebody who listened would have them: `keyed(key)`."""
    _agreement, grant = make_grant(world.version.operations.get(code="search"), world.system, world.purpose, fields=[])
    epoch = world.change(grant, "grant", status="active")
    for url in crowd.urls:
        wait_for_epoch(url, epoch)
    provider.answer("/api/search", ANSWER)
    head = "".join(f"{name}: {value}\r\n" for name, value in crowd.headers.items())

    def request(key: str) -> bytes:
        body = json.dumps({"key": key})
        return (
            f"POST /gw/{world.service.code}/v1/search HTTP/1.1\r\nHost: gateway\r\n{head}Idempotency-Key: {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        ).encode()

    return request


def played(url: str, data: bytes) -> tuple[int, dict]:
    """(status, body) of what the gateway at `url` answers to these bytes on a connection of their own."""
    host, _colon, port = url.removeprefix("http://").partition(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(data)
        while part := client.recv(65536):
            got += part
    (status,) = statuses(got)
    return status, json.loads(got.partition(b"\r\n\r\n")[2])


def test_gw_12_the_same_key_at_several_processes_at_once_reaches_the_provider_once(crowd, keyed, provider):
    """Each round: one key, its bytes sent to three processes at the same instant, twice to each."""
    rounds = 500 if FULL else 12
    for number in range(rounds):
        data, results = keyed(f"round-{number}"), []
        barrier = threading.Barrier(6)

        def one(url: str, data=data, results=results, barrier=barrier) -> None:
            barrier.wait()
            results.append(played(url, data))

        threads = [threading.Thread(target=one, args=(crowd.urls[n % 3],)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _body in results) == [200] + [409] * 5, results
        first = {body["first_call"]["call_id"] for status, body in results if status == 409}
        assert len(first) == 1, "each is told of the same first call"
        assert {body["code"] for status, body in results if status == 409} <= {"already_completed", "still_running"}
        assert [seen.call_id for seen in provider.seen[number:]] == list(first)
    assert CallIntent.objects.count() == IdempotencyKey.objects.count() == len(provider.seen) == rounds
    assert CallRefusal.objects.count() == 5 * rounds
    print(f"GW-12: {rounds} keys, each at 3 processes at once, 6 calls a key: {len(provider.seen)} reached the provider")


def test_gw_13_a_recorded_call_played_again_does_nothing(crowd, keyed, world, provider):
    """Requests are not signed: what makes a recorded one worthless is its key, and that its token ends or is revoked.

    The nonce is the key: it is in the database, so all processes have seen it. The time stamp is the token's life.
    """
    data = keyed("recorded")
    status, body = played(crowd.urls[0], data)
    assert status == 200
    (call_id,) = [seen.call_id for seen in provider.seen]
    for url in crowd.urls:
        status, again = played(url, data)
        assert (status, again["code"]) == (409, "already_completed")
        assert again["first_call"]["call_id"] == call_id
        changed = data.replace(b'{"key": "recorded"}', b'{"key": "tampered"}')
        assert played(url, changed)[1]["code"] == "idempotency_key_reused"
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    world.change(world.grant, "accesstoken")
    for url in crowd.urls:
        assert [played(url, keyed(key))[0] for key in ("recorded", "fresh")] == [401, 401], "its time is over"
    assert len(provider.seen) == 1
    assert (
        bytes(CallOutcome.objects.get().answer_digest)
        == hashlib.sha256(json.dumps(body, separators=(",", ":")).encode()).digest()
    )
