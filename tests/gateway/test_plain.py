"""The shortcut for plain calls: taken for the same bytes as before and for nothing else, and then it changes nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
import uvicorn

from apps.gateway import server
from apps.gateway.exchange import Exchange
from apps.gateway.plain import REMEMBERED, PlainExchange, PlainProtocol
from apps.gateway.tokens import hash_token
from lgsp.dev.processes import free_port
from tests.gateway.test_boundaries import exchange as send
from tests.gateway.test_boundaries import statuses

TOKEN = "t" * 43
BLOCK = f"\r\nHost: gateway\r\nAuthorization: Bearer {TOKEN}\r\nX-Purpose-Code: check\r\n\r\n".encode()
LINE = b"GET /gw/companies/v1/companies/1 HTTP/1.1"


class Shortcut:
    """Stands for `Calls`: answers which way a request came; holds its answers back while `gate` is closed."""

    def __init__(self) -> None:
        self.known = {hash_token(TOKEN)}
        self.gate = asyncio.Event()
        self.gate.set()
        self.longer = 0
        tokens = SimpleNamespace(remembered=lambda digest: digest if digest in self.known else None)
        self.runtime = SimpleNamespace(tokens=tokens, trusted_proxies=frozenset())

    async def serve(self, exchange: PlainExchange, service: str, major: int, path: bytes) -> None:
        try:
            await self.gate.wait()
            told = f"plain {service} {major} {path.decode()} {exchange.query.decode()} {exchange.purpose()}"
            await exchange.answer(200, [(b"x-way", b"plain")], told.encode() + b" " * self.longer)
        finally:
            exchange.done()


@asynccontextmanager
async def serving(**config):
    """(a function that opens connections, the shortcut, the server) of a server on which the ordinary way says so."""

    async def ordinary(scope, receive, send) -> None:
        await Exchange(scope, receive, send).answer(200, [(b"x-way", b"ordinary")], b"ordinary")

    shortcut = Shortcut()
    protocol = type("Protocol", (PlainProtocol,), {"calls": shortcut, "blocks": {}})
    settings = uvicorn.Config(
        ordinary, host="127.0.0.1", port=free_port(), http=protocol, lifespan="off", log_config=None, **config
    )
    served = uvicorn.Server(settings)
    shortcut.connections = lambda: list(served.server_state.connections)
    running = asyncio.create_task(served.serve())
    try:
        async with asyncio.timeout(60):
            while not served.started:
                await asyncio.sleep(0.01)
            yield lambda: asyncio.open_connection("127.0.0.1", settings.port), shortcut, protocol
    finally:
        served.should_exit = True
        await running


async def read(reader: asyncio.StreamReader) -> tuple[str, dict[bytes, bytes]]:
    """Body and headers of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    headers = dict(line.split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:])
    return (await reader.readexactly(int(headers[b"content-length"]))).decode(), headers


def test_the_second_call_with_the_same_headers_takes_the_shortcut_whatever_its_path_and_connection():
    async def run() -> list[str]:
        async with serving() as (connect, _shortcut, _protocol):
            reader, writer = await connect()
            found = []
            for line in (LINE, LINE, b"GET /gw/other/v12/a/b.c~d?x=1&y=%2F HTTP/1.1"):
                writer.write(line + BLOCK)
                found.append((await read(reader))[0])
            again, second = await connect()
            second.write(LINE + BLOCK)
            found.append((await read(again))[0])
            return found

    assert asyncio.run(run()) == [
        "ordinary",
        "plain companies 1 /companies/1  check",
        "plain other 12 /a/b.c~d x=1&y=%2F check",
        "plain companies 1 /companies/1  check",
    ]


OTHER_LINES = [
    b"POST /gw/companies/v1/companies/1 HTTP/1.1", b"HEAD /gw/companies/v1/companies/1 HTTP/1.1", b"GET /gw/companies/v1/companies/1 HTTP/1.0",
    b"GET /gw/companies/v1/../companies/1 HTTP/1.1", b"GET /gw/companies/v1/companies//1 HTTP/1.1", b"GET /gw/companies/v1/.x HTTP/1.1",
    b"GET /gw/companies/v1/a%2fb HTTP/1.1", b"GET /gw/companies/v1/a;b HTTP/1.1", b"GET /gw/companies/v01/a HTTP/1.1",
    b"GET /gw/companies/v1/soap?wsdl HTTP/1.1", b"GET /gw/companies/v1/a?x=1?y HTTP/1.1", b"GET /gw/me HTTP/1.1", b"GET /gw/companies/v1 HTTP/1.1",
]  # fmt: skip


