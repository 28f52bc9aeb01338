"""Consumers are told of releases: signed, in order, again until they take it, only at addresses on the allow-list."""

import datetime as dt
import time

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.catalogs import actions, webhooks
from apps.catalogs.choices import WebhookStatus
from apps.catalogs.models import Catalog, Webhook
from apps.catalogs.workflow import WEBHOOK
from apps.core.egress import EgressRefused
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.notices import outbox
from apps.notices.actions import send_again, send_all_again
from apps.notices.models import Notice, OutboxMessage
from apps.notices.webhooks import sign
from apps.organizations.choices import Role
from tests.catalogs.receiver import Receiver
from tests.factories.catalogs import CatalogFactory, published, rows
from tests.factories.organizations import InformationSystemFactory, officer

pytestmark = pytest.mark.django_db
DAYS = [dt.date(2025, month, 1) for month in range(1, 13)]


@pytest.fixture
def catalog(operator) -> Catalog:
    catalog = CatalogFactory()
    published(catalog, rows(5), by=operator)
    catalog.refresh_from_db()
    return catalog


@pytest.fixture
def system(db):
    return InformationSystemFactory()


@pytest.fixture
def person(system):
    return officer(Role.CONSUMER_OFFICER, system.organization)


@pytest.fixture
def receive(settings):
    """Start a receiver; its address and port are allowed."""
    started = []

    def start(*answers) -> Receiver:
        started.append(Receiver(*answers))
        settings.EGRESS_ALLOW = [receiver.address for receiver in started]
        return started[-1]

    yield start
    for receiver in started:
        receiver.close()


def hooked(catalog, system, person, receiver) -> Webhook:
    webhook, receiver.secret = webhooks.add_webhook(catalog, system, receiver.url, by=person)
    return webhook


def publish(catalog, operator, number: int) -> None:
    published(catalog, rows(5, f"Tên gọi bản {number} số"), by=operator, effective_on=DAYS[number])


def stand(system, status: str) -> None:
    """The agency is suspended, or lifted."""
    system.organization.status = status
    system.organization.save()


def later() -> None:
    """The waiting times of the outbox pass."""
    OutboxMessage.objects.filter(sent_at=None).update(next_attempt_at=timezone.now() - dt.timedelta(seconds=1))


def test_the_published_vector_of_the_scheme():
    body = b'{"test": 2432232314}'
    signature = sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_receiver_is_told_of_each_release_signed_and_reads_the_changes(catalog, operator, system, person, receive, client):
    receiver = receive()
    webhook = hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    assert outbox.deliver_due() == 1
    (message,) = receiver.got
    assert message.is_genuine
    assert message.body["type"] == "catalog.release.published"
    assert message.body["data"]["release"] == 2
    assert message.body["data"]["counts"]["renamed"] == 5
    path = message.body["data"]["changes"].split("/", 3)[3]
    feed = client.get(f"/{path}").json()
    assert {line["name"] for line in feed["changes"] if line["change"] == "opened"} == {
        f"Tên gọi bản 1 số {n}" for n in range(1, 6)
    }
    webhook.refresh_from_db()
    assert (webhook.told_release, OutboxMessage.objects.get(channel=webhooks.CHANNEL).failed_at) == (2, None)


def test_a_release_of_a_crosswalk_is_told_with_its_lines(catalog, operator, system, person, receive):
    receiver = receive()
    hooked(catalog, system, person, receiver)
    other = CatalogFactory()
    published(other, rows(1), by=operator)
    lines = [{"code": "A001", "other": other.code, "other_code": "A001", "relation": "exact"}]
    published(catalog, (), by=operator, correspondences=lines, source="crosswalk:x", effective_on=DAYS[1])
    outbox.deliver_due()
    counts = receiver.got[0].body["data"]["counts"]
    assert (counts["crosswalk_opened"], counts["crosswalk_closed"], counts["changed"]) == (1, 0, 0)


def test_undoings_and_corrections_are_told_too(catalog, operator, system, person, receive):
    receiver = receive()
    hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    actions.undo_release(catalog.releases.get(number=2), by=operator, note="Sai")
    actions.correct_entry(catalog.entries.current().get(code="A001"), by=operator, note="Sai tên", name="Tên đúng")
    outbox.deliver_due()
    assert receiver.releases == [2, 3, 4]
    assert receiver.got[1].body["data"]["undoes"] == 2


