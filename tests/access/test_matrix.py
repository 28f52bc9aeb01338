"""AZ-01: every endpoint × method × person equals the reviewed table `matrix.csv`; an endpoint without a row fails.

Outcomes: `ok` (the door let the person in; an empty form may still be answered 400, 409 or 422), `401`, `403`, `404`
(not there for this person), `login` (sent to the login page), `405`. `LGSP_SHOW_MATRIX=1` prints the rows as they are
answered now, to be read before they are written down.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from django.db import transaction
from django.test import Client

from tests.access.actors import ACTORS
from tests.access.endpoints import endpoints
from tests.access.world import build

TABLE = Path(__file__).with_name("matrix.csv")
ADMIN_SHELL = ("/portal/jsi18n/", "/portal/r/{content_type_id}/{object_id}/", "/portal/(?P{url}.*)")
"""Django admin's own helpers: a catalogue of messages, a redirect to pages our models do not have, the catch-all 404."""
ADMIN_UNUSED = ("/{object_id}/", "/{object_id}/delete/", "/(?P{app_label}")
"""Standard admin addresses that are the same for every model: checked as rules below, not row by row."""


def rows() -> dict[tuple[str, str], dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {(row["method"], row["route"]): row for row in csv.DictReader(file)}


def listed() -> set[tuple[str, str]]:
    return {(method, route) for method, route in endpoints() if not _is_shell(route) and _counts(method, route)}


def _is_shell(route: str) -> bool:
    return route in ADMIN_SHELL or (
        route.startswith("/portal/") and (route.endswith(ADMIN_UNUSED[:2]) or ADMIN_UNUSED[2] in route)
    )


def _counts(method: str, route: str) -> bool:
    """Class-based pages answer PUT like POST or not at all; the API's methods are all real."""
    return method in ("GET", "POST") or route.startswith("/api/")


def test_az_01_every_endpoint_has_a_row_and_every_row_an_endpoint():
    assert sorted(listed() - set(rows())) == [], "endpoints without a row in tests/access/matrix.csv"
    assert sorted(set(rows()) - listed()) == [], "rows of endpoints that are gone"


@pytest.mark.parametrize("actor", ACTORS)
def test_az_01_every_person_gets_what_the_table_says(db, actor):
    world = build()
    table = rows()
    wrong = []
    for method, route in sorted(listed(), key=lambda pair: (pair[1], pair[0])):
        got = _ask(world, actor, method, route)
        expected = table.get((method, route), {}).get(actor)
        if os.environ.get("LGSP_SHOW_MATRIX"):
            print(f"{method},{route},{actor},{got}")
        if got != expected:
            wrong.append(f"{method} {route}: {actor} got {got}, the table says {expected}")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("actor", ACTORS)
def test_nothing_can_be_deleted_through_the_admin(db, actor):
    world = build()
    pages = [
        (m, r) for m, r in endpoints() if r.startswith("/portal/") and r.endswith("/{object_id}/delete/") and _counts(m, r)
    ]
    allowed = [(m, r) for m, r in pages if _ask(world, actor, m, r) == "ok"]
    assert not allowed


def _ask(world, actor: str, method: str, route: str) -> str:
    """The outcome for one person; whatever the request wrote is rolled back."""
    client = Client(raise_request_exception=True)
    if actor != "anonymous":
        client.force_login(world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
    with transaction.atomic():
        response = client.generic(method, world.address(route), data=_body(route), content_type=_content_type(route))
        transaction.set_rollback(True)
    return _outcome(response, route)


def _body(route: str) -> str:
    return "{}" if route.startswith("/api/") else ""


def _content_type(route: str) -> str:
    return "application/json" if route.startswith("/api/") else "application/x-www-form-urlencoded"


def _outcome(response, route: str) -> str:
    if response.status_code in (401, 403, 404, 405):
        return str(response.status_code)
    if response.status_code == 302 and "/accounts/login/" in response["Location"]:
        return "login"
    assert response.status_code < 500, f"{route}: {response.status_code} {response.content[:300]!r}"
    return "ok"
