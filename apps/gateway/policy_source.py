# ruff: noqa: S608  (the SQL is put together from constants of this module; values travel as arguments)
"""Where a Policy comes from: rows read by asyncpg in one snapshot, whole or only what changed since an epoch."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial

import asyncpg
import orjson
from msgspec import Struct
from msgspec.structs import replace

from apps.gateway.group_commit import BROKEN
from apps.gateway.policy import (
    FOREVER,
    Agreement,
    Basis,
    CodeTable,
    Credential,
    Grant,
    Operation,
    Organization,
    Parameter,
    Policy,
    Route,
    Service,
    System,
    Unreadable,
    Upstream,
    Version,
    digest_of,
)

log = logging.getLogger("lgsp.gateway")

CHUNK = 400
"""So many rows of a kind with many are read at once by a full load."""
VERIFY_CHUNK, VERIFY_REST = 100, 0.004
"""A verification is in no hurry: a portion takes some 2 ms, and calls go before the next."""
TABLES = [
    "organizations_organization", "organizations_informationsystem", "agreements_credential", "agreements_agreement",
    "agreements_plannedsuspension", "agreements_grant", "registry_purpose", "registry_dataservice", "disputes_maintenance",
    "registry_serviceversion", "registry_operation", "registry_parameter", "registry_field", "registry_upstream", "gateway_codetable",
    "legal_legalbasis",
]  # fmt: skip
"""All that the readers below read."""
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
    rows: dict[str, dict[int, Struct]] = {kind: {} for kind in _READERS}
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
    for kind, reader in _READERS.items():
        if kind in _STREAMS:
            query, arguments, make = _STREAMS[kind](None)
            cursor = await connection.cursor(query, *arguments)
            while some := await _named(kind, cursor.fetch(size)):
                yield kind, _made(kind, some, make)
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


def _made(kind: str, records: Iterable[asyncpg.Record], make: Callable[[asyncpg.Record], Struct]) -> list[Struct]:
    """The rows of the policy; in the place of one that cannot be made stands an Unreadable: nothing rests on it, others stay served."""
    rows: list[Struct] = []
    for record in records:
        try:
            rows.append(make(record))
        except Exception as error:
            log.critical("policy: %s %s (%s) cannot be read: %s", kind, record["id"], record["uuid"], type(error).__name__)
            rows.append(Unreadable(kind, record["id"], str(record["uuid"]), type(error).__name__))
    return rows


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
        rows = await _named(kind, _READERS[kind](connection, refs))
        read |= {(kind, str(ref)) for source, ref in refs if source == kind} | {(kind, row.uuid) for row in rows}
        changes[kind] = _difference(policy, kind, refs, rows)
        _readable(rows, found)
    for kind, column, target in _REFERENCES:
        known = policy.rows[target].keys() | changes.get(target, {}).keys()
        missing = {getattr(row, column) for row in changes.get(kind, {}).values() if row is not None} - known
        if missing:
            rows = await _named(target, _READERS[target](connection, [("id", key) for key in sorted(missing)]))
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
    return {kind: sorted(wanted[kind], key=str) for kind in _READERS if kind in wanted}


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


# --- readers: rows of one kind, all of them or those that belong to the changed objects -----------


def _seconds(value, otherwise: float) -> float:
    return otherwise if value is None else value.timestamp()


def _condition(refs: list[tuple[str, object]] | None, tests: dict[str, str]) -> tuple[str, list]:
    """A WHERE clause and its arguments; `tests` has for each kind of changed object an expression with @ for the array."""
    if refs is None:
        return "", []
    parts, arguments = [], []
    for kind in dict.fromkeys(kind for kind, _ref in refs):
        arguments.append([ref for source, ref in refs if source == kind])
        array = f"ANY(${len(arguments)}::{'bigint' if kind == 'id' else 'uuid'}[])"
        parts.append(tests[kind].replace("@", array))
    return f" WHERE ({' OR '.join(parts)})", arguments


async def _organizations(connection, refs):
    where, arguments = _condition(refs, {"id": "id = @", "organization": "uuid = @"})
    rows = await connection.fetch(f"SELECT id, uuid, code, status FROM organizations_organization{where}", *arguments)
    return _made("organization", rows, lambda r: Organization(r["id"], str(r["uuid"]), r["code"], r["status"]))


async def _systems(connection, refs):
    where, arguments = _condition(refs, {"id": "id = @", "informationsystem": "uuid = @"})
    rows = await connection.fetch(
        f"SELECT id, uuid, code, organization_id, status FROM organizations_informationsystem{where}", *arguments
    )  # fmt: skip
    return _made(
        "informationsystem", rows, lambda r: System(r["id"], str(r["uuid"]), r["code"], r["organization_id"], r["status"])
    )


async def _credentials(connection, refs):
    where, arguments = _condition(refs, {"credential": "c.uuid = @", "informationsystem": "s.uuid = @"})
    rows = await connection.fetch(
        "SELECT c.id, c.uuid, client_id, system_id, environment, secret_hash, certificate_hash, c.status, expires_at "
        f"FROM agreements_credential c JOIN organizations_informationsystem s ON s.id = system_id{where}", *arguments
    )  # fmt: skip
    return _made("credential", rows, _credential)


def _credential(r: asyncpg.Record) -> Credential:
    return Credential(
        r["id"], str(r["uuid"]), r["client_id"], r["system_id"], r["environment"], r["secret_hash"], r["certificate_hash"].lower(),
        r["status"], _seconds(r["expires_at"], FOREVER),
    )  # fmt: skip


async def _agreements(connection, refs):
    query, arguments, make = _agreement_query(refs)
    return _made("agreement", await connection.fetch(query, *arguments), make)


def _agreement_query(refs):
    of_grant = "a.id IN (SELECT agreement_id FROM agreements_grant WHERE uuid = @)"
    where, arguments = _condition(refs, {"id": "a.id = @", "agreement": "a.uuid = @", "grant": of_grant})
    query = (
        "SELECT a.id, a.uuid, number, status, valid_from, valid_to, suspension_kind, p.starts_at, p.ends_at FROM agreements_agreement a "
        "LEFT JOIN agreements_plannedsuspension p ON p.agreement_id = a.id AND p.ended_at IS NULL AND p.cancelled_at IS NULL"
        + where
    )
    return query, arguments, _agreement


def _agreement(r: asyncpg.Record) -> Agreement:
    pause = None if r["starts_at"] is None else (r["starts_at"].timestamp(), r["ends_at"].timestamp())
    return Agreement(
        r["id"], str(r["uuid"]), r["number"], sys.intern(r["status"]), _seconds(r["valid_from"], 0.0), _seconds(r["valid_to"], FOREVER),
        pause, pause is not None and r["suspension_kind"] == "planned",
    )  # fmt: skip


async def _services(connection, refs):
    where, arguments = _condition(refs, {"id": "s.id = @", "dataservice": "s.uuid = @", "serviceversion": "v.uuid = @"})
    rows = await connection.fetch(
        "SELECT DISTINCT s.id, s.uuid, s.code, provider_id, s.status, protocol, m.starts_at, m.ends_at FROM registry_dataservice s "
        "LEFT JOIN disputes_maintenance m ON m.service_id = s.id AND m.ended_at IS NULL AND m.cancelled_at IS NULL "
        f"LEFT JOIN registry_serviceversion v ON v.service_id = s.id{where}", *arguments
    )  # fmt: skip
    return _made("dataservice", rows, _service)


def _service(r: asyncpg.Record) -> Service:
    pause = None if r["starts_at"] is None else (r["starts_at"].timestamp(), r["ends_at"].timestamp())
    return Service(r["id"], str(r["uuid"]), r["code"], r["provider_id"], r["status"], r["protocol"], pause)


async def _versions(connection, refs):
    where, arguments = _condition(refs, {"dataservice": "s.uuid = @", "serviceversion": "v.uuid = @", "upstream": "u.uuid = @"})
    rows = await connection.fetch(
        "SELECT DISTINCT v.id, v.uuid, v.service_id, v.major, v.minor, v.status FROM registry_serviceversion v "
        "JOIN registry_dataservice s ON s.id = v.service_id "
        f"LEFT JOIN registry_upstream u ON u.version_id = v.id{where}", *arguments
    )  # fmt: skip
    ids = [r["id"] for r in rows]
    operations, upstreams = await _operations(connection, ids), await _upstreams(connection, ids)

    def make(r: asyncpg.Record) -> Version:
        version = Version(
            r["id"], str(r["uuid"]), r["service_id"], r["major"], r["minor"], r["status"], tuple(operations.get(r["id"], ())),
            tuple(upstreams.get(r["id"], ())),
        )  # fmt: skip
        Route(version)  # its paths can be told apart
        return version

    made = _made("serviceversion", rows, make)
    # The version before it would take its place: nobody calls any of this number until it can be read.
    return [
        replace(row, route=(r["service_id"], r["major"])) if type(row) is Unreadable else row
        for row, r in zip(made, rows, strict=True)
    ]


async def _operations(connection, version_ids: list[int]) -> dict[int, list[Operation]]:
    rows = await connection.fetch(
        "SELECT id, version_id, code, method, path_template, kind, answer, soap, codes_day FROM registry_operation WHERE version_id = ANY($1) ORDER BY id",
        version_ids,
    )
    ids = [r["id"] for r in rows]
    parameters, fields, envelope, coded = await _parameters(connection, ids), {}, {}, {}
    for r in await connection.fetch(
        "SELECT operation_id, path, is_envelope, catalog_code FROM registry_field WHERE operation_id = ANY($1) "
        "AND type NOT IN ('object', 'array') ORDER BY path", ids
    ):  # fmt: skip
        fields.setdefault(r["operation_id"], []).append(r["path"])
        if r["is_envelope"]:
            envelope.setdefault(r["operation_id"], []).append(r["path"])
        if r["catalog_code"]:
            coded.setdefault(r["operation_id"], []).append((r["path"], r["catalog_code"]))
    found: dict[int, list[Operation]] = {}
    for r in rows:
        key = r["id"]
        found.setdefault(r["version_id"], []).append(
            Operation(key, r["code"], r["method"], r["path_template"], r["kind"], tuple(parameters.get(key, ())),
                      tuple(fields.get(key, ())), tuple(envelope.get(key, ())), tuple(coded.get(key, ())), _day(r["codes_day"]),
                      r["answer"], "" if r["soap"] == "{}" else r["soap"])
        )  # fmt: skip
    return found


async def _parameters(connection, operation_ids: list[int]) -> dict[int, list[Parameter]]:
    found: dict[int, list[Parameter]] = {}
    for r in await connection.fetch(
        "SELECT operation_id, name, location, required, pattern, max_length, is_subject, catalog_code FROM registry_parameter "
        "WHERE operation_id = ANY($1) ORDER BY id", operation_ids
    ):  # fmt: skip
        found.setdefault(r["operation_id"], []).append(
            Parameter(
                r["name"], r["location"], r["required"], r["pattern"], r["max_length"], r["is_subject"], r["catalog_code"]
            )  # fmt: skip
        )
    return found


async def _upstreams(connection, version_ids: list[int]) -> dict[int, list[Upstream]]:
    found: dict[int, list[Upstream]] = {}
    for r in await connection.fetch(
        "SELECT id, version_id, environment, base_url, auth_kind, auth_settings, secret, timeout_ms, max_response_bytes, max_concurrency "
        "FROM registry_upstream WHERE version_id = ANY($1) ORDER BY environment", version_ids
    ):  # fmt: skip
        found.setdefault(r["version_id"], []).append(
            Upstream(r["id"], r["environment"], r["base_url"], r["auth_kind"], r["auth_settings"], r["secret"], r["timeout_ms"],
                     r["max_response_bytes"], r["max_concurrency"])
        )  # fmt: skip
    return found


async def _grants(connection, refs):
    query, arguments, make = _grant_query(refs)
    return _made("grant", await connection.fetch(query, *arguments), make)


def _grant_query(refs):
    where, arguments = _condition(refs, {"grant": "g.uuid = @", "agreement": "a.uuid = @"})
    query = (
        "SELECT g.id, g.uuid, agreement_id, system_id, operation_id, environment, p.code AS purpose, g.status, g.valid_from, "
        "g.valid_to, fields, rate_per_second, quota_per_day, quota_per_month, hours_from, hours_to, networks, codes_day "
        "FROM agreements_grant g JOIN registry_purpose p ON p.id = purpose_id JOIN agreements_agreement a ON a.id = agreement_id"
        f"{where}{' AND ' if where else ' WHERE '}"
        # Rights that ended long ago explain nothing to anybody.
        "(g.status <> 'ended' OR g.updated_at > now() - interval '90 days')"
    )
    return query, arguments, partial(_grant, shared={})


def _day(value) -> str:
    return value.isoformat() if value else ""


async def _code_tables(connection, refs):
    where, arguments = _condition(refs, {"codetable": "uuid = @"})
    rows = await connection.fetch(
        f"SELECT id, uuid, catalog_code, day_from, day_to, release, content FROM gateway_codetable{where}", *arguments
    )
    return _made(
        "codetable", rows,
        lambda r: CodeTable(r["id"], str(r["uuid"]), r["catalog_code"], r["day_from"], r["day_to"], r["release"], r["content"]),
    )  # fmt: skip


async def _bases(connection, refs):
    where, arguments = _condition(refs, {"legalbasis": "uuid = @"})
    rows = await connection.fetch(
        f"SELECT id, uuid, code, citation, effective_from, effective_to FROM legal_legalbasis{where}", *arguments
    )
    return _made(
        "legalbasis", rows,
        lambda r: Basis(r["id"], str(r["uuid"]), r["code"], r["citation"], _day(r["effective_from"]), _day(r["effective_to"])),
    )  # fmt: skip


def _grant(r: asyncpg.Record, shared: dict) -> Grant:
    def one(value):
        return shared.setdefault(value, value)

    hours = None
    if r["hours_from"] is not None and r["hours_to"] is not None and r["hours_from"] != r["hours_to"]:
        hours = one(tuple((t.hour * 60 + t.minute) * 60 + t.second for t in (r["hours_from"], r["hours_to"])))
    return Grant(
        r["id"], str(r["uuid"]), r["agreement_id"], r["system_id"], r["operation_id"], one(r["environment"]), one(r["purpose"]),
        one(r["status"]), one(_seconds(r["valid_from"], 0.0)), one(_seconds(r["valid_to"], FOREVER)), one(tuple(r["fields"])),
        r["rate_per_second"], r["quota_per_day"], r["quota_per_month"], hours, one(tuple(r["networks"])), one(_day(r["codes_day"])),
    )  # fmt: skip


_READERS: dict[str, Callable] = {
    "organization": _organizations, "informationsystem": _systems, "credential": _credentials, "agreement": _agreements,
    "dataservice": _services, "serviceversion": _versions, "grant": _grants, "codetable": _code_tables,
    "legalbasis": _bases,
}  # fmt: skip

_STREAMS = {"agreement": _agreement_query, "grant": _grant_query}
"""Kinds with many rows: read by a cursor when all are wanted."""


def settings_of(upstream: Upstream) -> dict:
    """The upstream's authentication settings as an object (they travel as text so that a row stays hashable)."""
    content = orjson.loads(upstream.auth_settings or "{}")
    return content if isinstance(content, dict) else {}
