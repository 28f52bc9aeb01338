"""What whoever runs the gateway relies on: red when it should be, at once refused when too much comes, a drain without errors."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import psycopg
import pytest

from apps.gateway import exchange, fitness
from apps.gateway.breaker import FAILURES
from apps.gateway.histogram import Tally
from apps.gateway.models import CallIntent, GatewayProcess
from apps.gateway.refusals import Refused
from apps.gateway.runtime import Runtime
from lgsp.dev.testing import share
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import GatewayProcess as Process
from tests.gateway.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)
BODY = b'{"Status":"1"}'
LINE = re.compile(
    r"[a-z_]+(\{[a-z_]+=\"[^\"\n]*\"(,[a-z_]+=\"[^\"\n]*\")*\})? -?[0-9.e+-]+|# TYPE [a-z_]+ (counter|gauge|histogram)"
)


@pytest.fixture
def start(world, provider):
    """`start(**env)` is a gateway of this test with its token."""
    made = []

    def _start(**env) -> tuple[Process, dict[str, str]]:
        from apps.core.epoch import current_epoch

        process = Process(database_url(), allow=[f"127.0.0.1:{provider.port}"], **env).start()
        made.append(process)
        wait_for_epoch(process.url, current_epoch())
        token = ask_token(process.url, world.credential.client_id, world.secret)
        return process, {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code}

    yield _start
    for process in made:
        process.stop()


class Held:
    """A provider's answer that is kept back until `release`."""

    def __init__(self, provider, path: str) -> None:
        self.release, self._provider = threading.Event(), provider
        provider.behave(path, self._answer)

    async def _answer(self, _seen, writer) -> None:
        while not self.release.is_set():
            await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY))

    def wait_for(self, number: int) -> None:
        until = time.monotonic() + 30
        while len(self._provider.seen) < number:
            assert time.monotonic() < until, f"{len(self._provider.seen)} of {number} calls arrived"
            time.sleep(0.01)


def in_threads(work, number: int) -> tuple[list[threading.Thread], list]:
    results: list = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _n in range(number)]
    for thread in threads:
        thread.start()
    return threads, results


# --- ready ----------------------------------------------------------------------------------------


@pytest.fixture
def fit(tmp_path) -> Runtime:
    """A runtime as it is when all is well, without any connection."""
    now = time.monotonic()
    runtime = Runtime("postgresql://nobody@127.0.0.1/none", watched_disks=[str(tmp_path), "/does/not/exist"])
    runtime.policy = SimpleNamespace(epoch=1, unreadable=())
    runtime.checked_at = runtime.wrote_at = runtime.clock.heard_at = now
    return runtime


class Rising(Runtime):
    """A runtime whose every read finds the next epoch; `meanwhile` begins in the instant between the end of a read and its being known."""

    epoch, meanwhile = 0, None

    async def _refresh(self):
        await asyncio.sleep(0)
        self.epoch += 1
        if self.epoch == 1:
            self.meanwhile = asyncio.get_running_loop().create_task(self.refresh(2))
        return SimpleNamespace(epoch=self.epoch)


def test_who_knows_of_a_later_epoch_when_a_read_has_just_ended_reads_anew_and_holds_nobody_up():
    """AN-03 in ten thousand trials: such a caller waited for the read that had ended, never let go, and its process stood still."""

    async def both() -> tuple[int, int]:
        runtime = Rising("postgresql://nobody@127.0.0.1/none")
        first = await runtime.refresh()
        return first.epoch, (await runtime.meanwhile).epoch

    def stood_still(*_signal):
        raise AssertionError("the process stands still")

    before = signal.signal(signal.SIGALRM, stood_still)
    signal.alarm(10)
    try:
        assert asyncio.run(both()) == (1, 2)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_read_that_began_before_the_caller_came_does_not_do_for_a_refusal():
    """What is committed between the beginning of a read and the call must not be refused; callers at one instant share the next read."""

    class Counting(Runtime):
        begun = 0

        async def _refresh(self):
            self.begun += 1
            seen = self.begun
            await self.go_on.wait()
            return SimpleNamespace(epoch=seen)

    async def both() -> list[int]:
        runtime = Counting("postgresql://nobody@127.0.0.1/none")
        runtime.go_on = asyncio.Event()
        early = asyncio.ensure_future(runtime.refresh())
        while not runtime.begun:
            await asyncio.sleep(0)
        late = [asyncio.ensure_future(runtime.refresh(of_now=True)) for _n in range(3)]
        await asyncio.sleep(0)  # they have come, and the early read is not over
        runtime.go_on.set()
        return [policy.epoch for policy in await asyncio.gather(early, *late)]

    assert asyncio.run(both()) == [1, 2, 2, 2]


