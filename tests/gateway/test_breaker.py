"""Isolation: a provider that is gone gets a pause, its callers an answer at once, the others notice nothing; people see it."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.core import egress
from apps.gateway.breaker import FAILURES, FIRST_PAUSE, LONGEST_PAUSE, Breaker
from apps.gateway.isolation import paused_providers
from apps.gateway.models import CallIntent, CallRefusal, GatewayProcess
from apps.gateway.provider_connections import Deadlines, Pool, ProviderFailed
from apps.gateway.upstreams import _within
from apps.organizations.choices import Role
from tests.factories.organizations import officer
from tests.gateway.world import ANSWER, make_grant, make_service

NOW = 1000.0


def failing(breaker: Breaker, times: int, now: float = NOW) -> list[bool]:
    return [breaker.failed("provider_timeout", now, tried=breaker.begin()) for _n in range(times)]


def test_it_opens_after_failures_in_a_row_only():
    breaker = Breaker()
    assert failing(breaker, FAILURES - 1) == [False] * (FAILURES - 1)
    assert breaker.answered() is False
    assert failing(breaker, FAILURES) == [False] * (FAILURES - 1) + [True]
    assert breaker.wait(NOW) == FIRST_PAUSE


def test_after_the_pause_one_call_tries_and_the_others_wait():
    breaker = Breaker()
    failing(breaker, FAILURES)
    later = NOW + FIRST_PAUSE
    assert breaker.wait(later) == 0.0
    assert breaker.begin() is True
    assert breaker.wait(later) > 0
    assert breaker.failed("provider_timeout", later, tried=True) is True
    assert breaker.wait(later) == 2 * FIRST_PAUSE
    assert breaker.since == NOW
    breaker.begin()
    assert breaker.answered() is True
    assert breaker.wait(later) == 0.0


def test_calls_that_were_on_their_way_do_not_lengthen_the_pause_and_an_answer_to_them_ends_it():
    breaker = Breaker()
    failing(breaker, FAILURES)
    assert breaker.failed("provider_timeout", NOW + 3, tried=False) is False
    assert breaker.wait(NOW) == FIRST_PAUSE
    assert breaker.answered() is True
    assert not breaker.is_open


def test_a_try_that_ends_without_a_word_about_the_provider_lets_another_try():
    breaker = Breaker()
    failing(breaker, FAILURES)
    assert breaker.begin() is True
    breaker.gave_up()
    assert breaker.wait(NOW + FIRST_PAUSE) == 0.0


def test_the_pause_grows_to_a_limit():
    breaker, now = Breaker(), NOW
    failing(breaker, FAILURES)
    for _n in range(10):
        now = breaker.until
        assert breaker.failed("provider_timeout", now, tried=breaker.begin()) is True
    assert breaker.wait(now) == LONGEST_PAUSE


@pytest.mark.django_db(transaction=True)
def test_a_dead_provider_is_paused_its_neighbour_on_the_same_host_served_and_people_see_it(call, world, provider):
    """GW-14, FI-35: refused at once with Retry-After, no quota taken, no intent; the row says which, why and until when."""
    service, _version, operation = make_service(provider.url + "/other")
    make_grant(operation, world.system, world.purpose)
    world.change(world.grant, "world")
    provider.answer("/other/companies/0999999999", ANSWER)
    other = f"/gw/{service.code}/v1/companies/0999999999"

    async def hang_up(_seen, writer):
        writer.close()

    provider.behave("/api/companies/0999999999", hang_up)
    codes = [call().code for _n in range(FAILURES + 1)]
    assert codes == ["provider_protocol_error"] * FAILURES + ["provider_unavailable"]
    intents, hits = CallIntent.objects.count(), len(provider.seen)
    refused = call()
    assert (refused.status, refused.code) == (503, "provider_unavailable")
    assert 1 <= int(refused.headers["retry-after"]) <= FIRST_PAUSE
    assert (CallIntent.objects.count(), len(provider.seen)) == (intents, hits)
    assert CallRefusal.objects.filter(code="provider_unavailable").count() == 2
    assert call(other).status == 200

    row = _told(lambda row: row.pauses)
    assert row.pauses[0]["code"] == "provider_protocol_error"
    client = Client()
    client.force_login(officer(Role.OPERATOR))
    (pause,) = client.get("/api/v1/provider-pauses").json()
    assert (pause["service"], pause["environment"], pause["processes"]) == (world.service.code, "production", 1)
    page = client.get("/portal/gateway/").content.decode()
    assert world.service.name in page
    assert row.name in page

    provider.answer("/api/companies/0999999999", ANSWER)
    until = time.monotonic() + 60
    while call().status != 200:
        assert time.monotonic() < until, "the breaker did not close"
        time.sleep(0.2)
    assert [call().status for _n in range(5)] == [200] * 5
    _told(lambda row: not row.pauses)


def test_a_name_nobody_answers_for_holds_one_look_up_and_not_one_a_call(monkeypatch):
    """Names are looked up by a handful of threads that all providers share, and a look-up goes on when its call has given up."""
    asked, answers = [], asyncio.Event()

    async def resolve(target):
        asked.append(target.host)
        await answers.wait()
        raise egress.EgressRefused("unresolved")

    monkeypatch.setattr(egress, "resolve_async", resolve)

    async def connect(pool: Pool, seconds: float) -> str:
        try:
            await _within(time.monotonic() + seconds, pool.connect(None))
        except ProviderFailed as failed:
            return failed.code
        return ""

    async def run() -> None:
        pool = Pool(egress.Target("http", "dead.example", 80, "/"), Deadlines())
        assert set(await asyncio.gather(*[connect(pool, 0.05) for _n in range(50)])) == {"provider_timeout"}
        assert await connect(pool, 0.05) == "provider_timeout"
        assert asked == ["dead.example"]
        answers.set()
        assert await connect(pool, 60) == "provider_unreachable"
        assert await connect(pool, 60) == "provider_unreachable"
        assert len(asked) == 2, "who comes after an answer asks anew"

    asyncio.run(run())


@pytest.mark.django_db
def test_people_see_what_all_processes_learned_together():
    """A pause of some of the processes: how many of those alive, since the first of them, tried again by the first of them."""
    upstream = make_service("http://127.0.0.1:9/api")[1].upstreams.get()
    now = timezone.now()

    def at(seconds):
        return (now + timedelta(seconds=seconds)).isoformat()

    told = [[(-30, 20)], [(-10, 5)], [], [(-99, 1)]]
    for number, pauses in enumerate(told):
        GatewayProcess.objects.create(
            id=uuid.uuid4(), name=f"vm:{number}", started_at=now, seen_at=now - timedelta(minutes=number == 3), epoch=1, policy="1-a",
            grants=1, running=0, draining=False, faults=[],
            pauses=[{"upstream": upstream.pk, "code": "provider_timeout", "since": at(s), "next_try": at(t)} for s, t in pauses],
        )  # fmt: skip
    (pause,) = paused_providers(officer(Role.OPERATOR))
    assert (pause.processes, pause.alive, pause.upstream) == (2, 3, upstream)
    assert (pause.since, pause.next_try) == (now - timedelta(seconds=30), now + timedelta(seconds=5))


def _told(holds) -> GatewayProcess:
    """The row of the one gateway, once what it tells satisfies `holds`."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        row = GatewayProcess.objects.alive().first()
        if row is not None and holds(row):
            return row
        time.sleep(0.1)
    raise AssertionError("the gateway did not tell")


