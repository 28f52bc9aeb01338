"""The home page's list: what waits for a person stands there until it is done, and nothing that is not theirs to do."""

from __future__ import annotations

import datetime

from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import (
    agree_content,
    claim_credential,
    complete_duty,
    propose_content,
    rotate_credential,
    terminate_agreement,
)
from apps.agreements.choices import TerminationGround
from apps.agreements.models import Credential
from apps.portal import inbox
from apps.registry.choices import Environment
from tests.factories import agreements


def waits_for(user, obj, name: str) -> bool:
    return any(task.url == reverse(name, args=[obj.uuid]) for task in inbox.tasks(user))


def agreement_waits_for(user, agreement) -> bool:
    return waits_for(user, agreement, "portal:agreement")


def test_a_negotiation_waits_for_whoever_has_not_agreed_to_the_newest_content(db):
    world = agreements.special_world()
    agreement = agreements.negotiating(world)
    propose_content(agreement, by=world.consumer_officer, changes={"other_terms": "Báo cáo quý."}, note="Báo cáo quý")
    assert agreement_waits_for(world.provider_officer, agreement)
    assert not agreement_waits_for(world.consumer_officer, agreement), "who proposed has agreed already"
    assert not agreement_waits_for(world.stranger, agreement)
    newest = agreement.versions.order_by("-number").first()
    agree_content(agreement, by=world.provider_officer, content_hash=newest.content_hash)
    assert not agreement_waits_for(world.provider_officer, agreement)


def test_duties_wait_for_the_party_whose_they_are_and_the_last_press_for_the_provider(world):
    agreement = agreements.agreement_in_force(world)
    test = Credential.objects.get(system=world.system, environment=Environment.TEST)
    assert waits_for(world.consumer_officer, test, "portal:credential")
    terminate_agreement(agreement, by=world.consumer_officer, ground=TerminationGround.CONSUMER, reason="Không còn nhu cầu")
    assert not waits_for(world.consumer_officer, test, "portal:credential"), "its access has ended: it opens nothing"
    for duty in agreement.duties.select_related("party__organization").order_by("party__side", "id"):
        owner = world.consumer_officer if duty.party.side == "consumer" else world.provider_officer
        assert agreement_waits_for(owner, agreement)
        assert not agreement_waits_for(world.stranger, agreement)
        complete_duty(duty, by=owner, note="Đã làm", file=("bien-ban.pdf", b"%PDF-1.7"))
    assert not agreement_waits_for(world.consumer_officer, agreement)
    assert agreement_waits_for(world.provider_officer, agreement), "the termination is still to be completed"


def test_an_account_that_was_rotated_is_not_to_be_renewed_again(world):
    agreements.agreement_in_force(world)
    old, _secret = agreements.collected(world, Environment.TEST)
    Credential.objects.filter(pk=old.pk).update(expires_at=timezone.now() + datetime.timedelta(days=10))
    assert waits_for(world.consumer_officer, old, "portal:credential")
    old.refresh_from_db()
    new = rotate_credential(old, by=world.consumer_officer)
    claim_credential(new, by=world.consumer_officer)
    assert not waits_for(world.consumer_officer, old, "portal:credential")