def test_a_database_that_was_put_back_has_no_later_epoch_and_is_not_asked_for_ever():
    class Behind(Runtime):
        async def _refresh(self):
            return SimpleNamespace(epoch=1)

    runtime = Behind("postgresql://nobody@127.0.0.1/none")
    assert asyncio.run(asyncio.wait_for(runtime.refresh(9), 10)).epoch == 1


def test_all_is_well(fit, tmp_path):
    assert fitness.faults(fit) in ([], ["disk_full"])  # the machine's own disk may be full
    assert set(fitness.disks(fit)) == {str(tmp_path)}


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("no_policy", lambda r: setattr(r, "policy", None)),
        ("policy_unreadable", lambda r: setattr(r, "unreadable", "grant: ValueError")),
        ("policy_stale", lambda r: setattr(r, "checked_at", time.monotonic() - 16)),
        ("database_silent", lambda r: setattr(r.clock, "heard_at", time.monotonic() - 16)),
        ("database_not_writing", lambda r: setattr(r, "wrote_at", time.monotonic() - 16)),
        ("unfinished_calls", lambda r: setattr(r, "unfinished", (3, 91.0))),
        ("no_partition_ahead", lambda r: setattr(r, "partitions_ok", False)),
        ("overloaded", lambda r: setattr(r, "running", r.most_running + 1)),
        ("draining", lambda r: setattr(r, "draining", True)),
    ],
)
def test_each_fault_makes_it_red(fit, name, spoil):
    """FI-42."""
    before = fitness.faults(fit)
    spoil(fit)
    assert set(fitness.faults(fit)) - set(before) == {name}


def test_a_disk_warns_first_and_is_a_fault_later(fit, monkeypatch):
    def used(percent: float):
        monkeypatch.setattr(fitness.shutil, "disk_usage", lambda _path: SimpleNamespace(used=percent, free=100 - percent))
        return fitness.faults(fit), fitness.warnings(fit)

    assert used(79) == ([], [])
    assert used(81) == ([], ["disk_filling"])
    assert used(93) == (["disk_full"], ["disk_filling"])


def test_an_open_breaker_is_a_warning_not_a_fault(fit):
    breaker = SimpleNamespace(is_open=True)
    fit.upstreams._endpoints[1] = SimpleNamespace(breaker=breaker)
    assert "provider_paused" in fitness.warnings(fit)


def test_a_database_that_takes_no_commit_makes_it_red_and_its_return_green_again(start, monkeypatch):
    """FI-12: rows can be read but none can be written, as on a full disk."""
    process, _headers = start()
    assert process.is_ready()
    with psycopg.connect(database_url(), autocommit=True) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION test_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'disk full' USING ERRCODE = 'disk_full'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER test_refuse BEFORE INSERT OR UPDATE ON gateway_gatewayprocess FOR EACH ROW EXECUTE FUNCTION test_refuse()"
        )
        try:
            assert _until(lambda: _readiness(process)["faults"] == ["database_not_writing"], 60)
        finally:
            connection.execute("DROP TRIGGER test_refuse ON gateway_gatewayprocess")
    assert _until(process.is_ready, 30)


