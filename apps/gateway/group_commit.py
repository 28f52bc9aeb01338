"""Group commit without timers: whoever waits while the last commit runs goes into the next.

One `GroupCommit` owns one connection. Its queue is bounded; beyond the bound `Overloaded` is raised at once. A batch that
PostgreSQL refuses is tried again item by item, so one bad row does not refuse its neighbours.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from operator import itemgetter

import asyncpg

log = logging.getLogger("lgsp.gateway")

COMMAND_SECONDS = 8.0
CONNECT_SECONDS = 2.0
REST_SECONDS = 0.3
"""After a failed connect nobody tries again for so long: callers get their refusal at once."""
TURNS = 3
"""After a commit the calls it answered go on, and what has arrived in the meantime joins, before the next batch is closed:
turns of the event loop, no time. Larger batches are what makes a call cheap; a lone call finds the loop empty."""
BROKEN = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.CannotConnectNowError,
          asyncpg.AdminShutdownError, asyncpg.CrashShutdownError, asyncpg.TooManyConnectionsError, asyncio.TimeoutError)  # fmt: skip
SESSION = {
    "application_name": "lgsp-gateway",
    "timezone": "UTC",
    "synchronous_commit": "on",
    "lock_timeout": "3000",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
}
WRITER = {"jit": "off", "plan_cache_mode": "force_generic_plan"}
"""Of the connections that store batches: their few statements are planned once, not for the batch at hand."""
_ITEM = itemgetter(0)


class Overloaded(Exception):
    """Too much waits already."""


class LedgerDown(Exception):
    """The database cannot be asked at the moment; whether the last commit happened is not known."""


async def connect(dsn: str, **settings: str) -> asyncpg.Connection:
    """A connection with the session settings above. Raises LedgerDown."""
    try:
        return await asyncpg.connect(
            dsn, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS, server_settings={**SESSION, **settings}
        )
    except (*BROKEN, asyncpg.PostgresError) as error:
        raise LedgerDown(type(error).__name__) from error


class GroupCommit:
    """`write(connection, items)` stores a batch in one commit and returns one result an item, in order."""

    def __init__(
        self,
        name: str,
        dsn: str,
        write: Callable[[asyncpg.Connection, Sequence], Awaitable[Sequence]],
        *,
        most_waiting: int = 2_000,
        largest_batch: int = 256,
    ) -> None:
        self.name = name
        self.batches = self.items = 0
        self._dsn, self._write = dsn, write
        self._most_waiting, self._largest_batch = most_waiting, largest_batch
        self._queue: list[tuple[object, asyncio.Future]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task | None = None
        self._connection: asyncpg.Connection | None = None
        self._rest_until = 0.0

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def submit(self, item: object, *, always: bool = False) -> asyncio.Future:
        """The future of the item's result. Raises Overloaded, but not for what must be written in any case (`always`).

        The future may raise LedgerDown or a PostgresError.
        """
        if len(self._queue) >= self._most_waiting and not always:
            raise Overloaded(self.name)
        loop = self._loop
        if loop is None:
            # Kept: asking for it is a system call (Python 3.11 looks at the process id each time).
            loop = self._loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._queue.append((item, future))
        if self._task is None:
            self._task = loop.create_task(self._drain())
        return future

    async def close(self) -> None:
        """Store what waits, then close the connection."""
        while self._task is not None:
            await asyncio.wait([self._task])
        if self._connection is not None:
            with suppress(*BROKEN):
                await self._connection.close(timeout=2)
            self._connection = None

    async def _drain(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[: self._largest_batch], self._queue[self._largest_batch :]
                await self._store(batch)
                for _turn in range(TURNS):
                    await asyncio.sleep(0)
        finally:
            self._task = None

    async def _store(self, batch: list[tuple[object, asyncio.Future]]) -> None:
        self.batches += 1
        self.items += len(batch)
        try:
            results = await self._write_once(list(map(_ITEM, batch)))
        except LedgerDown as error:
            _fail(batch, error)
        except Exception as error:
            if len(batch) == 1:
                log.error("%s: %s", self.name, type(error).__name__, exc_info=error)
                _fail(batch, error)
                return
            log.warning("%s: a batch of %d failed (%s); item by item", self.name, len(batch), type(error).__name__)
            for pair in batch:
                await self._store([pair])
        else:
            for (_item, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _write_once(self, items: list) -> Sequence:
        connection = await self._connected()
        try:
            return await self._write(connection, items)
        except BROKEN as error:
            self._forget()
            raise LedgerDown(type(error).__name__) from error

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if time.monotonic() < self._rest_until:
            raise LedgerDown("resting")
        try:
            self._connection = await connect(self._dsn, **WRITER)
        except LedgerDown:
            self._rest_until = time.monotonic() + REST_SECONDS
            raise
        return self._connection

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _fail(batch: list[tuple[object, asyncio.Future]], error: Exception) -> None:
    for _item, future in batch:
        if not future.done():
            future.set_exception(error)
