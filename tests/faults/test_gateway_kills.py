"""The gateway dies at every step, at random, and frozen: what clients got, the provider saw and the tables hold still agree."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import psycopg
import pytest

from apps.core.epoch import current_epoch
from tests.faults.gateway_checker import CLOSED_WITHIN, Client, longest_open, violations, wait_until_closed
from tests.gateway.conftest import ask_token, wait_for_epoch
from tests.gateway.processes import database_url
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]
FULL = os.environ.get("LGSP_FULL") == "1"
POINTS = ("decided", "admitted", "sent", "answered", "recorded", "answering")


@pytest.fixture
def client(gateways, world) -> Client:
    """A client with a token, whose gateways the test still has to start (the one that issued the token is stopped)."""
    world.change(world.version.upstreams.get(), "upstream", timeout_ms=30_000)
    (first,) = gateways()
    wait_for_epoch(first.url, current_epoch())
    token = ask_token(first.url, world.credential.client_id, world.secret)
    first.stop()
    return Client([], world.path, {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code})


def seen_by(provider) -> list[tuple[str, float]]:
    return [(seen.call_id, seen.at) for seen in list(provider.seen)]


def test_killed_at_every_step_nothing_is_lost_and_nothing_guessed(gateways, client, provider):
    """FI-01, FI-02, FI-03, FI-04, FI-05. `unknown` stands exactly where the process died between the intent and the outcome."""
    expected = {
        "decided": (0, 0),
        "admitted": (1, 0),
        "sent": (1, 1),
        "answered": (1, 1),
        "recorded": (1, 1),
        "answering": (1, 1),
    }
    dead: dict[str, str] = {}
    for point in POINTS:
        (process,) = gateways(LGSP_KILL_AT=f"{point}:2")
        assert client.once(process.url).status == 200
        before = len(provider.seen)
        attempt = client.once(process.url)
        assert attempt.status == 0, f"{point}: the client got a whole answer of a dead process"
        process.popen.wait(60)
        hits = provider.seen[before:]
        assert len(hits) == expected[point][1], point
        dead[point] = hits[0].call_id if hits else ""
    (survivor,) = gateways()
    with psycopg.connect(database_url()) as connection:
        alive = connection.execute("SELECT now()").fetchone()[0]
    took = wait_until_closed(database_url())
    assert longest_open(database_url(), alive.isoformat()) <= CLOSED_WITHIN
    assert violations(database_url(), client.attempts, seen_by(provider)) == []
    with psycopg.connect(database_url()) as connection:
        ended = {str(c): o for c, o in connection.execute("SELECT call_id, outcome FROM call_outcome")}
    assert {point: ended[dead[point]] for point in ("sent", "answered", "recorded", "answering")} == {
        "sent": "unknown", "answered": "unknown", "recorded": "delivered", "answering": "delivered",
    }  # fmt: skip
    assert list(ended.values()).count("unknown") == 3
    print(f"FI-1..5: {len(POINTS)} kill points, closed {took:.0f} s after the last, 0 violations")
    assert client.once(survivor.url).status == 200


def test_random_kills_under_load(gateways, client, provider):
    """DL-01, FI-01 to FI-05 at moments nobody chose. Between two kills of a process it has served somebody."""
    seed, kills = 20261123, 300 if FULL else 20
    rng = random.Random(seed)
    processes = gateways(3)
    client.urls = [process.url for process in processes]
    client.start(pause=0.002)
    try:
        for _number in range(kills):
            victim = rng.randrange(len(processes))
            until(lambda: all(client.once(url).status == 200 for url in client.urls), "a new process serves nobody")
            time.sleep(rng.uniform(0.005, 0.5))
            processes[victim].kill()
            (processes[victim],) = gateways(wait=False)
            client.urls[victim] = processes[victim].url
    finally:
        client.stop()
    wait_until_closed(database_url())
    assert longest_open(database_url()) <= CLOSED_WITHIN  # two of three processes ran all the time
    whole = sum(attempt.status == 200 for attempt in client.attempts)
    broken = sum(attempt.status == 0 for attempt in client.attempts)
    assert violations(database_url(), client.attempts, seen_by(provider)) == []
    print(f"DL-01: seed {seed}, {kills} kills, {whole} whole answers, {broken} broken, 0 violations")


def test_a_frozen_process_that_wakes_up_does_not_overturn_the_sweepers_verdict(gateways, client, provider):
    """FI-06: SIGSTOP while the provider answers, SIGCONT after the sweeper closed the call."""
    frozen, other = gateways(2)

    async def slow(seen, writer):
        import asyncio

        os.kill(frozen.popen.pid, signal.SIGSTOP)
        await asyncio.sleep(0.1)
        body = b'{"Status":"1"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    provider.behave("/api/companies/0999999999", slow)
    client.urls, client.threads = [frozen.url], 1
    client.start()
    client._stop.set()
    until(lambda: provider.seen, "the provider saw no call")
    wait_until_closed(database_url())
    os.kill(frozen.popen.pid, signal.SIGCONT)
    client.stop()
    (attempt,) = client.attempts
    assert attempt.status == 503
    assert b"record_failed" in attempt.body or b"provider" not in attempt.body
    assert violations(database_url(), client.attempts, seen_by(provider)) == []
    assert other.is_ready()


def test_sigterm_lets_running_calls_finish(gateways, client, world, provider):
    """FI-07: whoever was being served when the process was told to stop gets a whole answer, and nobody new is accepted."""
    callers = 500 if FULL else 60
    world.change(world.version.upstreams.get(), "upstream", max_concurrency=callers)
    (process,) = gateways()
    body = b'{"Status":"1"}'
    release = provider.hold("/api/companies/0999999999", body)
    threads = [threading.Thread(target=client.once, args=(process.url,)) for _number in range(callers)]
    for thread in threads:
        thread.start()

    def waiting():
        return len(provider.seen) == callers

    until(waiting, lambda: f"{len(provider.seen)} of {callers} calls are at the provider, {client.attempts}")
    process.signal(signal.SIGTERM)
    until(lambda: not process.is_listening(), "the process still accepts")
    release()
    for thread in threads:
        thread.join(120)
    assert process.popen.wait(120) in (0, -signal.SIGTERM)
    assert [attempt.status for attempt in client.attempts] == [200] * callers
    assert violations(database_url(), client.attempts, seen_by(provider)) == []
    print(f"FI-07: {callers} calls in flight at SIGTERM, {callers} whole answers")
