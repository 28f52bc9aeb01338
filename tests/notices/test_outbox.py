import datetime

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import transaction
from django.utils import timezone

from apps.notices import outbox
from apps.notices.actions import enqueue, mark_read, notify
from apps.notices.models import Notice, OutboxMessage


@pytest.fixture
def officer(db):
    return get_user_model().objects.create(username="ha", email="ha@example.vn", full_name="Hà")


def tell(*people, key="request.forwarded:1"):
    notify(people, "request.forwarded", key=key, message="Request %(number)s awaits your decision.", number="YC-1", url="/x")


def test_a_fact_is_told_once_to_each_person(officer):
    tell(officer)
    tell(officer)
    assert Notice.objects.filter(recipient=officer).count() == 1
    assert OutboxMessage.objects.count() == 1


def test_machines_and_disabled_people_are_not_told(officer):
    machine = get_user_model().objects.machine("clock")
    officer.is_active = False
    tell(officer, machine)
    assert not Notice.objects.exists()


def test_a_rolled_back_verb_tells_nobody(officer):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        tell(officer)
        raise ZeroDivisionError
    assert not Notice.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_a_message_leaves_once(officer):
    tell(officer)
    assert outbox.deliver_due() == 1
    assert outbox.deliver_due() == 0
    assert [m.to for m in mail.outbox] == [["ha@example.vn"]]
    assert "YC-1" in mail.outbox[0].body


def test_a_failing_channel_is_tried_later_and_at_last_given_up(officer, monkeypatch):
    def broken(message):
        raise ConnectionError("mail server is down")

    monkeypatch.setitem(outbox.SENDERS, "email", broken)
    tell(officer)
    assert outbox.deliver_due() == 1
    row = OutboxMessage.objects.get()
    assert row.attempts == 1
    assert row.sent_at is None
    assert row.next_attempt_at > timezone.now()
    assert "mail server is down" in row.last_error
    OutboxMessage.objects.update(attempts=outbox.MOST_ATTEMPTS - 1, next_attempt_at=timezone.now())
    outbox.deliver_due()
    assert OutboxMessage.objects.get().failed_at


def test_a_dead_workers_lease_runs_out(officer):
    tell(officer)
    OutboxMessage.objects.update(lease_until=timezone.now() + datetime.timedelta(minutes=1), attempts=1)
    assert outbox.deliver_due() == 0
    OutboxMessage.objects.update(lease_until=timezone.now() - datetime.timedelta(seconds=1))
    assert outbox.deliver_due() == 1


def test_messages_of_one_stream_keep_their_order(db, monkeypatch):
    seen, refuse = [], {"first": True}

    def sender(message):
        if message.key == "a" and refuse.pop("first", False):
            raise ConnectionError
        seen.append(message.key)

    monkeypatch.setitem(outbox.SENDERS, "hook", sender)
    enqueue([OutboxMessage(channel="hook", key=key, stream="s") for key in "abc"])
    outbox.deliver_due()
    assert seen == []
    OutboxMessage.objects.update(next_attempt_at=timezone.now())
    outbox.deliver_due()
    assert seen == ["a", "b", "c"]


def test_only_ones_own_notices_are_marked_read(officer, db):
    other = get_user_model().objects.create(username="an", email="an@example.vn")
    tell(officer, other)
    assert mark_read(officer) == 1
    assert list(Notice.objects.unread().values_list("recipient__username", flat=True)) == ["an"]
