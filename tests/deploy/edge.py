"""A gateway behind a proxy with TLS and client certificates, as tests of the proxies' files use it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from urllib.parse import urlencode

from django.utils import translation

from apps.gateway.refusals import TABLE
from tests.deploy.certificates import Authority
from tests.gateway.processes import GatewayProcess
from tests.patience import until


def dies_in_mid_call(edge: Edge, provider) -> None:
    """Kill the gateway while the provider has the call; what the proxy then says is the refusal of the table."""
    _status, edge.token_before = edge.token(edge.mine)
    before, release = len(provider.seen), provider.hold("/api/companies/0999999999", b"{}")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(edge.call, edge.token_before, edge.mine)
        until(lambda: len(provider.seen) > before, "the provider was not asked")
        edge.gateway.kill()
        status, headers, body = waiting.result(60)
    release()
    row = TABLE["gateway_lost"]
    told = json.loads(body)
    assert (status, told["status"], told["code"]) == (row.status, row.status, row.code)
    assert headers["content-type"] == "application/problem+json"
    for language in ("vi", "en"):
        with translation.override(language):
            assert str(row.title) in told["title"]
    assert len(provider.seen) == before + 1


class Proxy(Protocol):
    https: int


class Edge:
    """The world's consumer with the certificate its credential is bound to, and somebody else's of the same authority."""

    gateway: GatewayProcess
    proxy: Proxy

    def __init__(self, world, folder) -> None:
        (folder / "tls").mkdir()
        self.world = world
        self.authority, consumers = Authority(folder / "tls", "server-ca"), Authority(folder / "tls", "consumers-ca")
        for name in ("portal", "gateway"):
            self.authority.issue(name)
        self.mine, self.others = consumers.issue("mine"), consumers.issue("others")
        self.unknown = Authority(folder, "foreign-ca").issue("unknown")

    def ask(
        self, method: str, path: str, headers: dict, *, body: str | None = None, certificate=None, source: str = "127.0.0.1"
    ):
        """(status, headers, body) of one request over TLS from the address `source`."""
        context = ssl.create_default_context(cafile=str(self.authority.path))
        if certificate is not None:
            context.load_cert_chain(certificate[0], certificate[1])
        connection = http.client.HTTPConnection("gateway.lgsp.example", timeout=60)
        plain = socket.create_connection(("127.0.0.1", self.proxy.https), timeout=60, source_address=(source, 0))
        connection.sock = context.wrap_socket(plain, server_hostname="gateway.lgsp.example")
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def token(self, certificate) -> tuple[int, str]:
        world = self.world
        form = {"grant_type": "client_credentials", "client_id": world.credential.client_id, "client_secret": world.secret}
        status, _headers, body = self.ask(
            "POST",
            "/oauth/token",
            {"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form),
            certificate=certificate,
        )
        return status, json.loads(body).get("access_token", "")

    def call(self, token: str, certificate=None, **more):
        headers = {"Authorization": f"Bearer {token}", "X-Purpose-Code": self.world.purpose.code, **more.pop("headers", {})}
        return self.ask("GET", more.pop("path", self.world.path), headers, certificate=certificate, **more)

    def direct(self, token: str, source: str, more: dict) -> tuple[int, str]:
        """(status, code) of a call past the proxy, from the address `source`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=60, source_address=(source, 0))
        headers = {"Authorization": f"Bearer {token}", "X-Purpose-Code": self.world.purpose.code, **more}
        try:
            connection.request("GET", self.world.path, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()).get("code", "")
        finally:
            connection.close()
