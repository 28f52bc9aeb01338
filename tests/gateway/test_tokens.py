"""POST /oauth/token with stock clients, and what becomes of tokens."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from datetime import timedelta

import pytest
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from django.db import connection, transaction
from django.utils import timezone
from oauthlib.oauth2 import BackendApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from apps.core.epoch import current_epoch, raise_epoch
from apps.gateway import actions
from apps.gateway.app import Gateway
from apps.gateway.models import AccessToken
from apps.gateway.runtime import Runtime
from apps.gateway.server import MARK
from apps.organizations.choices import Role
from tests.factories.organizations import officer
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import database_url
from tests.gateway.world import make_credential

pytestmark = pytest.mark.django_db(transaction=True)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def url(gateway, world) -> str:
    wait_for_epoch(gateway.url, current_epoch())
    return gateway.url


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_a_token_and_calls(url, world, method):
    session = AuthlibSession(world.credential.client_id, world.secret, token_endpoint_auth_method=method)
    session.trust_env = False
    token = session.fetch_token(f"{url}/oauth/token", grant_type="client_credentials")
    assert token["token_type"] == "Bearer"
    assert token["expires_in"] == 3600
    answer = session.get(url + world.path, headers={"X-Purpose-Code": world.purpose.code})
    assert answer.status_code == 200


@pytest.mark.parametrize("basic", [True, False])
def test_requests_oauthlib_gets_a_token_and_calls(url, world, monkeypatch, basic):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    session = OAuth2Session(client=BackendApplicationClient(world.credential.client_id))
    session.trust_env = False
    if basic:
        session.fetch_token(f"{url}/oauth/token", auth=HTTPBasicAuth(world.credential.client_id, world.secret))
    else:
        session.fetch_token(f"{url}/oauth/token", client_secret=world.secret, include_client_id=True)
    answer = session.get(url + world.path, headers={"X-Purpose-Code": world.purpose.code})
    assert answer.status_code == 200


class Slow(Runtime):
    """A runtime whose reads, once `held`, are known only when they are let go."""

    held, begun, let_go = False, None, None

    async def _refresh(self):
        new = await super()._refresh()
        if self.held:
            self.held = False
            self.begun.set()
            await self.let_go.wait()
        return new


async def ask_while_a_read_runs(make_account) -> int:
    """Make an account while a read of the policy that does not know it is still running, and ask for a token at once."""
    runtime = Slow(database_url())
    runtime.begun, runtime.let_go = asyncio.Event(), asyncio.Event()
    await runtime.start()
    try:
        runtime.held = True
        early = asyncio.ensure_future(runtime.refresh())
        await runtime.begun.wait()
        credential, secret = await asyncio.to_thread(make_account)
        asked = asyncio.ensure_future(post_token(Gateway(runtime), credential.client_id, secret))
        await asyncio.sleep(0.05)
        runtime.let_go.set()
        await early
        return await asked
    finally:
        await runtime.stop()


async def post_token(app: Gateway, client_id: str, secret: str) -> int:
    body = f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}".encode()
    headers = [(b"content-type", FORM["Content-Type"].encode()), (b"content-length", b"%d" % len(body))]
    scope = {
        "type": "http", "method": "POST", "path": "/oauth/token", "raw_path": b"/oauth/token", "query_string": b"", "headers": headers,
        "client": ("127.0.0.1", 1), "scheme": "http", "http_version": "1.1", "extensions": {MARK: None},
    }  # fmt: skip
    sent: list[dict] = []

    async def receive() -> dict:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send_(message: dict) -> None:
        sent.append(message)

    await app(scope, receive, send_)
    return sent[0]["status"]


def test_an_account_collected_while_the_policy_is_being_read_works_at_once(world):
    """The regular read of the policy, begun a moment before, does not know the account: a read of its own must be waited for."""

    def make_account():
        try:
            with transaction.atomic():
                made = make_credential(world.system)
                raise_epoch("credential", made[0].uuid)
            return made
        finally:
            connection.close()

    assert asyncio.run(ask_while_a_read_runs(make_account)) == 200


def test_a_token_is_kept_as_its_hash_only(token):
    row = AccessToken.objects.get()
    assert bytes(row.token_hash) == hashlib.sha256(token.encode()).digest()


@pytest.mark.parametrize(
    ("body", "authorization", "status", "error"),
    [
        ("grant_type=client_credentials&client_id={id}&client_secret=wrong", None, 401, "invalid_client"),
        ("grant_type=client_credentials&client_id=nobody&client_secret=wrong", None, 401, "invalid_client"),
        ("grant_type=client_credentials", None, 401, "invalid_client"),
        ("grant_type=client_credentials", "Basic ???", 401, "invalid_client"),
        ("grant_type=client_credentials&client_id={id}&client_secret={secret}", "Basic {basic}", 401, "invalid_client"),
        ("grant_type=password&client_id={id}&client_secret={secret}", None, 400, "unsupported_grant_type"),
        ("client_id={id}&client_secret={secret}", None, 400, "invalid_request"),
        ("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=admin", None, 400, "invalid_scope"),
    ],
)
def test_token_errors_are_those_of_the_standard(url, world, body, authorization, status, error):
    facts = {"id": world.credential.client_id, "secret": world.secret}
    facts["basic"] = b64encode(f"{facts['id']}:{facts['secret']}".encode()).decode()
    headers = {**FORM, **({"Authorization": authorization.format(**facts)} if authorization else {})}
    answer = send(url, "POST", "/oauth/token", headers, body.format(**facts).encode())
    assert (answer.status, answer.json["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert AccessToken.objects.count() == 0


def test_a_revoked_account_gets_no_token_even_before_the_policy_is_read(url, world):
    world.change(world.credential, "credential", status="revoked")
    body = f"grant_type=client_credentials&client_id={world.credential.client_id}&client_secret={world.secret}"
    assert send(url, "POST", "/oauth/token", FORM, body.encode()).status == 401


def test_an_account_whose_time_is_over_gets_no_token_and_is_told_why(url, world, call):
    """Its tokens end with it. "Ask for a new token" would be asked for ever: it is the account that is to be made anew."""
    assert call().status == 200
    over = timezone.now() - timedelta(minutes=1)
    world.change(world.credential, "credential", expires_at=over)
    AccessToken.objects.update(expires_at=over)
    world.change(world.grant, "accesstoken")
    body = f"grant_type=client_credentials&client_id={world.credential.client_id}&client_secret={world.secret}"
    answer = send(url, "POST", "/oauth/token", FORM, body.encode())
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert "expired" in answer.json["error_description"]
    assert call().code == "credential_expired"
    wrong = send(url, "POST", "/oauth/token", FORM, (body + "x").encode())
    assert "error_description" not in wrong.json, "only who knows the secret is told"


def test_a_token_says_how_long_it_lasts_in_the_last_hour_of_its_account_too(url, world):
    world.change(world.credential, "credential", expires_at=timezone.now() + timedelta(minutes=10))
    body = f"grant_type=client_credentials&client_id={world.credential.client_id}&client_secret={world.secret}"
    answer = send(url, "POST", "/oauth/token", FORM, body.encode())
    assert 500 < answer.json["expires_in"] <= 600


def test_an_expired_token_is_refused_by_the_databases_clock(call, world):
    """FI-38, as far as tokens go; rights: `test_policy`, quotas: `test_calls`, agreements: `tests/agreements/test_clock.py`."""
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    world.change(world.grant, "accesstoken")
    assert call().code == "token_expired"


def test_a_revoked_token_is_worthless_for_the_very_next_call_while_the_account_stays(url, world, call, provider):
    assert call().status == 200
    actions.revoke_tokens(world.credential, by=officer(Role.OPERATOR))
    assert call().code == "token_expired"
    assert call("/gw/me").status == 401
    assert len(provider.seen) == 1
    token = ask_token(url, world.credential.client_id, world.secret)
    assert call(Authorization=f"Bearer {token}").status == 200
