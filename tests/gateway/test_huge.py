"""GW-08: what is huge is refused at its cap, from either side, and the gateway's memory stays as it was."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path

import pytest

from tests.gateway.conftest import send
from tests.gateway.test_boundaries import statuses
from tests.gateway.world import ANSWER, CUT, make_grant

pytestmark = pytest.mark.django_db(transaction=True)
GROWTH = 64 * 1024 * 1024
BLOCK = b"A" * 65_536


def peak(pid: int) -> int:
    """The highest resident size of a process so far, in bytes (`VmHWM`)."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.fixture
def memory(gateway, call):
    """The gateway's peak must not rise by more than 64 MB while a test runs, and it must serve the next call."""
    assert call().json == CUT
    pid = gateway.popen.pid
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("not covered: the gateway's memory (no /proc on this machine)")
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    before = peak(pid)
    yield
    assert peak(pid) - before < GROWTH
    assert call().json == CUT


def chunked(writer, part: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(part), part))


async def endless_body(seen, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n")
    for _number in range(4_000):
        writer.write(BLOCK)
        await writer.drain()


async def endless_chunks(seen, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _number in range(4_000):
        chunked(writer, BLOCK)
        await writer.drain()


async def ten_megabytes_of_header(seen, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX-A: ")
    for _number in range(160):
        writer.write(BLOCK)
        await writer.drain()


async def ten_thousand_headers(seen, writer):
    writer.write(
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(10_000)) + b"Content-Length: 2\r\n\r\n{}"
    )
    await writer.drain()


async def ten_thousand_trailers(seen, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    for number in range(4_000):
        writer.write(b"X-%d: %b\r\n" % (number, BLOCK))
        await writer.drain()


PROVIDERS = {
    "10 GB declared": (endless_body, "provider_too_large"),
    "endless chunks": (endless_chunks, "provider_too_large"),
    "10 MB header": (ten_megabytes_of_header, "provider_protocol_error"),
    "10,000 headers": (ten_thousand_headers, "provider_protocol_error"),
    "endless trailers": (ten_thousand_trailers, "provider_protocol_error"),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_gw_08_a_provider_without_end_is_cut_off(memory, call, provider, name):
    behaviour, code = PROVIDERS[name]
    provider.behave("/api/companies/0999999999", behaviour)
    answer = call()
    assert (answer.status, answer.code) == (502, code)
    provider.answer("/api/companies/0999999999", ANSWER)


BODIES = {
    "gzip 1000:1": (gzip.compress(b" " * 100_000_000), {"Content-Encoding": "gzip"}, "provider_protocol_error"),
    "lists in lists": (b"[" * 100_000 + b"]" * 100_000, {}, "provider_not_json"),
    "objects in objects": (b'{"Data":' * 100_000 + b"1" + b"}" * 100_000, {}, "provider_not_json"),
    "lists in a leaf": (b'{"Status":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}, "provider_not_json"),
    "objects nobody was granted": (b'{"Other":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", {}, "provider_not_json"),
}


@pytest.mark.parametrize("name", BODIES)
def test_gw_08_a_body_that_would_grow_or_that_has_no_bottom_is_not_opened(memory, call, provider, world, name):
    body, headers, code = BODIES[name]
    world.change(world.version.upstreams.get(), "upstream", max_response_bytes=5_000_000)
    provider.answer("/api/companies/0999999999", raw=body, headers=headers)
    answer = call()
    assert (answer.status, answer.code) == (502, code)
    provider.answer("/api/companies/0999999999", ANSWER)


# --- from the consumer's side ---------------------------------------------------------------------


@pytest.fixture
def target(world, token, provider):
    """Address and head of a lawful POST, up to the headers of its body."""
    operation = world.version.operations.get(code="search")
    _agreement, grant = make_grant(operation, world.system, world.purpose, fields=[])
    world.change(grant, "grant", status="active")
    provider.answer("/api/search", ANSWER)
    return (
        f"POST /gw/{world.service.code}/v1/search HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\n"
        f"X-Purpose-Code: {world.purpose.code}\r\nIdempotency-Key: huge\r\nContent-Type: application/json\r\n"
    ).encode()


def pour(port: int, head: bytes, parts) -> tuple[list[int], int]:
    """Send `head` and then `parts` until the gateway answers or closes: (statuses, bytes it took)."""
    sent, got = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        try:
            client.sendall(head)
            for part in parts:
                client.sendall(part)
                sent += len(part)
        except OSError:
            pass
        try:
            while part := client.recv(65536):
                got += part
        except OSError:
            pass
    return statuses(got), sent


POURED = {
    "10 GB declared": (b"Content-Length: 10737418240\r\n\r\n", lambda: (BLOCK for _n in range(4_000))),
    "endless chunks": (b"Transfer-Encoding: chunked\r\n\r\n", lambda: (b"10000\r\n" + BLOCK + b"\r\n" for _n in range(4_000))),
    "endless chunk extension": (b"Transfer-Encoding: chunked\r\n\r\n1;x=", lambda: (BLOCK for _n in range(4_000))),
    "endless trailers": (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: ", lambda: (BLOCK for _n in range(4_000))),
    "10 MB header": (b"X-A: ", lambda: (BLOCK for _n in range(4_000))),
    "10,000 headers": (b"", lambda: [b"".join(b"X-%d: 1\r\n" % n for n in range(10_000)), b"\r\n"]),
}


@pytest.mark.parametrize("name", POURED)
def test_gw_08_a_consumer_without_end_is_cut_off(memory, gateway, provider, target, name):
    head, parts = POURED[name]
    provider.seen.clear()
    found, sent = pour(gateway.port, target + head, parts())
    assert all(status in (400, 413) for status in found), found
    assert sent < 64 * 1024 * 1024, "the gateway read on and on"
    assert provider.seen == []


DEEP = {
    "json": (b"[" * 400_000 + b"]" * 400_000, "application/json"),
    "json objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "application/json"),
    "zipped": (gzip.compress(b" " * 100_000_000), "application/json"),
}


@pytest.mark.parametrize("name", DEEP)
def test_gw_08_a_body_without_bottom_is_refused(memory, call, world, target, provider, name):
    body, kind = DEEP[name]
    more = {"Content_Encoding": "gzip"} if name == "zipped" else {}
    provider.seen.clear()
    answer = call(
        f"/gw/{world.service.code}/v1/search", method="POST", body=body, Idempotency_Key="deep", Content_Type=kind, **more
    )
    assert (answer.status, answer.code) == (400, "body_invalid")
    assert provider.seen == []


ENTITIES = (
    "<!DOCTYPE x [" + '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)) + "]>"
)
ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><company><code>%s</code></company></s:Body></s:Envelope>'
XML = {
    "entities in entities": (ENTITIES + ENVELOPE % "&a9;").encode(),
    "an entity from outside": ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + ENVELOPE % "&a;").encode(),
    "elements in elements": (ENVELOPE % ("<a>" * 8_000 + "</a>" * 8_000)).encode(),
    "a long name": (ENVELOPE % f"<{'a' * 60_000}/>").encode(),
    "many attributes": (ENVELOPE % ("<a " + " ".join(f'a{n}="1"' for n in range(5_000)) + "/>")).encode(),
}


@pytest.mark.parametrize("name", XML)
def test_gw_08_xml_that_would_grow_is_refused(memory, gateway, world, token, provider, name):
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Purpose-Code": world.purpose.code,
        "Content-Type": "text/xml; charset=utf-8",
    }
    provider.seen.clear()
    answer = send(gateway.url, "POST", f"/gw/{world.service.code}/v1/soap", headers, XML[name])
    assert answer.status in (500, 413)
    assert b"body_invalid" in answer.body or b"body_too_large" in answer.body
    assert b"root:" not in answer.body
    assert provider.seen == []


def test_gw_08_json_of_numbers_and_texts_that_are_long_stays_what_it_is(memory, call, provider, world):
    """Digits beyond any integer are text to us; nobody converts them."""
    world.change(world.version.upstreams.get(), "upstream", max_response_bytes=5_000_000)
    body = b'{"Status":' + b"9" * 1_000_000 + b',"Data":{"Main":{"NAME":"' + b"a" * 1_000_000 + b'"}}}'
    provider.answer("/api/companies/0999999999", raw=body)
    answer = call()
    assert (answer.status, json.loads(answer.body.replace(b"9" * 1_000_000, b"9"))["Status"]) == (200, 9)
    provider.answer("/api/companies/0999999999", ANSWER)
