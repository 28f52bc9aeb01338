"""HD-01, HD-04: what every GET answers with, and that it changes nothing. One walk over all addresses for each of three people."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.urls import include, path

from lgsp import urls as platform
from tests.access.endpoints import endpoints
from tests.access.test_matrix import _counts
from tests.access.world import build
from tests.fixtures.database import ROWS_WRITTEN

pytestmark = pytest.mark.sweep

MAY_CHANGE = {"audit_auditevent", "django_session", "core_cache", "agreements_agreementdocument"}
"""Reading the log is itself on record; a session and the throttle's counters are not state of the platform; the print of an
unchangeable version is made and kept at its first reading."""
STRICT = {
    "default-src": "'self'", "script-src": "'self'", "style-src": "'self'", "object-src": "'none'", "base-uri": "'self'",
    "form-action": "'self'", "frame-ancestors": "'none'",
}  # fmt: skip
LOOSER = {
    "/admin/": {"script-src": "'self' 'unsafe-eval'", "style-src": "'self' 'unsafe-inline'"},
    "/api/docs/": {"style-src": "'self' 'unsafe-inline'"},
}
"""The only pages that ask for more, and exactly how much: the admin's own framework, and the offline API viewer."""
PRINTED = {"style-src": "'self' 'unsafe-inline'"}
"""Official documents carry their styles, so that what is printed is what becomes the PDF; no script runs in them."""


def boom(request):
    raise RuntimeError("planted")


urlpatterns = [path("boom/", boom), path("", include(platform.urlpatterns))]
handler400, handler403, handler404, handler500 = (
    platform.handler400,
    platform.handler403,
    platform.handler404,
    platform.handler500,
)


_WRITTEN = f"""
SELECT relname, count FROM pg_class, LATERAL (SELECT {ROWS_WRITTEN} AS count) AS written
WHERE relkind = 'r' AND oid >= 16384 AND count > 0
"""


def writes() -> dict[str, int]:
    """Rows written in this transaction so far, by table, as PostgreSQL counts them (rolled back ones too)."""
    with connection.cursor() as cursor:
        cursor.execute(_WRITTEN)
        return dict(cursor.fetchall())


def changed(before: dict[str, int]) -> set[str]:
    return {table for table, count in writes().items() if count != before.get(table, 0)}


def wrong_headers(address: str, response) -> list[str]:
    """What an HTML answer lacks; files and JSON are checked for the part that concerns them."""
    found = []
    if response.get("X-Content-Type-Options") != "nosniff":
        found.append("nosniff")
    if response.get("Referrer-Policy") != "same-origin" or response.get("Cross-Origin-Opener-Policy") != "same-origin":
        found.append("referrer or opener policy")
    if response.get("Server") or response.get("X-Powered-By"):
        found.append("names its server")
    policy = dict(part.strip().split(" ", 1) for part in response.get("Content-Security-Policy", "").split(";") if part.strip())
    looser = next((more for start, more in LOOSER.items() if address.startswith(start)), {})
    looser = PRINTED if re.fullmatch(r"/portal/(agreements/[^/]+/print|disputes/[^/]+/document)/", address) else looser
    found += [f"CSP {name}: {policy.get(name)}" for name in STRICT if policy.get(name) not in {STRICT[name], looser.get(name)}]
    if response.get("Content-Type", "").startswith("text/html"):
        if response.get("X-Frame-Options") != "DENY":
            found.append("may be framed")
        if not looser:
            found += inline(response.content.decode())
    return found


def inline(html: str) -> list[str]:
    """Scripts and handlers inside the page: the policy would not run them, so there must be none."""
    return re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<[a-z][^>]*\son[a-z]+\s*=[^>]*>|href=.javascript:[^>]*>", html)


@pytest.mark.parametrize("actor", ["anonymous", "consumer", "operator"])
def test_hd_01_and_hd_04_every_get_has_its_headers_and_changes_nothing(db, actor):
    world, client = build(), Client()
    if actor != "anonymous":
        client.force_login(world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
    unsafe, unheaded, asked, pages = [], [], 0, 0
    for method, route in sorted(endpoints()):
        if method != "GET" or not _counts(method, route):
            continue
        try:
            address = world.address(route)
        except KeyError:
            continue  # the admin's standard addresses of models this world has no row of
        before, asked = writes(), asked + 1
        response = client.get(address)
        if rows := changed(before) - MAY_CHANGE:
            unsafe.append(f"GET {address} writes {sorted(rows)}")
        if wrong := wrong_headers(address, response):
            unheaded.append(f"GET {address}: {wrong}")
        pages += response.get("Content-Type", "").startswith("text/html")
    assert unsafe == []
    assert unheaded == []
    print(f"HD-01, HD-04: {actor}: {asked} addresses, {pages} pages, 0 writes, 0 without its headers")


@pytest.mark.urls(__name__)
@pytest.mark.parametrize(
    ("address", "status"), [("/nothing-here/", 404), ("/boom/", 500), ("/portal/requests/%00/", 404), ("/admin/nothing/", 302)]
)
def test_hd_01_error_pages_have_the_same_headers(db, address, status):
    response = Client(raise_request_exception=False).get(address)
    assert response.status_code == status
    assert wrong_headers(address, response) == []
    assert b"planted" not in response.content
    assert b"Traceback" not in response.content


def test_hd_02_a_form_without_its_token_is_refused_with_the_same_headers(db):
    world = build()
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.people["consumer"], backend="django.contrib.auth.backends.ModelBackend")
    wrong = []
    for method, route in sorted(endpoints()):
        if method == "GET" or not _counts(method, route) or route in NO_SESSION:
            continue
        try:
            address = world.address(route)
        except KeyError:
            continue
        kind = "application/json" if route.startswith("/api/") else "application/x-www-form-urlencoded"
        before = writes()
        response = client.generic(method, address, "{}" if kind.endswith("json") else "a=b", content_type=kind)
        if response.status_code not in (403, 404, 405, 415) or changed(before) - MAY_CHANGE:
            wrong.append(f"{method} {address}: {response.status_code}, wrote {sorted(changed(before) - MAY_CHANGE)}")
        if problems := wrong_headers(address, response):
            wrong.append(f"{method} {address}: {problems}")
    assert wrong == []


NO_SESSION: set[str] = set()
"""Unsafe addresses that do not go by the session."""
