"""Where a Policy comes from: rows read by asyncpg in one snapshot, whole or only what changed since an epoch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable

import asyncpg
from msgspec import Struct

from apps.gateway.group_commit import BROKEN
from apps.gateway.policy import Policy, digest_of
from apps.gateway.policy_kinds import Unreadable
from apps.gateway.policy_rows import READERS, STREAMS, TABLES, made

CHUNK = 400
"""So many rows of a kind with many are read at once by a full load."""
VERIFY_CHUNK, VERIFY_REST = 100, 0.004
"""A verification is in no hurry: a portion takes some 2 ms, and calls go before the next."""
MANY = 2_000
"""With more changes than this a full load is cheaper."""


class PolicyNotVerified(Exception):
    """A policy reached by increments differs from the rows: it must not decide anything."""


class PolicyUnreadable(Exception):
    """The rows of a kind cannot be read at all (the text names it): there is no policy. One row that cannot is left out instead."""


async def load(connection: asyncpg.Connection) -> Policy:
    """The whole policy, from one snapshot of the database."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await _whole(connection, await _epoch(connection))


async def _whole(connection: asyncpg.Connection, epoch: int) -> Policy:
    """Rows and digest, some hundred rows at a time: calls go on being served meanwhile."""
    rows: dict[str, dict[int, Struct]] = {kind: {} for kind in READERS}
    unreadable: list[Unreadable] = []
    digest = 0
    async for kind, some in _chunks(connection):
        some = _readable(some, unreadable)
        digest = digest_of(some, digest)
        rows[kind].update([(row.id, row) for row in some])
    return Policy(epoch, rows, digest, unreadable)


def _readable(rows: list[Struct], unreadable: list[Unreadable]) -> list[Struct]:
    """`rows` without those that could not be read; these are added to `unreadable`."""
    left_out = [row for row in rows if type(row) is Unreadable]
    unreadable += left_out
    return [row for row in rows if type(row) is not Unreadable] if left_out else rows


async def _chunks(
    connection: asyncpg.Connection, size: int = CHUNK, rest: float = 0.0
) -> AsyncIterator[tuple[str, list[Struct]]]:
    """Every row that matters, as (kind, some rows of it); `rest` seconds after each `size` of a kind with many."""
    for kind, reader in READERS.items():
        if kind in STREAMS:
            query, arguments, make = STREAMS[kind](None)
            cursor = await connection.cursor(query, *arguments)
            while some := await _named(kind, cursor.fetch(size)):
                yield kind, made(kind, some, make)
                await asyncio.sleep(rest)
        else:
            yield kind, await _named(kind, reader(connection, None))


async def _named(kind: str, reading: Awaitable[list]) -> list:
    """What `reading` gives. Raises PolicyUnreadable where the driver cannot make values of what the database sent."""
    try:
        return await reading
    except (*BROKEN, asyncpg.PostgresError):
        raise
    except Exception as error:
        raise PolicyUnreadable(f"{kind}: {type(error).__name__}") from error


