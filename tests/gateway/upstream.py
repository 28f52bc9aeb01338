"""A provider for tests: a real HTTP server on loopback that keeps its own list of what it received.

It runs in a thread of its own and speaks raw sockets, so that it can also lie: `behave(path, function)` hands the writer
to the test. What `seen` holds is the oracle: the gateway's own records are compared with it, never the other way round.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Behaviour = Callable[["Seen", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Seen:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    at: float
    raw: bytes = b""
    connection: int = 0

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def call_id(self) -> str:
        return self.header("X-Call-Id")


@dataclass
class Provider:
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self._behaviours: dict[str, Behaviour] = {}
        self._connections = 0
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True, name="provider")

    # --- for tests
    def start(self) -> Provider:
        self._thread.start()
        self._ready.wait(5)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def reset(self) -> None:
        self.seen.clear()
        self._behaviours.clear()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def behave(self, path: str, behaviour: Behaviour) -> None:
        """Answer requests for `path` (without query; `*`: all others) by `behaviour`."""
        self._behaviours[path] = behaviour

    def answer(
        self, path: str, body: object = None, *, status: int = 200, headers: dict | None = None, raw: bytes | None = None
    ) -> None:
        """Answer requests for `path` with JSON, or with `raw` bytes as the body."""
        content = raw if raw is not None else json.dumps(body, ensure_ascii=False).encode()

        async def reply(seen: Seen, writer: asyncio.StreamWriter) -> None:
            given = {"Content-Type": "application/json", **(headers or {})}
            lines = [f"HTTP/1.1 {status} OK", f"Content-Length: {len(content)}", *(f"{k}: {v}" for k, v in given.items())]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + content)

        self.behave(path, reply)

    def hold(self, path: str, content: bytes) -> Callable[[], None]:
        """Requests for `path` wait until the function returned is called; then all get `content` as JSON."""
        event: list[asyncio.Event] = []

        async def reply(seen: Seen, writer: asyncio.StreamWriter) -> None:
            if not event:
                event.append(asyncio.Event())
            await event[0].wait()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content
            )

        self.behave(path, reply)
        return lambda: self._loop.call_soon_threadsafe(event[0].set)

    def by_call(self, call_id: str) -> list[Seen]:
        return [seen for seen in list(self.seen) if seen.call_id == call_id]

    # --- the server
    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 24, ssl=self.tls))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        try:
            while (seen := await self._read(reader)) is not None:
                seen.connection = number
                self.seen.append(seen)
                behaviour = self._behaviours.get(seen.path) or self._behaviours.get("*", _not_found)
                await behaviour(seen, writer)
                await writer.drain()
                if writer.is_closing():
                    return
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader) -> Seen | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ", 2)
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
        length = next((int(v) for k, v in headers if k.lower() == "content-length"), 0)
        body = await reader.readexactly(length) if length else b""
        return Seen(method, target, headers, body, time.time(), head)


async def _not_found(seen: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
