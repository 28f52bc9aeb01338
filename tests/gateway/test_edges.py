"""What two readers of one request could read differently, against the real server stack (GW-01 to GW-04).

The oracle is the provider's own list, compared call by call with what the sender sent and with the gateway's record.
"""

from __future__ import annotations

import random
import re
import socket
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote_to_bytes

import pytest

from apps.gateway.models import CallIntent, CallOutcome
from apps.registry.models import Operation, Parameter, ServiceVersion, Upstream
from lgsp.dev.testing import share
from tests.gateway.conftest import send
from tests.gateway.test_boundaries import exchange, statuses
from tests.gateway.world import ANSWER, make_grant
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


class Wire:
    """A connection of our own to the gateway that sends bytes as they are and reads one answer each; reconnects when closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None

    def ask(self, data: bytes) -> tuple[int, str]:
        """(status, call id) of the answer; (0, "") when the gateway closed without one."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        try:
            self._socket.sendall(data)
            head = self._until_blank()
        except ConnectionError:
            head = b""
        if not head:
            self.close()
            return 0, ""
        fields = {k.strip().lower(): v.strip() for k, _c, v in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
        self._read(int(fields.get(b"content-length", b"0")) - len(self._rest))
        if fields.get(b"connection") == b"close" or b"x-call-id" not in fields:
            self.close()
        return int(head.split(b" ", 2)[1]), fields.get(b"x-call-id", b"").decode()

    def _until_blank(self) -> bytes:
        got = b""
        while b"\r\n\r\n" not in got:
            part = self._socket.recv(65536)
            if not part:
                return b""
            got += part
        head, _blank, self._rest = got.partition(b"\r\n\r\n")
        return head

    def _read(self, size: int) -> None:
        while size > 0:
            size -= len(self._socket.recv(min(size, 65536)) or b"x" * size)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


# --- GW-01: the provider's list is the log's ------------------------------------------------------

PIECES = [b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b":", b",", b";", b"0", b"5", b"chunked", b"Content-Length: 0\r\n", b"Content-Length: 7\r\n",
          b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n",
          b"0\r\n\r\n", b"5\r\nhello\r\n", b"X: y\r\n", b" folded\r\n", b"\r\n\r\n", b"\x0b", b"\xff", b"HTTP/1.0", b"HTTP/1.1"]  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The same bytes with one to three pieces put in, taken out or doubled."""
    for _number in range(rng.randint(1, 3)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind < 2:
            data = data[:at] + rng.choice(PIECES) + data[at:]
        elif kind == 2:
            data = data[:at] + data[at + rng.randint(1, 4) :]
        else:
            end = data.find(b"\r\n", at) + 2
            data = data[:end] + data[at:end] + data[end:] if end > 1 else data
    return data


def test_gw_01_the_provider_sees_exactly_the_calls_that_are_on_record(gateway, world, provider, token):
    """Streams of two lawful calls, damaged at random. Of no stream may more come out than was put in, and nothing unrecorded."""
    rng = random.Random(20261126)
    provider.answer("*", ANSWER)
    line = f"GET {world.path}?from_date=%s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nX-Purpose-Code: {world.purpose.code}\r\n\r\n"
    count = share(20_000, small=250)
    # Numbers at random: of numbers in a row one that was damaged may be another's.
    numbers = [f"{rng.getrandbits(32):08x}" for _stream in range(count)]
    streams = [mutated(rng, "".join(line % f"{number}.{part}" for part in "ab").encode()) for number in numbers]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda data: exchange(gateway.port, data, wait=0.5), streams))
    until(lambda: len(provider.seen) == CallIntent.objects.count() == CallOutcome.objects.count(), "a call does not end")
    assert all(len(statuses(answer)) <= 2 for answer in answers), "more answers than requests"
    seen = {row.call_id: row for row in provider.seen}
    assert len(seen) == len(provider.seen), "a call reached the provider twice"
    assert set(seen) == {str(call_id) for call_id in CallIntent.objects.values_list("call_id", flat=True)}
    assert set(seen) == {str(row.call_id) for row in CallOutcome.objects.filter(outcome="delivered").only("call_id")}
    for row in seen.values():
        assert re.fullmatch(r"/api/companies/0999999999(\?from_date=[A-Za-z0-9._~%-]*)?", row.target), row.target
        assert (row.method, row.body, row.raw.count(b"\r\n\r\n")) == ("GET", b"", 1)
    marks = [mark[0] for row in seen.values() if (mark := re.search(r"=[0-9a-f]{8}\.[ab]$", row.target))]
    assert len(marks) == len(set(marks)), "one request came out twice"
    assert count / 20 < len(seen) < 2 * count, "the damage is too much or too little to show anything"
    print(f"GW-01: {count} damaged streams, {len(seen)} calls at the provider, the same {len(seen)} on record")


# --- GW-02: the authorized path is the forwarded path ---------------------------------------------

PARTS = [b"a", b"0", b"~", b"_", b"-", b":", b"@", b"!", b"+", b".", b"..", b"/", b"//", b";", b";x=1", b"\\", b"%", b"%2e", b"%2E%2e", b"%2f",
         b"%2F", b"%5c", b"%25", b"%252e", b"%252f", b"%00", b"%0a", b"%20", b"%3b", b"%3f", b"%23", b"%41", b"%7e", b"%c3%a1", b"%C3%A1",
         b"\xc3\xa1", b"%c0%ae", b"%c0%af", b"%e0%80%af", b"%ff", b"%ef%bc%8f", b"%ef%bc%8e", b"%e2%80%a4", b"%e2%81%84", b"%e2%88%95",
         b"e%cc%81", b"%E1%BB%87", b"%f0%9f%98%80", b"%e2%80%8b", b"\t", b"#", b"open", b"secret", b"OPEN", b"Secret", b"%6fpen"]  # fmt: skip
OPEN, SECRET = "/open/{x}/{y}", "/secret/{x}/{y}"


def paths(rng: random.Random, count: int) -> Iterator[bytes]:
    """Paths of the granted operation with a few parts spoiled, and some of the operation that was not granted."""
    for _number in range(count):
        segments = [b"open" if rng.random() < 0.9 else b"secret", _word(rng), _word(rng)]
        for _spoil in range(rng.choice((0, 1, 1, 2, 3))):
            at = rng.randrange(3)
            place = rng.randint(0, len(segments[at]))
            segments[at] = segments[at][:place] + rng.choice(PARTS) + segments[at][place:]
        if rng.random() < 0.05:
            segments.insert(rng.randrange(4), rng.choice((b"..", b".", b"", b"secret", b"%2e%2e", b"..;")))
        yield b"/" + b"/".join(segments)


def _word(rng: random.Random) -> bytes:
    return bytes(rng.choice(b"abcXYZ019.-_~") for _number in range(rng.randint(1, 6)))


def readings(path: bytes) -> Iterable[tuple[bytes, ...]]:
    """How servers read a path: as it is; decoded once or twice; `;` cut off; backslashes, dots and empty segments resolved;
    upper and lower case the same."""
    for decode in (0, 1, 2):
        for cut in (False, True):
            for lower in (False, True):
                text = path
                for _times in range(decode):
                    text = unquote_to_bytes(text)
                text = text.lower() if lower else text
                text = re.sub(rb";[^/]*", b"", text) if cut else text
                yield _resolved(text.replace(b"\\", b"/"))


def _resolved(path: bytes) -> tuple[bytes, ...]:
    parts: list[bytes] = []
    for part in path.split(b"\x00")[0].split(b"?")[0].split(b"#")[0].split(b"/"):
        if part == b"..":
            parts[-1:] = []
        elif part not in (b"", b"."):
            parts.append(part)
    return tuple(parts)


@pytest.fixture
def open_service(world, provider):
    """A second version of the world's service: one operation that is granted and, beside it, one that is not."""
    version = ServiceVersion.objects.create(service=world.service, major=2, status="draft")
    for code, template in (("open", OPEN), ("secret", SECRET)):
        operation = Operation.objects.create(version=version, code=code, name=code, method="GET", path_template=template)
        for name in ("x", "y"):
            Parameter.objects.create(operation=operation, name=name, location="path", required=True)
    Upstream.objects.create(version=version, environment="production", base_url=provider.url + "/api", timeout_ms=30_000)
    world.change(version, "serviceversion", status="published")
    _agreement, grant = make_grant(version.operations.get(code="open"), world.system, world.purpose, fields=[])
    world.change(grant, "grant", status="active")
    provider.answer("*", {})
    return f"/gw/{world.service.code}/v2".encode()


def test_gw_02_the_path_that_was_authorized_is_the_path_the_provider_received(gateway, world, provider, open_service, token):
    """However a provider reads what it received, it is the granted operation; decoded once it is what the consumer sent."""
    count = share(200_000, small=1_600)
    rng = random.Random(2)
    tail = (
        f" HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nX-Purpose-Code: {world.purpose.code}\r\n\r\n".encode()
    )
    forwarded = refused = 0
    with ThreadPoolExecutor(4) as pool:
        for size in [10_000] * (count // 10_000) + ([count % 10_000] if count % 10_000 else []):
            provider.seen.clear()
            sent = list(paths(rng, size))
            answers = [
                row
                for rows in pool.map(lambda n, sent=sent: _ask_all(gateway.port, sent[n::4], open_service, tail), range(4))
                for row in rows
            ]
            seen = {row.call_id: row for row in provider.seen}
            assert len(seen) == len(provider.seen)
            for raw, status, call_id in answers:
                row = seen.pop(call_id, None)
                if row is None:
                    refused += 1
                    assert status == 0 or status >= 400, (raw, status)
                    continue
                forwarded += 1
                assert status == 200, (raw, status)
                target = row.target.encode("latin-1")
                assert target.startswith(b"/api/open/"), (raw, target)
                assert _decoded(target.removeprefix(b"/api")) == _decoded(raw), (raw, target)
                for reading in readings(target):
                    assert len(reading) == 4, (raw, target, reading)
                    assert reading[:2] == (b"api", b"open"), (raw, target, reading)
            assert seen == {}, "the provider got calls that nobody sent"
    assert CallIntent.objects.count() == forwarded
    assert forwarded > count / 20
    assert refused > count / 4
    print(f"GW-02: {count} paths, {forwarded} forwarded as they were authorized, {refused} refused, 0 differ")


def _ask_all(port: int, sent: list[bytes], prefix: bytes, tail: bytes) -> list[tuple[bytes, int, str]]:
    wire = Wire(port)
    found = [(raw, *wire.ask(b"GET " + prefix + raw + tail)) for raw in sent]
    wire.close()
    return found


def _decoded(path: bytes) -> list[bytes]:
    return [unquote_to_bytes(part) for part in path.split(b"/")]


# --- GW-03: what a consumer says about itself -----------------------------------------------------

OURS = {
    "host",
    "accept-encoding",
    "user-agent",
    "accept",
    "x-call-id",
    "x-consumer-organization",
    "x-consumer-system",
    "x-purpose-code",
}
SPOOFED = [
    "X-Consumer-Id", "X-Agency", "X-Consumer-Organization", "X-Consumer-System", "X-Consumer_System", "X_Consumer_System",
    "x-consumer-system", "X-CONSUMER-ORGANIZATION", "X-Call-Id", "X_Call_Id", "X-SSL-Client-Cert", "X-SSL-Client-Verify",
    "X-SSL-Client-S-DN", "SSL_CLIENT_CERT", "X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-Lgsp-Client-Ip",
    "X-Lgsp-Client-Cert", "X-Lgsp-Client-Cert-Sha256", "X_Lgsp_Client_Ip", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "X-Forwarded-Prefix", "X-Forwarded-User", "Forwarded", "X-Real-IP", "True-Client-IP", "Via", "X-Original-URL", "X-Rewrite-URL",
    "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "Cookie", "Proxy-Authorization", "X-Api-Key", "TE", "Trailer",
    "Keep-Alive", "Proxy-Connection", "Accept", "Accept-Encoding", "User-Agent", "Range", "If-None-Match", "If-Modified-Since", "Origin",
    "Referer", "X-User", "Remote-User", "X-Remote-User", "X-Purpose_Code", "X_Purpose_Code", "Authorization_", "X-Amzn-Trace-Id", "tracestate",
    "baggage", "Idempotency-Key", "Content-Type", "Content-Language", "Prefer", "Warning",
]  # fmt: skip


def test_gw_03_names_of_ours_are_dropped_at_the_entry_and_nothing_of_a_stranger_passes(gateway, world, provider, token):
    expected = {
        "x-consumer-organization": world.consumer.code, "x-consumer-system": world.system.code,
        "x-purpose-code": world.purpose.code, "accept": "application/json", "host": provider.url.removeprefix("http://"),
    }  # fmt: skip
    lawful = {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code}
    for name in SPOOFED:
        answer = send(gateway.url, path=world.path, headers={**lawful, name: "canary-spoof"})
        assert answer.status == 200, (name, answer.body)
        row = provider.seen[-1]
        assert {key.lower() for key, _value in row.headers} == OURS, name
        assert b"canary" not in row.raw, name
        assert {key: row.header(key) for key in expected} == expected, name
        assert row.call_id == answer.call_id, name
    assert len(provider.seen) == len(SPOOFED)
    assert set(CallIntent.objects.values_list("source", flat=True)) == {"127.0.0.1"}, "a stranger named its own address"


def test_gw_03_names_listed_as_hop_by_hop_take_nothing_away(gateway, world, provider, token):
    """`Connection: close, X-Consumer-System` makes some proxies strip the header that says who calls."""
    listed = [
        "X-Consumer-System",
        "X-Consumer-Organization, X-Call-Id",
        "Authorization",
        "X-Purpose-Code",
        "Host",
        "Accept",
        "Content-Length",
    ]
    for names in listed:
        for first in ("close, ", "keep-alive, ", ""):
            headers = {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code, "Connection": first + names}
            answer = send(gateway.url, path=world.path, headers=headers)
            assert answer.status == 200, (names, answer.body)
            row = provider.seen[-1]
            assert {key.lower() for key, _value in row.headers} == OURS, names
            assert row.header("X-Consumer-System") == world.system.code
    assert len(provider.seen) == 3 * len(listed)


def test_gw_03_headers_of_any_name_change_nothing_at_the_provider(gateway, world, provider, token):
    """Names put together at random, in twins of hyphen and underscore: what the provider receives is the same each time."""
    rng = random.Random(3)
    words = [
        "x",
        "lgsp",
        "client",
        "cert",
        "sha256",
        "ip",
        "consumer",
        "system",
        "organization",
        "call",
        "id",
        "purpose",
        "code",
        "forwarded",
        "for",
    ]
    received = set()
    wire = Wire(gateway.port)
    for _number in range(share(5_000, small=200)):
        lines = [
            f"GET {world.path} HTTP/1.1",
            "Host: gateway",
            f"Authorization: Bearer {token}",
            f"X-Purpose-Code: {world.purpose.code}",
        ]
        for _header in range(rng.randint(1, 5)):
            name = "".join(rng.choice("-_") + rng.choice(words) for _word in range(rng.randint(1, 4)))[1:]
            if name != "x-purpose-code":
                lines.insert(rng.randint(1, len(lines)), f"{rng.choice((name, name.title(), name.upper()))}: canary")
        status, call_id = wire.ask("\r\n".join([*lines, "", ""]).encode())
        # Of the names the gateway reads, one that is there twice makes the call ambiguous.
        assert (status == 200) == (len(lines) == len({line.partition(":")[0].lower() for line in lines})) or status == 200, (
            lines
        )
        if status == 200:
            (row,) = provider.by_call(call_id)
            received.add(tuple((key, value) for key, value in row.headers if key.lower() != "x-call-id"))
            assert b"canary" not in row.raw
    wire.close()
    assert len(received) == 1


# --- GW-04: Host ----------------------------------------------------------------------------------


def test_gw_04_no_answer_is_built_from_host_and_a_request_has_exactly_one(gateway, world, provider, token):
    head = f"GET %s HTTP/1.1\r\n%sAuthorization: Bearer {token}\r\nX-Purpose-Code: %s\r\n\r\n"
    for host in ("evil.example", "evil.example:8001", "127.0.0.1@evil.example", "[::1]", "gateway.evil.example"):
        for purpose, status in ((world.purpose.code, 200), ("khac", 403)):
            raw = exchange(gateway.port, (head % (world.path, f"Host: {host}\r\n", purpose)).encode(), answers=1)
            assert statuses(raw) == [status], host
            assert b"evil" not in raw, host
    assert {row.header("Host") for row in provider.seen} == {provider.url.removeprefix("http://")}
    before = len(provider.seen)
    for hosts in ("", "Host: a\r\nHost: a\r\n", "Host: a\r\nHost: evil.example\r\n", "Host: a\r\nhost: b\r\n"):
        raw = exchange(gateway.port, (head % (world.path, hosts, world.purpose.code)).encode())
        assert statuses(raw) in ([400], []), (hosts, raw)
    for target in (f"http://evil.example{world.path}", f"//evil.example{world.path}", f"evil.example{world.path}"):
        raw = exchange(gateway.port, (head % (target, "Host: gateway\r\n", world.purpose.code)).encode())
        assert all(status >= 400 for status in statuses(raw)), (target, raw)
    assert len(provider.seen) == before


@pytest.mark.parametrize("path", ["/gw/me", "/metrics", "/healthz", "/readyz"])
@pytest.mark.django_db(transaction=True)
def test_doors_that_are_only_read_say_so(gateway, world, token, path):
    headers = {"Authorization": f"Bearer {token}"}
    assert send(gateway.url, "GET", path, headers).status == send(gateway.url, "HEAD", path, headers).status == 200
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        answer = send(gateway.url, method, path, headers)
        assert (answer.status, answer.headers["allow"], answer.body) == (405, "GET, HEAD", b"")
