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
from tests.factories.agreements import agreement_in_force, awaiting_signatures, negotiating, recorded, special_world
from tests.factories.connections import complete_draft, forwarded
from tests.factories.connections import world as casework
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


SIGN = """
INSERT INTO agreements_signature (uuid, created_at, updated_at, version_id, party_id, signer_id, signer_name, drafted_by_id, basis,
                                  signed_hash, signed_at)
SELECT gen_random_uuid(), now(), now(), v.id, p.id, {signer}, '', v.drafted_by_id, 'portal', v.content_hash, now()
FROM agreements_agreementversion v JOIN agreements_party p ON p.agreement_id = v.agreement_id
WHERE v.id = {version} AND p.side IN ({sides})
"""
AGREE = """
INSERT INTO agreements_consent (uuid, created_at, updated_at, version_id, party_id, officer_id)
SELECT gen_random_uuid(), now(), now(), {version}, p.id, {officer} FROM agreements_party p
WHERE p.agreement_id = {agreement} AND p.side = 'consumer'
"""
CONFIRM = "UPDATE agreements_acceptancerecord SET decided_by_id = {by} WHERE id = {record}"
DECIDE = "UPDATE connections_providerdecision SET decided_by_id = {by} WHERE request_id = {request}"
SIGN_REQUEST = """
INSERT INTO connections_requestsignature (uuid, created_at, updated_at, signed_at, request_id, organization_id, signer_id,
                                          prepared_by_id, content_hash)
SELECT gen_random_uuid(), now(), now(), now(), r.id, r.consumer_id, {signer}, r.created_by_id, repeat('0', 64)
FROM connections_connectionrequest r WHERE r.id = {request}
"""


def test_cc_04_four_eyes_hold_for_the_application_itself_by_raw_sql(role):
    """What one person of each pair may do the role can write; the other hand is refused by the database."""
    _name, url = role
    w, special = casework(), special_world()
    version, negotiated = awaiting_signatures(special).current_version, negotiating(special)
    record, asked, draft = recorded(w, agreement_in_force(w)), forwarded(w), complete_draft(w)
    newest = negotiated.current_version
    both = "'consumer', 'provider'"
    lawful_and_not = (
        (SIGN.format(version=version.pk, signer=special.consumer_signer.pk, sides="'consumer'"),
         SIGN.format(version=version.pk, signer=version.drafted_by_id, sides="'consumer'"), "four_eyes"),
        (SIGN.format(version=version.pk, signer=special.provider_signer.pk, sides="'provider'"),
         SIGN.format(version=version.pk, signer=special.provider_signer.pk, sides=both), "both sides"),
        (AGREE.format(version=newest.pk, agreement=negotiated.pk, officer=special.consumer_officer.pk),
         AGREE.format(version=newest.pk, agreement=negotiated.pk, officer=special.provider_officer.pk), "both sides"),
        (CONFIRM.format(record=record.pk, by=w.provider_officer.pk), CONFIRM.format(record=record.pk, by=record.recorded_by_id),
         "four_eyes"),
        (DECIDE.format(request=asked.pk, by=w.provider_officer.pk), DECIDE.format(request=asked.pk, by=asked.submitted_by_id),
         "four_eyes"),
        (SIGN_REQUEST.format(request=draft.pk, signer=w.consumer_signer.pk),
         SIGN_REQUEST.format(request=draft.pk, signer=draft.created_by_id), "four_eyes"),
    )  # fmt: skip
    for lawful, unlawful, why in lawful_and_not:
        assert refusal(url, lawful) == ""
        assert why in refusal(url, unlawful)
    for guard in ("ALTER TABLE agreements_signature DROP CONSTRAINT agreements_signature_four_eyes",
                  "ALTER TABLE agreements_signature DISABLE TRIGGER ALL"):  # fmt: skip
        assert "must be owner" in refusal(url, guard)


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
