"""What one gateway process holds: policy, clock, connections, counters; and the few things it does beside calls."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import asyncpg

from apps.gateway import admission, fitness, heartbeat, ledger, policy_source, sweeper
from apps.gateway.clock import Clock
from apps.gateway.group_commit import BROKEN, SESSION, GroupCommit, LedgerDown, connect
from apps.gateway.histogram import Tally
from apps.gateway.outcomes import COUNT, FieldSets
from apps.gateway.policy import Policy
from apps.gateway.tokens import Tokens
from apps.gateway.upstreams import Upstreams

log = logging.getLogger("lgsp.gateway")

EPOCH_SECONDS = 1.0
VERIFY_SECONDS = 600.0
"""So often the whole policy is compared with the rows, whatever happened;"""
LOOK_SECONDS = 60.0
"""and so soon where the database has written any of them, with an epoch or behind everybody's back."""
COUNT_SECONDS = 2.0
READS = 3
"""So often the policy is read for one who knows of a later epoch; a database that was put back has none."""
_EXPECTED = (*BROKEN, asyncpg.PostgresError, LedgerDown)


class NotReady(Exception):
    """No policy that may decide."""


class Runtime:
    """`most_running` calls are served at once; who comes beyond is told so at once, before anything is read."""

    def __init__(
        self,
        dsn: str,
        *,
        trusted_proxies: frozenset[str] = frozenset(),
        most_waiting: int = 2_000,
        most_running: int = 4_000,
        watched_disks: Sequence[str] = (),
    ) -> None:
        self.dsn = dsn
        self.process_id, self.name = uuid.uuid4(), f"{socket.gethostname()}:{os.getpid()}"
        self.trusted_proxies, self.watched_disks = trusted_proxies, tuple(watched_disks)
        self.most_running = most_running
        self.draining = False
        self.checked_at = self.wrote_at = 0.0
        self.clock = Clock()
        self.policy: Policy | None = None
        self.upstreams = Upstreams()
        self.pool: asyncpg.Pool | None = None
        self.ledger = GroupCommit("ledger", dsn, ledger.write, most_waiting=most_waiting, largest_batch=512)
        self.keyed = GroupCommit("keyed", dsn, admission.admit_keyed, most_waiting=200, largest_batch=1)
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.tally = Tally()
        self.running = self.unknown_readers = 0
        self.unfinished = (0, 0.0)
        self.swept_at = 0.0
        self.closed_unknown = 0
        self._strangers: Counter[tuple[str, str]] = Counter()
        self._refreshing: asyncio.Future | None = None
        self._reader: asyncpg.Connection | None = None
        self._tasks: list[asyncio.Task] = []
        self._beat_now = asyncio.Event()
        self._verified = (0.0, -1)
        """When the policy was last found to be the rows, and how many writes there had been."""
        self.partitions_ok = True
        self.unreadable = ""
        """The kind of rows that the last look at the policy could not read, and why; with one nothing passes."""

    # --- start, stop
    async def start(self) -> None:
        """Connect and load the policy; a database that is away is waited for in the background (not ready, refusing)."""
        self.pool = asyncpg.create_pool(
            self.dsn, min_size=0, max_size=3, command_timeout=8, timeout=2, server_settings=SESSION, max_inactive_connection_lifetime=60
        )  # fmt: skip
        self.tokens = Tokens(self.pool)
        self.field_sets = FieldSets(self.pool)
        with suppress(*_EXPECTED):
            await self.pool
            await self.refresh()
            await self._beat()
        self._tasks = [
            asyncio.create_task(self._every(EPOCH_SECONDS, self._poll)),
            asyncio.create_task(self._every(sweeper.EVERY_SECONDS, self._sweep)),
            asyncio.create_task(self._every(COUNT_SECONDS, self._store_strangers)),
            asyncio.create_task(self._every(LOOK_SECONDS, self._verify)),
            asyncio.create_task(self._every(60.0, self._look_at_partitions)),
            asyncio.create_task(self._every(heartbeat.EVERY_SECONDS, self._beat, self._beat_now)),
        ]

    async def stop(self) -> None:
        """After the server let its last call finish: store what waits, close everything."""
        for task in self._tasks:
            task.cancel()
        with suppress(*_EXPECTED):
            await self._store_strangers()
            async with self.pool.acquire(timeout=2) as connection:
                await connection.execute(heartbeat.LEAVE, self.process_id)
        for commit in (self.ledger, self.keyed):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(commit.close(), 10)
        self.upstreams.close()
        if self._reader is not None:
            self._reader.terminate()
        with suppress(*_EXPECTED):
            await asyncio.wait_for(self.pool.close(), 3)

    async def _every(self, seconds: float, work, at_once: asyncio.Event | None = None) -> None:
        while True:
            if at_once is not None:
                at_once.clear()
            try:
                await work()
            except _EXPECTED as error:
                log.warning("%s: %s", work.__name__.strip("_"), type(error).__name__)
            except Exception:
                log.exception("%s", work.__name__.strip("_"))
            if at_once is None:
                await asyncio.sleep(seconds)
                continue
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(at_once.wait(), seconds)

    # --- policy
    async def refresh(self, at_least: int = 0, *, of_now: bool = False) -> Policy:
        """The policy of the present epoch, of `at_least` where the database has it. Callers at the same instant share one read.

        `of_now`: one that began before the caller came does not do, because what was granted in between is not in it. Raises LedgerDown.
        """
        if of_now and self._refreshing is not None and not self._refreshing.done():
            await asyncio.wait([self._refreshing])
        for _try in range(READS):
            # One that has ended is of no use to who comes now: it may have read before what the caller knows of.
            if self._refreshing is None or self._refreshing.done():
                self._refreshing = asyncio.ensure_future(self._refresh())
            policy = await asyncio.shield(self._refreshing)
            if policy.epoch >= at_least:
                break
        return policy

    async def _refresh(self) -> Policy:
        try:
            if self._reader is None or self._reader.is_closed():
                self._reader = await connect(self.dsn, statement_timeout="60000")
            old = self.policy
            if old is None:
                new, kinds = await policy_source.load(self._reader), None
            else:
                new, kinds = await policy_source.advance(self._reader, old)
            self.clock.hear(await self._reader.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8"))
        except LedgerDown:  # the connection itself: nothing is known of the rows
            raise
        except (*BROKEN, asyncpg.PostgresError) as error:
            if self._reader is not None:
                self._reader.terminate()
                self._reader = None
            raise LedgerDown(type(error).__name__) from error
        except Exception as error:
            # Rows nobody foresaw: as with a database that is away nothing passes, and it is said what cannot be read.
            self._tell_unreadable(error)
            raise LedgerDown("the policy cannot be read") from error
        if self.policy is not old:
            # Taken away meanwhile, because it was found false: what was built on it decides nothing either.
            return await self._refresh()
        self.unreadable = ""
        if new is not old:
            log.info("policy %s, %d grants", new.name, len(new.rows["grant"]))
            if kinds is None or "accesstoken" in kinds:
                self.tokens.forget()
            if kinds is None:
                self.field_sets.forget()
                # A hundred thousand rows live long: no collection looks at them again.
                gc.collect()
                gc.freeze()
        self.policy, self.checked_at = new, time.monotonic()
        return new

    def _tell_unreadable(self, error: Exception) -> None:
        told, self.unreadable = (
            self.unreadable,
            str(error) if isinstance(error, policy_source.PolicyUnreadable) else type(error).__name__,
        )
        self.counts["policy_unreadable",] += 1
        if self.unreadable != told:
            log.critical("the policy cannot be read, so no call passes: %s", self.unreadable, exc_info=error)

    async def _poll(self) -> None:
        self.tally.count()
        await self.refresh()

    async def _verify(self) -> None:
        """Compare the policy with the rows where any were written, or when it is time; one that cannot be verified decides nothing any more."""
        policy = self.policy
        if policy is None:
            return
        connection = await connect(self.dsn, statement_timeout="60000")
        try:
            at, writes = time.monotonic(), await policy_source.writes(connection)
            if writes == self._verified[1] and at - self._verified[0] < VERIFY_SECONDS:
                return
            if await policy_source.verify(connection, policy):
                self._verified = at, writes
                self.counts["policy_verified",] += 1
        except (policy_source.PolicyNotVerified, policy_source.PolicyUnreadable):
            log.critical("the policy %s does not agree with the database; loading it anew", policy.name)
            self.counts["policy_not_verified",] += 1
            self.policy = None
            await self.refresh()
        finally:
            await connection.close(timeout=2)

    # --- beside calls
    async def _sweep(self) -> None:
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(sweeper.SWEEP)
            self.closed_unknown += row["closed"]
            if row["closed"]:
                log.warning("%d intents without an outcome closed as unknown", row["closed"])
            self.unfinished = tuple(await connection.fetchrow(sweeper.UNFINISHED))
        self.swept_at = time.monotonic()

    async def _look_at_partitions(self) -> None:
        async with self.pool.acquire() as connection:
            self.partitions_ok = await connection.fetchval(
                "SELECT to_regclass('call_intent_' || to_char(now() AT TIME ZONE 'Asia/Ho_Chi_Minh' + interval '2 days', 'YYYYMM')) IS NOT NULL"
            )

    def count_stranger(self, code: str, source: str | None) -> None:
        """Count a refusal of somebody nobody knows, by network; the counters are bounded."""
        if len(self._strangers) < 10_000:
            self._strangers[code, _network(source)] += 1
        else:
            self._strangers[code, "others"] += 1
        self.counts["refused", code] += 1

    async def _store_strangers(self) -> None:
        if not self._strangers:
            return
        taken, self._strangers = self._strangers, Counter()
        try:
            async with self.pool.acquire() as connection:
                codes, networks = zip(*taken, strict=True)
                await connection.execute(COUNT, list(codes), list(networks), list(taken.values()))
        except _EXPECTED:
            self._strangers.update(taken)
            raise

    async def _beat(self) -> None:
        async with self.pool.acquire(timeout=5) as connection:
            # A row that arrives is the proof that rows can be written.
            await heartbeat.beat(connection, self, [name for name in fitness.faults(self) if name != "database_not_writing"])
        self.wrote_at = time.monotonic()

    def beat_soon(self) -> None:
        """Something changed that people should see before the next heartbeat."""
        self._beat_now.set()


def _network(source: str | None) -> str:
    try:
        address = ipaddress.ip_address(source or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))
