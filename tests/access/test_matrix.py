"""AZ-01: every endpoint × method × person equals the reviewed table `matrix.csv`; an endpoint without a row fails.

Outcomes: `ok` (the door let the person in; an empty form may still be answered 400, 409 or 422), `401`, `403`, `404`
(not there for this person), `login` (sent to the login page), `405`. `LGSP_SHOW_MATRIX=file` appends
how the endpoints without a row are answered now, to be read before it is written down.
"""

from __future__ import annotations

import csv
import json
import os
import uuid
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib import admin
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from apps.audit.models import AuditEvent
from apps.core.admin import ReadOnlyAdmin
from apps.registry.models import DataService
from tests.access.actors import ACTORS
from tests.access.bodies import FORM, body_of
from tests.access.endpoints import endpoints
from tests.access.world import build

pytestmark = pytest.mark.sweep

LOGIN = ("/accounts/login/", "/admin/login/")
TABLE = Path(__file__).with_name("matrix.csv")
ADMINISTRATOR = Path(__file__).with_name("administrator.csv")
ADMIN = "/admin/"
ADMIN_SHELL = (
    "/admin/jsi18n/",
    "/admin/r/{content_type_id}/{object_id}/",
    "/admin/{url}",
    "/admin/{app_label}/",
    "/admin/autocomplete/",
)
"""Django admin's own helpers: a catalogue of messages, a redirect to pages our models do not have, the catch-all 404,
and the look-up behind select boxes, which asks the model's own admin (`test_admin.py`)."""
UPLOADS = ("/attachments", "/document")
ADMIN_SAME = ("/{object_id}/", "/{object_id}/delete/", "/{object_id}/history/")
"""Standard admin addresses that are the same for every model: checked as a rule below, not row by row."""


def rows() -> dict[tuple[str, str], dict[str, str]]:
    """Who gets what where. An agency's administrator gets what its signer gets, but for the rows of `ADMINISTRATOR`."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        found = {(row["method"], row["route"]): row for row in csv.DictReader(file)}
    with ADMINISTRATOR.open(encoding="utf-8", newline="") as file:
        apart = {(row["method"], row["route"]): row["administrator"] for row in csv.DictReader(file)}
    assert set(apart) <= set(found), "rows of the administrator's table that are not in the matrix"
    return {place: {**row, "administrator": apart.get(place, row["signer"])} for place, row in found.items()}


def listed() -> set[tuple[str, str]]:
    return {(method, route) for method, route in endpoints() if not _is_shell(route) and _counts(method, route)}


def _is_shell(route: str) -> bool:
    return route in ADMIN_SHELL or (route.startswith(ADMIN) and route.endswith(ADMIN_SAME))


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
    asked = listed() - set(table) if os.environ.get("LGSP_SHOW_MATRIX") else listed()
    for method, route in sorted(asked, key=lambda pair: (pair[1], pair[0])):
        got = _ask(world, actor, method, route)
        expected = table.get((method, route), {}).get(actor)
        _note(method, route, actor, got)
        if got != expected:
            wrong.append(f"{method} {route}: {actor} got {got}, the table says {expected}")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("actor", ["operator", "legal", "provider"])
def test_nothing_can_be_deleted_in_the_admin(db, actor):
    world = build()
    pages = [(m, r) for m, r in endpoints() if r.startswith(ADMIN) and r.endswith("/delete/") and _counts(m, r)]
    assert pages
    assert [(m, r) for m, r in pages if _ask(world, actor, m, r) == "ok"] == []


def test_ad_07_a_history_page_of_the_admin_shows_the_audit_log_and_only_what_its_reader_may_see(db):
    """A member of one party reads what names that party; an event of the same row about others alone stays hidden."""
    world = build()
    service = DataService.objects.get(code=world.objects["dataservice"])
    for named in (service.provider.uuid, uuid.uuid4()):
        AuditEvent.objects.create(
            event="service.changed", object_type="registry.dataservice", object_ref=str(service.uuid), organizations=[named]
        )
    address = f"/admin/registry/dataservice/{world.objects['dataservice']}/history/"
    shown = {actor: _timeline(world, actor, address) for actor in ("auditor", "provider", "stranger")}
    assert shown == {"auditor": 2, "provider": 1, "stranger": 0}


def test_ad_07_no_page_of_the_admin_writes_a_history_of_its_own():
    silent = (ReadOnlyAdmin.log_addition, ReadOnlyAdmin.log_change)
    writers = [
        model._meta.label
        for model, page in admin.site._registry.items()
        if (type(page).log_addition, type(page).log_change) != silent or page.has_delete_permission(None)
    ]
    assert admin.site._registry
    assert writers == []


def _timeline(world, actor: str, address: str) -> int:
    client = Client()
    client.force_login(world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
    return client.get(address).content.decode().count("<time")


def _note(*words: str) -> None:
    if os.environ.get("LGSP_SHOW_MATRIX"):
        with Path(os.environ["LGSP_SHOW_MATRIX"]).open("a", encoding="utf-8") as file:
            file.write(",".join(words) + "\n")


def _ask(world, actor: str, method: str, route: str) -> str:
    """The outcome for one person; whatever the request wrote is rolled back."""
    client = _client_of(world, actor)
    with transaction.atomic():
        response = _send(client, world, method, route)
        transaction.set_rollback(True)
    return _outcome(response, route)


def _client_of(world, actor: str) -> Client:
    """A fresh client with the person's one session: a logout among the requests is rolled back with the rest."""
    client = Client(raise_request_exception=True)
    if actor != "anonymous":
        if actor not in world.sessions:
            client.force_login(world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
            world.sessions[actor] = client.cookies[settings.SESSION_COOKIE_NAME].value
        client.cookies[settings.SESSION_COOKIE_NAME] = world.sessions[actor]
    return client


def _send(client: Client, world, method: str, route: str):
    if method == "POST" and route.endswith(UPLOADS):
        return client.post(world.address(route), {"file": SimpleUploadedFile("a.txt", b"a")})
    return client.generic(method, world.address(route), data=_body(world, route), content_type=_content_type(route))


def _body(world, route: str) -> str:
    return json.dumps(body_of(route, world.objects)) if route.startswith("/api/") else urlencode(FORM)


def _content_type(route: str) -> str:
    return "application/json" if route.startswith("/api/") else "application/x-www-form-urlencoded"


def _outcome(response, route: str) -> str:
    if response.status_code in (401, 403, 404, 405):
        return str(response.status_code)
    if response.status_code == 302 and response["Location"].startswith(LOGIN):
        return "login"
    if response.status_code == 302 and response["Location"] == "/admin/" and route.startswith(ADMIN) and "{" in route:
        return "404"  # how the admin says that there is no such row
    if response.status_code == 302 and getattr(response.wsgi_request, "refused", None) is not None:
        return str(response.wsgi_request.refused.status)  # a page tells a refusal as a message
    if response.status_code == 503 and b"pdf_unavailable" in response.content:
        return "ok"  # a machine without Pango: the door let the person in and says what is missing
    assert response.status_code < 500, f"{route}: {response.status_code} {response.content[:300]!r}"
    return "ok"
