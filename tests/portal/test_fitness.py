"""FI-42: a database that answers is not enough: what is late is said, and only what stops the portal makes it red."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from apps.gateway import fitness as gateway_fitness
from apps.notices.models import OutboxMessage
from apps.sync.models import Source, WorkerHeartbeat
from apps.sync.schedule import beat
from tests.factories.sync import CatalogSourceFactory

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture(autouse=True)
def well(monkeypatch):
    """A worker that is alive, a fresh source, nothing in the outbox, room on the disk."""
    monkeypatch.setattr(gateway_fitness.shutil, "disk_usage", lambda _path: SimpleNamespace(used=10, free=90))
    beat()
    CatalogSourceFactory(code="ngsp", last_success_at=timezone.now())


def readiness(client) -> tuple[int, dict]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def waits(minutes: int, **facts) -> None:
    row = OutboxMessage.objects.create(channel="email", key=f"{minutes}{facts}", next_attempt_at=timezone.now(), **facts)
    OutboxMessage.objects.filter(pk=row.pk).update(created_at=timezone.now() - datetime.timedelta(minutes=minutes))


def full_disk(monkeypatch) -> None:
    monkeypatch.setattr(gateway_fitness.shutil, "disk_usage", lambda _path: SimpleNamespace(used=81, free=19))


def test_all_is_well(client):
    assert readiness(client) == (200, {"ready": True, "faults": [], "warnings": []})


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("outbox_late", lambda _patch: waits(6)),
        ("sync_stale", lambda _patch: Source.objects.update(last_success_at=timezone.now() - datetime.timedelta(minutes=121))),
        ("worker_silent", lambda _patch: WorkerHeartbeat.objects.update(at=timezone.now() - datetime.timedelta(seconds=91))),
        ("disk_filling", full_disk),
    ],
)
def test_what_is_late_is_a_warning_and_the_portal_goes_on_serving(client, monkeypatch, name, spoil):
    spoil(monkeypatch)
    assert readiness(client) == (200, {"ready": True, "faults": [], "warnings": [name]})
    assert f'lgsp_portal_warning{{warning="{name}"}} 1' in client.get("/metrics").content.decode()


def test_what_left_was_given_up_or_waits_for_a_moment_only_is_not_late(client):
    waits(600, sent_at=NOW)
    waits(601, failed_at=NOW)
    waits(4)
    Source.objects.update(last_success_at=timezone.now() - datetime.timedelta(minutes=119))
    assert readiness(client)[1]["warnings"] == []


def test_without_the_database_it_is_red(client, monkeypatch):
    def broken(*args, **options):
        raise DatabaseError

    monkeypatch.setattr(connection, "cursor", broken)
    assert readiness(client) == (503, {"ready": False, "faults": ["database"], "warnings": []})


def test_metrics_tell_how_old_the_oldest_is(client):
    waits(10)
    waits(3)
    waits(700, failed_at=NOW)
    Source.objects.update(last_success_at=timezone.now() - datetime.timedelta(minutes=30))
    gauges = dict(
        line.rsplit(" ", 1) for line in client.get("/metrics").content.decode().splitlines() if not line.startswith("#")
    )
    assert (gauges["lgsp_outbox_waiting"], gauges["lgsp_outbox_given_up"]) == ("2", "1")
    assert 600 <= float(gauges["lgsp_outbox_oldest_seconds"]) < 660
    assert 1800 <= float(gauges['lgsp_sync_success_age_seconds{source="ngsp"}']) < 1860
    assert gauges['lgsp_sync_interval_seconds{source="ngsp"}'] == "3600"
    assert gauges['lgsp_sync_stale{source="ngsp"}'] == "0"
    assert 0 <= float(gauges["lgsp_worker_age_seconds"]) < 60


def test_metrics_without_any_row_are_numbers_too(client):
    Source.objects.all().delete()
    WorkerHeartbeat.objects.all().delete()
    text = client.get("/metrics").content.decode()
    assert "lgsp_outbox_oldest_seconds 0" in text
    assert "lgsp_worker_age_seconds -1" in text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
def test_metrics_are_not_for_the_world(client, header):
    assert client.get("/metrics", headers={header: "192.0.2.1"}).status_code == 404
