"""No moment makes the API fail: one field for bodies, one for filters, wherever a moment is taken."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from rest_framework import serializers

from apps.core.api.moments import Moment
from tests.access.bodies import body_of
from tests.access.endpoints import endpoints
from tests.access.world import build

pytestmark = pytest.mark.sweep

EXTREMES = (
    "0001-01-01T00:00:00",
    "0001-01-01T00:00:00+07:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59",
    "9999-12-31T23:59:59-12:00",
)
ACTORS = ("consumer", "signer", "provider", "operator", "legal")
FILTERS = ("from", "to", "ends_before", "expires_before", "due_before", "as_of", "since", "until")


def serializer_classes(base: type = serializers.Serializer) -> Iterator[type]:
    for found in base.__subclasses__():
        if found.__module__.startswith("apps."):
            yield found
        yield from serializer_classes(found)


def moments_taken() -> dict[str, serializers.Field]:
    """class.field → field, of every serializer of the platform."""
    return {
        f"{found.__module__}.{found.__name__}.{name}": field
        for found in serializer_classes()
        for name, field in found._declared_fields.items()
        if isinstance(field, serializers.DateTimeField)
    }


@pytest.mark.parametrize("text", EXTREMES)
def test_a_moment_nobody_can_count_with_is_refused_and_a_usual_one_taken(text):
    field = Moment(default_timezone=ZoneInfo("Asia/Ho_Chi_Minh"))
    with pytest.raises(serializers.ValidationError):
        field.run_validation(text)
    assert field.run_validation("2026-01-01T00:00:00Z") == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def columns_taken() -> set[str]:
    """Names of moments that serializers make from a model's columns."""
    return {
        name
        for found in serializer_classes(serializers.ModelSerializer)
        if hasattr(found, "Meta")
        for name, field in found().fields.items()
        if isinstance(field, serializers.DateTimeField)
    }


def test_every_serializer_that_names_a_moment_does_so_by_the_one_field():
    endpoints()  # every view is imported
    assert len(moments_taken()) > 10
    assert [name for name, field in moments_taken().items() if not isinstance(field, Moment)] == []


@pytest.mark.parametrize("actor", ACTORS)
def test_no_endpoint_fails_on_an_extreme_moment(db, actor):
    """Every moment of every body, and every filter by a moment, at year 1 without a zone (500 once on `about-a-person`)."""
    world = build()
    client = Client(raise_request_exception=False)
    client.force_login(world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    names = {name.rpartition(".")[2] for name in moments_taken()} | columns_taken()
    failed = []
    for method, route in sorted(endpoints()):
        if not route.startswith("/api/") or method == "DELETE":
            continue
        client.cookies[settings.SESSION_COOKIE_NAME] = session
        body = body_of(route, world.objects) | dict.fromkeys(names, EXTREMES[0])
        query = "&".join(f"{name}={EXTREMES[0]}" for name in FILTERS)
        with transaction.atomic():
            answer = client.generic(
                method, f"{world.address(route)}?{query}", json.dumps(body), content_type="application/json"
            )
            transaction.set_rollback(True)
        if answer.status_code >= 500 and answer.status_code != 503:
            failed.append(f"{method} {route}: {answer.status_code}")
    assert failed == []
