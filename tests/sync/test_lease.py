"""Who may write a run: claimed once, kept by a heartbeat, fenced at every write (SY-04, FI-25)."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.db import connection
from django.utils import timezone

from apps.sync.choices import CLOSED_STATUSES, RunStatus, Stage
from apps.sync.lease import Lease, LostLease, claim
from apps.sync.models import SyncRun, WorkerHeartbeat
from apps.sync.workflow import RUN
from tests.factories.sync import AbandonedRunFactory, ClosedRunFactory, QueuedRunFactory, RunningRunFactory
from tests.patience import until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_queued_run_is_claimed_with_a_lease_and_a_higher_fence():
    run = QueuedRunFactory(fence=4)
    lease = claim(run.uuid)
    run.refresh_from_db()
    assert (run.status, run.fence, run.attempt, lease.fence) == (RunStatus.RUNNING, 5, 1, 5)
    assert timezone.now() < run.lease_until < timezone.now() + datetime.timedelta(seconds=61)
    assert run.started_at


@pytest.mark.parametrize("status", CLOSED_STATUSES)
def test_a_closed_run_cannot_be_claimed(status):
    assert claim(ClosedRunFactory(status=status).uuid) is None


def test_a_run_that_is_held_by_somebody_cannot_be_claimed():
    assert claim(RunningRunFactory().uuid) is None


def test_a_run_that_waits_for_its_next_attempt_cannot_be_claimed():
    assert claim(QueuedRunFactory(next_attempt_at=timezone.now() + datetime.timedelta(minutes=5)).uuid) is None


def test_an_abandoned_run_is_taken_over_with_a_higher_fence_and_keeps_its_start():
    run = AbandonedRunFactory(fence=7)
    started = run.started_at
    lease = claim(run.uuid)
    assert (lease.fence, lease.run.attempt, lease.run.started_at) == (8, 2, started)


def test_of_many_workers_at_one_instant_exactly_one_claims():
    run = QueuedRunFactory()
    barrier, won = threading.Barrier(8), []

    def worker():
        barrier.wait()
        try:
            if claim(run.uuid):
                won.append(1)
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(won) == 1


@pytest.fixture
def overtaken():
    """A worker that was stopped so long that another took its run over: (the old lease, the new one)."""
    run = QueuedRunFactory()
    old = claim(run.uuid)
    SyncRun.objects.update(lease_until=timezone.now() - datetime.timedelta(seconds=1))
    return old, claim(run.uuid)


def test_an_overtaken_worker_can_write_nothing(overtaken):
    old, new = overtaken
    for write in (
        lambda: old.progress(Stage.STAGING, rows=1),
        lambda: old.finish(RunStatus.PUBLISHED),
        lambda: old.postpone(1),
    ):
        with pytest.raises(LostLease):
            write()
    new.progress(Stage.FETCHING, fetched=3)
    new.run.refresh_from_db()
    assert (new.run.stage, new.run.counts, new.run.fence) == (Stage.FETCHING, {"fetched": 3}, new.fence)


def test_what_an_overtaken_worker_did_in_its_transaction_is_rolled_back(overtaken):
    old, _new = overtaken
    with pytest.raises(LostLease), old.fenced():
        WorkerHeartbeat.objects.create(name="late", at=timezone.now())
    assert not WorkerHeartbeat.objects.exists()


def test_a_heartbeat_keeps_the_lease_while_the_work_goes_on(settings):
    settings.SYNC_LEASE_SECONDS = 3
    lease = claim(QueuedRunFactory().uuid)
    first = SyncRun.objects.get().lease_until
    with lease.kept():
        # Beyond the first lease and its renewals, each of which came in time: nobody could have claimed it in between.
        until(lambda: SyncRun.objects.get().lease_until > first + datetime.timedelta(seconds=3), "no heartbeat")
    settings.SYNC_LEASE_SECONDS = 60
    lease.progress(Stage.FETCHING)
    assert claim(lease.run.uuid) is None


def test_a_hung_run_loses_its_lease_in_spite_of_its_heartbeat(settings):
    settings.SYNC_LEASE_SECONDS, settings.SYNC_RUN_SECONDS = 1, 0
    lease = claim(QueuedRunFactory().uuid)
    with lease.kept():  # were it kept for ever, nobody could ever claim it
        assert until(lambda: claim(lease.run.uuid), "the lease never ended").fence == lease.fence + 1


def test_progress_extends_the_lease_and_adds_to_the_figures():
    lease = claim(QueuedRunFactory().uuid)
    lease.progress(Stage.FETCHING, fetched=1)
    lease.progress(Stage.STAGING, rows=2)
    lease.run.refresh_from_db()
    assert lease.run.counts == {"fetched": 1, "rows": 2}


def test_a_postponed_run_waits_in_the_queue_and_says_why():
    lease = claim(QueuedRunFactory().uuid)
    lease.postpone(180, error_code="timed_out", error_text="…")
    run = lease.run
    assert (run.status, run.lease_until, run.error_code) == (RunStatus.QUEUED, None, "timed_out")
    assert 170 < (run.next_attempt_at - timezone.now()).total_seconds() <= 180


@pytest.mark.parametrize("status", [s for s in RunStatus.values if s != RunStatus.RUNNING])
@pytest.mark.parametrize("end", CLOSED_STATUSES)
def test_only_a_running_run_can_be_closed(status, end):
    run = ClosedRunFactory(status=status) if status in CLOSED_STATUSES else QueuedRunFactory(status=status)
    with pytest.raises(LostLease):
        Lease(run).finish(end)
    run.refresh_from_db()
    assert run.status == status


def test_the_table_names_every_status():
    assert {s for step in RUN.steps for s in (*step.sources, step.target)} == set(RunStatus.values)