def test_a_release_that_is_rolled_back_is_told_to_nobody(catalog, operator, system, person, receive):
    receiver = receive()
    hooked(catalog, system, person, receiver)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish(catalog, operator, 1)
        raise ZeroDivisionError
    outbox.deliver_due()
    assert (receiver.got, OutboxMessage.objects.filter(channel=webhooks.CHANNEL).exists()) == ([], False)


def test_messages_leave_in_order_although_the_first_is_refused(catalog, operator, system, person, receive):
    receiver = receive(503, (429, {"Retry-After": "3600"}))
    hooked(catalog, system, person, receiver)
    for number in (1, 2, 3):
        publish(catalog, operator, number)
    outbox.deliver_due()
    assert receiver.releases == [2], "the others wait behind the first"
    later()
    outbox.deliver_due()
    waiting = OutboxMessage.objects.filter(channel=webhooks.CHANNEL).earliest("id")
    assert waiting.next_attempt_at > timezone.now() + dt.timedelta(minutes=50), "the receiver said when"
    later()
    assert outbox.deliver_due() == 3
    assert receiver.releases == [2, 2, 2, 3, 4]
    assert len({message.message_id for message in receiver.got}) == 3, "one message keeps its identifier"
    assert all(message.is_genuine for message in receiver.got)


def test_one_slow_receiver_does_not_hold_up_another(catalog, operator, system, person, receive):
    broken, good = receive(500), receive()
    hooked(catalog, system, person, broken)
    hooked(catalog, system, person, good)
    publish(catalog, operator, 1)
    publish(catalog, operator, 2)
    outbox.deliver_due()
    assert (broken.releases, good.releases) == ([2], [2, 3])


def test_a_message_whose_worker_was_killed_comes_again_with_the_same_identifier(catalog, operator, system, person, receive):
    receiver = receive()
    hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    message = outbox._claim()
    outbox.SENDERS[message.channel](message)  # sent, and killed before the row was closed
    assert outbox.deliver_due() == 0, "the lease stands"
    OutboxMessage.objects.update(lease_until=timezone.now() - dt.timedelta(seconds=1))
    assert outbox.deliver_due() == 1
    assert len(receiver.got) == 2
    assert receiver.got[0].message_id == receiver.got[1].message_id


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:9/x", "port"),
        ("http://127.0.0.1:8099/x", "not_allowed"),
        ("https://not-listed.gov.vn/x", "not_allowed"),
        ("http://169.254.169.254/latest", "not_allowed"),
        ("https://user:word@a.gov.vn/x", "userinfo"),
        ("ftp://a.gov.vn/x", "scheme"),
        ("https://a.gov.vn:5432/x", "port"),
    ],
)
def test_gw_06_only_addresses_on_the_allow_list_can_be_entered(catalog, system, person, settings, url, reason):
    settings.EGRESS_ALLOW = ["a.gov.vn:443"]
    with pytest.raises(EgressRefused) as refused:
        webhooks.add_webhook(catalog, system, url, by=person)
    assert refused.value.reason == reason
    assert not Webhook.objects.exists()


def test_an_address_that_left_the_allow_list_is_not_called(catalog, operator, system, person, receive, settings):
    receiver = receive()
    hooked(catalog, system, person, receiver)
    settings.EGRESS_ALLOW = []
    publish(catalog, operator, 1)
    outbox.deliver_due()
    assert receiver.got == []
    assert OutboxMessage.objects.get(channel=webhooks.CHANNEL).last_error.startswith("egress_refused")


def test_redirects_are_not_followed(catalog, operator, system, person, receive):
    inside = receive()
    receiver = receive((302, {"Location": inside.url}))
    hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    outbox.deliver_due()
    assert (len(receiver.got), inside.got) == (1, [])


