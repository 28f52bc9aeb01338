"""The fast reader answers with the portal's own bytes, and a reader sees a release whole or not at all."""

import asyncio
import contextlib
import datetime as dt
import http.client
import socket
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import orjson
import pytest
import time_machine
from django.db import connection
from django.test import Client

from apps.catalogs.calendar import today
from apps.catalogs.models import Catalog, Snapshot
from apps.catalogs.reader import CatalogReader
from apps.organizations.choices import Role
from lgsp.dev.testing import share
from tests.factories.catalogs import CatalogFactory, ClosedCatalogFactory, TreeCatalogFactory, published, rows
from tests.factories.organizations import officer
from tests.gateway.processes import GatewayProcess, database_url
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = "/api/v1/catalogs"


@pytest.fixture(autouse=True)
def no_throttle(monkeypatch):
    monkeypatch.setattr("apps.catalogs.api.throttling.CatalogThrottle.allow_request", lambda *args: True)


@pytest.fixture(scope="module")
def gateway(django_db_setup):
    """One process for the module: the tables are emptied between tests, and it finds out."""
    process = GatewayProcess(database_url(), allow=[], LGSP_CATALOG_READS_PER_MINUTE="100000").start(wait=False)
    wait_alive(process)
    yield process
    process.popen.terminate()
    process.popen.wait(60)


def wait_alive(process) -> None:
    until(process.is_listening, lambda: "\n".join(process.lines))
    until(lambda: ask(process, "/healthz")[0] == 200, lambda: "\n".join(process.lines))


def wait_for(process, catalog: Catalog) -> None:
    until(lambda: ask(process, f"{ROOT}/{catalog.code}/items")[0] == 200, "a published release is not found")


