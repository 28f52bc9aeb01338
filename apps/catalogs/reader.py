"""The fast reader: answers the common questions about open catalogs with bytes rendered at publish, without Django's handler.

An ASGI application, mounted in the gateway's process at the paths of the portal's API, with the same bytes:
`/items`, `/items?level=&page=`, `/items/{code}`, `/snapshot`. All else is the portal's. It looks for a new release at most a
second after the last look, and one question is answered from one release: all old or all new.

`ready(data)` is the shortcut for a server protocol: one whole, plain request in, the head's bytes and the answer out, or None for
"take the ordinary way".
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl

import asyncpg
import orjson

from apps.catalogs import render
from apps.catalogs.calendar import today

PREFIX = f"{render.ROOT}/".encode()
_NAMED = b"\nx-lgsp-client-ip:"
LOOK_SECONDS = 1.0
"""How old an answer may be after a release was published."""
STALE_SECONDS = 60.0
"""How long the last known bytes are served while the database is away."""

_LOOK = """
SELECT catalog.code, catalog.current_id, coalesce(release.number, 0) AS number, catalog.levels
FROM catalogs_catalog AS catalog LEFT JOIN catalogs_release AS release ON release.id = catalog.current_id WHERE catalog.is_public
"""
_READ = """
SELECT level, codes, body, catalog.current_id FROM catalogs_snapshot AS snapshot JOIN catalogs_catalog AS catalog ON catalog.id = snapshot.catalog_id
WHERE catalog.code = $1 AND snapshot.release_id = catalog.current_id AND day_from <= $2 AND (day_to IS NULL OR day_to > $2)
"""


class Sheet:
    """A large body once more, as a file in memory: the kernel sends its pages without copying them for each reader."""

    __slots__ = ("fd", "size")

    def __init__(self, body: bytes) -> None:
        self.size = len(body)
        self.fd = os.memfd_create("catalog-list", os.MFD_CLOEXEC)
        with open(self.fd, "wb", closefd=False) as file:
            file.write(body)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


SHEET_BYTES = 128 * 1024
"""Bodies from here on get a sheet."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `head` ends before the line of the date. `sheet` is the body as a file, where it is large."""

    head: bytes
    unchanged_head: bytes
    etag: bytes
    body: bytes
    sheet: Sheet | None = None


def make_answer(body: bytes) -> Answer:
    etag = render.etag(body).encode()
    common = b"etag: " + etag + b"\r\ncache-control: no-cache\r\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n" % len(body) + common
    return Answer(head, b"HTTP/1.1 304 Not Modified\r\n" + common, etag, body, _sheet(body))


def _sheet(body: bytes) -> Sheet | None:
    """None for small bodies, and where the system has no such files (or no more of them): those are sent as bytes."""
    if len(body) < SHEET_BYTES or not hasattr(os, "memfd_create"):
        return None
    try:
        return Sheet(body)
    except OSError:
        return None


