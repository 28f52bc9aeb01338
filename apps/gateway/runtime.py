"""What one gateway process holds: policy, clock, connections, counters; and the few things it does beside calls."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import time
from collections import Counter
from contextlib import suppress

import asyncpg

from apps.gateway import admission, ledger, policy_source, sweeper
from apps.gateway.clock import Clock
from apps.gateway.group_commit import BROKEN, SESSION, GroupCommit, LedgerDown, connect
from apps.gateway.outcomes import COUNT, FieldSets
from apps.gateway.policy import Policy
from apps.gateway.tokens import Tokens
from apps.gateway.upstreams import Upstreams

log = logging.getLogger("lgsp.gateway")

EPOCH_SECONDS = 1.0
STALE_SECONDS = 15.0
"""Without a word from the database for so long the process says it is not ready."""
VERIFY_SECONDS = 600.0
COUNT_SECONDS = 2.0
_EXPECTED = (*BROKEN, asyncpg.PostgresError, LedgerDown)


class NotReady(Exception):
    """No policy that may decide."""


class Runtime:
    def __init__(self, dsn: str, *, trusted_proxies: frozenset[str] = frozenset(), most_waiting: int = 4_000) -> None:
        self.dsn = dsn
        self.trusted_proxies = trusted_proxies
        self.clock = Clock()
        self.policy: Policy | None = None
        self.upstreams = Upstreams()
        self.pool: asyncpg.Pool | None = None
        self.ledger = GroupCommit("ledger", dsn, ledger.write, most_waiting=most_waiting, largest_batch=512)
        self.keyed = GroupCommit("keyed", dsn, admission.admit_keyed, most_waiting=200, largest_batch=1)
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.running = 0
        self.unfinished = (0, 0.0)
        self.swept_at = 0.0
        self.closed_unknown = 0
        self._strangers: Counter[tuple[str, str]] = Counter()
        self._refreshing: asyncio.Future | None = None
        self._reader: asyncpg.Connection | None = None
        self._tasks: list[asyncio.Task] = []
        self._partitions_ok = True

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
        self._tasks = [
            asyncio.create_task(self._every(EPOCH_SECONDS, self._poll)),
            asyncio.create_task(self._every(sweeper.EVERY_SECONDS, self._sweep)),
            asyncio.create_task(self._every(COUNT_SECONDS, self._store_strangers)),
            asyncio.create_task(self._every(VERIFY_SECONDS, self._verify)),
            asyncio.create_task(self._every(60.0, self._look_at_partitions)),
        ]

    async def stop(self) -> None:
        """After the server let its last call finish: store what waits, close everything."""
        for task in self._tasks:
            task.cancel()
        with suppress(*_EXPECTED):
            await self._store_strangers()
        for commit in (self.ledger, self.keyed):
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(commit.close(), 10)
        self.upstreams.close()
        if self._reader is not None:
            self._reader.terminate()
        with suppress(*_EXPECTED):
            await asyncio.wait_for(self.pool.close(), 3)

    async def _every(self, seconds: float, work) -> None:
        while True:
            try:
                await work()
            except _EXPECTED as error:
                log.warning("%s: %s", work.__name__.strip("_"), type(error).__name__)
            except Exception:
                log.exception("%s", work.__name__.strip("_"))
            await asyncio.sleep(seconds)

    # --- policy
    async def refresh(self, at_least: int = 0) -> Policy:
        """The policy of the present epoch. Callers that need it at the same instant share one read. Raises LedgerDown."""
        while True:
            if self._refreshing is None:
                self._refreshing = asyncio.ensure_future(self._refresh())
                self._refreshing.add_done_callback(lambda _task: setattr(self, "_refreshing", None))
            policy = await asyncio.shield(self._refreshing)
            if policy.epoch >= at_least:
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
        except (*BROKEN, asyncpg.PostgresError) as error:
            if self._reader is not None:
                self._reader.terminate()
                self._reader = None
            raise LedgerDown(type(error).__name__) from error
        if new is not old:
            log.info("policy %s, %d grants", new.name, len(new.rows["grant"]))
            if kinds is None or "accesstoken" in kinds:
                self.tokens.forget()
            if kinds is None:
                self.field_sets.forget()
                # A hundred thousand rows live long: no collection looks at them again.
                gc.collect()
                gc.freeze()
        self.policy = new
        return new

    async def _poll(self) -> None:
        await self.refresh()

    async def _verify(self) -> None:
        """Compare the policy with the rows; one that cannot be verified decides nothing any more."""
        policy = self.policy
        if policy is None:
            return
        connection = await connect(self.dsn, statement_timeout="60000")
        try:
            await policy_source.verify(connection, policy)
        except policy_source.PolicyNotVerified:
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
            self._partitions_ok = await connection.fetchval(
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

    async def faults(self) -> list[str]:
        """Why this process may not serve; empty when it may."""
        found = []
        if self.policy is None:
            found.append("no_policy")
        if time.monotonic() - self.clock.heard_at > STALE_SECONDS:
            found.append("database_silent")
        if self.unfinished[1] > 90:
            found.append("unfinished_calls")
        if not self._partitions_ok:
            found.append("no_partition_ahead")
        if self.ledger.waiting > 1_000:
            found.append("overloaded")
        return found


def _network(source: str | None) -> str:
    try:
        address = ipaddress.ip_address(source or "")
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{address}/{24 if address.version == 4 else 48}", strict=False))
