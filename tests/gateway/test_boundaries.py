"""The edges, against the real server stack, with the provider's own list as the oracle (GW-01 to GW-10).

Raw sockets in front, a provider that lies behind.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
import zlib

import pytest

from apps.gateway.models import CallIntent, CallOutcome
from tests.gateway.world import ANSWER, CUT, make_grant
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


def exchange(port: int, data: bytes, *, wait: float = 5.0, answers: int = 0) -> bytes:
    """Send bytes, read until the gateway closes, has begun `answers` answers, or (none awaited) is silent for a moment after one."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as client:
        client.sendall(data)
        got = b""
        client.settimeout(wait)
        try:
            while part := client.recv(65536):
                got += part
                if answers and len(statuses(got)) >= answers:
                    break
                client.settimeout(wait if answers else 0.25)
        except TimeoutError:
            pass
        except ConnectionError:
            pass
        return got


def statuses(raw: bytes) -> list[int]:
    """Statuses of the answers in a byte stream."""
    found = []
    while raw.startswith(b"HTTP/1."):
        head, _blank, rest = raw.partition(b"\r\n\r\n")
        found.append(int(head.split(b" ", 2)[1]))
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        raw = rest[length:]
    return found


@pytest.fixture
def head(world, token) -> bytes:
    """Request line and headers of a lawful call, without the blank line."""
    return (
        f"GET {world.path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nX-Purpose-Code: {world.purpose.code}\r\n"
    ).encode()


# --- GW-01: what two parsers could read differently ----------------------------------------------

TE = [b"chunked, identity", b"identity, chunked", b"xchunked", b"chunked, chunked", b" chunked\x0b", b"chunked;x", b"\x00chunked",
      b"gzip, chunked", b"chunked\r\nTransfer-Encoding: chunked", b"cow", b"\"chunked\"", b"chunked,", b",chunked", b"chunk\x00ed"]  # fmt: skip
CL = [b"+5", b"-1", b" 5 5", b"5,5", b"0x5", b"5;", b"5 ", b"00000000000000000000000000005", b"99999999999999999999999", b"5\r\nContent-Length: 6",
      b"", b"five", b"5\x00", b"1e1"]  # fmt: skip
HEADERS = [b"X-A : 1", b" X-A: 1", b"X A: 1", b"X-A\x00: 1", b"X-A: 1\x00", b"X-A: 1\nX-B: 2", b"X-A: 1\rX-B: 2", b": 1", b"X-A", b"X-A: \x01",
           b"X(A): 1", b"X-A: 1\r\n folded", b"X-A: 1\r\n\tfolded", b"X-A:\x7f1", b"\xff: 1", b"X-\xc3\xa9: 1"]  # fmt: skip


