"""The schedule names tasks that exist, each task that nobody wakes, and so sweeps every table of waiting rows."""

from django.conf import settings

from lgsp.celery import app

ONLY_WOKEN = {"sync.run"}
"""Needs the run's id, which `sync.tick` gives it."""
CLOCKS = {"agreements.clock", "connections.clock", "disputes.clock", "registry.clock"}
SWEEPERS = {"sync.tick", "notices.deliver_outbox", "gateway.sweep_calls"}


def scheduled() -> set[str]:
    return {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}


def test_every_task_of_ours_is_scheduled_and_every_scheduled_task_exists():
    """A task that is written and never called keeps no deadline, reminds nobody and tidies nothing away."""
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert scheduled() == ours - ONLY_WOKEN


def test_the_clocks_run_and_waiting_rows_are_swept_without_a_wake_up():
    """A broker may lose every message: each kind of waiting row has a sweeper in the schedule, each deadline a clock."""
    assert scheduled() >= CLOCKS | SWEEPERS


def test_the_clocks_look_at_least_every_five_minutes():
    every = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {name: every[name] for name in CLOCKS | SWEEPERS if every[name] > 300} == {}


def test_no_scheduled_message_outlives_its_next_one():
    """A worker that was away for hours must not find a heap of them (FI-26)."""
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["options"]["expires"] <= max(60, entry["schedule"])
