"""FI-18 to FI-22, FI-24 to FI-26, SY-04: the broker and the workers may do what they like, the rows decide.

Real workers on whatever broker this run has (filesystem, Redis, RabbitMQ); waits are generous and end with the condition.
"""

from __future__ import annotations

import contextlib
import datetime
import email
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from amqp.exceptions import ChannelError
from django.conf import settings
from django.db import connection
from django.utils import timezone
from kombu import Connection, Exchange, Producer

from apps.accounts.models import User
from apps.catalogs.models import Release
from apps.notices import outbox
from apps.notices.models import OutboxMessage
from apps.notices.tasks import deliver_outbox
from apps.sync.choices import OPEN_STATUSES, RunStatus
from apps.sync.models import Source, SyncRun
from apps.sync.tasks import sync_source
from lgsp.celery import app as celery
from lgsp.dev.testing import share
from tests.factories.sync import CatalogSourceFactory, at_sandbox
from tests.fixtures.platform import SANDBOX_KEY, SANDBOX_SECRET, _test_database_url
from tests.servers import RawServer

ROOT = Path(__file__).resolve().parent.parent.parent
QUICK = {"LGSP_TICK_SECONDS": "1"}
WAIT = 180
pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


class Address:
    """Where the platform's sandbox is."""

    key, secret = SANDBOX_KEY, SANDBOX_SECRET

    def __init__(self, url: str) -> None:
        self.url = url


@pytest.fixture
def sandbox(running_platform):
    requests.post(running_platform.url("sandbox") + "/sandbox/reset", timeout=10)
    return Address(running_platform.url("sandbox"))


@pytest.fixture
def person(transactional_db) -> User:
    return User.objects.create_user("ha", email="ha@example.vn", full_name="Nguyễn Thị Hà")


@pytest.fixture
def mails():
    """The numbers that were told by e-mail, as often as they were."""
    folder = Path(settings.EMAIL_FILE_PATH)
    for old in folder.glob("*") if folder.is_dir() else ():
        old.unlink()

    def told() -> Counter:
        texts = [path.read_text() for path in folder.glob("*")] if folder.is_dir() else []
        parts = [part for text in texts for part in text.split("-" * 79) if part.strip()]
        return Counter(email.message_from_string(part.lstrip())["Message-ID"] for part in parts)

    return told


def until(condition, what: str) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"{what}: {list(SyncRun.objects.values())} {list(OutboxMessage.objects.values())}"
        time.sleep(0.1)


def all_closed(number: int) -> bool:
    return SyncRun.objects.exclude(status__in=OPEN_STATUSES).count() >= number and not SyncRun.objects.open().exists()


def none_waits() -> bool:
    return not OutboxMessage.objects.filter(sent_at__isnull=True).exists()


def lists_read(sandbox) -> int:
    return len(requests.get(f"{sandbox.url}/sandbox/received?path=/dmdc/", timeout=10).json())


def act(broker: str, times: int) -> subprocess.CompletedProcess:
    """Let a process of its own tell `times` facts while its broker is `broker`. It must end by itself."""
    env = {**os.environ, "DATABASE_URL": _test_database_url(), "CELERY_BROKER_URL": broker, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "tests.faults.teller", "ha", str(times)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=WAIT)


# --- FI-18, FI-19, FI-24: the outbox --------------------------------------------------------------------


@pytest.fixture
def hole():
    """A server that accepts and never says anything."""
    with RawServer(lambda connection, head: None) as server:
        server._serve = lambda connection: (server.seen.append(connection), time.sleep(WAIT))
        yield server


@pytest.mark.processes("sandbox")
@pytest.mark.parametrize("broker", ["amqp://guest@127.0.0.1:1//", "redis://127.0.0.1:1/0"])
def test_fi_18_acts_succeed_while_the_broker_is_down_and_are_told_once_it_is_back(running_platform, person, mails, broker):
    done = act(broker, 20)
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr
    assert OutboxMessage.objects.filter(sent_at__isnull=True).count() == 20
    assert not mails()
    running_platform.restart("worker", env=QUICK)
    until(none_waits, "the outbox is not empty")
    assert sorted(mails().values()) == [1] * 20
    print("FI-18 acts=20 told=20 twice=0")


