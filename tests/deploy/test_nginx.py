"""A gateway behind the real nginx files: TLS, client certificates (RFC 8705), what a client may not say about itself."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from django.test import Client

from apps.core.epoch import current_epoch
from apps.gateway.exchange import hash_of_certificate
from apps.gateway.models import AccessToken, CallIntent
from apps.organizations.choices import Role
from tests.deploy.certificates import Authority
from tests.deploy.edge import Edge, dies_in_mid_call
from tests.deploy.nginx import Nginx
from tests.factories.catalogs import CatalogFactory, published, rows
from tests.factories.organizations import officer
from tests.gateway.conftest import wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import CUT
from tests.patience import until
from tests.servers import RawServer, reply, sends

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None, reason="not covered: the gateway behind nginx (no nginx on this machine)"
)


@pytest.fixture
def edge(world, provider, tmp_path):
    """nginx on 127.0.0.1, which the gateway trusts; its other neighbours are at 127.0.0.2."""
    edge = Edge(world, tmp_path)
    world.change(world.credential, "credential", certificate_hash=edge.mine[2])
    gateway = GatewayProcess(database_url(), allow=[f"127.0.0.1:{provider.port}"], LGSP_TRUSTED_PROXIES="127.0.0.1").start()
    edge.gateway, edge.proxy = gateway, Nginx(tmp_path, gateway_port=gateway.port)
    try:
        wait_for_epoch(gateway.url, current_epoch())
        with edge.proxy.running():
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
        assert edge.direct(token, "127.0.0.2", more) == (401, "certificate_mismatch")
    assert len(provider.seen) == before
    # The same from the trusted hop is believed: what is refused above is refused for where it came from.
    assert edge.direct(token, "127.0.0.1", {"X-Lgsp-Client-Cert-Sha256": edge.mine[2]}) == (200, "")
    assert edge.direct(token, "127.0.0.1", spoofed) == (401, "certificate_mismatch")


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
    connection = http.client.HTTPConnection("127.0.0.1", edge.proxy.http, timeout=60)
    connection.request("GET", "/gw/me", headers={"Host": "gateway.lgsp.example"})
    moved = connection.getresponse()
    assert (moved.status, moved.getheader("location")) == (301, "https://gateway.lgsp.example/gw/me")
    connection.close()
    edge.gateway.stop()
    status, headers, body = edge.call(token, edge.mine)
    assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "2", "not_ready")
    assert headers["content-type"] == "application/problem+json"


@pytest.mark.django_db(transaction=True)
def test_a_process_that_dies_in_mid_call_is_told_apart_from_one_that_is_not_there(edge, provider):
    """The provider was asked: not 503, after which callers try again as if nothing had happened; and nginx itself repeats nothing."""
    dies_in_mid_call(edge, provider)
    status, headers, body = edge.call(edge.token_before, edge.mine)
    assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "2", "not_ready")


@pytest.mark.django_db(transaction=True)
def test_a_body_that_is_too_large_is_told_so_through_nginx_and_not_that_nobody_answers(edge):
    """What the gateway refuses before its end must not look like a gateway that is gone: such a call would be tried again for ever."""
    _status, token = edge.token(edge.mine)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": "k"}
    for path, refused in ((edge.world.path, 405), ("/oauth/token", 400)):
        found = {edge.ask("POST", path, headers, body="x" * 3_000_000, certificate=edge.mine)[0] for _n in range(8)}
        assert found == {refused}


@pytest.fixture
def front(transactional_db, tmp_path):
    """nginx before a gateway with ready-made catalogs and a portal that says that it is one; `ask(method, path)` as from the net."""
    (tmp_path / "tls").mkdir()
    authority = Authority(tmp_path / "tls", "server-ca")
    Authority(tmp_path / "tls", "consumers-ca")
    for name in ("portal", "gateway"):
        authority.issue(name)
    gateway = GatewayProcess(
        database_url(), allow=[], LGSP_TRUSTED_PROXIES="127.0.0.1", LGSP_CATALOG_READS_PER_MINUTE="60"
    ).start(wait=False)
    try:
        until(gateway.is_listening, lambda: "\n".join(gateway.lines))
        with RawServer(sends(reply("200 OK", b"portal"))) as portal:
            proxy = Nginx(tmp_path, gateway_port=gateway.port, portal_port=portal.port)
            with proxy.running():
                yield Front(authority, gateway, portal, proxy)
    finally:
        gateway.stop()


@dataclass
class Front:
    authority: Authority
    gateway: GatewayProcess
    portal: RawServer
    proxy: Nginx

    def ask(self, path: str, method: str = "GET", source: str = "127.0.0.5", **headers) -> tuple[int, dict, bytes]:
        context = ssl.create_default_context(cafile=str(self.authority.path))
        connection = http.client.HTTPConnection("lgsp.example", timeout=60)
        plain = socket.create_connection(("127.0.0.1", self.proxy.https), timeout=60, source_address=(source, 0))
        connection.sock = context.wrap_socket(plain, server_hostname="lgsp.example")
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


READY = ["/items", "/items?page=1", "/items?level=item", "/items?level=item&page=1", "/items/A001", "/items/A001?level=item",
         "/snapshot", "/snapshot?level=item"]  # fmt: skip
LEFT_TO_THE_PORTAL = ["/items?q=ten", "/items?as_of=2025-01-01", "/items?level=it%65m", "/items/A001/history", "/items/A999", "/translate",
                      "/releases", "", "/items?page=99", "/items/A%30%301"]  # fmt: skip


def test_ready_made_answers_come_from_the_gateway_and_all_else_from_the_portal(front):
    catalog = CatalogFactory()
    published(catalog, rows(3), by=officer(Role.OPERATOR))
    url, direct = f"/api/v1/catalogs/{catalog.code}", Client()
    until(lambda: front.ask(f"{url}/items", source="127.0.0.9")[2] != b"portal", "the gateway never saw the release")
    before = len(front.portal.seen)
    for path in READY:
        slow = direct.get(url + path)
        for _way in ("ordinary", "shortcut"):
            status, headers, body = front.ask(url + path)
            assert (status, body, headers["etag"]) == (200, slow.content, slow["ETag"]), path
        assert front.ask(url + path, **{"If-None-Match": slow["ETag"]})[::2] == (304, b"")
        assert front.ask(url + path, "HEAD")[0] == 200
    assert len(front.portal.seen) == before
    for path in LEFT_TO_THE_PORTAL:
        assert front.ask(url + path, source="127.0.0.6")[2] == b"portal", path
        asked = front.portal.seen[-1].split(b"\r\n")[0].decode()
        assert asked == f"GET {url}{path} HTTP/1.1", "the very question arrives"
    assert front.ask(f"{url}/items", "POST", source="127.0.0.6")[2] == b"portal"
    assert b"X-Forwarded-For: 127.0.0.6" in front.portal.seen[-1]


def test_who_asks_too_much_is_told_so_by_their_own_address_and_without_a_gateway_the_portal_answers(front):
    catalog = CatalogFactory()
    published(catalog, rows(3), by=officer(Role.OPERATOR))
    url = f"/api/v1/catalogs/{catalog.code}/items"
    until(lambda: front.ask(url, source="127.0.0.9")[2] != b"portal", "the gateway never saw the release")
    told = {"X-Lgsp-Client-Ip": "127.0.0.7"}
    asked = [front.ask(url, **told)[0] for _n in range(130)]  # the minute may turn once on the way
    assert set(asked) == {200, 429}
    assert front.ask(url, source="127.0.0.7")[0] == 200, "what a client says of itself counts for nothing"
    front.gateway.stop()
    assert front.ask(url, source="127.0.0.7")[::2] == (200, b"portal")


def test_only_a_certificate_has_a_hash(tmp_path):
    certificate, _key, digest = Authority(tmp_path, "ca").issue("one")
    assert hash_of_certificate(quote(certificate.read_text(), safe="")) == digest
    for text in ("", "x", "%2", "%FF%FE", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----"):
        assert hash_of_certificate(text) == ""
