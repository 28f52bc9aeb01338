"""What of agreements waits on the home page: what can be done now, for whoever is to do it."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.agreements.actions import (
    agree_content,
    leave_agreement,
    reopen_agreement,
    sign_agreement,
    start_change,
    start_renewal,
    suspend_agreement,
    terminate_agreement,
)
from apps.connections.actions import save_draft, withdraw_request
from apps.portal import inbox
from tests.agreements.test_amendment import decide, joined
from tests.factories import agreements
from tests.portal.test_inbox import agreement_waits_for


def test_who_signed_a_content_that_was_negotiated_again_is_asked_for_the_new_one(db):
    w = agreements.special_world()
    agreement = agreements.awaiting_signatures(w)
    sign_agreement(agreement, by=w.consumer_signer, content_hash=agreement.current_version.content_hash)
    assert not agreement_waits_for(w.consumer_signer, agreement)
    reopen_agreement(agreement, by=w.provider_officer, reason="Sửa phạm vi")
    newest = agreement.versions.order_by("-number").first()
    for officer in (w.consumer_officer, w.provider_officer):
        agree_content(agreement, by=officer, content_hash=newest.content_hash)
    assert agreement_waits_for(w.consumer_signer, agreement)
    sign_agreement(agreement, by=w.consumer_signer, content_hash=newest.content_hash)
    assert not agreement_waits_for(w.consumer_signer, agreement)


def test_the_duties_of_who_has_left_wait_while_the_agreement_goes_on(world):
    agreement = agreements.accepted(world)
    _system, leaver, _signer = joined(agreement, world)
    leave_agreement(agreement, by=leaver, reason="Không còn nhu cầu")
    assert agreement_waits_for(leaver, agreement)
    assert not agreement_waits_for(world.consumer_officer, agreement)


@pytest.mark.parametrize("what", ["suspended", "ended", "replaced"])
def test_a_test_that_cannot_be_confirmed_waits_for_nobody(world, what):
    agreement = agreements.agreement_in_force(world)
    agreements.recorded(world, agreement)
    assert agreement_waits_for(world.provider_officer, agreement)
    if what == "suspended":
        suspend_agreement(agreement, by=world.operator, kind="force_majeure", violation="Bão", plan="Sửa")
    elif what == "ended":
        terminate_agreement(agreement, by=world.operator, ground="authority", reason="Yêu cầu")
    else:
        request = start_change(agreement, by=world.consumer_officer)
        save_draft(request, by=world.consumer_officer, calls_per_day=900)
        decide(request, world)
    told = [task.what for task in inbox.tasks(world.provider_officer)]
    assert "Xác nhận biên bản kiểm thử" not in told


def test_an_agreement_that_ends_soon_waits_for_its_consumer_until_somebody_renews_it(world):
    def told(person) -> list:
        return [task.name for task in inbox.tasks(person) if task.what == "Gia hạn thỏa thuận, hoặc để hết hạn"]

    agreement = agreements.accepted(world, wanted_to=timezone.localdate() + datetime.timedelta(days=50))
    agreements.accepted(world, wanted_to=timezone.localdate() + datetime.timedelta(days=90))
    agreements.accepted(world)
    assert told(world.consumer_officer) == [agreement.number]
    assert told(world.provider_officer) == told(world.stranger) == []
    request = start_renewal(agreement, by=world.consumer_officer)
    assert told(world.consumer_officer) == []
    withdraw_request(request, by=world.consumer_officer)
    assert told(world.consumer_officer) == [agreement.number]