async def advance(connection: asyncpg.Connection, policy: Policy) -> tuple[Policy, set[str] | None]:
    """The policy of the present epoch, reading only what changed since `policy`, and the kinds of what changed.

    Falls back to a full load where increments cannot tell; the kinds are then None (anything may have changed).
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        epoch = await _epoch(connection)
        if epoch == policy.epoch:
            return policy, set()
        changes = await connection.fetch(
            "SELECT DISTINCT kind, ref FROM core_policychange WHERE epoch > $1 AND epoch <= $2 LIMIT $3", policy.epoch, epoch, MANY + 1
        )  # fmt: skip
        known = await _known_until(connection, policy.epoch)
        wanted = _plan(changes) if known and epoch > policy.epoch and len(changes) <= MANY else None
        if wanted is not None:
            changes_made, unreadable = await _changes(connection, policy, wanted)
            changed = policy.with_changes(epoch, changes_made, unreadable)
            return changed, {row["kind"] for row in changes}
        return await _whole(connection, epoch), None


async def _changes(connection, policy: Policy, wanted: dict[str, list]) -> tuple[dict[str, dict], list[Unreadable]]:
    """kind → id → row: what the changed objects name, and the objects these refer to that the policy does not know yet.

    A row that cannot be read is gone from the policy, and all that could not before and was not read anew stays named.
    """
    changes: dict[str, dict] = {}
    found: list[Unreadable] = []
    read: set[tuple[str, str]] = set()
    for kind, refs in wanted.items():
        rows = await _named(kind, READERS[kind](connection, refs))
        read |= {(kind, str(ref)) for source, ref in refs if source == kind} | {(kind, row.uuid) for row in rows}
        changes[kind] = _difference(policy, kind, refs, rows)
        _readable(rows, found)
    for kind, column, target in _REFERENCES:
        known = policy.rows[target].keys() | changes.get(target, {}).keys()
        missing = {getattr(row, column) for row in changes.get(kind, {}).values() if row is not None} - known
        if missing:
            rows = await _named(target, READERS[target](connection, [("id", key) for key in sorted(missing)]))
            read |= {(target, row.uuid) for row in rows}
            changes.setdefault(target, {}).update({row.id: row for row in _readable(rows, found)})
    return changes, [row for row in policy.unreadable if (row.kind, row.uuid) not in read] + found


_REFERENCES = (
    ("grant", "agreement_id", "agreement"), ("grant", "system_id", "informationsystem"),
    ("credential", "system_id", "informationsystem"), ("serviceversion", "service_id", "dataservice"),
    ("informationsystem", "organization_id", "organization"), ("dataservice", "provider_id", "organization"),
)  # fmt: skip
"""In an order in which what one line loads is looked at by the lines after it."""


async def verify(connection: asyncpg.Connection, policy: Policy) -> bool:
    """Whether the rows agree with `policy`. Raises PolicyNotVerified; False when the epoch moved meanwhile.

    Reads and hashes every row again and keeps none of them, in small portions with rests: calls are served meanwhile.
    """
    digest = 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        if await _epoch(connection) != policy.epoch:
            return False
        async for _kind, some in _chunks(connection, VERIFY_CHUNK, VERIFY_REST):
            digest = digest_of(_readable(some, []), digest)
    if digest != policy.digest:
        raise PolicyNotVerified(policy.name)
    return True


async def writes(connection: asyncpg.Connection) -> int:
    """How many rows of the policy's tables were ever written, as the database counts them: also by hand and without an epoch.

    The count may come late, never too early: what it does not tell yet is in the snapshot of a verification that begins after it.
    """
    return await connection.fetchval(
        "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint FROM pg_stat_user_tables WHERE relid = ANY($1::text[]::regclass[])",
        TABLES,
    )


async def _epoch(connection: asyncpg.Connection) -> int:
    return await connection.fetchval("SELECT coalesce(max(epoch), 0) FROM core_policyepoch")


async def _known_until(connection: asyncpg.Connection, epoch: int) -> bool:
    """True when the list of changes reaches back to `epoch` without a hole (old rows may have been purged)."""
    first = await connection.fetchval("SELECT min(epoch) FROM core_policychange")
    return first is not None and first <= epoch + 1


def _plan(changes: Iterable[asyncpg.Record]) -> dict[str, list] | None:
    """kind → refs to read again, in the order of the readers; None when something can only be told by a full load.

    A change of an agreement touches its grants too (they follow it in the same transaction), a change of an upstream
    its version, of a service its versions.
    """
    wanted: dict[str, set] = {}
    for row in changes:
        kind, ref = row["kind"], row["ref"]
        if kind not in _FOLLOWS or ref is None:
            return None
        for target in _FOLLOWS[kind]:
            wanted.setdefault(target, set()).add((kind, ref))
    return {kind: sorted(wanted[kind], key=str) for kind in READERS if kind in wanted}


_FOLLOWS = {
    "organization": ("organization",), "informationsystem": ("informationsystem", "credential"), "credential": ("credential",),
    "agreement": ("agreement", "grant"), "grant": ("agreement", "grant"), "dataservice": ("dataservice", "serviceversion"),
    "serviceversion": ("dataservice", "serviceversion"), "upstream": ("serviceversion",), "accesstoken": (), "codetable": ("codetable",),
    "legalbasis": ("legalbasis",),
}  # fmt: skip


def _difference(policy: Policy, kind: str, refs: list[tuple[str, object]], rows: list) -> dict:
    """id → row as it is now; rows of the policy that a changed object itself named and that are gone → None."""
    fresh = {row.id: None if type(row) is Unreadable else row for row in rows}
    missing = {str(ref) for source, ref in refs if source == kind} - {row.uuid for row in rows}
    gone = {key: None for key, old in policy.rows[kind].items() if old.uuid in missing} if missing else {}
    return gone | fresh