@pytest.mark.parametrize("line", OTHER_LINES)
def test_a_line_that_could_mean_two_things_takes_the_ordinary_way(line):
    assert asyncio.run(_way_of([LINE + BLOCK, line + BLOCK])) == ["ordinary", "ordinary"]


OTHER_HEADERS = [
    b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", b"Content-Length: 0", b"Transfer-Encoding: chunked",
    b"Expect: 100-continue", b"X-Purpose-Code: twice", b"Authorization: Bearer " + b"u" * 43, b"X-Long: " + b"x" * 3_000,
]  # fmt: skip


@pytest.mark.parametrize("header", OTHER_HEADERS)
def test_headers_that_say_more_are_not_remembered(header):
    request = LINE + b"\r\n" + header + BLOCK + (b"0\r\n\r\n" if header.startswith(b"Transfer") else b"")
    assert asyncio.run(_way_of([request, request])) == ["ordinary", "ordinary"]


def test_a_connection_that_is_to_close_is_closed_and_kept_alive_is_plain():
    kept = LINE + b"\r\nConnection: keep-alive" + BLOCK
    assert asyncio.run(_way_of([kept, kept])) == ["ordinary", "plain"]

    async def run() -> bytes:
        async with serving() as (connect, _shortcut, _protocol):
            for _number in range(2):
                reader, writer = await connect()
                writer.write(LINE + b"\r\nConnection: close" + BLOCK)
                got = await reader.read()
            return got

    assert b"ordinary" in asyncio.run(run())


def test_a_token_nobody_knows_is_not_remembered():
    async def run() -> tuple[str, int]:
        async with serving() as (connect, shortcut, protocol):
            shortcut.known.clear()
            reader, writer = await connect()
            for _number in range(2):
                writer.write(LINE + BLOCK)
                way = (await read(reader))[1][b"x-way"].decode()
            return way, len(protocol.blocks)

    assert asyncio.run(run()) == ("ordinary", 0)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("apps.gateway.plain.REMEMBERED", 3)

    async def run() -> int:
        async with serving() as (connect, _shortcut, protocol):
            reader, writer = await connect()
            for number in range(6):
                writer.write(LINE + b"\r\nX-Number: %d" % number + BLOCK)
                await read(reader)
            return len(protocol.blocks)

    assert asyncio.run(run()) == 3 < REMEMBERED


async def _way_of(requests: list[bytes]) -> list[str]:
    """Which way each request of one connection went."""
    async with serving() as (connect, _shortcut, _protocol):
        reader, writer = await connect()
        found = []
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            headers = dict(line.split(b": ", 1) for line in head[:-4].split(b"\r\n")[1:])
            if not request.startswith(b"HEAD "):
                await reader.readexactly(int(headers[b"content-length"]))
            found.append(headers[b"x-way"].decode())
            if headers.get(b"connection") == b"close":
                reader, writer = await connect()
        return found


def test_what_comes_while_a_plain_call_runs_is_answered_after_it():
    async def run() -> list[str]:
        async with serving() as (connect, shortcut, _protocol):
            reader, writer = await connect()
            writer.write(LINE + BLOCK)
            await read(reader)
            (one,) = shortcut.connections()
            shortcut.gate.clear()
            writer.write(LINE + BLOCK)
            await _until(lambda: one.tasks)
            writer.write(LINE + BLOCK + LINE + BLOCK)
            await _until(lambda: len(one.pipeline) == 2)
            shortcut.gate.set()
            found = [await read(reader) for _number in range(3)]
            return [headers[b"x-way"].decode() for _body, headers in found]

    assert asyncio.run(run()) == ["plain", "ordinary", "ordinary"]


async def _until(holds) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.01)


def test_a_stopping_process_closes_after_the_plain_call_it_has():
    async def run() -> dict[bytes, bytes]:
        async with serving() as (connect, shortcut, protocol):
            reader, writer = await connect()
            writer.write(LINE + BLOCK)
            await read(reader)
            shortcut.gate.clear()
            writer.write(LINE + BLOCK)
            (one,) = shortcut.connections()
            await _until(lambda: isinstance(one.cycle, PlainExchange))
            one.shutdown()
            shortcut.gate.set()
            _body, headers = await read(reader)
            assert await reader.read() == b""
            return headers

    assert asyncio.run(run())[b"connection"] == b"close"


