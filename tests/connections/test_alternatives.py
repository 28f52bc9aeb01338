"""WF-33: special sharing only after the default services that come near were looked at."""

from __future__ import annotations

import pytest

from apps.connections.actions import save_draft, submit_request
from apps.connections.alternatives import near
from apps.connections.completeness import missing
from apps.core.errors import FactMissing
from apps.registry.choices import SharingForm
from apps.registry.models import DataService
from tests.factories.connections import complete_draft, world
from tests.factories.registry import PublishedServiceFactory

REASON = {"special_reason": "Cần số liệu theo lô."}


@pytest.fixture
def w(db):
    return world(sharing_form=SharingForm.SPECIAL)


def fields_missing(request) -> set[str]:
    return {name for name, _text in missing(request, signatures=False)}


def test_a_default_service_with_the_same_fields_comes_near(w):
    other = PublishedServiceFactory()
    request = complete_draft(w, **REASON)
    (found,) = near(request)
    assert found.service == other
    assert (set(found.covered), found.asked) == (set(w.fields()), len(w.fields()))


def test_what_was_not_looked_at_keeps_the_request_from_being_submitted(w):
    other = PublishedServiceFactory()
    request = complete_draft(w, **REASON)
    assert fields_missing(request) == {"alternatives"}
    with pytest.raises(FactMissing):
        submit_request(request, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, alternatives=[other.code])
    assert fields_missing(request) == set()
    save_draft(request, by=w.consumer_officer, special_reason=" ")
    assert fields_missing(request) == {"special_reason"}


def test_a_service_published_after_the_look_is_to_be_looked_at_too(w):
    request = complete_draft(w, **REASON)
    assert fields_missing(request) == set()
    PublishedServiceFactory()
    assert fields_missing(request) == {"alternatives"}


def test_special_and_dead_services_do_not_come_near(w):
    PublishedServiceFactory(sharing_form=SharingForm.SPECIAL)
    dead = PublishedServiceFactory()
    DataService.objects.filter(pk=dead.pk).update(status="suspended")
    assert near(complete_draft(w, **REASON)) == []


def test_for_default_sharing_nothing_is_asked(db):
    w = world()
    PublishedServiceFactory()
    assert near(complete_draft(w)) == []


def test_what_was_considered_is_part_of_what_is_signed(w):
    from apps.connections.content import request_hash

    request = complete_draft(w, **REASON)
    before = request_hash(request)
    save_draft(request, by=w.consumer_officer, alternatives=["business-registration"])
    assert request_hash(request) != before
