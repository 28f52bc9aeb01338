"""AZ-02, AZ-04: whatever a third agency asks, no byte of agency B's own comes back, in no body, file, header or count.

Every GET of the resolver with B's identifiers and with the stranger's own, every step tried on B's objects; XLSX and ZIP are
unpacked. The mark is in every private text of B (`planted`), so the scan is plain `in`.
"""

from __future__ import annotations

import io
import re
import zipfile

import pytest
from django.test import Client

from tests.access import planted
from tests.access.endpoints import endpoints
from tests.access.test_matrix import _body, _content_type, _counts

pytestmark = pytest.mark.sweep

ACTORS = ("anonymous", "nobody", "stranger")


@pytest.fixture
def seeded(db):
    seeded = planted.build()
    assert seeded.planted >= planted.MUST_CARRY, planted.MUST_CARRY - seeded.planted
    return seeded


def client_of(seeded, actor: str) -> Client:
    client = Client(raise_request_exception=True)
    if actor != "anonymous":
        client.force_login(seeded.world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
    return client


def gets() -> list[str]:
    return sorted(route for method, route in endpoints() if method == "GET" and _counts(method, route))


def addresses(world) -> dict[str, str]:
    """Route → address, of all GETs this world has objects for."""
    found = {}
    for route in gets():
        try:
            found[route] = world.address(route)
        except KeyError:
            assert route.startswith("/admin/"), f"{route}: nothing to fill in; add an object to tests/access/world.py"
    return found


def everything(response) -> bytes:
    """All bytes of an answer: status line, headers, body, and what is packed inside."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    head = "\n".join(f"{name}: {value}" for name, value in response.items()).encode()
    return head + b"\n\n" + body + unpacked(body)


def unpacked(body: bytes) -> bytes:
    if not body.startswith(b"PK\x03\x04"):
        return b""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


def leaks(response) -> str:
    """What stands around the mark in an answer; empty when there is none."""
    content = everything(response).decode("utf-8", "replace")
    found = re.search(f".{{0,80}}({planted.SECRET}|{re.escape(planted.ADDRESS)})", content, re.DOTALL)
    return found[0] if found else ""


@pytest.mark.parametrize("actor", ACTORS)
def test_az_02_no_answer_to_a_third_agency_holds_a_byte_of_another(seeded, actor):
    client, asked, wrong = client_of(seeded, actor), 0, []
    for world in (seeded.world, seeded.own):
        for route, address in addresses(world).items():
            asked += 1
            response = client.get(address)
            if found := leaks(response):
                wrong.append(f"GET {address} ({route}): {response.status_code} {found!r}")
    assert wrong == []
    print(f"AZ-02: {actor} asked {asked} addresses, 0 bytes of another agency")


def test_az_02_the_sweep_sees_what_is_there(seeded):
    """The other half of the proof: B's own people do get the mark, from many of the same addresses."""
    client = client_of(seeded, "consumer")
    shown = [route for route, address in addresses(seeded.world).items() if leaks(client.get(address))]
    assert len(shown) >= 25, shown
    assert {"/api/v1/requests/{uuid}", "/api/v1/agreements/{uuid}", "/portal/requests/{uuid}/", "/api/v1/calls",
            "/api/v1/duties/{uuid}/certificate", "/portal/duties/{uuid}/certificate/"} <= set(shown)  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_az_02_refusals_of_steps_name_nothing_of_another(seeded, method):
    client, wrong = client_of(seeded, "stranger"), []
    for asked, route in sorted(endpoints()):
        if asked != method or not _counts(method, route) or route.startswith("/admin/"):
            continue
        body, kind = _body(seeded.world, route), _content_type(route)
        response = client.generic(method, seeded.world.address(route), data=body, content_type=kind)
        if leaks(response):
            wrong.append(f"{method} {route}: {response.status_code}")
    assert wrong == []