def ambiguous_requests(head: bytes) -> dict[str, bytes]:
    """Requests two parsers may read differently, most with a lawful call behind them that one of the two would find."""
    cases = {}
    smuggled = head.replace(b" HTTP/1.1", b"?from_date=smuggled HTTP/1.1", 1) + b"\r\n"
    for value in TE:
        cases[f"te {value!r}"] = head + b"Transfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n" + smuggled
        cases[f"te+cl {value!r}"] = head + b"Content-Length: 5\r\nTransfer-Encoding: " + value + b"\r\n\r\n0\r\n\r\n" + smuggled
        cases[f"cl+te {value!r}"] = (
            head + b"Transfer-Encoding: " + value + b"\r\nContent-Length: 44\r\n\r\n0\r\n\r\n" + smuggled
        )
    cases["cl+te plain"] = head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    for name in (
        b"Transfer-Encoding",
        b"transfer-encoding",
        b"Transfer_Encoding",
        b"Transfer-Encoding ",
        b"\tTransfer-Encoding",
    ):
        cases[f"te name {name!r}"] = head + b"Content-Length: 3\r\n" + name + b": chunked\r\n\r\n0\r\n\r\n" + smuggled
    for value in CL:
        cases[f"cl {value!r}"] = head + b"Content-Length: " + value + b"\r\n\r\nhello" + smuggled
    for line in HEADERS:
        cases[f"header {line!r}"] = head + line + b"\r\n\r\n" + smuggled
    for size in (b"-1", b"+1", b"0x1", b"1;ext", b"1\x00", b" 1", b"1 ", b"g", b"fffffffffffffffff", b"", b"1\n", b"1;\nx"):
        cases[f"chunk {size!r}"] = head + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\na\r\n0\r\n\r\n" + smuggled
    for code in [*range(33), *b'"(),/:;<=>?@[\\]{}', 127, 128, 255]:
        cases[f"name with {code}"] = head + b"X-" + bytes([code]) + b"A: 1\r\n\r\n" + smuggled
        if (code < 32 and code != 9) or code == 127:
            cases[f"value with {code}"] = head + b"X-A: 1" + bytes([code]) + b"\r\n\r\n" + smuggled
    # A colon ends a name, so that one is a header like any other; a line break at a value's end is a bare LF.
    del cases["name with 58"]
    cases["chunk tail"] = head + b"Transfer-Encoding: chunked\r\n\r\n1\r\naXX\r\n0\r\n\r\n" + smuggled
    cases["trailer token"] = (
        head + b"Transfer-Encoding: chunked\r\n\r\n0\r\nAuthorization: Bearer x\r\nX-Purpose-Code: y\r\n\r\n" + smuggled
    )
    cases["bare lf"] = head.replace(b"\r\n", b"\n") + b"\n" + smuggled
    cases["bare cr"] = head.replace(b"\r\n", b"\r") + b"\r" + smuggled
    cases["lf before te"] = head + b"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled
    cases["body of a get"] = head + b"Content-Length: 5\r\n\r\nhello"
    for line in (b"GET {p} HTTP/1.1 x", b"GET {p} HTTP/2.0", b"GET {p} HTTP/1.9", b"GET {p}",
                 b"GET {p} HTTP/0.9", b"GET\t{p}\tHTTP/1.1", b"get {p} HTTP/1.1", b"G\x00ET {p} HTTP/1.1", b"GET \x00{p} HTTP/1.1",
                 b"GET http://other.example{p} HTTP/1.1", b"GET https://127.0.0.1{p} HTTP/1.1", b"GET //{p} HTTP/1.1", b"GET *{p} HTTP/1.1",
                 b"GET {p}#fragment HTTP/1.1", b"CONNECT {p} HTTP/1.1", b"TRACE {p} HTTP/1.1", b"OPTIONS {p} HTTP/1.1", b"HEAD {p} HTTP/1.1",
                 b"\r\n\r\n\x00GET {p} HTTP/1.1", b"PRI * HTTP/2.0"):  # fmt: skip
        first, _crlf, rest = head.partition(b"\r\n")
        path = first.split(b" ")[1]
        cases[f"line {line!r}"] = line.replace(b"{p}", path) + b"\r\n" + rest + b"\r\n"
    for name in (
        b"Authorization: Bearer other-token-other-token",
        b"X-Purpose-Code: other",
        b"Content-Type: a\r\nContent-Type: b",
    ):
        cases[f"twice {name!r}"] = head + name + b"\r\n\r\n"
    return cases


def test_ambiguous_requests_reach_no_provider(gateway, world, provider, head):
    """GW-01: each is answered 4xx once, or not at all, and that was all; neither it nor the lawful call behind it reaches the
    provider, and the record says the same."""
    wrong = {}
    cases = ambiguous_requests(head)
    assert len(cases) >= 200
    for name, data in cases.items():
        before = len(provider.seen)
        found = statuses(exchange(gateway.port, data))
        if len(found) > 1 or any(status < 400 for status in found) or len(provider.seen) != before:
            wrong[name] = (found, len(provider.seen) - before)
    assert wrong == {}
    assert CallIntent.objects.count() == len(provider.seen) == 0


def test_pipelined_lawful_calls_are_answered_in_order_each_with_its_record(gateway, provider, head):
    raw = exchange(gateway.port, (head + b"\r\n") * 3, wait=60, answers=3)
    assert statuses(raw) == [200, 200, 200]
    assert len(provider.seen) == CallIntent.objects.count() == CallOutcome.objects.count() == 3


def test_absurd_heads_are_refused(gateway, provider, head):
    for extra in (b"X-A: " + b"a" * 200_000 + b"\r\n", b"".join(b"X-%d: 1\r\n" % n for n in range(20_000))):
        answer = statuses(exchange(gateway.port, head + extra + b"\r\n"))
        assert all(status >= 400 for status in answer)
    assert provider.seen == []


# --- an answer that comes before the end of the request ------------------------------------------


def too_much(head: bytes, target: bytes, size: int) -> bytes:
    """The head of a POST that announces `size` bytes."""
    _line, _crlf, rest = head.partition(b"\r\n")
    return b"POST %b HTTP/1.1\r\n%bIdempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (
        target, rest, size,
    )  # fmt: skip


@pytest.fixture
def search(world) -> bytes:
    """The target of a granted operation that takes a body."""
    _agreement, grant = make_grant(world.version.operations.get(code="search"), world.system, world.purpose, fields=[])
    world.change(grant, "grant", status="active")
    return f"/gw/{world.service.code}/v1/search".encode()


