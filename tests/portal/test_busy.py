"""Somebody else holds what a step needs: a plain page, nothing changed, and no error of the platform."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from django.urls import reverse

from apps.agreements.models import Agreement
from apps.connections.models import ConnectionRequest
from apps.organizations.models import Organization
from apps.portal.doors import door, form_page
from tests.factories.connections import forwarded, world

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def held(request: ConnectionRequest, wants: Organization | None = None, go: threading.Event | None = None):
    """Another session holds the row of the request, and after `go` waits for that of `wants`."""
    holding, done = threading.Event(), threading.Event()

    def hold():
        try:
            with transaction.atomic():
                ConnectionRequest.objects.select_for_update().get(pk=request.pk)
                holding.set()
                if wants is not None:
                    go.wait(timeout=10)
                    Organization.objects.select_for_update().get(pk=wants.pk)
                done.wait(timeout=10)
        finally:
            connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(timeout=10)
    try:
        yield
    finally:
        done.set()
        holder.join(timeout=10)


@contextmanager
def patience(name: str, milliseconds: int):
    """How long our own session waits; the other one keeps the platform's setting."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = {milliseconds}")
        try:
            yield cursor
        finally:
            cursor.execute(f"RESET {name}")


@contextmanager
def locked_out(request: ConnectionRequest):
    with held(request), patience("lock_timeout", 100):
        yield "55P03"


@contextmanager
def deadlock(request: ConnectionRequest):
    """We hold the agency's row and go for the request's; the other holds the request's and waits for the agency's."""
    go = threading.Event()
    with held(request, request.consumer, go), patience("deadlock_timeout", 50) as cursor, transaction.atomic():
        Organization.objects.select_for_update().get(pk=request.consumer_id)
        go.set()
        for _turn in range(500):
            cursor.execute("SELECT exists(SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))")
            if cursor.fetchone()[0]:
                break
            time.sleep(0.01)
        yield "40P01"


def browser(user) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    client.cookies["django_language"] = "vi"
    return client


@pytest.mark.parametrize("meets", [locked_out, deadlock])
def test_a_step_that_meets_a_lock_gets_a_page_that_says_so_and_the_api_busy(meets):
    """FI-14 and FI-15: nothing has changed, and who asked is told to try again; the platform does not try again in their name."""
    w = world()
    request = forwarded(w)
    client, case, before = browser(w.provider_officer), reverse("portal:request", args=[request.uuid]), request.status
    with meets(request) as state:
        page = client.post(
            reverse("portal:request-step", args=[request.uuid, "approve"]), {"version": request.version, "back": case}
        )
    with meets(request):
        answer = client.post(f"/api/v1/requests/{request.uuid}/approve", {}, content_type="application/json")
    text = page.content.decode()
    assert (page.status_code, page["Retry-After"]) == (503, "5"), state
    assert "Chưa có gì thay đổi" in text
    assert f'href="{case}"' in text
    assert (answer.status_code, answer.json()["code"]) == (503, "busy"), state
    request.refresh_from_db()
    assert (request.status, Agreement.objects.exists()) == (before, False)


def test_a_page_with_a_form_of_its_own_answers_the_same(rf):
    asked = rf.post("/portal/somewhere/")
    asked.user = world().provider_officer

    @form_page
    def view(request):
        with connection.cursor() as cursor:
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'ai đó đang giữ' USING ERRCODE = '55P03'; END $$")

    answer = view(asked)
    assert (answer.status_code, b'href="/portal/somewhere/"' in answer.content) == (503, True)


@pytest.mark.parametrize("state", ["57014", "08006", "53300"])
def test_another_error_of_the_database_is_not_told_as_a_busy_row(rf, state):
    asked = rf.post("/portal/somewhere/")
    asked.user = world().provider_officer

    @door
    def view(request):
        with connection.cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'lock timeout' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(OperationalError):
        view(asked)
