"""Plain calls: a GET whose headers are, byte for byte, those of a call that was parsed and understood before.

Programs send the same headers with every call. Such a block is parsed once, by llhttp and all the checks of
`StrictProtocol`; when the same bytes come again between two messages of a connection, as one whole head without a body, only
the request line is read anew, by one pattern that takes no character that could mean two things. What a caller may do is
not remembered here: token, policy, quota and epoch are looked at for each call (`calls.Calls.serve`).
Everything else goes through `StrictProtocol` and the ASGI application, to the same `serve`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from hashlib import sha256

from apps.gateway.calls import Calls
from apps.gateway.exchange import Exchange, die_half_way
from apps.gateway.facade import PATH as FACADE
from apps.gateway.kill_points import NAME, is_due
from apps.gateway.refusals import Refused
from apps.gateway.server import StrictProtocol, whole_answer, written

log = logging.getLogger("lgsp.gateway")

REMEMBERED = 4_096
LONGEST_BLOCK = 2_048
_LINE = re.compile(
    rb"GET /gw/([a-z0-9][a-z0-9-]{1,59})/v([1-9][0-9]{0,3})((?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+)(?:\?([A-Za-z0-9._~%=&+-]+))? HTTP/1\.1"
)
_OTHERWISE = frozenset({b"traceparent", b"tracestate", b"content-length", b"transfer-encoding", b"expect", b"upgrade"})
"""Headers whose blocks are not remembered: they differ from call to call, or say that more follows."""


class Block:
    """A block of headers, understood: whose token, which purpose, which language; behind a trusted proxy the consumer's address."""

    __slots__ = ("certificate_hash", "headers", "language", "purpose", "source", "token_digest")

    def __init__(self, exchange: Exchange, trusted_proxies: frozenset[str]) -> None:
        """Raises Refused where there is nothing to remember."""
        exchange.read_headers()
        self.token_digest = exchange.token_digest()
        self.headers = {name: value for name, value in exchange.headers.items() if name != b"authorization"}
        self.purpose = exchange.purpose()
        self.language = exchange.language
        self.source = exchange.source(trusted_proxies)
        self.certificate_hash = exchange.certificate_hash(trusted_proxies)


class _Nobody:
    """Whom uvicorn's protocol wakes when the peer goes away: a plain call waits for no body."""

    def set(self) -> None:
        pass


class PlainExchange(Exchange):
    """The exchange of a plain call. To uvicorn's protocol it is also what a cycle is: what runs on the connection now."""

    __slots__ = ("_block", "_protocol", "_raw", "disconnected", "keep_alive", "query", "response_complete", "task")

    method = "GET"
    declares_body = False
    more_body = False
    message_event = _Nobody()

    def __init__(self, protocol: PlainProtocol, block: Block, raw: bytes, query: bytes) -> None:
        self._protocol, self._block, self._raw, self.query = protocol, block, raw, query
        self.headers = block.headers
        self.answered = self.disconnected = self.response_complete = False
        self.keep_alive = True
        self.task: asyncio.Task | None = None

    @property
    def scope(self) -> dict:
        return {"type": "http", "method": "GET", "raw_path": self._raw, "query_string": self.query, "client": self._protocol.client,
                "headers": list(self.headers.items())}  # fmt: skip

    @property
    def peer(self) -> str:
        return self._protocol.client[0]

    def read_headers(self) -> None:
        """They were read when the block was."""

    def token_digest(self) -> bytes:
        return self._block.token_digest

    def purpose(self) -> str:
        return self._block.purpose

    @property
    def language(self) -> str:
        return self._block.language

    def source(self, trusted_proxies) -> str | None:
        return self._block.source

    def certificate_hash(self, trusted_proxies) -> str:
        return self._block.certificate_hash

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.answered = True
        protocol = self._protocol
        if protocol.flow.write_paused and not self.disconnected:
            await written(protocol.transport, protocol.flow)
        if NAME and status == 200 and headers[0][0] == b"x-call-id" and is_due("answering"):
            await die_half_way(protocol.transport, status, headers, body)
        if self.disconnected:
            return
        protocol.transport.write(
            whole_answer(status, protocol.server_state.default_headers, headers, body, keep_alive=self.keep_alive)
        )
        self.response_complete = True
        if not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()

    def done(self) -> None:
        self._protocol.tasks.discard(self.task)
        if not self.response_complete and not self.disconnected:
            self._protocol.transport.close()  # ended without an answer: the process is stopping


class PlainProtocol(StrictProtocol):
    calls: Calls | None = None
    """Set once a process, by `lgsp/gateway.py`."""
    blocks: dict[tuple[str, bytes], Block] = {}
    """Peer and hash of the bytes → block, of all connections; the oldest make room. No token is kept, only its hash."""

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._whole = b""

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /gw/") and self.calls is not None and self.is_between_messages():
            at = data.find(b"\r\n")
            block = self.blocks.get((self.client[0], sha256(data[at:]).digest()))
            if block is not None:
                line = _LINE.fullmatch(data, 0, at)
                if line is not None and line[3] != FACADE:
                    self._begin(block, line)
                    return
            # One whole head and nothing behind it: once the parser has understood it, its block may be remembered.
            self._whole = data[at:] if data.find(b"\r\n\r\n") == len(data) - 4 else b""
        super().data_received(data)

    def _begin(self, block: Block, line: re.Match[bytes]) -> None:
        self.message_begins()
        self._timer.cancel()
        service, major, path, query = line.groups()
        exchange = self.cycle = PlainExchange(self, block, path, query or b"")
        call = self.calls.serve(exchange, service.decode(), int(major), path)
        exchange.task = task = self.loop.create_task(call)
        self.tasks.add(task)

    def on_headers_complete(self) -> None:
        whole, self._whole = self._whole, b""
        super().on_headers_complete()
        if whole and len(whole) <= LONGEST_BLOCK:
            self._remember(whole)

    def _remember(self, whole: bytes) -> None:
        """Keep the block of a head that was understood, if its token is one we know."""
        if not self.cycle.keep_alive or not all(_is_plain(*pair) for pair in self.headers):
            return
        runtime = self.calls.runtime
        try:
            block = Block(Exchange(self.scope, None, None), runtime.trusted_proxies)
            if runtime.tokens.remembered(block.token_digest) is None:
                return
        except Refused:
            return
        except Exception:
            log.exception("headers not remembered")  # the call itself goes on
            return
        while len(self.blocks) >= REMEMBERED:
            del self.blocks[next(iter(self.blocks))]
        self.blocks[self.client[0], sha256(whole).digest()] = block


def _is_plain(name: bytes, value: bytes) -> bool:
    return name not in _OTHERWISE and (name != b"connection" or value.lower() == b"keep-alive")