def test_who_sends_far_too_much_is_told_so_and_not_cut_off(gateway, provider, head, search, world):
    """All of it can be sent, and the answer is read afterwards: a reset would take it along, and a proxy in front would make it a 502."""
    size = 20_000_000
    for target, status in ((search, 413), (world.path.encode(), 405), (b"/oauth/token", 400)):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
            client.sendall(too_much(head, target, size))
            client.sendall(bytes(size))
            got = b""
            while part := client.recv(65536):
                got += part
        assert statuses(got) == [status]
        assert b"connection: close" in got
    assert provider.seen == []


def test_what_comes_after_such_an_answer_is_read_by_nobody(gateway, provider, head, search):
    """Neither what was announced as the body nor what comes behind it becomes a request."""
    lawful, size = head + b"\r\n", 2_000_000
    raw = exchange(gateway.port, too_much(head, search, size) + lawful * (2 * size // len(lawful)))
    assert statuses(raw) == [413]
    assert len(provider.seen) == CallIntent.objects.count() == 0


def test_who_never_stops_sending_is_not_read_for_ever(gateway, head, search):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as client:
        client.sendall(too_much(head, search, 10**9))
        while client.recv(65536):
            pass
        until(lambda: not _is_taken(client), "the gateway still reads", every=0.05)


def _is_taken(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
    except OSError:
        return False
    return True


# --- GW-07 to GW-10: a provider that lies --------------------------------------------------------


def says(data: bytes, *, close: bool = False):
    async def reply(seen, writer):
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()

    return reply


GOOD = json.dumps(ANSWER).encode()
LENGTH = b"Content-Length: %d\r\n" % len(GOOD)
LIES = {
    "redirect": (says(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"), "provider_redirected", 502),
    "html": (says(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + LENGTH + b"\r\n" + GOOD), "provider_not_json", 502),
    "no type": (says(b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + GOOD), "provider_not_json", 502),
    "charset": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-16\r\n" + LENGTH + b"\r\n" + GOOD), "provider_not_json", 502),
    "not json": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n<html"), "provider_not_json", 502),
    "scalar": (says(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n"canary"'), "provider_not_json", 502),
    "short": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n" + GOOD[:50], close=True), "provider_protocol_error", 502),
    "cut chunk": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{", close=True), "provider_protocol_error", 502),
    "bad chunk": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{"), "provider_protocol_error", 502),
    "two lengths": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}abc"), "provider_protocol_error", 502),
    "length and chunks": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), "provider_protocol_error", 502),
    "not http": (says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "provider_protocol_error", 502),
    "closes": (says(b"", close=True), "provider_protocol_error", 502),
    "gzip": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(zlib.compress(GOOD)) + zlib.compress(GOOD)), "provider_protocol_error", 502),
    "099": (says(b"HTTP/1.1 099 Early\r\n" + LENGTH + b"\r\n" + GOOD), "provider_protocol_error", 502),
    "000": (says(b"HTTP/1.1 000 Nothing\r\n" + LENGTH + b"\r\n" + GOOD), "provider_protocol_error", 502),
    "700": (says(b"HTTP/1.1 700 Late\r\n" + LENGTH + b"\r\n" + GOOD), "provider_protocol_error", 502),
    "switch": (says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), "provider_protocol_error", 502),
    "hundred": (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "provider_protocol_error", 502),
    "many headers": (says(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5000)) + LENGTH + b"\r\n" + GOOD), "provider_protocol_error", 502),
    "wide header": (says(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300_000 + b"\r\n" + LENGTH + b"\r\n" + GOOD), "provider_protocol_error", 502),
    "too large": (says(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n{"), "provider_too_large", 502),
    "401": (says(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\ncanary"), "provider_auth_failed", 502),
    "404": (says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\ncanary"), "provider_refused", 404),
    "500": (says(b"HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\ncanary"), "provider_failed", 502),
    "503": (says(b"HTTP/1.1 503 Busy\r\nContent-Length: 6\r\n\r\ncanary"), "provider_busy", 503),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_provider_is_not_passed_on(call, provider, lie):
    """GW-09, and the protocol's own lies: 502 with the reason, nothing of the answer given, on record as no success."""
    behaviour, code, status = LIES[lie]
    provider.behave("/api/companies/0999999999", behaviour)
    answer = call()
    assert (answer.status, answer.code) == (status, code)
    assert b"canary" not in answer.body
    outcome = CallOutcome.objects.get()
    assert (outcome.code, outcome.status) == (code, status)
    assert outcome.outcome in ("provider_error", "provider_failed")
    # A kept connection that is closed without a byte is stale: a GET is sent once more, on a fresh one.
    assert len(provider.seen) <= (2 if lie == "closes" else 1)
    assert {seen.call_id for seen in provider.seen} == {answer.call_id}
    provider.answer("/api/companies/0999999999", ANSWER)
    assert call().json == CUT


def test_an_endless_answer_stops_at_the_cap(call, provider):
    async def endless(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _number in range(10_000):
            writer.write(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
            await writer.drain()

    provider.behave("/api/companies/0999999999", endless)
    assert call().code == "provider_too_large"


@pytest.mark.parametrize("slow", ["silent", "drip", "headers", "never ends"])
def test_one_deadline_over_everything(call, provider, world, slow):
    """GW-07: a provider that goes on for ever, byte by byte; the call ends at the deadline, so that it ends at all."""
    world.change(world.version.upstreams.get(), "upstream", timeout_ms=1_500)

    async def drip(seen, writer):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n"
        writer.write({"silent": b"", "headers": head, "drip": head + b"\r\n", "never ends": head + b"\r\n"}[slow])
        for _number in range(6_000):
            await asyncio.sleep(0.1)
            if slow in ("drip", "headers"):
                writer.write(b"X" if slow == "drip" else b"X-%d: 1\r\n" % (_number % 50))
            await writer.drain()

    provider.behave("/api/companies/0999999999", drip)
    began = time.monotonic()
    answer = call()
    assert (answer.status, answer.code) == (504, "provider_timeout")
    assert time.monotonic() - began > 1.4
    outcome = CallOutcome.objects.get()
    assert outcome.code == "provider_timeout"
    assert outcome.provider_us <= 2_500_000, "the deadline and a second: the gateway's own measure, not the test's"


def test_gw_07_the_second_try_of_a_stale_connection_has_no_deadline_of_its_own(call, provider, world):
    """A kept connection is closed late and without a byte; the fresh one would answer, but beyond the call's deadline."""
    world.change(world.version.upstreams.get(), "upstream", timeout_ms=3_000)
    assert call().status == 200

    async def late(seen, writer):
        first = len(provider.seen) == 2
        await asyncio.sleep(2)
        if first:
            writer.close()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + LENGTH + b"\r\n" + GOOD)

    provider.behave("/api/companies/0999999999", late)
    answer = call()
    assert (answer.status, answer.code) == (504, "provider_timeout")
    assert len(provider.seen) == 3


def test_headers_of_the_provider_pass_an_allow_list(call, provider):
    provider.answer(
        "/api/companies/0999999999", ANSWER,
        headers={"Set-Cookie": "a=b", "Server": "x", "X-Powered-By": "x", "Access-Control-Allow-Origin": "*", "ETag": '"x"',
                 "Strict-Transport-Security": "max-age=1", "Location": "/x", "Cache-Control": "max-age=60", "X-Call-Id": "fake"},
    )  # fmt: skip
    answer = call()
    assert set(answer.headers) == {"date", "content-type", "content-length", "cache-control", "x-call-id", "x-withheld-fields"}
    assert answer.headers["cache-control"] == "max-age=60"
    assert answer.headers["x-call-id"] != "fake"


def test_an_answer_without_a_length_ends_with_its_connection(call, provider):
    provider.behave(
        "/api/companies/0999999999", says(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + GOOD, close=True)
    )
    assert call().json == CUT


def test_bytes_after_an_answer_poison_the_connection_only(call, provider):
    extra = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + LENGTH + b"\r\n" + GOOD
    evil = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"Status":"9"}'
    provider.behave("/api/companies/0999999999", says(extra + evil))
    assert call().json == CUT
    provider.answer("/api/companies/0999999999", ANSWER)
    assert call().json == CUT
    assert provider.seen[0].connection != provider.seen[1].connection


def test_kept_connections_are_used_again_and_stale_ones_replaced(call, provider):
    assert [call().status for _number in range(3)] == [200] * 3
    assert len({seen.connection for seen in provider.seen}) == 1
    body = GOOD

    async def answer_and_close(seen, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + LENGTH + b"\r\n" + body)
        await writer.drain()
        writer.close()

    provider.behave("/api/companies/0999999999", answer_and_close)
    assert [call().status for _number in range(3)] == [200] * 3
    assert CallOutcome.objects.filter(outcome="delivered").count() == 6


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/api", "http://169.254.169.254/latest", "http://10.0.0.1/api", "http://localhost/api"]
)
def test_an_address_outside_the_list_is_refused_at_the_call_too(call, world, address):
    upstream = world.version.upstreams.get()
    world.change(upstream, "upstream", base_url=address)
    answer = call()
    assert (answer.status, answer.code) == (502, "provider_address_refused")