def _readiness(process) -> dict:
    return send(process.url, path="/readyz").json


def _until(holds, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.1)
    return False


# --- metrics, logs --------------------------------------------------------------------------------


def test_metrics_are_prometheus_text_and_name_no_consumer(gateway, call, world):
    call()
    call(X_Purpose_Code=None)
    text = send(gateway.url, path="/metrics").body.decode()
    assert [line for line in text.splitlines() if not LINE.fullmatch(line)] == []
    for name in ("calls_total", "refused_total", "seconds_bucket", "provider_running", "policy_epoch", "policy_age_seconds", "ready",
                 "unfinished_calls", "disk_used_percent", "commits_total"):  # fmt: skip
        assert f"lgsp_gateway_{name}" in text, name
    assert f'calls_total{{service="{world.service.code}",outcome="delivered"}} 1' in text
    for secret in (world.system.code, world.consumer.code, world.credential.client_id, world.secret):
        assert secret not in text


def test_each_process_shows_itself_to_the_operator_and_leaves_when_it_stops(start):
    process, _headers = start()
    pid = process.popen.pid
    row = next(row for row in GatewayProcess.objects.alive() if row.name.endswith(f":{pid}"))
    assert (row.faults, row.draining) == ([], False)
    process.stop()
    assert not GatewayProcess.objects.filter(pk=row.pk).exists()


def test_log_lines_are_json_when_asked_and_hold_no_secret(start, world, provider):
    async def hang_up(_seen, writer):
        writer.close()

    provider.behave("/api/companies/0999999999", hang_up)
    process, headers = start(LOG_FORMAT="json", LOG_LEVEL="INFO")
    for _n in range(FAILURES + 1):
        send(process.url, path=world.path, headers=headers)
    assert _until(lambda: any("paused" in line for line in list(process.lines)), 20)
    lines = [json.loads(line) for line in list(process.lines)]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    text = "\n".join(process.lines)
    assert headers["Authorization"].split()[1] not in text
    assert world.secret not in text


