"""A gateway behind the real nginx files: TLS, client certificates (RFC 8705), what a client may not say about itself."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
from urllib.parse import quote, urlencode

import pytest

from apps.core.epoch import current_epoch
from apps.gateway.exchange import hash_of_certificate
from apps.gateway.models import AccessToken, CallIntent
from tests.deploy.certificates import Authority
from tests.deploy.nginx import Nginx
from tests.gateway.conftest import wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import CUT

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="not covered: the gateway behind nginx (no nginx on this machine)"
)


class Edge:
    """The world's consumer with the certificate its credential is bound to, and somebody else's of the same authority."""

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
        plain = socket.create_connection(("127.0.0.1", self.nginx.https), timeout=60, source_address=(source, 0))
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


@pytest.fixture
def edge(world, provider, tmp_path):
    """nginx on 127.0.0.1, which the gateway trusts; its other neighbours are at 127.0.0.2."""
    edge = Edge(world, tmp_path)
    world.change(world.credential, "credential", certificate_hash=edge.mine[2])
    gateway = GatewayProcess(database_url(), allow=[f"127.0.0.1:{provider.port}"], LGSP_TRUSTED_PROXIES="127.0.0.1").start()
    edge.gateway, edge.nginx = gateway, Nginx(tmp_path, gateway_port=gateway.port)
    try:
        wait_for_epoch(gateway.url, current_epoch())
        with edge.nginx.running():
            yield edge
    finally:
        gateway.stop()


def test_the_real_files_are_accepted_by_nginx(tmp_path):
    (tmp_path / "tls").mkdir()
    authority, _consumers = Authority(tmp_path / "tls", "server-ca"), Authority(tmp_path / "tls", "consumers-ca")
    for name in ("portal", "gateway"):
        authority.issue(name)
    done = Nginx(tmp_path, gateway_port=9).check()
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_bound_account_works_with_its_certificate_only(edge, provider):
    """RFC 8705: token and call; GW-03: what the client says about itself counts for nothing."""
    status, token = edge.token(edge.mine)
    assert status == 200
    assert AccessToken.objects.get().certificate_hash == edge.mine[2]
    status, headers, body = edge.call(token, edge.mine)
    assert (status, json.loads(body)) == (200, CUT)
    assert "server" not in headers or "/" not in headers["server"]

    assert edge.token(edge.others)[0] == edge.token(None)[0] == 401
    before = len(provider.seen)
    spoofed = {"X-Lgsp-Client-Cert-Sha256": edge.mine[2], "X-Lgsp-Client-Cert": quote(edge.mine[0].read_text(), safe="")}
    for certificate, more in ((edge.others, {}), (None, {}), (None, spoofed), (edge.others, spoofed)):
        status, _headers, body = edge.call(token, certificate, headers=more)
        assert (status, json.loads(body)["code"]) == (401, "certificate_mismatch")
    assert edge.call(token, edge.unknown)[0] == 400
    # Past the proxy, from a hop that is not trusted: the same headers count for nothing.
    for more in (spoofed, {"X-Lgsp-Client-Cert-Sha256": edge.mine[2]}):
        assert _direct(edge, token, "127.0.0.2", more) == (401, "certificate_mismatch")
    assert len(provider.seen) == before
    # The same from the trusted hop is believed: what is refused above is refused for where it came from.
    assert _direct(edge, token, "127.0.0.1", {"X-Lgsp-Client-Cert-Sha256": edge.mine[2]}) == (200, "")
    assert _direct(edge, token, "127.0.0.1", spoofed) == (401, "certificate_mismatch")


def _direct(edge: Edge, token: str, source: str, more: dict) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", edge.gateway.port, timeout=60, source_address=(source, 0))
    headers = {"Authorization": f"Bearer {token}", "X-Purpose-Code": edge.world.purpose.code, **more}
    try:
        connection.request("GET", edge.world.path, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()).get("code", "")
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_the_address_of_the_consumer_is_the_one_nginx_saw(edge):
    _status, token = edge.token(edge.mine)
    status, headers, _body = edge.call(
        token, edge.mine, source="127.0.0.5", headers={"X-Lgsp-Client-Ip": "10.9.8.7", "X-Forwarded-For": "10.9.8.7"}
    )
    assert status == 200
    assert CallIntent.objects.get(call_id=headers["x-call-id"]).source == "127.0.0.5"


@pytest.mark.django_db(transaction=True)
def test_health_and_metrics_stay_inside_and_a_gateway_that_is_gone_is_said_in_the_same_form(edge):
    _status, token = edge.token(edge.mine)
    for path in ("/metrics", "/readyz", "/healthz", "/"):
        assert edge.call(token, path=path)[0] == 404
    connection = http.client.HTTPConnection("127.0.0.1", edge.nginx.http, timeout=60)
    connection.request("GET", "/gw/me", headers={"Host": "gateway.lgsp.example"})
    moved = connection.getresponse()
    assert (moved.status, moved.getheader("location")) == (301, "https://gateway.lgsp.example/gw/me")
    connection.close()
    edge.gateway.stop()
    status, headers, body = edge.call(token, edge.mine)
    assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "2", "not_ready")
    assert headers["content-type"] == "application/problem+json"


def test_only_a_certificate_has_a_hash(tmp_path):
    certificate, _key, digest = Authority(tmp_path, "ca").issue("one")
    assert hash_of_certificate(quote(certificate.read_text(), safe="")) == digest
    for text in ("", "x", "%2", "%FF%FE", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"):
        assert hash_of_certificate(text) == ""


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="not covered: deploy/haproxy (no haproxy on this machine)")
def test_the_haproxy_file_is_accepted(tmp_path):
    import subprocess

    from lgsp.dev.processes import ROOT

    authority, consumers = Authority(tmp_path, "server-ca"), Authority(tmp_path, "consumers-ca")
    crt, key, _digest = authority.issue("gateway")
    (tmp_path / "gateway.pem").write_text(crt.read_text() + key.read_text())
    text = (ROOT / "deploy/haproxy/haproxy.cfg").read_text()
    text = text.replace("/etc/lgsp/tls/gateway.pem", str(tmp_path / "gateway.pem")).replace(
        "/etc/lgsp/tls/consumers-ca.pem", str(consumers.path)
    )
    (tmp_path / "haproxy.cfg").write_text(text)
    done = subprocess.run(["haproxy", "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