@pytest.mark.parametrize("scheme", ["amqp://guest@", "redis://"])
def test_fi_18_a_broker_that_never_answers_is_asked_once_and_not_at_every_act(person, hole, scheme):
    done = act(f"{scheme}127.0.0.1:{hole.port}/0", 20)
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr
    assert OutboxMessage.objects.count() == 20
    assert 1 <= len(hole.seen) <= 3


def test_fi_19_a_long_outbox_drains_in_turns_and_asks_for_the_next_one(person, monkeypatch):
    rows = share(100_000, small=1_000)
    now = timezone.now()
    OutboxMessage.objects.bulk_create(
        [OutboxMessage(channel="count", key=f"k{n}", next_attempt_at=now) for n in range(rows)], batch_size=5_000
    )
    sent = Counter()
    monkeypatch.setitem(outbox.SENDERS, "count", lambda message: sent.update([message.key]))
    _purge()
    turns = 0
    while not none_waits():
        assert deliver_outbox.apply().get() == outbox.TURN
        assert _queued() >= 1, "nobody would come for the rest"
        _purge()
        turns += 1
    assert (turns, len(sent), max(sent.values())) == (rows // outbox.TURN, rows, 1)
    print(f"FI-19 rows={rows} turns={turns} lost=0 twice=0")


def test_fi_19_the_next_message_is_found_by_its_index_among_those_that_left(db):
    now = timezone.now()
    OutboxMessage.objects.bulk_create(
        [OutboxMessage(channel="x", key=f"k{n}", stream="s", next_attempt_at=now, sent_at=now) for n in range(5_000)]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE notices_outboxmessage")
        cursor.execute("EXPLAIN " + outbox._CLAIM, [outbox.LEASE])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "notices_outbox_waiting" in plan
    assert "Seq Scan" not in plan


@pytest.mark.processes("sandbox")
def test_fi_24_an_act_killed_between_commit_and_wake_up_is_told_once(running_platform, person, mails):
    running_platform.restart("worker", env=QUICK)
    env = {**os.environ, "DATABASE_URL": _test_database_url(), "LGSP_KILL_AT": "core.waking", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "tests.faults.teller", "ha", "1"]
    killed = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=WAIT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    until(lambda: OutboxMessage.objects.exists() and none_waits(), "nobody was told")
    assert list(mails().values()) == [1]


def test_a_message_of_which_every_worker_dies_is_given_up_at_last(db):
    now = timezone.now()
    OutboxMessage.objects.create(channel="none", key="k", next_attempt_at=now, attempts=outbox.MOST_ATTEMPTS)
    outbox.deliver_due()
    assert OutboxMessage.objects.get().failed_at


# --- FI-20, FI-21, FI-22: what the broker may do with messages ---------------------------------------------


def _broker() -> Connection:
    return Connection(settings.CELERY_BROKER_URL, transport_options=celery.conf.broker_transport_options, connect_timeout=5)


def _purge() -> None:
    with _broker() as broker, broker.channel() as channel:
        celery.amqp.queues[settings.CELERY_TASK_DEFAULT_QUEUE].bind(channel).declare()
        channel.queue_purge(settings.CELERY_TASK_DEFAULT_QUEUE)


def _queued() -> int:
    with _broker() as broker, broker.channel() as channel:
        queue = celery.amqp.queues[settings.CELERY_TASK_DEFAULT_QUEUE].bind(channel)
        try:
            return queue.queue_declare(passive=True).message_count
        except ChannelError:  # an empty queue is no queue on Redis
            return 0


@pytest.mark.worker
@pytest.mark.processes("sandbox")
def test_fi_20_a_broker_that_lost_everything_costs_no_effect(running_platform, sandbox, person, mails):
    runs = [SyncRun.objects.create(source=CatalogSourceFactory(**at_sandbox(sandbox))) for _ in range(3)]
    for run in runs:
        sync_source.delay(str(run.uuid))
    assert act(os.environ.get("CELERY_BROKER_URL", "filesystem://"), 3).returncode == 0
    _purge()
    assert _queued() == 0
    running_platform.restart("worker", env=QUICK)
    until(lambda: all_closed(3) and none_waits(), "something was lost")
    assert set(SyncRun.objects.values_list("status", "attempt")) == {(RunStatus.PUBLISHED, 1)}
    assert sorted(mails().values()) == [1, 1, 1]
    print("FI-20 runs=3 mails=3 lost=0")


@pytest.mark.worker
@pytest.mark.processes("sandbox")
def test_fi_21_messages_that_come_often_late_and_in_any_order_have_one_effect(running_platform, sandbox):
    running_platform.restart("worker", env=QUICK)
    first, second = (SyncRun.objects.create(source=CatalogSourceFactory(**at_sandbox(sandbox))) for _ in range(2))
    for run in (second, first, first, second, first) * 3:
        sync_source.delay(str(run.uuid))
    until(lambda: all_closed(2), "a run is open")
    for run in (first, second) * 3:  # delivered again after the work was done
        sync_source.delay(str(run.uuid))
    last = SyncRun.objects.create(source=CatalogSourceFactory(**at_sandbox(sandbox)))
    sync_source.delay(str(last.uuid))
    until(lambda: all_closed(3), "the last run is open")
    assert set(SyncRun.objects.values_list("status", "attempt", "fence")) == {(RunStatus.PUBLISHED, 1, 1)}
    assert Release.objects.count() == lists_read(sandbox) == 3
    print("FI-21 messages=22 effects=3")


def _poison() -> list[dict]:
    """Bodies and properties of messages that no worker of ours can do anything with."""
    headers = {"lang": "py", "id": "x", "argsrepr": "", "kwargsrepr": ""}
    task = json.dumps([[], {}, {}]).encode()
    jsonish = {"content_type": "application/json", "content_encoding": "utf-8"}
    pickled = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x15touch pwned-by-pickle\x85R."  # would run a command
    return [
        {"body": task, "headers": {**headers, "task": "no.such.task"}, **jsonish},
        {"body": b"{not json", "headers": {**headers, "task": "sync.run"}, **jsonish},
        {"body": b"[]", "headers": {}, **jsonish},
        {"body": b"\xff\xfe", "headers": {**headers, "task": "sync.run"}, **jsonish},
        {"body": pickled, "headers": {**headers, "task": "sync.run"}, "content_type": "application/x-python-serialize",
         "content_encoding": "binary"},
        {"body": json.dumps([["x" * 10_000_000], {}, {}]).encode(), "headers": {**headers, "task": "sync.run"}, **jsonish},
        {"body": json.dumps([["no-uuid"], {}, {}]).encode(), "headers": {**headers, "task": "sync.run"}, **jsonish},
        {"body": json.dumps([[1, 2, 3], {}, {}]).encode(), "headers": {**headers, "task": "sync.run"}, **jsonish},
    ]  # fmt: skip


@pytest.mark.worker
@pytest.mark.processes("sandbox")
def test_fi_22_poison_is_dropped_and_the_others_go_on(running_platform, sandbox):
    running_platform.restart("worker", env=QUICK)
    pid = running_platform["worker"].pid
    with _broker() as broker, broker.channel() as channel:
        celery.amqp.queues[settings.CELERY_TASK_DEFAULT_QUEUE].bind(channel).declare()
        name = settings.CELERY_TASK_DEFAULT_QUEUE
        producer = Producer(channel, exchange=Exchange(name, type="direct"), routing_key=name)
        for message in _poison():
            producer.publish(message.pop("body"), **message)
    run = SyncRun.objects.create(source=CatalogSourceFactory(**at_sandbox(sandbox)))
    sync_source.delay(str(run.uuid))
    until(lambda: all_closed(1), "the worker stands still")
    until(lambda: _queued() == 0, "poison comes back")
    assert running_platform["worker"].is_running()
    assert running_platform["worker"].pid == pid
    assert not (ROOT / "pwned-by-pickle").exists()
    run.refresh_from_db()
    assert (run.status, run.attempt) == (RunStatus.PUBLISHED, 1)
    print(f"FI-22 poison={len(_poison())} worker=alive queue=0")


# --- FI-25, FI-26, SY-04: workers and schedules --------------------------------------------------------------


@pytest.mark.processes("sandbox")
def test_fi_25_a_hung_task_is_killed_at_its_hard_limit_and_another_takes_over_with_a_higher_fence(running_platform, sandbox):
    """The task hears nothing, not even its soft limit, while its lease would be kept for ever by a naive heartbeat."""
    limits = {**QUICK, "LGSP_TASK_SECONDS": "10", "LGSP_SYNC_LEASE_SECONDS": "2", "LGSP_SYNC_BACKOFF_SECONDS": "1"}
    running_platform.restart("worker", env={**limits, "LGSP_HANG_AT": "sync.fetched"})
    run = SyncRun.objects.create(source=CatalogSourceFactory(**at_sandbox(sandbox)))
    sync_source.delay(str(run.uuid))
    until(lambda: "Hard time limit" in running_platform.log("worker"), "the hung task lives on")
    run.refresh_from_db()
    assert not Release.objects.exists()
    held_by = run.fence
    running_platform.restart("worker", env=limits)
    until(lambda: all_closed(1), "nobody took the run over")
    run.refresh_from_db()
    assert run.status == RunStatus.PUBLISHED
    assert run.fence > held_by >= 1
    assert Release.objects.count() == 1
    print(f"FI-25 hard_limit=1 fence={held_by}->{run.fence} releases=1")


@pytest.mark.processes("sandbox")
def test_fi_26_two_schedules_and_two_workers_give_one_run_a_slot(running_platform, sandbox):
    running_platform.restart("worker", env=QUICK)
    running_platform.add_worker("worker-two", env=QUICK)
    sources = [CatalogSourceFactory(next_run_at=timezone.now(), **at_sandbox(sandbox)) for _ in range(6)]
    until(lambda: all_closed(6), "a source did not run")
    for missed in (datetime.timedelta(hours=3), datetime.timedelta(hours=36)):
        before = SyncRun.objects.count()
        Source.objects.update(next_run_at=timezone.now() - missed)
        until(lambda wanted=before + 6: all_closed(wanted), "a source did not catch up")
    _two_more_ticks()
    assert SyncRun.objects.count() == 3 * len(sources)
    assert set(SyncRun.objects.values_list("attempt", "fence")) == {(1, 1)}
    assert Release.objects.live().count() == len(sources)
    assert lists_read(sandbox) == 3 * len(sources)
    print(f"FI-26 schedules=2 workers=2 sources={len(sources)} slots=3 runs={SyncRun.objects.count()}")


def _two_more_ticks() -> None:
    """Wait until the schedule looked again, so that a run too many would be there."""
    with connection.cursor() as cursor:
        seen = set()
        deadline = time.monotonic() + WAIT
        while len(seen) < 4 and time.monotonic() < deadline:
            cursor.execute("SELECT at FROM sync_workerheartbeat")
            seen |= {row[0] for row in cursor.fetchall()}
            time.sleep(0.2)
    assert len(seen) >= 4


# --- a broker that is a server goes away and comes back ----------------------------------------------------------


class Cable:
    """A TCP proxy before the broker that can be cut: every connection ends, no new one is made until it is mended."""

    def __init__(self, host: str, port: int) -> None:
        self.there, self.pairs, self.whole = (host, port), [], True
        self.server = RawServer(lambda connection, head: None)
        self.server._serve = self._pass
        self.port = self.server.port

    def _pass(self, connection: socket.socket) -> None:
        if not self.whole:
            return connection.close()
        other = socket.create_connection(self.there)
        self.pairs += [connection, other]
        for source, sink in ((connection, other), (other, connection)):
            threading.Thread(target=_pump, args=(source, sink), daemon=True).start()
        return None

    def cut(self) -> None:
        self.whole = False
        for sock in self.pairs:
            _close(sock)
        self.pairs.clear()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    _close(source), _close(sink)


def _close(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


@pytest.mark.worker
@pytest.mark.processes("sandbox")
def test_fi_18_a_worker_outlives_its_broker(running_platform, sandbox, person, mails):
    """The connection of the running worker is cut, acts go on, and what they tell leaves when the broker is back."""
    url = os.environ.get("TEST_CELERY_BROKER_URL", "")
    if not url.startswith(("redis", "amqp")):
        pytest.skip("not covered: a broker that goes away under a running worker (TEST_CELERY_BROKER_URL names no server)")
    parts = Connection(url)
    cable = Cable(parts.hostname, parts.port or parts.default_port)
    through = url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{cable.port}")
    running_platform.restart("worker", env={**QUICK, "CELERY_BROKER_URL": through})
    assert act(through, 1).returncode == 0
    until(lambda: OutboxMessage.objects.count() == 1 and none_waits(), "the cable is broken before it was cut")
    cable.cut()
    assert act(through, 6).returncode == 0  # the first of them was told before
    assert OutboxMessage.objects.filter(sent_at__isnull=True).count() == 5
    cable.whole = True
    until(none_waits, "the worker did not come back")
    assert sorted(mails().values()) == [1] * 6
