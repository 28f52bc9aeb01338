"""What a verb locks, read from the statements it sends: in the order of `apps.agreements.locks`, or `OutOfOrder`."""

from __future__ import annotations

import re

from django.db import connection

ORDER = (
    "organizations_organization", "connections_connectionrequest", "agreements_agreement", "registry_dataservice",
    "organizations_informationsystem", "agreements_grant", "agreements_credential", "core_policyepoch",
)  # fmt: skip
_LOCKS = re.compile(
    r'^(?:UPDATE|DELETE FROM|INSERT INTO (?=core_policyepoch)) ?"?(\w+)"?|^SELECT .*? FROM "(\w+)".* FOR (?:NO KEY )?UPDATE'
)


class OutOfOrder(AssertionError):
    """A table was locked after one that comes behind it."""


class LockOrder:
    """While entered, the first lock of each table of `ORDER` must come in that order. (Rows made by the verb itself are not locked.)"""

    def __init__(self, verb: str):
        self.verb, self.locked = verb, []
        self.wrapper = connection.execute_wrapper(self.look)

    def __enter__(self) -> LockOrder:
        self.wrapper.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self.wrapper.__exit__(*error)

    def look(self, execute, sql, params, many, context):
        found = _LOCKS.match(sql.strip()) if any(word in sql for word in ("UPDATE", "DELETE", "policyepoch")) else None
        table = found and (found[1] or found[2])
        if table in ORDER and table not in self.locked:
            if self.locked and ORDER.index(table) < ORDER.index(self.locked[-1]):
                raise OutOfOrder(f"{self.verb}: {table} after {self.locked[-1]}")
            self.locked.append(table)
        return execute(sql, params, many, context)
