"""FI-36: a provider whose certificate is not the one its address needs is not called."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from apps.core.epoch import current_epoch
from apps.gateway.models import CallOutcome
from tests.deploy.certificates import Authority
from tests.gateway.conftest import ask_token, send, wait_for_epoch
from tests.gateway.processes import GatewayProcess, database_url
from tests.gateway.upstream import Provider
from tests.gateway.world import ANSWER, CUT

pytestmark = pytest.mark.django_db(transaction=True)


def serving(certificate: tuple[Path, Path, str]) -> Provider:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0], certificate[1])
    return Provider(tls=context).start()


@pytest.fixture
def providers(tmp_path):
    """What is wrong with a provider (nothing: "") → the provider."""
    known, foreign = Authority(tmp_path, "known"), Authority(tmp_path, "foreign")
    made = {
        "": serving(known.issue("good")),
        "another authority": serving(foreign.issue("stranger")),
        "another name": serving(known.issue("other", hosts=("other.example",))),
        "expired": serving(known.issue("old", days=-1)),
    }
    for provider in made.values():
        provider.answer("/api/companies/0999999999", ANSWER)
    yield made
    for provider in made.values():
        provider.stop()


def test_fi_36_only_a_certificate_that_fits_is_talked_to(world, providers, tmp_path):
    upstream = world.version.upstreams.get()
    ports = [f"127.0.0.1:{provider.port}" for provider in providers.values()]
    gateway = GatewayProcess(database_url(), allow=ports, LGSP_CA_FILE=str(tmp_path / "known.pem")).start()
    try:
        wait_for_epoch(gateway.url, current_epoch())
        token = ask_token(gateway.url, world.credential.client_id, world.secret)
        headers = {"Authorization": f"Bearer {token}", "X-Purpose-Code": world.purpose.code}
        for fault, provider in providers.items():
            world.change(upstream, "upstream", base_url=f"https://127.0.0.1:{provider.port}/api")
            answer = send(gateway.url, path=world.path, headers=headers)
            if not fault:
                assert (answer.status, answer.json) == (200, CUT)
                continue
            assert (answer.status, answer.code) == (502, "provider_tls_failed"), (fault, answer.body)
            assert provider.seen == [], fault
            assert CallOutcome.objects.get(call_id=answer.call_id).code == "provider_tls_failed"
    finally:
        gateway.stop()
