"""FI-08, FI-09: the gateway has no memory, or no descriptor left. Whom it can serve it serves; nobody else is blamed; nothing is lost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import resource
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from apps.core.epoch import current_epoch
from tests.faults.gateway_checker import Client, violations, wait_until_closed
from tests.gateway.conftest import ask_token, wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.patience import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]
SPARE, STRANGERS = 12, 60


@pytest.fixture
def process(gateways) -> GatewayProcess:
    (process,) = gateways()
    return process


@pytest.fixture
def client(process, world) -> Client:
    wait_for_epoch(process.url, current_epoch())
    token = ask_token(process.url, world.credential.client_id, world.secret)
    return Client([process.url], world.path, {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code})


class Known:
    """A consumer that keeps its connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.connection = http.client.HTTPConnection(urlsplit(client.urls[0]).netloc, timeout=30)

    def get(self, path: str = "") -> tuple[int, dict]:
        self.connection.request("GET", path or self.client.path, headers=self.client.headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def strangers(process: GatewayProcess) -> Iterator[None]:
    """As many connections as the process may have, and more, by people who say nothing."""
    pid, came = process.popen.pid, []
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + SPARE,) * 2)
    try:
        for _n in range(STRANGERS):
            with contextlib.suppress(OSError):
                came.append(socket.create_connection(("127.0.0.1", process.port), timeout=5))
        until(lambda: descriptors(pid) >= resource.prlimit(pid, resource.RLIMIT_NOFILE)[0], "there are descriptors left")
        yield
    finally:
        for connection in came:
            connection.close()


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_fi_09_without_descriptors_known_consumers_are_served_and_new_ones_as_soon_as_there_is_room(process, client, provider):
    known = Known(client)
    assert known.get()[0] == 200
    with strangers(process):
        assert {known.get()[0] for _n in range(20)} == {200}
        assert "descriptors_short" in known.get("/readyz")[1]["warnings"]
        assert client.once(process.url).status == 0, "a new one was let in: there was room"
    until(lambda: client.once(process.url).status == 200, "it lets nobody in any more")
    assert "descriptors_short" not in known.get("/readyz")[1]["warnings"]
    assert process.popen.poll() is None
    wait_until_closed(database_url())
    assert violations(database_url(), client.attempts, [(seen.call_id, seen.at) for seen in provider.seen]) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_fi_09_that_the_gateway_has_no_descriptor_is_not_held_against_the_provider(process, client, world, provider, host):
    """A provider that ends each connection needs a new one for each call; one with a name is looked up first."""
    provider.answer("/api/companies/0999999999", {"Status": "1"}, headers={"Connection": "close"})
    world.change(world.version.upstreams.get(), "upstream", base_url=f"http://{host}:{provider.port}/api")
    known = Known(client)
    assert known.get()[0] == 200
    with strangers(process):
        refused = [known.get() for _n in range(8)]
    assert {(status, told["code"]) for status, told in refused} == {(503, "gateway_exhausted")}
    assert known.get()[0] == 200, "the provider was paused for it"
    wait_until_closed(database_url())
    assert violations(database_url(), client.attempts, [(seen.call_id, seen.at) for seen in provider.seen]) == []


def test_fi_09_it_may_have_as_many_as_the_machine_gives_it(gateways):
    """Shells and systemd begin a process with 1,024."""
    mine = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, mine[1]))
    try:
        (process,) = gateways()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, mine)
    allowed, _hard = resource.prlimit(process.popen.pid, resource.RLIMIT_NOFILE)
    assert allowed > 512
    assert allowed == (65_536 if mine[1] == resource.RLIM_INFINITY else min(mine[1], 65_536))


def limit_memory(pid: int, spare: int) -> None:
    """`spare` bytes of addresses more than the process has now; the end of it can be lifted again."""
    status = Path(f"/proc/{pid}/status").read_text()
    held = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmSize:"))
    resource.prlimit(pid, resource.RLIMIT_AS, (held + spare, resource.RLIM_INFINITY))


@pytest.mark.parametrize("spare", [4_000_000, 40_000_000])
def test_fi_08_without_memory_some_calls_are_refused_and_none_is_lost_or_blamed_on_the_provider(
    gateways, process, client, world, provider, spare
):
    """What C code does without memory is not ours to say: the process may die of it, and another takes its place."""
    provider.answer("/api/companies/0999999999", {"Status": "1", "Data": {"Main": {"NAME": "x" * 9_000_000}}})
    world.change(world.version.upstreams.get(), "upstream", max_response_bytes=12_000_000)
    until(lambda: client.once(process.url).status == 200, "it does not take large answers")
    limit_memory(process.popen.pid, spare)
    calls = [threading.Thread(target=client.once, args=(process.url,)) for _n in range(12)]
    for call in calls:
        call.start()
    for call in calls:
        call.join(120)
    attempts = client.attempts[-len(calls) :]
    codes = Counter(json.loads(told.body)["code"] for told in attempts if told.status not in (0, 200))
    assert set(codes) <= {"gateway_exhausted", "internal", "not_ready"}, codes
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.popen.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    # One that dies of it may take a moment: its connections are closed before it is gone.
    until(lambda: process.popen.poll() is not None or client.once(process.url).status == 200, "neither gone nor serving")
    if died := process.popen.poll() is not None:
        (process,) = gateways()
        wait_for_epoch(process.url, current_epoch())
        assert client.once(process.url).status == 200
    wait_until_closed(database_url())
    assert violations(database_url(), client.attempts, [(seen.call_id, seen.at) for seen in provider.seen]) == []
    print(f"FI-08: {spare} bytes to spare, {len(calls)} answers of 9 MB: {dict(codes)}, died: {died}, 0 violations")
