"""The pages of webhooks: an officer adds one, sees its secret once, what was delivered, pauses and ends it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.catalogs import webhooks
from apps.catalogs.choices import WebhookStatus
from apps.catalogs.models import Webhook
from apps.notices.models import OutboxMessage
from apps.organizations.choices import Role
from tests.factories.catalogs import CatalogFactory, WebhookFactory, published, rows
from tests.factories.organizations import InformationSystemFactory, officer

pytestmark = pytest.mark.django_db
URL = "http://127.0.0.1:8099/nhan-bao"


@pytest.fixture(autouse=True)
def allowed(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8099"]


@pytest.fixture
def system(db):
    return InformationSystemFactory()


@pytest.fixture
def person(system):
    return officer(Role.CONSUMER_OFFICER, system.organization)


def step(client, webhook: Webhook, verb: str, **facts):
    webhook.refresh_from_db()
    facts = {"version": webhook.version, **facts}
    return client.post(reverse("portal:catalog-webhook-step", args=[webhook.uuid, verb]), facts)


def test_an_officer_adds_a_webhook_and_sees_its_secret_once(as_person, person, system):
    catalog = CatalogFactory()
    client = as_person(person)
    form = client.get(reverse("portal:catalog-webhook-new"), {"catalog": catalog.code}).content.decode()
    assert f'<option value="{catalog.code}" selected' in form
    made = client.post(reverse("portal:catalog-webhook-new"), {"catalog": catalog.code, "system": system.code, "url": URL})
    webhook = Webhook.objects.get()
    assert (made.status_code, webhook.secret in made.content.decode()) == (201, True)
    assert "no-store" in made["Cache-Control"]
    assert webhook.secret not in client.get(reverse("portal:catalog-webhook", args=[webhook.uuid])).content.decode()
    renewed = step(client, webhook, "renew_secret", version=webhook.version).content.decode()
    old, webhook = webhook.secret, Webhook.objects.get()
    assert webhook.secret != old
    assert webhook.secret in renewed
    assert old not in renewed


@pytest.mark.parametrize(
    "given", [{"url": "http://10.0.0.1/x"}, {"url": "javascript:alert(1)"}, {"url": ""}, {"system": "khac"}]
)
def test_what_cannot_be_is_said_on_the_form(as_person, person, system, given):
    facts = {"catalog": CatalogFactory().code, "system": system.code, "url": URL, **given}
    assert as_person(person).post(reverse("portal:catalog-webhook-new"), facts).status_code == 400
    assert not Webhook.objects.exists()


def test_the_page_shows_what_was_delivered_and_its_buttons_do_what_they_say(as_person, person, system):
    catalog = CatalogFactory()
    webhook = WebhookFactory(catalog=catalog, system=system, url=URL)
    published(catalog, rows(3), by=officer(Role.OPERATOR))
    OutboxMessage.objects.filter(channel=webhooks.CHANNEL).update(attempts=2, last_error="connect_failed: x <b>")
    client = as_person(person)
    text = client.get(reverse("portal:catalog-webhook", args=[webhook.uuid])).content.decode()
    assert "connect_failed: x &lt;b&gt;" in text
    for verb, status in (("pause", "paused"), ("resume", "active"), ("try", "active"), ("end", "ended")):
        assert step(client, webhook, verb).status_code == 302
        webhook.refresh_from_db()
        assert webhook.status == status
    assert step(client, webhook, "pause").status_code == 409
    assert step(client, webhook, "no-such").status_code == 404


def test_others_see_nothing_and_the_operator_sees_all(as_person, system):
    webhook = WebhookFactory(system=system)
    page, listed = reverse("portal:catalog-webhook", args=[webhook.uuid]), reverse("portal:catalog-webhooks")
    stranger, operator = officer(Role.CONSUMER_OFFICER), officer(Role.OPERATOR)
    client = as_person(stranger)
    assert client.get(page).status_code == 404
    assert step(client, webhook, "pause").status_code == 404
    assert webhook.url not in client.get(listed).content.decode()
    client = as_person(operator)
    assert client.get(reverse("portal:catalog-webhook-new")).status_code == 404
    assert "renew_secret" not in client.get(page).content.decode()
    step(client, webhook, "pause")
    webhook.refresh_from_db()
    assert webhook.status == WebhookStatus.PAUSED


def test_the_list_costs_a_fixed_number_of_queries(as_person, person, system):
    client = as_person(person)
    counts = []
    for _ in range(2):
        WebhookFactory.create_batch(3, system=system)
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("portal:catalog-webhooks"))
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 16
