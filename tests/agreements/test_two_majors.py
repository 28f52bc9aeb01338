"""One operation in two major versions, and a version of the agreement that begins later: each is followed by its own."""

from __future__ import annotations

import pytest

from apps.agreements.actions import (
    approve_request,
    confirm_acceptance,
    end_grant,
    publish_service_version,
    resume_grant,
    start_change,
    suspend_grant,
)
from apps.agreements.choices import GrantStatus
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.registry.choices import Environment
from tests.agreements.test_later_versions import first_day
from tests.agreements.test_publishing import successor
from tests.factories.agreements import accepted, recorded
from tests.factories.connections import World
from tests.factories.organizations import FocalPointFactory
from tests.fixtures.worlds import remembered


class Two:
    """An agreement whose system calls one operation in majors 1 and 2, in test and in production."""

    def __init__(self, w: World):
        if not w.provider.focal_points.filter(ended_at=None).exists():
            FocalPointFactory(organization=w.provider)
        self.w, self.agreement, self.old = w, accepted(w), w.operation
        self.new = self.publish()
        self.change({self.old: w.fields(3), self.new: w.fields(3)})
        confirm_acceptance(recorded(w, self.agreement), by=w.provider_officer)

    def publish(self):
        draft = successor(self.w, bump="major")
        publish_service_version(draft, by=self.w.provider_officer)
        return draft.operations.get(code=self.old.code)

    def change(self, scope: dict, **facts):
        w, request = self.w, start_change(self.agreement, by=self.w.consumer_officer)
        save_draft(request, by=w.consumer_officer, scope=scope, **facts)
        sign_request(request, by=w.consumer_signer)
        submit_request(request, by=w.consumer_officer)
        forward_request(request, by=w.operator)
        approve_request(request, by=w.provider_officer)
        self.agreement.refresh_from_db()

    def later(self, *operations):
        self.change({operation: self.w.fields(2) for operation in operations}, wanted_from=first_day())

    def grant(self, operation, environment=Environment.PRODUCTION, planned=False):
        rows = self.agreement.grants.filter(operation=operation, environment=environment, is_planned=planned)
        return rows.exclude(status=GrantStatus.ENDED).first()

    def planned(self, environment=Environment.PRODUCTION) -> set:
        rows = self.agreement.grants.filter(is_planned=True, environment=environment)
        return {row.operation for row in rows.exclude(status=GrantStatus.ENDED)}


@remembered
def two_majors(w: World) -> Two:
    return Two(w)


@pytest.fixture
def two(w) -> Two:
    return two_majors(w)


def end(two: Two, operation, environment=Environment.PRODUCTION) -> None:
    end_grant(two.grant(operation, environment), by=two.w.provider_officer, reason="Không dùng nữa")


def test_what_follows_one_major_does_not_end_with_the_other(two):
    two.later(two.new)
    assert two.planned() == {two.new}
    end(two, two.old)
    assert two.planned() == {two.new}, "it follows the major that goes on"
    end(two, two.new)
    assert two.planned() == set()


@pytest.mark.parametrize("ended", ["old", "new"])
def test_of_two_that_follow_the_one_ends_whose_major_ended(two, ended):
    two.later(two.old, two.new)
    end(two, getattr(two, ended))
    assert two.planned() == {two.old, two.new} - {getattr(two, ended)}


def test_a_third_major_follows_both_and_ends_with_the_last_of_them(two):
    third = two.publish()
    two.later(third)
    here = Environment.TEST
    assert two.planned(here) == {third}
    end(two, two.old, here)
    assert two.planned(here) == {third}
    end(two, two.new, here)
    assert two.planned(here) == set()


def test_a_third_major_stands_still_while_one_of_both_does(two):
    """A new major is no way around a suspension (`_suspended_alone`), also beside one that is followed by its own."""
    third, here = two.publish(), Environment.TEST
    two.later(two.old, third)
    suspend_grant(two.grant(two.old, here), by=two.w.provider_officer, reason="Bất thường")
    assert [two.grant(row, here, planned=True).status for row in (two.old, third)] == [GrantStatus.SUSPENDED] * 2
    resume_grant(two.grant(two.old, here), by=two.w.provider_officer)
    assert [two.grant(row, here, planned=True).status for row in (two.old, third)] == [GrantStatus.ACTIVE] * 2
    suspend_grant(two.grant(two.new, here), by=two.w.provider_officer, reason="Bất thường")
    assert two.grant(two.old, here, planned=True).status == GrantStatus.ACTIVE
    assert two.grant(third, here, planned=True).status == GrantStatus.SUSPENDED