def test_trace_context_is_passed_through_and_kept(call, provider, world):
    """W3C trace context: the provider gets what the consumer sent; the log finds the call by it."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = call(traceparent=parent, tracestate="rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
    (seen,) = provider.by_call(answer.call_id)
    assert seen.header("traceparent") == parent
    assert seen.header("tracestate") == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
    assert CallIntent.objects.get(call_id=answer.call_id).trace_id.hex == "0af7651916cd43dd8448eb211c80319c"
    broken = call(traceparent="00-xyz", tracestate="rojo=1")
    assert [provider.by_call(broken.call_id)[0].header(name) for name in ("traceparent", "tracestate")] == ["", ""]


# --- overload, slow bodies ------------------------------------------------------------------------


def test_overload_is_told_at_once_and_leaves_nothing_behind(start, world, provider):
    """RL-01, FI-16: beyond the calls it serves at once a process answers 503 without reading anything, and recovers."""
    process, headers = start(LGSP_GATEWAY_MOST_CALLS="3")
    held = Held(provider, "/api/companies/0999999999")
    threads, results = in_threads(lambda: send(process.url, path=world.path, headers=headers).status, 3)
    held.wait_for(3)
    extra = [send(process.url, path=world.path, headers=headers) for _n in range(5)]
    assert {(a.status, a.code, a.headers["retry-after"]) for a in extra} == {(503, "overloaded", "1")}
    assert send(process.url, path="/healthz").status == 200
    held.release.set()
    for thread in threads:
        thread.join()
    assert results == [200] * 3
    assert CallIntent.objects.count() == len(provider.seen) == 3
    assert send(process.url, path=world.path, headers=headers).status == 200


def test_rl_01_sockets_that_say_nothing_or_little_take_nobodys_place(start, world):
    """Idle sockets and heads that come byte by byte: others are served meanwhile, health answers, and what never ends is cut off."""
    idle, slow = share(2_000, small=300), share(1_000, small=150)
    process, headers = start()
    with ExitStack() as opened:
        for _n in range(idle):
            opened.enter_context(socket.create_connection(("127.0.0.1", process.port), timeout=60))
        heads = [opened.enter_context(socket.create_connection(("127.0.0.1", process.port), timeout=60)) for _n in range(slow)]
        for head in heads:
            head.sendall(b"GET /gw/me HTTP/1.1\r\nHost: x\r\nX-A: ")
        for number in range(40):
            with suppress(OSError):  # by then it may be cut off
                heads[number].sendall(b"a")
            assert send(process.url, path=world.path, headers=headers).status == 200
            assert send(process.url, path="/healthz").status == 200
        assert _readiness(process)["ready"]
        # A head that goes on and on is ended by its time, not by its length.
        last = heads[-1]
        with suppress(ConnectionError):
            assert _last_byte(last) == b""
    assert send(process.url, path=world.path, headers=headers).status == 200


def _last_byte(opened: socket.socket) -> bytes:
    """b"" once the other side has closed; the socket's own patience is four times a head's time."""
    return opened.recv(1)


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(exchange, "BODY_SECONDS", 0.05)

    async def never():
        await asyncio.Event().wait()

    given = exchange.Exchange({"headers": [(b"content-length", b"10")]}, never, never)
    with pytest.raises(Refused) as refused:
        asyncio.run(exchange.read_body(given, 100))
    assert refused.value.code == "body_too_slow"


# --- drain ----------------------------------------------------------------------------------------


def test_fi_07_a_drain_says_so_first_serves_meanwhile_and_finishes_what_it_has(start, world, provider):
    """Red at once, still serving for the lead; then calls in flight finish, on connections that are closed after them."""
    process, headers = start(LGSP_GATEWAY_DRAIN_LEAD="3")
    kept = http.client.HTTPConnection("127.0.0.1", process.port, timeout=60)
    kept.request("GET", world.path, headers=headers)
    assert (kept.getresponse().read(), kept.sock is not None)[1]
    held = Held(provider, "/api/companies/0999999999")
    threads, results = in_threads(lambda: send(process.url, path=world.path, headers=headers).status, 20)
    held.wait_for(21)
    process.signal(signal.SIGTERM)
    assert _until(lambda: "draining" in _readiness(process)["faults"], 3)
    held.release.set()
    kept.request("GET", world.path, headers=headers)
    late = kept.getresponse()
    assert (late.status, late.getheader("connection")) == (200, "close")
    for thread in threads:
        thread.join()
    assert results == [200] * 20
    assert process.popen.wait(35) in (0, -signal.SIGTERM)
    assert CallIntent.objects.filter(outcome__outcome="delivered").count() == 22


def test_the_longest_call_fits_into_the_drain():
    from apps.gateway.admission import OLDEST_ID_SECONDS
    from apps.gateway.endpoints import LONGEST_SECONDS
    from apps.gateway.exchange import BODY_SECONDS
    from apps.gateway.sweeper import GRACE_SECONDS
    from lgsp.gateway import DRAIN_SECONDS

    assert BODY_SECONDS < OLDEST_ID_SECONDS
    assert OLDEST_ID_SECONDS + LONGEST_SECONDS + 5 < DRAIN_SECONDS
    assert LONGEST_SECONDS + 20 < GRACE_SECONDS


def test_calls_are_counted_also_while_nobody_looks():
    """What is noted waits for the count; without the poll it would wait, and grow, until somebody asks for the metrics."""
    tally = Tally()
    for outcome in ("delivered", "delivered", "provider_failed"):
        tally.note("s", outcome, 1_500, 900)

    async def refresh() -> None:
        pass

    asyncio.run(Runtime._poll(SimpleNamespace(tally=tally, refresh=refresh)))
    assert tally._fresh == []
    assert tally.calls() == [(("s", "delivered"), 2), (("s", "provider_failed"), 1)]
    assert "lgsp_gateway_seconds_sum 0.0045" in tally.times()