def test_a_receiver_that_is_gone_is_paused_and_its_officers_are_told(catalog, operator, system, person, receive):
    receiver = receive(410)
    webhook = hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    publish(catalog, operator, 2)
    outbox.deliver_due()
    webhook.refresh_from_db()
    assert (webhook.status, webhook.status_reason, receiver.releases) == (WebhookStatus.PAUSED, "http_410", [2])
    assert not OutboxMessage.objects.filter(channel=webhooks.CHANNEL, failed_at=None).exists()
    assert Notice.objects.get(recipient=person).kind == "catalog_webhook.given_up"


def test_a_receiver_that_takes_no_attempt_is_given_up(catalog, operator, system, person, receive):
    receiver = receive(*[500] * 20)
    webhook = hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    for _ in range(outbox.MOST_ATTEMPTS):
        later()
        outbox.deliver_due()
    webhook.refresh_from_db()
    assert (webhook.status, len(receiver.got)) == (WebhookStatus.PAUSED, outbox.MOST_ATTEMPTS)


def test_resuming_tells_the_newest_release_and_where_to_read_what_was_missed(catalog, operator, system, person, receive):
    receiver = receive()
    webhook = hooked(catalog, system, person, receiver)
    webhooks.pause_webhook(webhook, by=person, reason="Bảo trì")
    for number in (1, 2, 3):
        publish(catalog, operator, number)
    outbox.deliver_due()
    assert receiver.got == []
    webhooks.resume_webhook(webhook, by=person)
    outbox.deliver_due()
    (message,) = receiver.got
    assert (message.body["data"]["release"], message.body["data"]["since"]) == (4, 1)
    webhooks.pause_webhook(webhook, by=person)
    webhook.refresh_from_db()
    webhooks.resume_webhook(webhook, by=person)
    outbox.deliver_due()
    assert len(receiver.got) == 1, "it has heard of the newest release"


def test_what_waits_when_a_webhook_is_paused_or_ended_is_not_sent(catalog, operator, system, person, receive):
    receiver = receive()
    webhook = hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    webhooks.end_webhook(webhook, by=person)
    outbox.deliver_due()
    assert receiver.got == []


@pytest.mark.parametrize("how", ["paused", "paused while it leaves", "ended", "suspended", "gone"])
def test_what_nobody_is_to_get_is_dropped_and_alarms_nobody(catalog, operator, system, person, receive, client, how):
    receiver = receive(410)
    webhook = hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    if how == "paused":
        webhooks.pause_webhook(webhook, by=person, reason="Bảo trì")
    elif how == "paused while it leaves":
        Webhook.objects.filter(pk=webhook.pk).update(status=WebhookStatus.PAUSED)
    elif how == "ended":
        webhooks.end_webhook(webhook, by=person)
    elif how == "suspended":
        stand(system, "suspended")
    outbox.deliver_due()
    row = webhooks.deliveries(webhook).get()
    assert (row.state, len(receiver.got)) == ("dropped", 1 if how == "gone" else 0)
    assert not OutboxMessage.objects.stuck().filter(channel=webhooks.CHANNEL).exists()
    assert not OutboxMessage.objects.given_up().exists()
    assert "lgsp_outbox_given_up 0" in client.get("/metrics").content.decode()
    assert send_all_again(by=operator) == 0
    with pytest.raises(TransitionNotAllowed):
        send_again(row, by=operator)
    client.force_login(operator)
    later()
    OutboxMessage.objects.exclude(channel=webhooks.CHANNEL).delete()
    assert client.get("/api/v1/outbox-messages", {"failed": "true"}).json()["count"] == 0
    assert client.get("/api/v1/outbox-messages").json()["results"][0]["state"] == "dropped"
    assert "Xem vì sao thư không gửi đi được" not in client.get("/").content.decode()
    assert "đã bỏ, không gửi" in client.get(f"/portal/catalog-webhooks/{webhook.uuid}/").content.decode()
    (line,) = client.get(f"/api/v1/catalog-webhooks/{webhook.uuid}/deliveries").json()
    assert (line["dropped"], line["sent_at"]) == (True, None)


def test_a_suspended_system_is_not_told(catalog, operator, system, person, receive):
    receiver = receive()
    hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    system.organization.status = "suspended"
    system.organization.save()
    outbox.deliver_due()
    assert receiver.got == []