def test_a_peer_that_goes_away_leaves_nothing_behind():
    async def run() -> bool:
        async with serving() as (connect, shortcut, _protocol):
            reader, writer = await connect()
            writer.write(LINE + BLOCK)
            await read(reader)
            (one,) = shortcut.connections()
            shortcut.gate.clear()
            writer.write(LINE + BLOCK)
            await _until(lambda: one.tasks)
            writer.transport.abort()
            await _until(lambda: one.cycle.disconnected)
            shortcut.gate.set()
            await _until(lambda: not one.tasks)
            return one.cycle.answered

    assert asyncio.run(run()) is True


def test_idle_connections_are_ended():
    async def run() -> bytes:
        async with serving(timeout_keep_alive=1) as (connect, _shortcut, _protocol):
            reader, writer = await connect()
            for _number in range(2):
                writer.write(LINE + BLOCK)
                await read(reader)
            return await reader.read()

    assert asyncio.run(run()) == b""


def test_rl_01_a_first_letter_is_a_head_that_must_come_to_its_end(monkeypatch):
    """After an answer, too: a connection on which one letter came would be neither idle nor late, for ever."""
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)

    async def run() -> bytes:
        async with serving() as (connect, _shortcut, _protocol), asyncio.timeout(60):
            reader, writer = await connect()
            writer.write(LINE + BLOCK)
            await read(reader)
            writer.write(b"G")
            with suppress(ConnectionResetError):
                return await reader.read()
            return b""

    assert asyncio.run(run()) == b""


def test_rl_01_an_answer_that_nobody_reads_is_not_kept(monkeypatch):
    """Neither the place of the call behind it, nor its bytes once the connection has been idle for too long."""
    monkeypatch.setattr(server, "STALLED_SECONDS", 0.3)

    async def run(calls: int, **config) -> None:
        async with serving(**config) as (connect, shortcut, _protocol), asyncio.timeout(60):
            reader, writer = await connect()
            writer.write(LINE + BLOCK)
            await read(reader)
            shortcut.longer = 20_000_000
            reader._transport.pause_reading()
            for _call in range(calls):
                writer.write(LINE + BLOCK)
                await asyncio.sleep(0.1)
            assert shortcut.connections()
            await _until(lambda: not shortcut.connections())

    asyncio.run(run(2))
    asyncio.run(run(1, timeout_keep_alive=1))


def test_an_answer_that_is_read_slowly_is_read_to_its_end(monkeypatch):
    monkeypatch.setattr(server, "STALLED_SECONDS", 0.3)

    async def run() -> int:
        async with serving(timeout_keep_alive=1) as (connect, shortcut, _protocol), asyncio.timeout(60):
            reader, writer = await connect()
            writer.write(LINE + BLOCK)
            await read(reader)
            shortcut.longer = 12_000_000
            writer.write(LINE + BLOCK)
            taken = 0
            while taken < shortcut.longer:
                taken += len(await reader.read(400_000))
                await asyncio.sleep(0.1)
            return taken

    assert asyncio.run(run()) >= 12_000_000


# --- the whole stack ------------------------------------------------------------------------------

LINES = [
    b"GET {p} HTTP/1.1", b"GET {p}?a=1 HTTP/1.1", b"GET {p}/ HTTP/1.1", b"GET {p}/x HTTP/1.1", b"GET {p}?%00=1 HTTP/1.1", b"GET {p}?a HTTP/1.1",
    b"GET /gw/nobody/v1/x HTTP/1.1", b"GET {p}%2e HTTP/1.1", b"GET {p}.. HTTP/1.1", b"POST {p} HTTP/1.1", b"GET {p}abc HTTP/1.1",
    b"GET {p}?a=1&a=2 HTTP/1.1",
]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_warm_headers_change_no_answer(gateway, world, token, provider):
    """The same lines with headers the gateway has seen, and with headers it sees for the first time."""
    block = f"\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nX-Purpose-Code: {world.purpose.code}\r\n\r\n".encode()
    lines = [line.replace(b"{p}", world.path.encode()) for line in LINES]
    for _number in range(3):
        assert statuses(send(gateway.port, lines[0] + block, answers=1)) == [200]
    for number, line in enumerate(lines):
        warm = send(gateway.port, line + block, answers=1)
        cold = send(gateway.port, line + b"\r\nX-Cold: %d" % number + block, answers=1)
        assert _told(warm) == _told(cold), line
    assert len(provider.seen) == 5, [seen.target for seen in provider.seen]


def _told(answer: bytes) -> list[bytes]:
    """An answer without what differs from call to call."""
    head, _blank, body = answer.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith((b"x-call-id", b"date", b"content-length"))]
    return [*lines, body if head.startswith(b"HTTP/1.1 200") else b""]
