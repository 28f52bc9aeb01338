"""The schedule names tasks that exist, and sweeps every table of waiting rows."""

from django.conf import settings

from lgsp.celery import app


def test_every_scheduled_task_exists():
    app.loader.import_default_modules()
    named = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert named <= set(app.tasks)


def test_waiting_rows_are_swept_without_a_wake_up():
    """A broker may lose every message: each kind of waiting row has a sweeper in the schedule."""
    named = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {"sync.tick", "notices.deliver_outbox", "gateway.sweep_calls"} <= named


def test_no_scheduled_message_outlives_its_next_one():
    """A worker that was away for hours must not find a heap of them (FI-26)."""
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert entry["options"]["expires"] <= max(60, entry["schedule"])