@pytest.mark.django_db(transaction=True)
def test_errors_the_provider_words_itself_open_nothing(call, world, provider):
    for status in (500, 404, 400, 501):
        provider.answer("/api/companies/0999999999", {}, status=status)
        assert {call().code for _n in range(FAILURES + 1)} & {"provider_unavailable"} == set()
    provider.answer("/api/companies/0999999999", {}, status=503)
    assert [call().code for _n in range(FAILURES + 1)] == ["provider_busy"] * FAILURES + ["provider_unavailable"]


@pytest.mark.django_db(transaction=True)
def test_one_service_takes_no_more_calls_at_once_than_it_allows(call, world, provider):
    """The limit is the service's own: its neighbour on the same host is served meanwhile."""
    import threading

    from apps.registry.models import Upstream

    service, _version, operation = make_service(provider.url + "/other")
    make_grant(operation, world.system, world.purpose)
    provider.answer("/other/companies/0999999999", ANSWER)
    upstream = Upstream.objects.get(version=world.version)
    world.change(upstream, "upstream", max_concurrency=2)
    world.change(world.grant, "world")
    release = threading.Event()

    async def slow(_seen, writer):
        import asyncio

        while not release.is_set():
            await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n" + b'{"Status":"1"}')

    provider.behave("/api/companies/0999999999", slow)
    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(call().status)) for _n in range(2)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 10
    while len(provider.seen) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    third = call()
    assert (third.status, third.code) == (503, "provider_busy")
    assert call(f"/gw/{service.code}/v1/companies/0999999999").status == 200
    release.set()
    for thread in threads:
        thread.join()
    assert results == [200, 200]
