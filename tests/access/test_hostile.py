"""What no honest program sends, to every endpoint of the API: told as a mistake or ignored, never a failure, never without a bound."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.access.bodies import body_of
from tests.access.endpoints import endpoints
from tests.access.world import build

pytestmark = pytest.mark.sweep

HUGE = "9" * 5_000
VALUES = {
    "huge integer": HUGE, "integer beyond 64 bits": "9" * 40, "NaN": "NaN", "Infinity": "-Infinity", "float beyond its range": "1e999",
    "lone surrogate": '"\\ud800"', "NUL": '"a\\u0000b"',
}  # fmt: skip
MOST_ROWS = 200
MOST_QUERIES = 40


def api(*methods: str) -> list[tuple[str, str]]:
    return [(method, route) for method, route in sorted(endpoints()) if route.startswith("/api/") and method in methods]


@pytest.fixture
def ask(db):
    world = build()

    def _ask(actor: str, method: str, route: str, query: str = "", body: str = "{}"):
        """The answer; what the request wrote is rolled back."""
        client = Client(raise_request_exception=False)
        if actor not in world.sessions:
            client.force_login(world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
            world.sessions[actor] = client.cookies[settings.SESSION_COOKIE_NAME].value
        client.cookies[settings.SESSION_COOKIE_NAME] = world.sessions[actor]
        with transaction.atomic():
            answer = client.generic(method, world.address(route) + query, body, content_type="application/json")
            transaction.set_rollback(True)
        return answer

    _ask.world = world
    return _ask


def failed(answer) -> bool:
    return answer.status_code >= 500 and answer.status_code != 503


def spoiled(body: dict, text: str) -> str:
    """JSON in which every value of the well-formed body is `text`, and each name stands twice."""
    members = [f"{json.dumps(name)}: {text}" for name in body for _twice in range(2)]
    return "{" + ", ".join(members) + "}"


@pytest.mark.parametrize("what", VALUES)
def test_rl_04_no_json_makes_an_endpoint_fail(ask, what):
    """Duplicate keys, numbers and texts no column can hold: 4xx or, where the value is nobody's, as if it were not there."""
    found = []
    for method, route in api("POST", "PUT", "PATCH"):
        body = body_of(route, ask.world.objects)
        for text in [spoiled(body, VALUES[what])] if body else [spoiled({"a": 1}, VALUES[what])]:
            if failed(answer := ask("operator", method, route, body=text)):
                found.append(f"{method} {route}: {answer.status_code}")
    assert found == []


def test_rl_02_no_list_gives_more_than_its_page_or_asks_without_end(ask):
    """Pages of 10^9 rows, the 10^9th page, fifty filters and an unknown order: capped, with a bounded number of queries."""
    query = "?page_size=1000000000&ordering=-nothing,text&" + "&".join(f"filter_{n}=x" for n in range(50))
    found, lists = [], 0
    for _method, route in api("GET"):
        for more in ("", "&page=1000000000", "&cursor=nonsense"):
            with CaptureQueriesContext(connection) as queries:
                answer = ask("operator", "GET", route, query + more)
            rows = (
                answer.json().get("results", [])
                if answer.get("content-type", "").startswith("application/json") and isinstance(answer.json(), dict)
                else []
            )
            lists += bool(rows)
            if failed(answer) or len(rows) > MOST_ROWS or len(queries) > MOST_QUERIES:
                found.append(f"GET {route}{more}: {answer.status_code}, {len(rows)} rows, {len(queries)} queries")
    assert found == []
    assert lists > 10
