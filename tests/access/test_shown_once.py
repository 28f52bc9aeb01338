"""SE-03: the secret of an account and of a webhook is in the one answer that makes it, and never again anywhere.

Asked for by those who may see most of it: the system's own officer, who received it, and the operator.
"""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.db import connection

from apps.agreements.models import Credential
from apps.catalogs.models import Webhook
from tests.access.test_canary import addresses, client_of, everything
from tests.access.world import build

pytestmark = pytest.mark.sweep


class Seeded:
    def __init__(self) -> None:
        self.world = build()


@pytest.fixture
def seeded(db):
    return Seeded()


def post(client, address: str) -> dict:
    answer = client.post(address, {}, content_type="application/json")
    assert answer.status_code in (200, 201), answer.content
    assert "no-store" in answer["Cache-Control"]
    return answer.json()


@pytest.fixture
def shown(seeded) -> dict[str, str]:
    """The two secrets as their owner was shown them, and what the database keeps of the account's."""
    client, objects = client_of(seeded, "consumer"), seeded.world.objects
    account = post(client, f"/api/v1/credentials/{objects['credentials']}/claim")["client_secret"]
    webhook = post(client, f"/api/v1/catalog-webhooks/{objects['catalog-webhooks']}/renew-secret")["secret"]
    return {"account": account, "webhook": webhook, "hash": Credential.objects.get(uuid=objects["credentials"]).secret_hash}


@pytest.mark.parametrize("actor", ["consumer", "operator"])
def test_se_03_no_later_page_file_or_answer_holds_a_secret(seeded, shown, actor):
    client, read, wrong = client_of(seeded, actor), 0, []
    for address in addresses(seeded.world).values():
        answer = client.get(address)
        read += answer.status_code == 200
        text = everything(answer).decode("utf-8", "replace")
        wrong += [f"{address}: {kind}" for kind, secret in shown.items() if secret in text]
    assert wrong == []
    assert read > 100


def test_se_03_a_secret_finds_nothing(seeded, shown):
    client = client_of(seeded, "consumer")
    for address in ("/api/v1/credentials", "/api/v1/catalog-webhooks", "/portal/accounts/", "/portal/catalog-webhooks/"):
        plain = client.get(address, {"status": "active"}).content
        for secret in shown.values():
            for name in ("secret", "secret_hash", "secret__startswith", "secret_hash__startswith"):
                answer = client.get(address, {"status": "active", name: secret[:8]}).content
                assert answer.count(b"<tr") == plain.count(b"<tr"), f"{address}?{name}="
                assert answer.count(b'"uuid"') == plain.count(b'"uuid"'), f"{address}?{name}="
            if "accounts" in address:
                assert seeded.world.objects["accounts"].encode() not in client.get(address, {"q": secret[:8]}).content


def test_se_03_no_row_of_the_database_no_session_and_no_word_for_a_row_holds_a_secret(seeded, shown):
    """Every table, written as text: audit events, outbox, idempotency keys, notices, the webhook's own (encrypted) row."""
    plain, searched = {shown["account"], shown["webhook"]}, 0
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            for secret in plain:
                cursor.execute(f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE %s', [f"%{secret[4:30]}%"])
                assert cursor.fetchone() == (0,), table
            searched += 1
    assert searched > 80
    assert not any(secret in str(session.get_decoded()) for session in Session.objects.all() for secret in plain)
    for model in (Credential, Webhook):
        for row in model.objects.all():
            assert not any(secret in f"{row} {row!r}" for secret in shown.values())