@dataclass
class Book:
    """One release of one catalog on one day, cut into the lines of its items."""

    code: str
    release_id: int
    number: int
    levels: dict[str, dict[str, bytes]]
    answers: dict[bytes, Answer] = field(default_factory=dict)

    def body(self, rest: str, query: str) -> bytes | None:
        """The bytes for the path after the catalog's code; None where they are not ready-made (or not there)."""
        given = dict(parse_qsl(query, keep_blank_values=True))
        # Only the one spelling of each question: answers are kept by address, and addresses must not be made up without end.
        if not set(given) <= {"level", "page"} or "&".join(f"{name}={value}" for name, value in given.items()) != query:
            return None
        level = given.get("level")
        if level is not None and level not in self.levels:
            return None
        chosen = [self.levels[level]] if level else list(self.levels.values())
        if rest == "items":
            return self._page(chosen, given, level)
        if "page" in given:
            return None
        if rest == "snapshot":
            return render.whole(self.code, self.number, [line for lines in chosen for line in lines.values()])
        if rest.startswith("items/"):
            found = [lines[rest[6:]] for lines in chosen if rest[6:] in lines]
            return found[0] if len(found) == 1 else None
        return None

    def _page(self, chosen: list[dict[str, bytes]], given: dict[str, str], level: str | None) -> bytes | None:
        text = given.get("page", "1")
        if not (text.isascii() and text.isdigit() and len(text) < 7) or text[0] == "0":
            return None
        lines = [line for group in chosen for line in group.values()]
        number, size = int(text), render.PAGE_SIZE
        if number > max(1, -(-len(lines) // size)):
            return None
        part = lines[(number - 1) * size : number * size]
        query = f"level={level}" if level else ""
        return render.page(self.code, self.number, part, count=len(lines), number=number, size=size, query=query)


class CatalogReader:
    """State of one process: the current books, when they were last looked at, and how much each caller asked for."""

    def __init__(self, dsn: str, *, per_minute: int = 6000, trusted_proxies: frozenset[str] = frozenset()) -> None:
        self.dsn = dsn
        self.per_minute = per_minute
        self.trusted_proxies = trusted_proxies
        self.books: dict[str, Book] = {}
        self.day = None
        self.looked_at = float("-inf")
        self._looking: asyncio.Task | None = None
        self._connection: asyncpg.Connection | None = None
        self._counts: dict[str, int] = {}
        self._minute = 0
        self._date = (0, b"")

    # --- the shortcut
    def ready(self, data: bytes, peer: str) -> tuple[bytes, Answer | None] | None:
        """What answers `data`, when that is one whole plain GET for ready bytes, and they are fresh.

        The bytes of the head with its blank line, and the answer whose body follows (None: no body, 304).
        """
        if not data.startswith(b"GET " + PREFIX) or not data.endswith(b" HTTP/1.1\r\n", 0, end := data.find(b"\r\n") + 2):
            return None
        if time.monotonic() - self.looked_at > LOOK_SECONDS or not _is_plain(data):
            return None
        target = data[4 : end - 11]
        answer, asker = self._cached(target), self._asker(data, peer)
        if answer is None or asker is None or not self._admits(asker):
            return None
        head = data.lower()
        if b"\nconnection:" in head and b"close" in head:
            return None
        if b"\nif-none-match:" in head and answer.etag in data:
            return answer.unchanged_head + self._date_line(), None
        return answer.head + self._date_line(), answer

    def _asker(self, data: bytes, peer: str) -> str | None:
        """Whose question it is: the peer's, or that of whom a proxy we trust names; None where it names none, or several."""
        if peer not in self.trusted_proxies:
            return peer
        head = data.lower()
        at = head.find(_NAMED)
        if at < 0 or head.count(_NAMED) > 1:
            return None
        return data[at + len(_NAMED) : data.find(b"\r\n", at)].strip().decode("latin-1")

    def _cached(self, target: bytes) -> Answer | None:
        name = target[len(PREFIX) : target.find(b"/", len(PREFIX))]
        book = self.books.get(name.decode("latin-1"))
        return book.answers.get(target) if book is not None else None

    def _date_line(self) -> bytes:
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, b"date: " + formatdate(second, usegmt=True).encode() + b"\r\n\r\n")
        return self._date[1]

    def _admits(self, peer: str) -> bool:
        """Count one question of `peer` in this minute; False when it is one too many."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        count = self._counts.get(peer, 0) + 1
        self._counts[peer] = count
        return count <= self.per_minute

    # --- the ordinary way
    async def __call__(self, scope: dict, receive, send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await _problem(send, 405, "method_not_allowed", [(b"allow", b"GET, HEAD")])
            return
        if not self._admits(self._peer(scope)):
            await _problem(send, 429, "throttled", [(b"retry-after", b"60")])
            return
        await self._look()
        if time.monotonic() - self.looked_at > STALE_SECONDS:
            await _problem(send, 503, "not_ready", [(b"retry-after", b"5")])
            return
        answer = self._answer(scope)
        if answer is None:
            await _problem(send, 404, "not_found", [])
            return
        await _send(send, answer, _given_tags(scope), with_body=scope["method"] == "GET")

    def _answer(self, scope: dict) -> Answer | None:
        path, query = scope["raw_path"], scope["query_string"]
        name, _, rest = path[len(PREFIX) :].partition(b"/")
        try:
            book = self.books.get(name.decode("ascii"))
            rest_text, query_text = rest.decode("ascii"), query.decode("ascii")
        except UnicodeDecodeError:
            return None
        if book is None or "%" in rest_text or "%" in query_text or "+" in query_text:
            return None
        target = path + (b"?" + query if query else b"")
        if target not in book.answers:
            body = book.body(rest_text, query_text)
            if body is None:
                return None
            book.answers[target] = make_answer(body)
        return book.answers[target]

    def _peer(self, scope: dict) -> str:
        """The caller's address; behind a proxy we trust, the one the proxy saw."""
        peer = scope["client"][0] if scope.get("client") else ""
        if peer in self.trusted_proxies:
            for name, value in scope["headers"]:
                if name == b"x-lgsp-client-ip":
                    return value.strip().decode("latin-1")
        return peer

    # --- looking for new releases
    async def _look(self) -> None:
        """Make sure the books are at most LOOK_SECONDS old. Callers at the same instant share one look."""
        if time.monotonic() - self.looked_at <= LOOK_SECONDS:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_now())
        await asyncio.shield(self._looking)

    async def _look_now(self) -> None:
        started = time.monotonic()
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(self.dsn, timeout=3, command_timeout=10)
            # One snapshot for all: a release published between two statements would make its catalog vanish until the next look.
            async with self._connection.transaction(isolation="repeatable_read", readonly=True):
                await self._refresh(self._connection)
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            if self._connection is not None:
                self._connection.terminate()
            self._connection = None
            return
        self.looked_at = started

    async def _refresh(self, connection: asyncpg.Connection) -> None:
        day = today()
        rows = await connection.fetch(_LOOK)
        books = {}
        for row in rows:
            old = self.books.get(row["code"])
            if old is not None and old.release_id == row["current_id"] and day == self.day:
                books[row["code"]] = old
            elif row["current_id"] is not None:
                book = await self._read(connection, row, day)
                if book is not None:
                    books[row["code"]] = book
        self.books, self.day = books, day

    @staticmethod
    async def _read(connection: asyncpg.Connection, row: asyncpg.Record, day) -> Book | None:
        """The book of the release in `row`, read in the transaction that found it; None where a level has no rendered sheet."""
        found = {line["level"]: line for line in await connection.fetch(_READ, row["code"], day)}
        order = [level["code"] for level in orjson.loads(row["levels"])]
        if set(found) != set(order):
            return None
        levels = await asyncio.to_thread(
            lambda: {level: render.cut(found[level]["codes"], found[level]["body"]) for level in order}
        )
        return Book(row["code"], row["current_id"], row["number"], levels)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


