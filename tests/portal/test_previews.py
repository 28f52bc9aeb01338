"""The approval preview: what is on the page, who may open it, and that looking is recorded."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from tests.factories.agreements import accepted, negotiating, special_world
from tests.factories.connections import forwarded
from tests.gateway.test_preview import change_of, production, record


def test_the_provider_sees_before_deciding_what_calls_would_lose(world, as_person):
    agreement = accepted(world)
    record(production(agreement), count=4)
    case = change_of(world, agreement, scope={world.operation: world.fields(2)})
    client = as_person(world.provider_officer)
    address = reverse("portal:request-preview", args=[case.uuid])
    assert address in client.get(reverse("portal:request", args=[case.uuid])).content.decode()
    page = client.get(address)
    assert page.context["sums"] == {"calls": 4, "passing": 4, "refused": 0, "losing": 4, "opened": 0}
    assert world.fields(3)[2] in page.content.decode()
    event = AuditEvent.objects.filter(event="call_log.read").last()
    assert (event.actor, event.facts["asked"]) == (world.provider_officer, {"page": "preview", "about": case.number})


@pytest.mark.parametrize(
    ("person", "status"),
    [("provider_officer", 200), ("operator", 200), ("consumer_officer", 403), ("stranger", 404)],
)
def test_the_preview_of_a_request_is_for_those_who_decide(world, as_person, person, status):
    case = forwarded(world)
    answer = as_person(getattr(world, person)).get(reverse("portal:request-preview", args=[case.uuid]))
    assert answer.status_code == status


def test_both_sides_see_the_preview_of_a_version_before_they_sign(db, as_person):
    w = special_world()
    agreement = negotiating(w)
    address = reverse("portal:agreement-preview", args=[agreement.uuid])
    for person in (w.consumer_signer, w.provider_signer):
        client = as_person(person)
        assert address in client.get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
        assert client.get(address).status_code == 200
    assert as_person(w.stranger).get(address).status_code == 404
