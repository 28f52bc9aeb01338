"""The application's role in the database: it may work, but not touch what is written once (AU-02).

Two roles: the owner, for `migrate` alone, and the application's, under which every process runs. The second owns nothing, so it
cannot disable a trigger or drop a table or a month of the log, and where triggers refuse UPDATE or DELETE without condition it
has not even the privilege. What a new migration adds to either is derived from the triggers themselves.
"""

from __future__ import annotations

from django.db import connection, transaction
from psycopg import sql

REFUSING = ("core_refuse_change", "catalogs_refuse_edit")
"""Trigger functions that do nothing but refuse."""
_RIGHTS = {"SELECT": 0, "INSERT": 4, "UPDATE": 16, "DELETE": 8}
"""Privilege → its bit in `pg_trigger.tgtype`. TRUNCATE, REFERENCES and TRIGGER are given to nobody."""
_TABLES = """
SELECT c.relname, coalesce(bit_or(t.tgtype) FILTER (WHERE f.proname = ANY(%s) AND t.tgqual IS NULL), 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal LEFT JOIN pg_proc f ON f.oid = t.tgfoid
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition GROUP BY 1 ORDER BY 1
"""
_FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public' AND p.prosecdef ORDER BY 1
"""


class RoleUnfit(Exception):
    """The role does not exist, or could do anything anyway."""


def statements(role: str) -> list[sql.Composed]:
    """What gives `role` what it needs and takes everything else away. Raises RoleUnfit."""
    name = sql.Identifier(role)
    _check(role)
    made = [
        sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(name),
        sql.SQL("REVOKE ALL ON SCHEMA public FROM {}").format(name),
        sql.SQL("REVOKE CREATE ON SCHEMA public FROM PUBLIC"),
        sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name),
        sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(name),
    ]
    # Partitions are reached through their table, whose privileges count; of their own they get none.
    for table, rights in _rights().items():
        given = sql.SQL(", ").join(map(sql.SQL, rights))
        made.append(sql.SQL("GRANT {} ON {} TO {}").format(given, sql.Identifier(table), name))
    for function in _column(_FUNCTIONS):
        made.append(sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.SQL(function), name))
    return made


def _rights() -> dict[str, list[str]]:
    with connection.cursor() as cursor:
        cursor.execute(_TABLES, [list(REFUSING)])
        found = dict(cursor.fetchall())
    return {
        table: ["SELECT"] if table == "django_migrations" else [right for right, bit in _RIGHTS.items() if not refused & bit]
        for table, refused in found.items()
    }


def _column(query: str, *given: object) -> list:
    with connection.cursor() as cursor:
        cursor.execute(query, given)
        return [row[0] for row in cursor.fetchall()]


def _check(role: str) -> None:
    found = _column("SELECT rolsuper OR rolcreaterole OR rolbypassrls OR rolreplication FROM pg_roles WHERE rolname = %s", role)
    if not found:
        raise RoleUnfit(f"there is no role {role}; make it first: CREATE ROLE {role} LOGIN PASSWORD '…'")
    owns = _column(
        "SELECT DISTINCT pg_get_userbyid(c.relowner) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND pg_has_role(%s, c.relowner, 'MEMBER')", role
    )  # fmt: skip
    if found[0] or owns:
        raise RoleUnfit(
            f"{role} is a superuser, may make or replicate roles, or owns tables: for it no privilege means anything"
        )


@transaction.atomic
def grant(role: str) -> int:
    """Bring the privileges of `role` to what it may have, all or none; safe at any time. Returns the number of statements."""
    made = statements(role)
    with connection.cursor() as cursor:
        for statement in made:
            cursor.execute(statement)
    return len(made)
