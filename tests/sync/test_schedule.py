"""The tick: one run a slot, one catch-up for what was missed, an alarm when a source goes stale (FI-26, SY-07)."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.notices.models import Notice
from apps.sync import schedule, tasks
from apps.sync.choices import RunStatus, Trigger
from apps.sync.models import Source, SyncRun, WorkerHeartbeat
from lgsp.celery import app as celery
from tests.factories.sync import (
    AbandonedRunFactory,
    CatalogSourceFactory,
    ClosedRunFactory,
    QueuedRunFactory,
    RunningRunFactory,
    at_sandbox,
)

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = datetime.timedelta(hours=1)


def ago(**length) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(**length)


def test_a_due_source_gets_one_run_and_its_next_slot():
    source = CatalogSourceFactory(next_run_at=ago(seconds=1))
    woken = schedule.tick()
    run = SyncRun.objects.get()
    assert (run.source, run.status, run.trigger, woken) == (source, RunStatus.QUEUED, Trigger.SCHEDULE, [run.uuid])
    source.refresh_from_db()
    assert HOUR - datetime.timedelta(minutes=1) < source.next_run_at - timezone.now() <= HOUR
    schedule.tick()
    assert SyncRun.objects.count() == 1


def test_a_schedule_that_slept_for_hours_gives_one_run_not_one_a_slot():
    CatalogSourceFactory(next_run_at=ago(hours=36))
    for _ in range(5):
        schedule.tick()
    assert SyncRun.objects.count() == 1


@pytest.mark.parametrize(("minutes", "late"), [(60, HOUR * 36), (1440, datetime.timedelta(minutes=3)), (7, HOUR)])
def test_slots_keep_their_hour_however_late_a_run_begins(minutes, late):
    planned = timezone.now() - late
    source = CatalogSourceFactory(next_run_at=planned, interval_minutes=minutes)
    schedule.tick()
    source.refresh_from_db()
    length = datetime.timedelta(minutes=minutes)
    assert timezone.now() < source.next_run_at <= timezone.now() + length
    assert (source.next_run_at - planned) % length == datetime.timedelta()


def test_two_schedules_at_one_instant_give_one_run_a_slot():
    sources = [CatalogSourceFactory(next_run_at=ago(seconds=1)) for _ in range(5)]
    barrier = threading.Barrier(4)

    def beat():
        barrier.wait()
        try:
            schedule.tick()
        finally:
            connection.close()

    threads = [threading.Thread(target=beat) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(SyncRun.objects.values_list("source_id", flat=True)) == sorted(s.pk for s in sources)


@pytest.mark.parametrize("facts", [{"enabled": False}, {"next_run_at": timezone.now() + 99 * HOUR}])
def test_a_source_that_is_off_or_not_due_gets_no_run(facts):
    CatalogSourceFactory(**{"next_run_at": ago(minutes=1), **facts})
    assert schedule.tick() == []
    assert not SyncRun.objects.exists()


def test_a_source_whose_run_is_still_open_gets_no_second_one():
    run = RunningRunFactory(source__next_run_at=ago(minutes=1))
    schedule.tick()
    assert list(SyncRun.objects.all()) == [run]


def test_the_database_refuses_a_second_open_run_of_a_source():
    run = QueuedRunFactory()
    with pytest.raises(IntegrityError, match="sync_syncrun_one_open_per_source"):
        QueuedRunFactory(source=run.source)
    ClosedRunFactory(source=run.source)


@pytest.mark.parametrize(
    "facts",
    [
        {"status": "running"},
        {"status": "queued", "lease_until": timezone.now()},
        {"status": "published"},
        {"status": "queued", "finished_at": timezone.now()},
        {"status": "failed", "finished_at": timezone.now(), "lease_until": timezone.now()},
    ],
)
def test_the_database_refuses_a_run_whose_lease_does_not_fit_its_state(facts):
    with pytest.raises(IntegrityError, match="sync_syncrun_lease_while_running"):
        QueuedRunFactory(**facts)


@pytest.mark.parametrize("minutes", [4, 44641])
def test_the_database_refuses_an_interval_out_of_bounds(minutes):
    with pytest.raises(IntegrityError, match="sync_source_interval"):
        CatalogSourceFactory(interval_minutes=minutes)


def test_abandoned_runs_and_due_retries_are_woken_and_others_are_not():
    abandoned, retry = AbandonedRunFactory(), QueuedRunFactory(next_attempt_at=ago(seconds=1))
    RunningRunFactory()
    QueuedRunFactory(next_attempt_at=timezone.now() + HOUR)
    ClosedRunFactory()
    assert set(schedule.tick()) == {abandoned.uuid, retry.uuid}


@pytest.fixture
def eager():
    """Messages are worked on where they are sent."""
    celery.conf.task_always_eager = True
    yield
    celery.conf.task_always_eager = False


def test_the_tick_wakes_a_worker_for_each_run_that_waits(sandbox, eager):
    runs = [QueuedRunFactory(source=CatalogSourceFactory(**at_sandbox(sandbox))) for _ in range(2)]
    assert tasks.tick() == 2
    assert {SyncRun.objects.get(pk=run.pk).status for run in runs} == {RunStatus.PUBLISHED}


def test_the_tick_writes_that_a_worker_is_alive():
    assert not schedule.worker_is_alive()
    schedule.tick()
    assert schedule.worker_is_alive()
    WorkerHeartbeat.objects.update(at=ago(minutes=2))
    assert not schedule.worker_is_alive()


@pytest.mark.parametrize(("minutes", "is_stale"), [(119, False), (121, True), (None, False)])
def test_freshness_is_twice_the_interval(minutes, is_stale):
    source = CatalogSourceFactory(interval_minutes=60, last_success_at=minutes and ago(minutes=minutes))
    assert Source.objects.stale().filter(pk=source.pk).exists() is is_stale


def test_a_stale_source_raises_one_alarm_even_without_errors(operator):
    source = CatalogSourceFactory(last_success_at=ago(hours=3))
    schedule.tick()
    schedule.tick()
    source.refresh_from_db()
    assert source.alarmed_at
    assert Notice.objects.filter(recipient=operator, kind="sync_stale").count() == 1
    assert AuditEvent.objects.filter(event="sync_source.went_stale").count() == 1


def test_a_source_that_never_succeeded_is_stale_after_twice_its_interval():
    source = CatalogSourceFactory()
    Source.objects.filter(pk=source.pk).update(created_at=ago(hours=3))
    assert Source.objects.stale().exists()


def test_a_source_that_is_off_raises_no_alarm(operator):
    CatalogSourceFactory(last_success_at=ago(days=9), enabled=False)
    schedule.tick()
    assert not Notice.objects.exists()


def test_a_success_clears_the_alarm_and_a_later_silence_raises_a_new_one(sandbox, run_now, operator):
    source = CatalogSourceFactory(last_success_at=ago(hours=3), **at_sandbox(sandbox))
    schedule.tick()
    SyncRun.objects.all().delete()
    run_now(source)
    source.refresh_from_db()
    assert source.alarmed_at is None
    Source.objects.update(last_success_at=ago(hours=3))
    schedule.tick()
    assert Notice.objects.filter(recipient=operator, kind="sync_stale").count() == 2