def ask(process, path: str, method: str = "GET", **headers) -> tuple[int, dict, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", urlsplit(process.url).port, timeout=120)
    link.request(method, path, headers=headers)
    answer = link.getresponse()
    body = answer.read()
    link.close()
    return answer.status, dict(answer.getheaders()), body


def tree(process) -> Catalog:
    """A small tree, once the process has seen it."""
    person = officer(Role.OPERATOR)
    catalog = TreeCatalogFactory()
    provinces = [{"code": f"{n:02}", "name": f"Tỉnh Đắk “{n}”"} for n in range(10, 30)]
    communes = [
        {"code": f"{n:05}", "name": f"Xã {n}", "parent_code": "10", "attributes": {"b": "é\\", "a": None}}
        for n in range(1, 250)
    ]
    published(catalog, [*provinces, *communes], by=person)
    wait_for(process, catalog)
    return catalog


def test_every_ready_made_answer_equals_the_portal_s_byte_for_byte(gateway):
    catalog = tree(gateway)
    paths = ["/items", "/items?page=1", "/items?page=3", "/items?level=commune", "/items?level=commune&page=2", "/items?page=2&level=commune",
             "/items?level=province", "/items/10", "/items/00001", "/items/00001?level=commune", "/snapshot", "/snapshot?level=province"]  # fmt: skip
    client = Client()
    for path in paths:
        url = f"{ROOT}/{catalog.code}{path}"
        slow = client.get(url)
        assert slow.status_code == 200
        for _ in range(2):  # the ordinary way first, the shortcut then
            status, headers, body = ask(gateway, url)
            assert (status, body) == (200, slow.content), url
            assert {
                name.lower(): value
                for name, value in headers.items()
                if name.lower() in ("etag", "content-type", "cache-control")
            } == {name.lower(): slow[name] for name in ("ETag", "Content-Type", "Cache-Control")}
        status, _, body = ask(gateway, url, **{"If-None-Match": slow["ETag"]})
        assert (status, body) == (304, b"")


LEFT_TO_THE_PORTAL = [
    "/items?q=ha", "/items?as_of=2025-01-01", "/items?page=0", "/items?page=99", "/items?page=1&page=2", "/items?level=x", "/items/99999",
    "/items/%30%31", "/snapshot?page=1", "/translate", "", "/items/10/history",
    # Other spellings of a ready question: each would be kept as an answer of its own, without end.
    "/items?page=01", "/items?level=province&", "/snapshot?&&level=province", "/items?page=1&page=1", "/snapshot?level",
]  # fmt: skip


def test_what_is_not_ready_made_is_left_to_the_portal(gateway):
    catalog = tree(gateway)
    for path in LEFT_TO_THE_PORTAL:
        status, headers, body = ask(gateway, f"{ROOT}/{catalog.code}{path}")
        assert (status, orjson.loads(body)["code"]) == (404, "not_found"), path
        assert headers["content-type"] == "application/problem+json"


def test_a_catalog_that_needs_an_account_has_no_ready_bytes(gateway):
    catalog = ClosedCatalogFactory()
    published(catalog, rows(3), by=officer(Role.OPERATOR))
    assert not Snapshot.objects.filter(catalog=catalog).exists()
    assert ask(gateway, f"{ROOT}/{catalog.code}/items/A001")[0] == 404


def test_only_get_and_head_are_answered(gateway):
    catalog = tree(gateway)
    url = f"{ROOT}/{catalog.code}/items/10"
    assert ask(gateway, url, "POST")[0] == 405
    status, headers, body = ask(gateway, url, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) == len(Client().get(url).content)


def test_one_caller_cannot_take_all(transactional_db):
    process = GatewayProcess(database_url(), allow=[], LGSP_CATALOG_READS_PER_MINUTE="5").start(wait=False)
    try:
        wait_alive(process)
        codes = [ask(process, f"{ROOT}/nothing/items/10")[0] for _ in range(12)]
        assert codes[:5] == [404] * 5
        assert 2 <= codes.count(429) <= 7  # the minute may turn once on the way
    finally:
        process.popen.terminate()
        process.popen.wait(60)


LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def exchange(process, *pieces: bytes) -> bytes:
    """What comes back for `pieces` and a last request after them that closes the connection: all there is, however slow."""
    received = b""
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", process.port), timeout=120) as link:
        for piece in (*pieces, LAST):
            link.sendall(piece)
            time.sleep(0.15)
        while part := link.recv(65536):
            received += part
    return received


def test_the_shortcut_never_tears_a_connection_s_order(gateway):
    """Requests in one piece, in many, pipelined, after a body: as many answers as requests, in order, or a closed connection."""
    catalog = tree(gateway)
    url = f"{ROOT}/{catalog.code}/items/10".encode()
    ask(gateway, url.decode())
    plain = b"GET " + url + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    item = Client().get(url.decode()).content
    assert exchange(gateway, plain, plain, plain).count(item) == 3
    assert exchange(gateway, plain + plain).count(item) == 2
    assert exchange(gateway, plain[:20], plain[20:], plain).count(item) == 2
    posted = b"POST " + url + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(plain)
    answers = exchange(gateway, posted, plain, plain)
    assert answers.count(b"HTTP/1.1 405") == 1
    assert answers.count(item) <= 1  # the first GET was the POST's body
    assert exchange(gateway, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", plain).count(item) == 1
    for bad in (
        b"GET " + url + b" HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET " + url + b" HTTP/1.1\nHost: x\n\n",
        b"GET " + url + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ):
        assert item not in exchange(gateway, bad)


def test_a_large_list_arrives_whole_however_slowly_it_is_read(gateway):
    """Lists go to the socket straight from a file in memory; what the socket does not take at once follows in order."""
    catalog = TreeCatalogFactory()
    communes = [{"code": f"{n:05}", "name": f"Xã {n} " + "ấ" * 300} for n in range(1, 4000)]
    published(catalog, communes, by=officer(Role.OPERATOR))
    wait_for(gateway, catalog)
    url = f"{ROOT}/{catalog.code}/snapshot"
    body = Client().get(url).content
    assert len(body) > 4_000_000
    assert ask(gateway, url)[2] == body
    request = f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", urlsplit(gateway.url).port), timeout=20) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 131072)
        for _ in range(3):  # on one connection, one after the other
            link.sendall(request)
            received = bytearray()
            while len(received) < len(body) or not received.endswith(body[-100:]):
                part = link.recv(30_000)
                assert part
                received += part
            head, _, rest = bytes(received).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert rest == body
    for _ in range(3):  # readers that go away in the middle harm nobody
        with socket.create_connection(("127.0.0.1", urlsplit(gateway.url).port), timeout=20) as link:
            link.sendall(request)
            link.recv(1000)
    assert ask(gateway, url)[2] == body


def test_a_release_published_between_two_looks_hides_nothing(transactional_db):
    """The list of catalogs and their bytes are of one snapshot: the reader has the old release whole, then the new one."""
    person, catalog = officer(Role.OPERATOR), CatalogFactory()
    first = published(catalog, rows(3, "Cũ"), by=person)

    def publish_next() -> None:
        try:
            published(catalog, rows(3, "Mới"), by=person)
        finally:
            connection.close()

    class Interrupted(CatalogReader):
        waits = True

        @classmethod
        async def _read(cls, *args):
            if cls.waits:
                cls.waits = False
                await asyncio.to_thread(publish_next)
            return await CatalogReader._read(*args)

    async def look_twice() -> list[int]:
        reader, found = Interrupted(database_url()), []
        for _turn in range(2):
            await reader._look_now()
            found.append(reader.books[catalog.code].number)
        await reader.close()
        return found

    assert asyncio.run(look_twice()) == [first.number, first.number + 1]


def test_behind_a_trusted_proxy_the_shortcut_counts_the_reader_whom_it_names(transactional_db):
    catalog = CatalogFactory()
    published(catalog, rows(3), by=officer(Role.OPERATOR))
    url = f"{ROOT}/{catalog.code}/items/A001".encode()

    async def look() -> CatalogReader:
        reader = CatalogReader(database_url(), per_minute=2, trusted_proxies=frozenset({"10.0.0.1"}))
        await reader._look_now()
        await reader.close()
        assert reader._answer({"raw_path": url, "query_string": b""}) is not None
        return reader

    def asks(*lines: bytes, peer: str = "10.0.0.1") -> bool:
        reader.looked_at, reader._minute = time.monotonic(), int(time.monotonic() // 60)
        return reader.ready(b"\r\n".join((b"GET " + url + b" HTTP/1.1", b"Host: x", *lines, b"", b"")), peer) is not None

    reader = asyncio.run(look())
    assert [asks(b"X-Lgsp-Client-Ip: 192.0.2.1") for _n in range(3)] == [True, True, False]
    assert asks(b"x-lgsp-client-ip:192.0.2.2")
    assert not asks()
    assert not asks(b"X-Lgsp-Client-Ip: 192.0.2.3", b"X-Lgsp-Client-Ip: 192.0.2.4")
    own = [asks(b"X-Lgsp-Client-Ip: 192.0.2.5", peer="10.0.0.2") for _n in range(3)]
    assert own == [True, True, False], "nobody else names readers"


def fast_snapshot(catalog: Catalog) -> bytes | None:
    """The whole list as the fast reader has it ready; None where it leaves it to the portal."""

    async def look() -> bytes | None:
        reader = CatalogReader(database_url())
        await reader._look_now()
        await reader.close()
        book = reader.books.get(catalog.code)
        return book and book.body("snapshot", "")

    return asyncio.run(look())


@pytest.mark.parametrize("changes", [6, 8])
def test_ready_made_bytes_end_where_the_changes_that_were_rendered_end(transactional_db, changes):
    """Eight days on which something begins, and no release in between: on each of them both doors tell what holds then."""
    catalog, first = CatalogFactory(), today()
    begins = [{**row, "valid_from": str(first + dt.timedelta(days=n))} for n, row in enumerate(rows(changes + 1))]
    published(catalog, begins, by=officer(Role.OPERATOR))
    told, ready = [], []
    for n in range(changes + 1):
        with time_machine.travel(dt.datetime.combine(first, dt.time(5), dt.timezone.utc) + dt.timedelta(days=n)):
            portal, fast = Client().get(f"{ROOT}/{catalog.code}/snapshot").content, fast_snapshot(catalog)
        assert fast in (portal, None), n
        told.append(orjson.loads(portal)["count"])
        ready.append(fast is not None)
    assert told == [n + 1 for n in range(changes + 1)]
    assert ready == [n <= 6 for n in range(changes + 1)]
    assert Snapshot.objects.filter(catalog=catalog, day_to=None).exists() == (changes == 6)


def test_readers_see_all_old_or_all_new_while_releases_are_published(gateway):
    """Every release renames every entry; pages, whole lists and the fast reader's bytes each show one release only."""
    person = officer(Role.OPERATOR)
    catalog = CatalogFactory()
    count = 60
    published(catalog, rows(count, "Tên gọi bản 0 số"), by=person)
    wait_for(gateway, catalog)
    done = threading.Event()
    mixed: list[object] = []
    seen: dict[str, set[int]] = {"portal": set(), "snapshot": set(), "fast": set()}
    read_by: Counter[str] = Counter()

    def check(kind: str, body: dict) -> None:
        versions = {int(item["name"].split()[3]) for item in body["items"]}
        if len(body["items"]) != count or body["count"] != count or versions != {body["release"] - 1}:
            mixed.append((kind, body["release"], versions, len(body["items"])))
        seen[kind].add(body["release"])

    def watch(kind: str, read) -> None:
        try:
            while not done.is_set():
                check(kind, orjson.loads(read()))
                read_by[kind] += 1
        except Exception as error:
            mixed.append((kind, repr(error)))
        finally:
            connection.close()

    url = f"{ROOT}/{catalog.code}"
    readers = [
        threading.Thread(target=watch, args=("portal", lambda: Client().get(f"{url}/items?page_size=500").content)),
        threading.Thread(target=watch, args=("snapshot", lambda: Client().get(f"{url}/snapshot").content)),
        threading.Thread(target=watch, args=("fast", lambda: ask(gateway, f"{url}/snapshot")[2])),
    ]
    for reader in readers:
        reader.start()
    releases = share(200, small=12)
    for number in range(1, releases + 1):
        before = dict(read_by)
        published(catalog, rows(count, f"Tên gọi bản {number} số"), by=person)
        until(
            lambda b=before: mixed or all(read_by[kind] > b.get(kind, 0) for kind in seen),
            "a reader reads nothing",
            every=0.005,
        )
    until(lambda: mixed or releases + 1 in seen["fast"], "the fast reader never saw the last release")
    done.set()
    for reader in readers:
        reader.join()
    assert mixed == []
    assert min(len(numbers) for numbers in seen.values()) > 1
