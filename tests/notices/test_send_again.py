"""The operator sends again what was given up; what is done is forgotten after its time, but told once stays told once."""

from __future__ import annotations

import datetime

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.errors import NotPermitted, TransitionNotAllowed
from apps.notices import actions, outbox
from apps.notices.actions import send_again, send_all_again
from apps.notices.models import Notice, OutboxMessage
from apps.notices.retention import forget_old
from apps.notices.tasks import keep_house
from apps.organizations.choices import Role
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db
LIST = "/api/v1/outbox-messages"


@pytest.fixture
def operator():
    return officer(Role.OPERATOR)


def message(state: str = "failed", **facts) -> OutboxMessage:
    now = timezone.now()
    known = {
        "failed": {"failed_at": now, "attempts": outbox.MOST_ATTEMPTS, "last_error": "timed_out"},
        "sent": {"sent_at": now},
        "dropped": {"failed_at": now, "dropped": True, "last_error": "paused"},
        "waits": {},
    }
    number = OutboxMessage.objects.count()
    payload = {"to": "ha@example.vn", "url": "", "message": "Request %(number)s awaits your decision.", "params": {"number": 1}}
    return OutboxMessage.objects.create(
        channel="email", key=f"email:{number}", payload=payload, next_attempt_at=now, **{**known[state], **facts}
    )


def api(person, path: str = "", method: str = "post"):
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return getattr(client, method)(f"{LIST}{path}")


def test_a_message_that_was_given_up_leaves_after_all(operator):
    row = message()
    send_again(row, by=operator)
    assert (row.state, row.attempts) == ("waits", 0)
    assert outbox.deliver_due() == 1
    assert [m.to for m in mail.outbox] == [["ha@example.vn"]]
    row.refresh_from_db()
    assert (row.state, row.last_error) == ("sent", "")
    event = AuditEvent.objects.get(event="outbox_message.sent_again")
    assert (event.actor, event.object_ref, event.facts["last_error"]) == (operator, str(row.uuid), "timed_out")
    assert "ha@example.vn" not in str(event.facts)


@pytest.mark.parametrize("state", ["sent", "waits", "dropped"])
def test_what_waits_or_has_left_is_not_sent_again(operator, state):
    row = message(state)
    with pytest.raises(TransitionNotAllowed):
        send_again(row, by=operator)
    row.refresh_from_db()
    assert row.state == state
    assert not AuditEvent.objects.filter(event="outbox_message.sent_again").exists()


def test_who_comes_second_is_told_who_sent_it_again(operator):
    row = message()
    send_again(row, by=operator)
    with pytest.raises(TransitionNotAllowed) as caught:
        send_again(row, by=officer(Role.OPERATOR))
    assert operator.full_name in str(caught.value)


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OPERATOR])
def test_only_the_operator_sends_again(role):
    row = message()
    with pytest.raises(NotPermitted):
        send_again(row, by=officer(role))
    with pytest.raises(NotPermitted):
        send_all_again(by=officer(role))
    row.refresh_from_db()
    assert row.state == "failed"


def test_when_the_audit_row_cannot_be_written_nothing_is_sent_again(operator, monkeypatch):
    row = message()

    def broken(*args, **facts):
        raise ZeroDivisionError

    monkeypatch.setattr(actions, "record", broken)
    with pytest.raises(ZeroDivisionError):
        send_again(row, by=operator)
    row.refresh_from_db()
    assert row.state == "failed"


def test_everything_given_up_goes_on_its_way_at_once_and_each_is_on_record(operator):
    rows = [message(), message("waits"), message("sent"), message(), message("dropped")]
    assert send_all_again(by=operator) == 2
    assert [OutboxMessage.objects.get(pk=row.pk).state for row in rows] == ["waits", "waits", "sent", "waits", "dropped"]
    assert AuditEvent.objects.filter(event="outbox_message.sent_again").count() == 2


def test_the_api_lists_messages_without_addresses_and_sends_again(operator):
    rows = [message("sent"), message(), message("dropped")]
    found = api(operator, "?failed=true", "get")
    assert [row["uuid"] for row in found.json()["results"]] == [str(rows[1].uuid)]
    assert b"ha@example.vn" not in found.content
    answer = api(operator, f"/{rows[1].uuid}/send-again")
    assert (answer.status_code, answer.json()["state"]) == (200, "waits")
    again = api(operator, f"/{rows[1].uuid}/send-again")
    assert (again.status_code, again.json()["code"]) == (409, "transition_not_allowed")


def test_others_do_not_find_messages_in_the_api():
    row = message()
    person = officer(Role.AUDITOR)
    assert api(person, method="get").json()["count"] == 0
    assert api(person, f"/{row.uuid}/send-again").status_code == 404


def test_the_operators_pages_offer_it_where_it_can_be_done(operator):
    client = Client()
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    rows = {state: message(state) for state in ("failed", "waits", "sent", "dropped")}
    for state, row in rows.items():
        button = reverse("admin:notices_outboxmessage_verb", args=[row.uuid, "send-again"])
        page = client.get(reverse("admin:notices_outboxmessage_change", args=[row.uuid])).content.decode()
        assert (button in page) is (state == "failed")
        assert "/history/" not in page, "a link to a page that is not there"
    everything = reverse("admin:notices_outboxmessage_list_verb", args=["send-all-again"])
    assert everything in client.get(reverse("admin:notices_outboxmessage_changelist")).content.decode()
    button = reverse("admin:notices_outboxmessage_verb", args=[rows["failed"].uuid, "send-again"])
    assert client.get(button).status_code == 200
    assert client.post(button).status_code == 302
    assert OutboxMessage.objects.get(pk=rows["failed"].pk).state == "waits"
    assert client.post(button).status_code == 409
    message()
    assert client.post(everything).status_code == 302
    assert not OutboxMessage.objects.given_up().exists()


# --- retention ---------------------------------------------------------------------------------------


def test_what_is_done_is_forgotten_after_its_days_and_on_record(settings):
    settings.OUTBOX_DAYS = 90
    old, young = (timezone.now() - datetime.timedelta(days=days) for days in (91, 89))
    gone = [message("sent", sent_at=old), message("failed", failed_at=old)]
    kept = [message("sent", sent_at=young), message("failed", failed_at=young), message("waits", created_at=old)]
    assert keep_house() == 2
    assert set(OutboxMessage.objects.values_list("pk", flat=True)) == {row.pk for row in kept}
    assert not OutboxMessage.objects.filter(pk__in=[row.pk for row in gone]).exists()
    event = AuditEvent.objects.get(event="outbox.purged")
    assert (event.facts, event.actor) == ({"days": 90, "sent": 1, "failed": 1}, User.objects.machine("clock"))
    assert forget_old(by=event.actor) == 0
    assert AuditEvent.objects.filter(event="outbox.purged").count() == 1


def test_a_fact_is_told_once_also_after_its_message_was_forgotten(operator):
    actions.notify([operator], "fact", key="fact:1", message="x")
    OutboxMessage.objects.update(sent_at=timezone.now() - datetime.timedelta(days=91))
    keep_house()
    actions.notify([operator], "fact", key="fact:1", message="x")
    assert (Notice.objects.count(), OutboxMessage.objects.count()) == (1, 0)
