"""The policy: who may call what, compiled from the rows, immutable, named by its content.

All lookups of a decision are in dictionaries by primary key. A change makes a new Policy that shares everything
untouched (`with_changes`); the old one stays valid for the calls that began on it. `digest` is a sum over the hashes
of the rows, so it does not depend on the way a policy was reached: a full load and increments must agree, and
`policy_source` refuses a policy that does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from apps.gateway.policy_kinds import LIVE_VERSIONS, Grant, Operation, Unreadable, Upstream, Version

_MODULUS = 1 << 256
_PACK = msgspec.msgpack.Encoder(order="deterministic").encode


class Template:
    """A path with parameters, its words and the parameters' names with their places; the operations by method."""

    __slots__ = ("methods", "names", "parts", "words")

    def __init__(self, parts: tuple[str, ...], methods: dict[str, Operation]) -> None:
        self.parts, self.methods = parts, methods
        self.words = tuple((place, part) for place, part in enumerate(parts) if part[0] != "{")
        self.names = tuple((place, part[1:-1]) for place, part in enumerate(parts) if part[0] == "{")


class Route:
    """A version with its operations ready to be matched: plain paths by dictionary, templates by number of segments."""

    __slots__ = ("cut_sets", "exact", "operations", "templates", "version")

    def __init__(self, version: Version) -> None:
        self.version = version
        self.operations = {operation.id: operation for operation in version.operations}
        self.exact: dict[tuple[str, ...], dict[str, Operation]] = {}
        self.templates: dict[int, list[Template]] = {}
        self.cut_sets: dict[tuple[int, tuple[str, ...]], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        for operation in version.operations:
            self._add(tuple(operation.path_template.lstrip("/").split("/")), operation)
        for rows in self.templates.values():
            # Plain words bind before parameters, from the left; the order of registration decides nothing.
            rows.sort(key=lambda row: [part.startswith("{") for part in row.parts])

    def _add(self, parts: tuple[str, ...], operation: Operation) -> None:
        if not any(part.startswith("{") for part in parts):
            self.exact.setdefault(parts, {})[operation.method] = operation
            return
        rows = self.templates.setdefault(len(parts), [])
        for row in rows:
            if row.parts == parts:
                row.methods[operation.method] = operation
                return
        rows.append(Template(parts, {operation.method: operation}))

    def match(self, segments: tuple[str, ...]) -> tuple[dict[str, Operation], tuple[tuple[str, str], ...]]:
        """The operations of a path by method, and the path's parameters. Empty when nothing matches."""
        if methods := self.exact.get(segments):
            return methods, ()
        for row in self.templates.get(len(segments), ()):
            for place, word in row.words:
                if segments[place] != word:
                    break
            else:
                return row.methods, tuple([(name, segments[place]) for place, name in row.names])
        return {}, ()

    def upstream(self, environment: str) -> Upstream | None:
        return next((row for row in self.version.upstreams if row.environment == environment), None)

    def cut_set(self, operation: Operation, granted: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(leaf paths that go out, declared leaf paths withheld) of a grant on `operation`.

        What is withheld is told from the contract, not from the answer: that somebody has a value in a field one may
        not read is itself something one may not read.
        """
        key = operation.id, granted
        if (known := self.cut_sets.get(key)) is None:
            allowed = (set(granted) & set(operation.fields)) | set(operation.envelope)
            known = tuple(sorted(allowed)), tuple([path for path in operation.fields if path not in allowed])
            self.cut_sets[key] = known
        return known


class Policy:
    """All rows that matter at one epoch. Never changed after it is made; `rights` only remembers what followed from it."""

    __slots__ = (
        "digest", "epoch", "rows", "by_client", "by_operation", "by_system", "codes", "rights", "routes", "service_codes", "unreadable",
    )  # fmt: skip

    def __init__(
        self, epoch: int, rows: dict[str, dict[int, Struct]], digest: int | None = None, unreadable: Iterable[Unreadable] = ()
    ) -> None:
        """`digest` is the sum of the rows' hashes where the reader has made it already."""
        self.epoch = epoch
        self.unreadable = tuple(unreadable)
        self.rows = rows
        self.rights: dict[tuple[int, int, str], object] = {}
        self.digest = digest_of(row for table in rows.values() for row in table.values()) if digest is None else digest
        self._index()

    def _index(self) -> None:
        self._index_grants(self.rows["grant"].values())
        self._index_routes()
        self.by_client = {row.client_id: row for row in self.rows["credential"].values()}
        self._index_codes()

    def _index_codes(self) -> None:
        self.codes = {(row.catalog, row.day_from, row.day_to): row for row in self.rows.get("codetable", {}).values()}

    def _index_grants(self, grants: Iterable[Grant]) -> None:
        self.by_system: dict[int, dict[int, tuple[Grant, ...]]] = {}
        for grant in grants:
            table = self.by_system.setdefault(grant.system_id, {})
            table[grant.operation_id] = (*table.get(grant.operation_id, ()), grant)
        for table in self.by_system.values():
            for operation_id, found in table.items():
                if len(found) > 1:
                    table[operation_id] = tuple(sorted(found, key=_preference))

    def _index_routes(self) -> None:
        self.service_codes = {row.code: row for row in self.rows["dataservice"].values()}
        self.routes: dict[tuple[int, int], Route] = {}
        self.by_operation: dict[int, Route] = {}
        for version in sorted(self.rows["serviceversion"].values(), key=lambda v: (v.status in LIVE_VERSIONS, v.minor)):
            route = Route(version)
            self.routes[version.service_id, version.major] = route
            self.by_operation.update(dict.fromkeys(route.operations, route))
        for row in self.unreadable:
            if row.kind == "serviceversion":
                self.routes.pop(row.about, None)

    def is_unreadable(self, kind: str, *about: object) -> bool:
        """Whether a row that is looked for by `about` is there but could not be read."""
        return any(row.kind == kind and row.about == about for row in self.unreadable)

    def clause(self, basis: str, day: str) -> str:
        """The provision that stands behind `basis` on `day`; empty when there is none."""
        rows = self.rows.get("legalbasis", {}).values()
        return next((row.citation for row in rows if row.code == basis and row.day_from <= day < (row.day_to or "9")), "")

    @property
    def name(self) -> str:
        """The policy's name: epoch and the first half of its digest."""
        return f"{self.epoch}-{self.digest:064x}"[:48]

    def with_changes(
        self, epoch: int, changes: dict[str, dict[int, Struct | None]], unreadable: Iterable[Unreadable] = ()
    ) -> Policy:
        """The policy of `epoch`: `changes` maps kind → id → new row (None: gone). Shares what did not change."""
        new = object.__new__(Policy)
        new.unreadable = tuple(unreadable)
        new.epoch, new.digest, new.rows, new.rights = epoch, self.digest, dict(self.rows), {}
        for kind, table in changes.items():
            fresh = dict(self.rows[kind])
            for key, row in table.items():
                if (old := fresh.pop(key, None)) is not None:
                    new.digest -= row_hash(old)
                if row is not None:
                    new.digest += row_hash(row)
                    fresh[key] = row
            new.rows[kind] = fresh
        new.digest %= _MODULUS
        new.by_client, new.by_system = self.by_client, self.by_system
        new.codes = self.codes
        if "codetable" in changes:
            new._index_codes()
        new.routes, new.service_codes, new.by_operation = self.routes, self.service_codes, self.by_operation
        if changes.keys() & {"dataservice", "serviceversion"}:
            new._index_routes()
        if "credential" in changes:
            new.by_client = {row.client_id: row for row in new.rows["credential"].values()}
        if "grant" in changes:
            new._replace_grants(self, changes["grant"])
        return new

    def _replace_grants(self, old: Policy, changes: dict[int, Grant | None]) -> None:
        touched = {row.system_id for row in changes.values() if row is not None}
        touched |= {old.rows["grant"][key].system_id for key in changes if key in old.rows["grant"]}
        self.by_system = dict(old.by_system)
        for system_id in touched:
            rows = {grant.id: grant for found in self.by_system.pop(system_id, {}).values() for grant in found}
            for key, row in changes.items():
                rows.pop(key, None)
                if row is not None and row.system_id == system_id:
                    rows[key] = row
            table: dict[int, tuple[Grant, ...]] = {}
            for grant in sorted(rows.values(), key=_preference):
                table[grant.operation_id] = (*table.get(grant.operation_id, ()), grant)
            if table:
                self.by_system[system_id] = table


_ORDER = {"active": 0, "suspended": 1, "ended": 2}


def _preference(grant: Grant) -> tuple[int, int]:
    """Of several grants for one operation the active one first, then the oldest."""
    return _ORDER.get(grant.status, 3), grant.id


def digest_of(rows: Iterable[Struct], so_far: int = 0) -> int:
    """The sum of the hashes of `rows`, whatever their order."""
    return (so_far + sum(row_hash(row) for row in rows)) % _MODULUS


def row_hash(row: Struct) -> int:
    """0 for a right that ended: it gives nothing, only explains a refusal, and is not read any more when that was long ago."""
    if type(row) is Grant and row.status == "ended":
        return 0
    kind = type(row).__name__.encode()
    return int.from_bytes(hashlib.sha256(kind + b"\0" + _PACK(row)).digest(), "big")
