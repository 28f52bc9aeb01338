"""Suspending by hand: of several consumers the one that was chosen is stopped, and what a page says of opening again is so."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.agreements.models import ConsumerSuspension
from tests.agreements.test_joining import asked
from tests.agreements.test_leaving import joined
from tests.factories.agreements import accepted, special_world


def address(agreement) -> str:
    return reverse("portal:agreement", args=[agreement.uuid])


def stop(client, agreement, organization, **changes):
    body = {
        "one-party": organization.uuid, "one-violation": "Chuyển tiếp dữ liệu", "one-plan": "Xác minh",
        "one-restore_conditions": "Báo cáo", "one-determined_at": "01/01/2026 08:00", "back": address(agreement), **changes,
    }  # fmt: skip
    return client.post(reverse("portal:consumer-suspend", args=[agreement.uuid]), body, follow=True)


@pytest.mark.parametrize("chosen", [0, 1])
def test_wf_42_of_several_consumers_the_one_chosen_is_stopped(world, as_person, chosen):
    agreement = accepted(world)
    joined(world, agreement)
    parties = list(agreement.parties.filter(side="consumer").order_by("-side", "id"))
    answer = stop(as_person(world.provider_officer), agreement, parties[chosen].organization)
    assert answer.status_code == 200
    assert ConsumerSuspension.objects.get().party == parties[chosen]
    still = agreement.grants.filter(status="active").values_list("system__organization", flat=True)
    assert set(still) == {parties[1 - chosen].organization_id}


def test_who_is_still_joining_is_no_consumer_to_be_stopped(db, as_person):
    w = special_world()
    agreement, one = asked(w)
    answer = stop(as_person(w.operator), agreement, one.organization)
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    assert not ConsumerSuspension.objects.filter(party__organization=one.organization).exists()
