# ruff: noqa: S608  (the SQL is put together from constants of this module; values travel as arguments)
"""The rows of a Policy: for each kind what is read of it and what is made of a record, all rows or those of the changed objects."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from functools import partial

import asyncpg
from msgspec import Struct

from apps.gateway.policy import Route
from apps.gateway.policy_kinds import (
    FOREVER,
    Agreement,
    Basis,
    CodeTable,
    Credential,
    Grant,
    Operation,
    Organization,
    Parameter,
    Service,
    System,
    Unreadable,
    Upstream,
    Version,
)

log = logging.getLogger("lgsp.gateway")

TABLES = [
    "organizations_organization", "organizations_informationsystem", "agreements_credential", "agreements_agreement",
    "agreements_plannedsuspension", "agreements_grant", "registry_purpose", "registry_dataservice", "disputes_maintenance",
    "registry_serviceversion", "registry_operation", "registry_parameter", "registry_field", "registry_upstream", "gateway_codetable",
    "legal_legalbasis",
]  # fmt: skip
"""All that is read here."""
_ABOUT = {"dataservice": ("code",), "serviceversion": ("service_id", "major"), "grant": ("system_id", "operation_id")}
"""The columns by which a decision looks for a row of a kind; for all others the primary key."""


def made(kind: str, records: Iterable[asyncpg.Record], make: Callable[[asyncpg.Record], Struct]) -> list[Struct]:
    """The rows of the policy; in the place of one that cannot be made stands an Unreadable: nothing rests on it, others stay served."""
    rows: list[Struct] = []
    for record in records:
        try:
            rows.append(make(record))
        except Exception as error:
            log.critical("policy: %s %s (%s) cannot be read: %s", kind, record["id"], record["uuid"], type(error).__name__)
            about = tuple(record[name] for name in _ABOUT.get(kind, ("id",)))
            rows.append(Unreadable(kind, record["id"], str(record["uuid"]), type(error).__name__, about))
    return rows


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
    return made("organization", rows, lambda r: Organization(r["id"], str(r["uuid"]), r["code"], r["status"]))


async def _systems(connection, refs):
    where, arguments = _condition(refs, {"id": "id = @", "informationsystem": "uuid = @"})
    rows = await connection.fetch(
        f"SELECT id, uuid, code, organization_id, status FROM organizations_informationsystem{where}", *arguments
    )  # fmt: skip
    return made(
        "informationsystem", rows, lambda r: System(r["id"], str(r["uuid"]), r["code"], r["organization_id"], r["status"])
    )


async def _credentials(connection, refs):
    where, arguments = _condition(refs, {"credential": "c.uuid = @", "informationsystem": "s.uuid = @"})
    rows = await connection.fetch(
        "SELECT c.id, c.uuid, client_id, system_id, environment, secret_hash, certificate_hash, c.status, expires_at "
        f"FROM agreements_credential c JOIN organizations_informationsystem s ON s.id = system_id{where}", *arguments
    )  # fmt: skip
    return made("credential", rows, _credential)


def _credential(r: asyncpg.Record) -> Credential:
    return Credential(
        r["id"], str(r["uuid"]), r["client_id"], r["system_id"], r["environment"], r["secret_hash"], r["certificate_hash"].lower(),
        r["status"], _seconds(r["expires_at"], FOREVER),
    )  # fmt: skip


async def _agreements(connection, refs):
    query, arguments, make = _agreement_query(refs)
    return made("agreement", await connection.fetch(query, *arguments), make)


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
    return made("dataservice", rows, _service)


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

    return made("serviceversion", rows, make)


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
    return made("grant", await connection.fetch(query, *arguments), make)


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
    return made(
        "codetable", rows,
        lambda r: CodeTable(r["id"], str(r["uuid"]), r["catalog_code"], r["day_from"], r["day_to"], r["release"], r["content"]),
    )  # fmt: skip


async def _bases(connection, refs):
    where, arguments = _condition(refs, {"legalbasis": "uuid = @"})
    rows = await connection.fetch(
        f"SELECT id, uuid, code, citation, effective_from, effective_to FROM legal_legalbasis{where}", *arguments
    )
    return made(
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


READERS: dict[str, Callable] = {
    "organization": _organizations, "informationsystem": _systems, "credential": _credentials, "agreement": _agreements,
    "dataservice": _services, "serviceversion": _versions, "grant": _grants, "codetable": _code_tables,
    "legalbasis": _bases,
}  # fmt: skip

STREAMS = {"agreement": _agreement_query, "grant": _grant_query}
"""Kinds with many rows: read by a cursor when all are wanted."""