def test_what_was_published_under_a_suspension_is_covered_by_the_next_message(catalog, operator, system, person, receive):
    receiver = receive((503, {}), 200, 200)
    webhook = hooked(catalog, system, person, receiver)
    stand(system, "suspended")
    publish(catalog, operator, 1)
    publish(catalog, operator, 2)
    outbox.deliver_due()
    stand(system, "active")
    publish(catalog, operator, 3)
    webhook.refresh_from_db()
    assert (webhook.told_release, receiver.got) == (1, [])
    outbox.deliver_due()
    publish(catalog, operator, 4)
    later()
    outbox.deliver_due()
    told = [message.body["data"] for message in receiver.got]
    assert [(data["release"], data["since"]) for data in told] == [(4, 1), (4, 1), (5, 4)]
    assert [data["changes"].rpartition("?")[2] for data in told] == ["since=1", "since=1", "since=4"]
    assert receiver.got[0].message_id == receiver.got[1].message_id
    kept = [row.payload["event"]["data"]["since"] for row in webhooks.deliveries(webhook)[:2]]
    assert kept == [4, 1], "what left is what the row holds"


def test_the_secret_rests_encrypted_and_both_sign_while_it_is_renewed(catalog, operator, system, person, receive):
    receiver = receive()
    webhook = hooked(catalog, system, person, receiver)
    old = receiver.secret
    new = webhooks.renew_webhook_secret(webhook, by=person)
    assert new != old
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret, old_secret FROM catalogs_webhook")
        stored = cursor.fetchone()
    assert not {old, new} & set(stored)
    assert not any(part in str(AuditEvent.objects.values()) for part in (old[6:20], new[6:20]))
    publish(catalog, operator, 1)
    outbox.deliver_due()
    receiver.secret = new
    publish(catalog, operator, 2)
    outbox.deliver_due()
    Webhook.objects.update(old_secret_until=timezone.now() - dt.timedelta(seconds=1))
    publish(catalog, operator, 3)
    outbox.deliver_due()
    assert [message.is_genuine for message in receiver.got] == [True, True, True]
    assert [message.signatures for message in receiver.got] == [2, 2, 1]


def test_a_trial_message_goes_the_same_way(catalog, system, person, receive):
    receiver = receive()
    webhook = hooked(catalog, system, person, receiver)
    webhooks.try_webhook(webhook, by=person)
    outbox.deliver_due()
    assert (receiver.got[0].body["type"], receiver.got[0].is_genuine) == ("catalog.trial", True)
    webhooks.pause_webhook(webhook, by=person)
    with pytest.raises(FactMissing):
        webhooks.try_webhook(webhook, by=person)


# --- who ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.SIGNER, Role.OPERATOR, Role.AUDITOR])
def test_only_officers_of_the_system_s_agency_add_webhooks(catalog, system, receive, role):
    receiver = receive()
    organization = system.organization if role == Role.SIGNER else None
    for stranger in (officer(role, organization), officer(Role.CONSUMER_OFFICER)):
        with pytest.raises(NotPermitted):
            webhooks.add_webhook(catalog, system, receiver.url, by=stranger)


def test_the_operator_may_pause_and_end_but_never_gets_a_secret(catalog, operator, system, person, receive):
    webhook = hooked(catalog, system, person, receive())
    with pytest.raises(NotPermitted):
        webhooks.renew_webhook_secret(webhook, by=operator)
    webhooks.pause_webhook(webhook, by=operator)
    with pytest.raises(NotPermitted):
        webhooks.resume_webhook(webhook, by=operator)
    webhooks.end_webhook(webhook, by=operator)


def test_each_agency_sees_its_own_and_the_platform_s_people_see_all(catalog, operator, system, person, receive):
    hooked(catalog, system, person, receive())
    stranger = officer(Role.CONSUMER_OFFICER)
    seen = [Webhook.objects.visible_to(user).count() for user in (person, operator, officer(Role.AUDITOR), stranger)]
    assert seen == [1, 1, 1, 0]


def test_one_address_is_told_once_until_it_is_ended(catalog, system, person, receive):
    receiver = receive()
    webhook = hooked(catalog, system, person, receiver)
    with pytest.raises(Conflict):
        hooked(catalog, system, person, receiver)
    webhooks.end_webhook(webhook, by=person)
    hooked(catalog, system, person, receiver)


