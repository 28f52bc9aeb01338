"""The world of the portal's tests: two agencies, their people, one service (`tests.factories.connections`)."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.factories import connections


@pytest.fixture
def world(db):
    return connections.world()


@pytest.fixture
def as_person():
    """`as_person(user)` is a browser in which that person is logged in."""

    def log_in(user, lang: str = "vi") -> Client:
        client = Client()
        client.force_login(user)
        client.cookies["django_language"] = lang
        return client

    return log_in
