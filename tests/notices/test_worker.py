"""A fact told in a committed transaction reaches the outbox's channel by the wake-up, over whatever broker there is."""

from __future__ import annotations

import time

import pytest
from django.db import transaction

from apps.accounts.models import User
from apps.notices.actions import notify
from apps.notices.models import OutboxMessage

pytestmark = [pytest.mark.worker, pytest.mark.processes("worker")]


@pytest.fixture
def officer(transactional_db) -> User:
    return User.objects.create_user("ha", email="ha@example.vn", full_name="Nguyễn Thị Hà")


def _tell(officer: User, key: str) -> None:
    with transaction.atomic():
        notify([officer], "request.forwarded", key=key, message="Request %(number)s awaits your decision.", number="YC-1")


def _sent(seconds: float) -> int:
    """The number of messages that left, as soon as none waits, or after `seconds`."""
    deadline = time.monotonic() + seconds
    while OutboxMessage.objects.filter(sent_at__isnull=True).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return OutboxMessage.objects.filter(sent_at__isnull=False).count()


def test_a_committed_fact_wakes_the_worker(officer, running_platform):
    _tell(officer, "request.forwarded:1")
    assert _sent(60) == 1


def test_a_message_whose_worker_was_killed_leaves_with_the_next(officer, running_platform):
    running_platform.kill("worker")
    _tell(officer, "request.forwarded:2")
    assert _sent(0.5) == 0
    running_platform.restart("worker")
    assert _sent(60) == 1