def test_a_retired_system_gets_none(catalog, system, person, receive):
    system.status = "retired"
    system.save()
    with pytest.raises(InvalidFact):
        hooked(catalog, system, person, receive())


@pytest.mark.parametrize(
    ("verb", "status"), [pair for pair in WEBHOOK.disallowed(WebhookStatus.values) if pair[0] != "give_up"]
)
def test_a_verb_is_refused_in_every_other_status(catalog, system, person, receive, verb, status):
    webhook = hooked(catalog, system, person, receive())
    Webhook.objects.filter(pk=webhook.pk).update(status=status)
    webhook.refresh_from_db()
    call = {
        "pause": webhooks.pause_webhook, "resume": webhooks.resume_webhook, "end": webhooks.end_webhook,
        "renew_secret": webhooks.renew_webhook_secret,
    }  # fmt: skip
    with pytest.raises(TransitionNotAllowed):
        call[verb](webhook, by=person)


def test_a_decision_on_an_old_page_is_refused(catalog, system, person, receive):
    webhook = hooked(catalog, system, person, receive())
    with pytest.raises(StaleVersion):
        webhooks.pause_webhook(webhook, by=person, version=webhook.version + 1)


def test_every_verb_leaves_an_audit_row_its_agency_can_read(catalog, system, person, receive):
    webhook = hooked(catalog, system, person, receive())
    webhooks.renew_webhook_secret(webhook, by=person)
    webhooks.try_webhook(webhook, by=person)
    webhooks.pause_webhook(webhook, by=person)
    webhooks.resume_webhook(webhook, by=person)
    webhooks.end_webhook(webhook, by=person)
    events = AuditEvent.objects.about(webhook)
    assert [event.event.partition(".")[2] for event in events.order_by("id")] == [
        "added", "secret_renewed", "tried", "paused", "resumed", "ended",
    ]  # fmt: skip
    assert {(event.actor, tuple(event.organizations)) for event in events} == {(person, (system.organization.uuid,))}


def test_the_api_adds_shows_once_tells_and_ends(catalog, operator, system, person, receive, client):
    receiver, root = receive(), "/api/v1/catalog-webhooks"
    facts = {"catalog": catalog.code, "system": system.code, "url": receiver.url}
    client.force_login(person)
    made = client.post(root, facts, content_type="application/json")
    assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
    receiver.secret, address = made.json()["secret"], f"{root}/{made.json()['uuid']}"
    assert "secret" not in client.get(address).json()
    assert [step["verb"] for step in client.get(address).json()["available_actions"]] == ["pause", "renew_secret", "end"]
    assert client.post(f"{address}/try").status_code == 202
    publish(catalog, operator, 1)
    outbox.deliver_due()
    assert [line["release"] for line in client.get(f"{address}/deliveries").json()] == [2, None]
    assert all(message.is_genuine for message in receiver.got)
    renewed = client.post(f"{address}/renew-secret", {}, content_type="application/json")
    assert renewed.json()["secret"] != receiver.secret
    assert client.post(f"{address}/end", {"version": 1}, content_type="application/json").status_code == 409
    assert client.post(f"{address}/end", {"reason": "Thôi dùng"}, content_type="application/json").json()["status"] == "ended"
    assert [row["uuid"] for row in client.get(root, {"status": "ended"}).json()["results"]] == [made.json()["uuid"]]
    refused = client.post(root, {**facts, "url": "http://10.1.2.3/"}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (400, "egress_refused")
    client.force_login(officer(Role.CONSUMER_OFFICER))
    assert client.get(address).status_code == 404
    assert client.post(root, facts, content_type="application/json").status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.worker
@pytest.mark.processes("worker")
def test_the_worker_tells_the_receiver(running_platform, operator, system, person, receive):
    receiver = receive()
    running_platform.restart("worker", env={"LGSP_EGRESS_ALLOW": receiver.address})
    catalog = CatalogFactory()
    published(catalog, rows(5), by=operator)
    hooked(catalog, system, person, receiver)
    publish(catalog, operator, 1)
    publish(catalog, operator, 2)
    deadline = time.monotonic() + 90
    while len(receiver.got) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert receiver.releases == [2, 3]
    assert all(message.is_genuine for message in receiver.got)
