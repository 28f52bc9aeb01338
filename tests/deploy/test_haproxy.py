"""A gateway behind the real HAProxy file: the same promises as behind nginx."""

from __future__ import annotations

import json
import shutil
from urllib.parse import quote

import pytest

from apps.core.epoch import current_epoch
from apps.gateway.models import CallIntent
from tests.deploy.certificates import Authority
from tests.deploy.edge import Edge, dies_in_mid_call
from tests.deploy.haproxy import HaProxy
from tests.gateway.conftest import wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.world import CUT

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="not covered: the gateway behind HAProxy (no haproxy on this machine)"
)


@pytest.fixture
def edge(world, provider, tmp_path):
    """HAProxy on 127.0.0.1, which the gateway trusts."""
    edge = Edge(world, tmp_path)
    world.change(world.credential, "credential", certificate_hash=edge.mine[2])
    edge.gateway = GatewayProcess(
        database_url(), allow=[f"127.0.0.1:{provider.port}"], LGSP_TRUSTED_PROXIES="127.0.0.1"
    ).start()
    edge.proxy = HaProxy(tmp_path, gateway_port=edge.gateway.port)
    try:
        wait_for_epoch(edge.gateway.url, current_epoch())
        with edge.proxy.running():
            yield edge
    finally:
        edge.gateway.stop()


def test_the_real_file_is_accepted_by_haproxy(tmp_path):
    (tmp_path / "tls").mkdir()
    authority, _consumers = Authority(tmp_path / "tls", "server-ca"), Authority(tmp_path / "tls", "consumers-ca")
    authority.issue("gateway")
    done = HaProxy(tmp_path, gateway_port=9).check()
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr.upper(), done.stderr


@pytest.mark.django_db(transaction=True)
def test_certificate_address_and_paths_are_what_haproxy_saw(edge, provider):
    """RFC 8705: token and call; GW-03: what the client says about itself counts for nothing; health stays inside."""
    status, token = edge.token(edge.mine)
    assert status == 200
    told = {"X-Lgsp-Client-Ip": "10.9.8.7", "X-Forwarded-For": "10.9.8.7"}
    status, headers, body = edge.call(token, edge.mine, source="127.0.0.5", headers=told)
    assert (status, json.loads(body)) == (200, CUT)
    assert CallIntent.objects.get(call_id=headers["x-call-id"]).source == "127.0.0.5"

    assert edge.token(edge.others)[0] == edge.token(None)[0] == 401
    before = len(provider.seen)
    pem = quote(edge.mine[0].read_text(), safe="")
    for spoofed in ({}, {"X-Lgsp-Client-Cert-Sha256": edge.mine[2]}, {"X-Lgsp-Client-Cert": pem}):
        for certificate in (None, edge.others):
            status, _headers, body = edge.call(token, certificate, headers=spoofed)
            assert (status, json.loads(body).get("code")) == (401, "certificate_mismatch"), (spoofed, certificate)
    assert len(provider.seen) == before
    for path in ("/metrics", "/readyz", "/healthz", "/"):
        assert edge.call(token, edge.mine, path=path)[0] == 404


@pytest.mark.django_db(transaction=True)
def test_a_process_that_dies_in_mid_call_is_told_apart_from_one_that_is_not_there(edge, provider):
    dies_in_mid_call(edge, provider)
    status, headers, body = edge.call(edge.token_before, edge.mine)
    assert (status, headers["retry-after"], json.loads(body)["code"]) == (503, "2", "not_ready")
    assert headers["content-type"] == "application/problem+json"
