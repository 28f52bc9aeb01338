"""What keeps a call cheap: nothing of it waits for the garbage collector, and batches of the ledger take all who are there."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref

import pytest
import uvicorn

from apps.gateway.call_ids import make_text
from apps.gateway.exchange import Exchange
from apps.gateway.group_commit import GroupCommit
from apps.gateway.server import MARK, StrictProtocol
from lgsp.dev.processes import free_port
from tests.gateway.processes import database_url

REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def test_an_answered_request_is_freed_without_the_garbage_collector():
    """Scope and cycle hold each other while a request runs; the answer must part them, or each call is garbage to be found."""
    cycles = []

    async def app(scope, receive, send):
        cycles.append(weakref.ref(scope["extensions"][MARK]))
        await Exchange(scope, receive, send).answer(200, [(b"content-type", b"text/plain")], b"ok")

    async def run() -> int:
        config = uvicorn.Config(app, host="127.0.0.1", port=free_port(), http=StrictProtocol, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(60):
            while not server.started:
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_connection("127.0.0.1", config.port)
            gc.disable()
            try:
                for _number in range(3):
                    writer.write(REQUEST)
                    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
                alive = sum(cycle() is not None for cycle in cycles)
            finally:
                gc.enable()
            writer.close()
            server.should_exit = True
            await serving
        return alive

    alive = asyncio.run(run())
    assert len(cycles) == 3
    assert alive == 1, "only the last request of the connection is still known"


def test_a_child_of_a_fork_does_not_go_on_with_its_parents_digits():
    """Digits of ids are taken from the system many at once; gunicorn forks."""
    reading, writing = os.pipe()
    make_text(1)
    child = os.fork()
    if child == 0:
        os.write(writing, make_text(1).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != make_text(1)


@pytest.mark.django_db(transaction=True)
def test_a_call_that_goes_on_joins_those_who_waited():
    batches = []

    async def write(connection, items):
        batches.append(list(items))
        await connection.fetchval("SELECT 1")
        return items

    async def run() -> None:
        commits = GroupCommit("test", database_url(), write)

        async def call() -> None:
            await commits.submit("first")
            await commits.submit("second")

        going = asyncio.create_task(call())
        while not batches:
            await asyncio.sleep(0)
        waited = commits.submit("waited")
        await asyncio.gather(going, waited)
        await commits.close()

    asyncio.run(run())
    assert batches == [["first"], ["waited", "second"]]
