"""Answers known by their heads: taken for what the parser took before and for nothing else, and then nothing is different."""

from __future__ import annotations

import asyncio
import random
import time
from types import SimpleNamespace

import pytest

from apps.gateway import answer_heads
from apps.gateway.answer_heads import REMEMBERED, REST, Heads
from apps.gateway.provider_connections import Connection, Deadlines, Pool, ProviderFailed, Stale
from lgsp.dev.testing import share

CAP = 4_000
DATE = b"Fri, 27 Nov 2026 07:11:24 GMT"
LATER = b"Sat, 28 Nov 2026 23:59:59 GMT"
TYPE = b"Content-Type: application/json"
SHAPES = (
    (b"Server: x", b"Date: %(date)b", TYPE, b"Content-Length: %(length)d", b"Cache-Control: max-age=60"),
    (b"content-length: %(length)d", b"date: %(date)b", TYPE),
    (TYPE, b"Content-Length: %(length)d"),
)


def answer(
    shape: tuple[bytes, ...] = SHAPES[0], body: bytes = b'{"a": 1}', *, date: bytes = DATE, length: int | None = None
) -> bytes:
    given = {b"date": date, b"length": len(body) if length is None else length}
    return b"\r\n".join([b"HTTP/1.1 200 OK", *shape, b"", b""]) % given + body


class Counted(Heads):
    """Says how often a head was known again; `blind` never knows one."""

    def __init__(self, *, blind: bool = False) -> None:
        super().__init__()
        self.blind, self.known = blind, 0

    def find(self, data: bytes, cap: int):
        found = None if self.blind else super().find(data, cap)
        self.known += found is not None
        return found


def pool_with(heads: Heads) -> Pool:
    pool = Pool(SimpleNamespace(scheme="http", host="provider", port=80), Deadlines())
    pool.heads = heads
    return pool


def connected(pool: Pool) -> Connection:
    connection = Connection(pool)
    connection.connection_made(SimpleNamespace(write=lambda data: None, abort=lambda: None, is_closing=lambda: False))
    pool.open += 1
    return connection


def heard(connection: Connection, *pieces: bytes) -> tuple:
    """What comes of a request that is answered with `pieces`, after which the provider closes if more was due."""
    future = connection.send(b"GET / HTTP/1.1\r\n\r\n", CAP, time.monotonic() + 60)
    for piece in pieces:
        if not connection.closed:
            connection.data_received(piece)
    if not future.done():
        connection.connection_lost(None)
    try:
        found = future.result()
        headers = [pair for pair in found.head.headers if pair[0] != "content-length"]  # of a known head: the first one's
        told = found.status, headers, found.body, found.head.not_json, found.head.not_xml, found.head.passed
    except ProviderFailed as failed:
        told = (failed.code,)
    except Stale:
        told = ("stale",)
    connection.pool.give_back(connection)
    return told, connection.closed


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_head_is_known_again_whatever_its_date_and_length(shape):
    async def run() -> tuple[list, int]:
        pool = pool_with(Counted())
        connection = connected(pool)
        bodies = (b'{"a": 1}', b'{"a": 1}', b"{}", b'{"a": "%b"}' % (b"b" * 2_000))
        found = [
            heard(connection, answer(shape, body, date=date)) for body, date in zip(bodies, (DATE, LATER) * 2, strict=True)
        ]
        return [(told[0], told[2], closed) for told, closed in found], pool.heads.known

    found, known = asyncio.run(run())
    assert [row[1] for row in found] == [b'{"a": 1}', b'{"a": 1}', b"{}", b'{"a": "%b"}' % (b"b" * 2_000)]
    assert {(row[0], row[2]) for row in found} == {(200, False)}
    assert known == 3


