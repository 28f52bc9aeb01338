"""A provider, a gateway process and a world; a test that calls needs `world` and `call`."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import pytest

from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.upstream import Provider
from tests.gateway.world import ANSWER, World, make_world
from tests.patience import until


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json.get("code", "")

    @property
    def call_id(self) -> str:
        return self.headers["x-call-id"]


def send(url: str, method: str = "GET", path: str = "/", headers: dict | None = None, body: bytes | None = None) -> Response:
    """One request on a connection of its own; header names of the answer in lower case."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def ask_token(url: str, client_id: str, secret: str) -> str:
    body = urlencode({"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret})
    answer = send(url, "POST", "/oauth/token", {"Content-Type": "application/x-www-form-urlencoded"}, body.encode())
    assert answer.status == 200, answer.body
    return answer.json["access_token"]


@pytest.fixture(scope="session")
def shared_provider() -> Iterator[Provider]:
    provider = Provider().start()
    yield provider
    provider.stop()


@pytest.fixture
def provider(shared_provider) -> Provider:
    shared_provider.reset()
    shared_provider.answer("/api/companies/0999999999", ANSWER)
    return shared_provider


@pytest.fixture(scope="session")
def gateway(shared_provider, django_db_setup, django_db_blocker) -> Iterator[GatewayProcess]:
    """The session's gateway process: the real server stack."""
    with django_db_blocker.unblock():
        dsn = database_url()
    process = GatewayProcess(dsn, allow=[f"127.0.0.1:{shared_provider.port}"]).start()
    yield process
    process.stop()


@pytest.fixture
def world(transactional_db, provider) -> World:
    return make_world(provider.url + "/api")


@pytest.fixture
def token(gateway, world) -> str:
    from apps.core.epoch import current_epoch

    wait_for_epoch(gateway.url, current_epoch())
    return ask_token(gateway.url, world.credential.client_id, world.secret)


@pytest.fixture
def call(gateway, world, token) -> Callable[..., Response]:
    """Call the world's operation (or `path`); headers given as None are left out."""

    def _call(path: str | None = None, *, method: str = "GET", body: bytes | None = None, url: str = "", **headers) -> Response:
        given = {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        return send(url or gateway.url, method, path or world.path, {k: v for k, v in given.items() if v is not None}, body)

    return _call


def wait_for_epoch(url: str, epoch: int) -> None:
    """Until the gateway has read the policy of `epoch` (only the token endpoint works on a policy that may be a second old)."""

    def known() -> float:
        text = send(url, path="/metrics").body.decode()
        return float(next(line for line in text.splitlines() if line.startswith("lgsp_gateway_policy_epoch ")).split()[1])

    until(lambda: known() >= epoch, "the gateway did not read the new policy", every=0.02)
