"""Trying an operation from the portal: through the real gateway, in the test environment, and the secret stays nowhere."""

from __future__ import annotations

import logging

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing, InvalidFact, NotPermitted
from apps.gateway.models import AccessToken, CallIntent
from apps.gateway.trial import accounts, try_operation
from apps.organizations.choices import Role
from tests.factories.organizations import officer
from tests.gateway.world import WITHHELD, make_world

pytestmark = pytest.mark.django_db(transaction=True)
VALUES = {"code": "0999999999", "from_date": ""}


@pytest.fixture
def trial_world(transactional_db, provider, gateway, settings):
    settings.GATEWAY_URL = gateway.url
    world = make_world(provider.url + "/api", environment="test")
    world.version.upstreams.update(environment="test")
    with transaction.atomic():
        raise_epoch("upstream", world.version.upstreams.get().uuid)
    world.change(world.credential, "credential", environment="test")
    return world


@pytest.fixture
def person(trial_world):
    return officer(Role.CONSUMER_OFFICER, trial_world.consumer)


def attempt(world, person, secret=None, values=None):
    return try_operation(
        world.operation,
        values or VALUES,
        by=person,
        credential=world.credential,
        secret=world.secret if secret is None else secret,
    )


def test_the_answer_is_what_the_system_would_get_and_the_call_is_on_record(trial_world, person, provider):
    trial = attempt(trial_world, person)
    assert trial.status == 200, trial.body
    assert "CÔNG TY MẪU" in trial.body
    assert "canary" not in trial.body
    assert set(trial.withheld) == WITHHELD
    assert str(CallIntent.objects.get().call_id) == trial.headers["x-call-id"]
    assert provider.seen[0].target == "/api/companies/0999999999"
    event = AuditEvent.objects.get(event="operation.tried")
    assert (event.actor, event.facts["call_id"]) == (person, trial.headers["x-call-id"])
    assert "0999999999" not in str(event.facts)


def test_the_token_ends_with_the_call(trial_world, person):
    attempt(trial_world, person)
    assert AccessToken.objects.get().revoked_at is not None


def test_a_refusal_of_the_gateway_is_shown_as_such(trial_world, person):
    trial = attempt(trial_world, person, values={"code": "khong-phai-so"})
    assert trial.status == 400
    assert trial.problem["code"]


def test_a_wrong_secret_gives_no_call_and_a_clear_word(trial_world, person, provider):
    with pytest.raises(InvalidFact) as caught:
        attempt(trial_world, person, secret="khong-dung")
    assert caught.value.code == "token_refused"
    assert provider.seen == []


def test_a_path_parameter_cannot_be_empty_and_cannot_leave_its_place(trial_world, person, provider):
    with pytest.raises(FactMissing):
        attempt(trial_world, person, values={"code": " "})
    assert attempt(trial_world, person, values={"code": "../0999999999"}).status == 400
    assert provider.seen == []


def test_only_an_own_account_of_the_test_environment(trial_world, person):
    for stranger in (officer(Role.CONSUMER_OFFICER), officer(Role.OPERATOR), officer(Role.SIGNER, trial_world.consumer)):
        assert not accounts(stranger, trial_world.service).exists()
        with pytest.raises(NotPermitted):
            attempt(trial_world, stranger)
    trial_world.change(trial_world.credential, "credential", environment="production")
    with pytest.raises(NotPermitted):
        attempt(trial_world, person)
    assert not CallIntent.objects.exists()


def test_on_the_page_the_secret_is_in_no_answer_no_log_and_no_row(trial_world, person, caplog):
    caplog.set_level(logging.DEBUG)
    client = Client()
    client.force_login(person)
    address = reverse("portal:service-try", args=[trial_world.service.code])
    assert client.get(address).status_code == 200
    sent = {
        "operation": str(trial_world.operation.uuid), "account": trial_world.credential.client_id, "secret": trial_world.secret,
        "v-code": "0999999999",
    }  # fmt: skip
    answer = client.post(address, sent)
    assert answer.status_code == 200
    assert "CÔNG TY MẪU" in answer.content.decode()
    assert trial_world.secret not in answer.content.decode()
    wrong = client.post(address, {**sent, "secret": "sai-hoan-toan"})
    assert wrong.status_code == 400
    assert "sai-hoan-toan" not in wrong.content.decode()
    assert trial_world.secret not in caplog.text
    assert trial_world.secret not in str(list(AuditEvent.objects.values_list("facts", flat=True)))