OTHERS = {
    "another status": answer().replace(b"200 OK", b"201 OK"),
    "another header": answer().replace(b"Server: x", b"Server: y"),
    "one byte more": answer() + b"x",
    "one byte less": answer()[:-1],
    "another answer behind it": answer() + answer(),
    "too large": answer(body=b"[%b]" % (b" " * CAP)),
    "two lengths": answer((*SHAPES[0][:1], b"Content-Length: 8", *SHAPES[0][2:])),
    "two dates": answer((*SHAPES[0][:3], b"Date: %(date)b", SHAPES[0][4])),
    "no length": answer((*SHAPES[0][:3], SHAPES[0][4])),
    "a zero byte for the date": answer((SHAPES[0][0] + b"\0", TYPE, *SHAPES[0][3:])),
    "a date with a line in it": answer(date=b"Fri, 27 Nov 2026\r\nX: 7:11:24 "),
    "a length with a sign": answer().replace(b"Length: 8", b"Length: +8"),
    "chunks too": answer().replace(b"Server: x", b"Server: x\r\nTransfer-Encoding: chunked"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_any_other_answer_goes_through_the_parser(other):
    async def run(heads: Counted) -> tuple:
        connection = connected(pool_with(heads))
        heard(connection, answer())
        return heard(connection, OTHERS[other])

    heads = Counted()
    assert asyncio.run(run(heads)) == asyncio.run(run(Counted(blind=True)))
    assert heads.known == 0


NEVER = {
    "a status whose answers have no body": (b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n{}"),
    "two dates": (answer((*SHAPES[0][:2], *SHAPES[0][1:])),) * 2,
    "two dates after the length": (
        answer((SHAPES[2][1], *SHAPES[0][1:2] * 2)), answer((SHAPES[2][1], SHAPES[0][1], SHAPES[2][1])),
    ),
    "a length of many digits": (
        answer((b"Content-Length: 000000000",), b""), b"HTTP/1.1 200 OK\r\nContent-Length: 000000020\r\n\r\n{}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("head", NEVER)
def test_a_head_in_which_more_varies_is_never_kept(head):
    async def run(heads: Counted) -> list[tuple]:
        connection = connected(pool_with(heads))
        return [heard(connection, data) for data in NEVER[head] if not connection.closed]

    heads = Counted()
    assert asyncio.run(run(heads)) == asyncio.run(run(Counted(blind=True)))
    assert heads.known == 0


def test_heads_of_answers_that_end_their_connection_are_not_kept():
    heads = Counted()

    async def run() -> None:
        for line in (b"Connection: close", b"X: y"):
            heard(connected(pool_with(heads)), answer((line, *SHAPES[0])))

    asyncio.run(run())
    assert len(heads._known) == 1


def test_a_provider_whose_heads_all_differ_is_not_looked_at_for_a_while():
    heads = Heads()
    head = answer_heads.Head(200, [])
    for number in range(REMEMBERED + 1):
        heads.remember(answer((b"X-Request-Id: %d" % number, *SHAPES[0])), head, 8)
    assert not heads._known
    for _number in range(REST):
        heads.remember(answer(), head, 8)
    assert heads.find(answer(), CAP) is None
    heads.remember(answer(), head, 8)
    assert heads.find(answer(), CAP) == (head, b'{"a": 1}')


BETWEEN = (
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 103 Early\r\nContent-Length: 8\r\n\r\n",
)  # fmt: skip
HALF = b"HTTP/1.1 200 OK\r\nX: "


def test_a_word_in_between_is_not_known_as_an_answer():
    """What follows it would be the answer to the next call on the connection: somebody else's."""

    async def run(heads: Counted) -> list[tuple]:
        pool, found = pool_with(heads), []
        for word in BETWEEN:
            for body in (b"", b"ab", b"x" * 8):
                connection = connected(pool)
                found.append(heard(connection, word, answer(body=body)))
                found.append(heard(connected(pool), word + answer(body=body)))
                found.append(heard(connected(pool), word + answer(body=body)[:8], answer(body=body)[8:]))
        return found

    heads = Counted()
    assert asyncio.run(run(heads)) == asyncio.run(run(Counted(blind=True)))
    assert {told[0] for told, _closed in asyncio.run(run(Counted()))} == {200}


def test_half_an_answer_behind_an_answer_ends_the_connection_and_teaches_nothing():
    async def run() -> tuple:
        pool = pool_with(Counted())
        first = heard(connected(pool), answer(SHAPES[2]) + HALF)
        missing = answer(SHAPES[0]).replace(b"200 OK", b"404 Not Found")
        return first, [heard(connected(pool), missing)[0][0] for _number in range(3)]

    (told, closed), statuses = asyncio.run(run())
    assert (told[0], closed) == (200, True)
    assert statuses == [404] * 3


def test_of_many_headers_that_could_pass_none_does():
    head = answer_heads.Head(200, [("expires", str(number)) for number in range(9)] + [("cache-control", "max-age=9")])
    assert head.passed == ((b"cache-control", b"no-store"),)


def _bent(chance: random.Random) -> bytes:
    """An answer like those that are known, or one in which something is wrong in one or two places."""
    body = chance.choice((b'{"a": 1}', b"{}", b"x" * chance.randrange(3_000)))
    date = chance.choice((DATE, LATER))
    shape = list(chance.choice(SHAPES))
    if chance.random() < 0.3:
        chance.choice((chance.shuffle, list.reverse, lambda lines: lines.append(chance.choice(lines)), list.pop))(shape)
    data = bytearray(
        answer(tuple(shape), body, date=date, length=len(body) + chance.choice((0, 0, 0, 0, 1, -1)) if body else 0)
    )
    for _number in range(chance.choice((0, 0, 1, 2))):
        at = chance.randrange(min(len(data), 200))
        data[at : at + chance.randrange(2)] = bytes(chance.choices(b"\r\n\0 :0123456789aA-,", k=chance.randrange(3)))
    before = chance.choice((b"", b"", b"", *BETWEEN))
    return before + bytes(data) + chance.choice((b"", b"", b"", b"", b"\r\n", answer(), HALF))


def _pieces(chance: random.Random, data: bytes) -> list[bytes]:
    """Mostly one; else two, cut anywhere or where one message or its head ends."""
    borders = [at + 4 for at in range(len(data)) if data.startswith(b"\r\n\r\n", at)]
    at = chance.choice((len(data), len(data), chance.randrange(len(data) + 1), *borders[:2]))
    return [piece for piece in (data[:at], data[at:]) if piece]


def test_gw_09_bent_answers_are_read_alike_with_and_without_what_is_known():
    count = share(60_000, small=4_000)

    async def run(seed: int, heads: Counted) -> list[tuple]:
        chance, found = random.Random(seed), []
        pool = pool_with(heads)
        connection = connected(pool)
        for shape in SHAPES:
            heard(connection, answer(shape))
        for _number in range(4):
            data = _bent(chance)
            connection = connected(pool) if connection.closed else connection
            found.append(heard(connection, *_pieces(chance, data)))
        return found

    async def all_of_them() -> int:
        known = 0
        for seed in range(count):
            heads = Counted()
            assert await run(seed, heads) == await run(seed, Counted(blind=True)), seed
            known += heads.known
        return known

    known = asyncio.run(all_of_them())
    assert count / 10 < known < 4 * count, "neither none of them nor all of them are known again"
    print(f"GW-09: {4 * count:,} answers of which {known:,} were known by their heads, all read as the parser reads them")