def _is_plain(data: bytes) -> bool:
    """One head and nothing after it, lines ended as HTTP wants them, no body announced."""
    if data.find(b"\r\n\r\n") != len(data) - 4 or data.count(b"\n") != data.count(b"\r\n") or b"\x00" in data:
        return False
    head = data.lower()
    return (
        head.count(b"\nhost:") == 1
        and b"\ncontent-length" not in head
        and b"\ntransfer-encoding" not in head
        and b"\nupgrade" not in head
        and b"\nexpect" not in head
        and b"\n " not in head
        and b"\n\t" not in head
    )


def _given_tags(scope: dict) -> list[bytes]:
    return [
        tag.strip().removeprefix(b"W/")
        for name, value in scope["headers"]
        if name == b"if-none-match"
        for tag in value.split(b",")
    ]


async def _send(send, answer: Answer, given: list[bytes], *, with_body: bool) -> None:
    headers = [(b"etag", answer.etag), (b"cache-control", b"no-cache")]
    if answer.etag in given:
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    length = str(len(answer.body)).encode()
    headers += [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})


_TITLES = {
    "method_not_allowed": "Only GET and HEAD.",
    "throttled": "Too many questions in a minute.",
    "not_ready": "The catalogs cannot be read at the moment.",
    "not_found": "Not among the ready-made answers. The portal's API answers every question.",
}


async def _problem(send, status: int, code: str, headers: list[tuple[bytes, bytes]]) -> None:
    body = orjson.dumps({"type": f"/api/problems/{code}", "title": _TITLES[code], "status": status, "code": code})
    length = str(len(body)).encode()
    given = [*headers, (b"content-type", b"application/problem+json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})
