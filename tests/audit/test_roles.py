"""AU-02: the application's database role works, and cannot touch what is written once, triggers or not. Tried as that role."""

from __future__ import annotations

import os
import secrets
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from apps.accounts.models import User
from apps.audit import actions as audit
from apps.audit import roles
from apps.audit.models import AuditEvent
from apps.core.epoch import current_epoch
from apps.gateway import actions, retention
from apps.gateway.models import CallIntent, CallOutcome
from tests.gateway.conftest import Response, ask_token, provider, send, shared_provider, wait_for_epoch, world  # noqa: F401
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import CUT

WRITTEN_ONCE = (
    "audit_auditevent",
    "call_intent",
    "call_outcome",
    "call_refusal",
    "agreements_signature",
    "connections_requestsignature",
)


@pytest.fixture
def role(transactional_db):
    """(name, address) of a fresh role that has what the command gives."""
    name, password = f"lgsp_app_{os.getpid()}_{secrets.token_hex(3)}", secrets.token_urlsafe(12)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    try:
        call_command("grant_application_role", name, verbosity=0)
        parts = urlsplit(database_url())
        place = parts.netloc.rpartition("@")[2]
        yield name, urlunsplit(parts._replace(netloc=f"{name}:{password}@{place}"))
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def refusal(url: str, statement: str) -> str:
    """What PostgreSQL says to the statement; "" when it did it."""
    with psycopg.connect(url) as session:
        try:
            session.execute(statement)
        except psycopg.Error as error:
            return str(error).partition("\n")[0]
        finally:
            session.rollback()
    return ""


def test_au_02_the_applications_role_can_change_nothing_that_is_written_once(role, world):  # noqa: F811
    _name, url = role
    audit.record("test.happened", by=None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'call_intent'::regclass")
        (partition, *_more) = [row[0] for row in cursor.fetchall()]
    said = {}
    for table in (*WRITTEN_ONCE, partition):
        for statement in (f"UPDATE {table} SET id = id" if table.startswith(("a", "con")) else f"UPDATE {table} SET call_id = call_id",
                          f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE", f"DROP TABLE {table}", f"ALTER TABLE {table} DISABLE TRIGGER ALL",
                          f"ALTER TABLE {table} OWNER TO CURRENT_USER", f"CREATE TRIGGER x BEFORE INSERT ON {table} EXECUTE FUNCTION core_refuse_change()"):  # fmt: skip
            said[statement] = refusal(url, statement)
    wrong = {
        statement: text for statement, text in said.items() if "permission denied" not in text and "must be owner" not in text
    }
    assert wrong == {}
    for statement in ("SET session_replication_role = replica", "ALTER TABLE call_intent DETACH PARTITION call_intent_209901",
                      "CREATE OR REPLACE FUNCTION core_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$",
                      "DROP FUNCTION gateway_purge_month(text)", "CREATE TABLE mine (x int)"):  # fmt: skip
        assert refusal(url, statement), statement
    assert "not over" in refusal(url, "SELECT * FROM gateway_purge_month(to_char(now(), 'YYYYMM'))"), (
        "a month of today may not go"
    )
    assert AuditEvent.objects.filter(event="test.happened").exists()


def test_au_02_the_gateway_and_the_verbs_work_under_the_applications_role(role, world, provider):  # noqa: F811
    name, url = role
    process = GatewayProcess(url, allow=[f"127.0.0.1:{provider.port}"]).start()
    try:
        wait_for_epoch(process.url, current_epoch())
        token = ask_token(process.url, world.credential.client_id, world.secret)
        headers = {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code}
        answer: Response = send(process.url, path=world.path, headers=headers)
        assert (answer.status, answer.json) == (200, CUT)
        assert send(process.url, path=world.path, headers=headers | {"X-Purpose-Code": "khac"}).status == 403
        assert send(process.url, path="/gw/me", headers=headers).status == 200
    finally:
        process.stop()
    assert CallIntent.objects.count() == CallOutcome.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {name}")
        try:
            # What the worker and the portal do with their own rights and with those of the owner.
            assert actions.make_partitions() == 0
            assert retention.due_months() == []
            retention.index_months()
            actions.forget_expired()
            actions.sweep()
            actions.revoke_tokens(world.credential, by=User.objects.machine("clock"))
        finally:
            cursor.execute("RESET ROLE")
    assert AuditEvent.objects.filter(event="token.revoked").count() == 1


def test_the_command_can_be_run_again_and_shows_what_it_does(role, capsys):
    name, url = role
    call_command("grant_application_role", name, "--print")
    printed = capsys.readouterr().out.splitlines()
    assert f'GRANT SELECT, INSERT ON "audit_auditevent" TO "{name}";' in printed
    assert f'GRANT SELECT ON "django_migrations" TO "{name}";' in printed
    assert not [line for line in printed if "TRUNCATE" in line or "call_intent_2" in line]
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT ALL ON audit_auditevent TO {name}")
    assert roles.grant(name) == len(printed)
    assert "permission denied" in refusal(url, "DELETE FROM audit_auditevent")


@pytest.mark.django_db
def test_a_role_for_which_privileges_mean_nothing_is_refused():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        owner = cursor.fetchone()[0]
        cursor.execute(f'CREATE ROLE lgsp_member_{os.getpid()} IN ROLE "{owner}"')
    for name in (owner, f"lgsp_member_{os.getpid()}", "nobody_is_called_so"):
        with pytest.raises(CommandError):
            call_command("grant_application_role", name)
