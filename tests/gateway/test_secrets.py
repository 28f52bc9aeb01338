"""GW-15, SE-01: secrets planted in every place a call has one are in no log line, no refusal and no row of the database.

A gateway process with its log at DEBUG; every way a call can fail is provoked; then every table is read as text, and the
process's whole output, also for the hexadecimal and base64 spellings.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import deque

import pytest
from django.db import connection

from apps.core.epoch import current_epoch
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url

pytestmark = pytest.mark.django_db(transaction=True)
PLACES = ("bearer", "basic", "apikey", "cookie", "query", "path", "body", "form", "clientsecret", "upstream", "providerbody",
          "providerheader", "forwarded", "trace")  # fmt: skip
SECRETS = {place: f"kanari{place}{hashlib.sha256(place.encode()).hexdigest()[:24]}" for place in PLACES}


@pytest.fixture
def loud(transactional_db, provider):
    process = GatewayProcess(database_url(), allow=[f"127.0.0.1:{provider.port}"], LOG_LEVEL="DEBUG")
    process.lines = deque()
    process.start()
    yield process
    process.stop()


def spellings(secret: str) -> list[str]:
    raw = secret.encode()
    return [secret, raw.hex(), base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode().rstrip("=")]


def dump() -> dict[str, str]:
    """Every table of the database as text, bytea in hexadecimal."""
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        for schema, table in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{schema}"."{table}" AS t')
            found[table] = "\n".join(row[0] for row in cursor.fetchall())
    return found


def test_gw_15_no_secret_of_a_call_is_anywhere(loud, world, provider):
    upstream = world.version.upstreams.get()
    upstream.auth_kind, upstream.secret = "bearer", SECRETS["upstream"]
    upstream.save()
    world.change(upstream, "upstream", timeout_ms=1_000)
    wait_for_epoch(loud.url, current_epoch())
    token = ask_token(loud.url, world.credential.client_id, world.secret)
    answers = [loud_call(loud, world, token, **change) for change in provoked()]
    for behaviour in (fails, stalls, lies):
        provider.behave("/api/companies/0999999999", behaviour)
        answers.append(loud_call(loud, world, token))
    answers += [
        send(loud.url, "POST", "/oauth/token", {"Content-Type": "application/x-www-form-urlencoded"}, body.encode())
        for body in (
            f"grant_type=client_credentials&client_id={world.credential.client_id}&client_secret={SECRETS['clientsecret']}",
            f"grant_type=password&username=x&password={SECRETS['form']}",
            f"%%%{SECRETS['form']}",
        )
    ]
    assert {answer.status for answer in answers} >= {400, 401, 502, 504}
    assert any(SECRETS["upstream"] in seen.header("Authorization") for seen in provider.seen), (
        "the provider's own secret is used"
    )
    loud.stop()
    said = {"the log": "\n".join(loud.lines), "the answers": "\n".join(f"{a.headers} {a.body!r}" for a in answers), **dump()}
    assert len(loud.lines) > 0
    assert len(said) > 60
    secrets = [*SECRETS.values(), token, world.secret]
    found = [
        (place, secret) for place, text in said.items() for secret in secrets for form in spellings(secret) if form in text
    ]
    assert found == []
    print(
        f"GW-15: {len(secrets)} secrets, {len(answers)} failing calls, {len(loud.lines)} log lines, {len(said)} tables, 0 found"
    )


def loud_call(process, world, token: str, *, suffix: str = "", method: str = "GET", body: bytes | None = None, **headers):
    given = {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code, **headers}
    return send(process.url, method, world.path + suffix, given, body)


def provoked() -> list[dict]:
    return [
        {},
        {"Authorization": f"Bearer {SECRETS['bearer']}"},
        {"Authorization": f"Basic {base64.b64encode(('x:' + SECRETS['basic']).encode()).decode()}"},
        {"X-Api-Key": SECRETS["apikey"], "Cookie": f"sessionid={SECRETS['cookie']}"},
        {"X-Forwarded-For": SECRETS["forwarded"], "X-LGSP-Client-Cert-SHA256": SECRETS["forwarded"]},
        {"traceparent": SECRETS["trace"], "tracestate": SECRETS["trace"]},
        {"suffix": f"?token={SECRETS['query']}"},
        {"suffix": f"?from_date={SECRETS['query']}"},
        {"suffix": f"/{SECRETS['path']}"},
        {"suffix": f"%00{SECRETS['path']}"},
        {"method": "POST", "body": f'{{"password": "{SECRETS["body"]}"}}'.encode(), "Content-Type": "application/json"},
        {"body": SECRETS["body"].encode(), "Content-Type": "text/plain"},
    ]


async def fails(seen, writer) -> None:
    body = SECRETS["providerbody"].encode()
    writer.write(
        b"HTTP/1.1 500 Oops\r\nX-Debug: %b\r\nContent-Length: %d\r\n\r\n" % (SECRETS["providerheader"].encode(), len(body))
        + body
    )


async def stalls(seen, writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Debug: " + SECRETS["providerheader"].encode() + b"\r\n")
    await asyncio.sleep(5)


async def lies(seen, writer) -> None:
    body = b"<html>" + SECRETS["providerbody"].encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
