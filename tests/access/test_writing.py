"""AU-01, AZ-05: every door that writes leaves an audit event with its actor, also when it says no; and writes only what its form asks.

Walked over all unsafe addresses with the bodies of the access matrix; PostgreSQL's own count of rows written is the oracle.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from django.apps import apps
from django.db import models, transaction
from django.test import Client

from apps.audit.models import AuditEvent
from tests.access.bodies import FORM, body_of
from tests.access.test_matrix import UPLOADS, _client_of, _send, listed, rows
from tests.access.test_reading import MAY_CHANGE, changed, writes
from tests.access.world import build

pytestmark = pytest.mark.sweep

ORDER = ("operator", "provider", "consumer", "signer", "legal")
NO_EVENT = {
    "/api/v1/notices/{uuid}/read", "/api/v1/notices/read", "/portal/notices/read/", "/portal/notices/{uuid}/open/",
}  # fmt: skip
"""Marking one's own notices as read is nobody else's business and no act on the platform."""


def unsafe() -> list[tuple[str, str]]:
    """Everything that is not GET and not the login pages (theirs are `tests/accounts`) nor Django's own."""
    skipped = ("/accounts/", "/language/", "/admin/login", "/admin/logout", "/admin/password")
    return sorted((m, r) for m, r in listed() if m != "GET" and not r.startswith(skipped))


def test_au_01_every_door_that_writes_leaves_an_event_of_its_actor(db):
    world, table = build(), rows()
    silent, written = [], set()
    for method, route in unsafe():
        for actor in [name for name in ORDER if table[method, route][name] == "ok"]:
            client = _client_of(world, actor)
            with transaction.atomic():
                before, last = writes(), last_event()
                response = _send(client, world, method, route)
                wrote = changed(before) - MAY_CHANGE
                events = list(AuditEvent.objects.filter(pk__gt=last).values_list("actor", flat=True))
                transaction.set_rollback(True)
            if response.status_code >= 400 or not wrote:
                continue
            written.add(route)
            if world.people[actor].pk not in events and route not in NO_EVENT:
                silent.append(f"{method} {route} as {actor} wrote {sorted(wrote)} and left events of {events}")
            break
    assert silent == []
    assert len(written) >= 40, sorted(written)
    print(f"AU-01: {len(written)} addresses wrote, each left an event of its actor")


def last_event() -> int:
    return AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


@pytest.mark.parametrize("actor", ["nobody", "stranger"])
def test_au_01_every_refused_step_leaves_an_event_too(db, actor):
    world, table = build(), rows()
    silent, refused = [], 0
    for method, route in unsafe():
        if table[method, route][actor] != "403" or route.startswith("/admin/"):
            continue
        last = last_event()
        response = _send(_client_of(world, actor), world, method, route)
        refused += 1
        found = AuditEvent.objects.filter(pk__gt=last, outcome="refused", actor=world.people[actor])
        if not found.exists():
            silent.append(f"{method} {route}: {response.status_code}")
    assert silent == []
    assert refused >= 20
    print(f"AU-01: {refused} refusals of {actor}, each on record")


# --- AZ-05 ---------------------------------------------------------------------------------------

TEXT, NUMBER, MOMENT = "zzPLANTEDzz", 987_654, "2001-02-03T04:05:06Z"
PLANTED = {
    "status": TEXT, "state": TEXT, "secret_hash": TEXT, "content_hash": TEXT, "terms_hash": TEXT, "client_id": TEXT, "code_hash": TEXT,
    "password": TEXT, "status_reason": TEXT, "sort_key": TEXT, "folded": TEXT, "number": TEXT, "signed_hash": TEXT, "stage": TEXT,
    "quota_per_day": NUMBER, "quota_per_month": NUMBER, "rate_per_second": NUMBER, "fence": NUMBER, "attempts": NUMBER,
    "decided_at": MOMENT, "approved_at": MOMENT, "published_at": MOMENT, "in_force_at": MOMENT, "signed_at": MOMENT,
    "claimed_at": MOMENT, "received_at": MOMENT, "terms_signed_at": MOMENT, "revoked_at": MOMENT, "created_at": MOMENT,
    "is_superuser": True,
}  # fmt: skip
"""Columns that verbs alone write, each with a value that nothing else has."""
ASKED_FOR = {"number"}
"""Names that some forms do ask for (the number of a regulation or of a document)."""


def test_az_05_nobody_writes_a_column_that_only_verbs_write(db):
    """Every writable address is sent its lawful body and every protected name beside it: refused or ignored, never stored."""
    world, table = build(), rows()
    stored, passed = [], 0
    for method, route in unsafe():
        if route.endswith(UPLOADS):
            continue
        for actor in [name for name in ORDER if table[method, route][name] == "ok"][:2]:
            client = _client_of(world, actor)
            with transaction.atomic():
                before = writes()
                response = send_more(client, world, method, route)
                wrote = changed(before) - MAY_CHANGE
                found = planted_in(wrote)
                transaction.set_rollback(True)
            passed += bool(wrote) and response.status_code < 400
            stored += [f"{method} {route} as {actor}: {name}" for name in found]
    assert stored == []
    assert passed >= 20
    print(f"AZ-05: {passed} writes with {len(PLANTED)} protected names beside their own, none stored")


def send_more(client: Client, world, method: str, route: str):
    if route.startswith("/api/"):
        body, kind = json.dumps({**PLANTED, **body_of(route, world.objects)}), "application/json"
    else:
        body, kind = urlencode({**PLANTED, **FORM}), "application/x-www-form-urlencoded"
    return client.generic(method, world.address(route), data=body, content_type=kind)


def planted_in(tables: set[str]) -> list[str]:
    """`table.column` of what was stored of the planted values."""
    found = []
    for model in apps.get_models():
        if model._meta.db_table not in tables or not model.__module__.startswith("apps."):
            continue
        for field in model._meta.concrete_fields:
            value = PLANTED.get(field.name)
            if value is None or field.name in ASKED_FOR or not _fits(field, value):
                continue
            if model.objects.filter(**{field.name: value}).exists():
                found.append(f"{model._meta.db_table}.{field.name}")
    return found


def _fits(field: models.Field, value: object) -> bool:
    kinds = {
        bool: models.BooleanField,
        int: models.IntegerField,
        str: models.CharField | models.TextField | models.DateTimeField,
    }
    if value == MOMENT:
        return isinstance(field, models.DateTimeField)
    return isinstance(field, kinds[type(value)]) and not (isinstance(value, str) and isinstance(field, models.DateTimeField))
