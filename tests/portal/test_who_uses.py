"""How many agencies use a service: on its page, and where default sharing is suggested (WF-15). Who left uses it no more."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import confirm_acceptance, end_grant, leave_agreement, record_acceptance
from apps.portal.views import default_lists
from apps.registry.choices import SharingForm
from tests.agreements.test_leaving import joined
from tests.factories.agreements import accepted, agreement_in_force


def on_its_page(world, as_person) -> int:
    page = as_person(world.operator).get(reverse("portal:service", args=[world.service.code]))
    assert f"{page.context['agencies']} cơ quan" in page.content.decode()
    return page.context["agencies"]


@pytest.fixture
def suggested(world, as_person, monkeypatch):
    """What the page of default-share lists counts for the service, were one agency enough; 0 where it suggests nothing."""
    monkeypatch.setattr(default_lists, "ENOUGH", 1)

    def look() -> int:
        # Made under default sharing, which one request puts in force; what is counted does not look at how it came about.
        type(world.service).objects.filter(pk=world.service.pk).update(sharing_form=SharingForm.SPECIAL)
        rows = as_person(world.operator).get(reverse("portal:default-lists")).context["suggested"]
        return {row.pk: row.n for row in rows}.get(world.service.pk, 0)

    return look


@pytest.fixture
def two(world):
    """Two agencies in production under one agreement; the second one's people."""
    agreement = accepted(world)
    other = joined(world, agreement)
    record = record_acceptance(agreement, other.system, by=other.officer, tested_on=timezone.localdate(), summary="Đạt")
    confirm_acceptance(record, by=world.provider_officer)
    return agreement, other


def test_a_consumer_that_left_uses_it_no_more(world, two, as_person, suggested):
    agreement, other = two
    assert on_its_page(world, as_person) == 2
    leave_agreement(agreement, by=other.officer, reason="Hệ thống ngừng dùng")
    assert (on_its_page(world, as_person), suggested()) == (1, 1)


def test_where_nobody_left_both_are_suggested(world, two, suggested):
    assert suggested() == 2


def test_an_access_that_was_ended_under_an_agreement_in_force_is_not_counted(world, two, as_person, suggested):
    agreement, other = two
    for grant in agreement.grants.exclude(status="ended").filter(system=other.system):
        end_grant(grant, by=world.provider_officer, reason="Không dùng nữa")
    assert (on_its_page(world, as_person), suggested()) == (1, 1)


def test_who_only_tests_uses_nothing_yet(world, as_person, suggested):
    agreement_in_force(world)
    assert (on_its_page(world, as_person), suggested()) == (0, 0)
