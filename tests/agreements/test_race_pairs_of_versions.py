"""CC-01 by the table: the end of a version is announced, or put off, while somebody opens access to it, replaces it or ends it."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.agreements.actions import announce_end_of_version, postpone_end_of_version
from apps.audit.models import AuditEvent
from apps.notices.models import Notice
from apps.organizations.choices import Role
from tests.agreements.pairs import Pair, act, of_pairs, race, was_first
from tests.agreements.test_publishing import successor
from tests.agreements.test_race_pairs import approve, asked, at_the_end_of_a_version, publish, publishing, retire
from tests.factories.connections import world
from tests.factories.organizations import officer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]


def published(found: dict) -> dict:
    """With its version, and two officers of its provider who may both act on it."""
    w = found["w"]
    version = w.service.versions.get(status="published")
    return {**found, "version": version, "colleague": officer(Role.PROVIDER_OFFICER, w.provider)}


def asked_for() -> dict:
    return published(asked())


def to_be_replaced() -> dict:
    return published(publishing())


def of_nobody() -> dict:
    return published({"w": world()})


def at_its_end() -> dict:
    """In use; its announced day has come."""
    found = at_the_end_of_a_version()
    return {**found, "colleague": officer(Role.PROVIDER_OFFICER, found["w"].provider)}


def at_its_end_to_be_replaced() -> dict:
    found = at_its_end()
    return {**found, "draft": successor(found["w"])}


def in_days(count: int):
    return lambda _found: timezone.localdate() + datetime.timedelta(days=count)


announce = act(announce_end_of_version, "version", "colleague", until=in_days(30))
put_off = act(postpone_end_of_version, "version", "colleague", until=in_days(60))


def whoever_has_access_is_told(found: dict, _came: str) -> None:
    """Of two that take turns: approved before, it is told; approved after, it reads what stands."""
    told = Notice.objects.filter(kind="service_version.end_announced", recipient=found["w"].consumer_officer)
    assert told.exists() == was_first("agreement.in_force", "service_version.deprecated")


def told_that_it_goes_on_longer(found: dict, _came: str) -> None:
    assert Notice.objects.filter(kind="service_version.end_postponed", recipient=found["w"].consumer_officer).exists()


def one_end(found: dict, came: str) -> None:
    """What was announced of it stands where it still lives, and nobody hears of the end of what was replaced before."""
    found["version"].refresh_from_db()
    assert (found["version"].status == "retired") == (came != "first")
    announced = AuditEvent.objects.about(found["version"]).filter(event="service_version.deprecated")
    assert announced.count() == Notice.objects.filter(kind="service_version.end_announced").count() == (came != "second")


PAIRS = (
    Pair("end announced, approval", asked_for, announce, approve, "both", after=whoever_has_access_is_told),
    Pair("end announced, successor published", to_be_replaced, announce, publish, "both second", "transition_not_allowed", after=one_end),
    Pair("end announced, retired", of_nobody, announce, retire, "first second", "transition_not_allowed"),
    Pair("end put off, change", at_its_end, put_off, approve, "both", after=told_that_it_goes_on_longer),
    Pair("end put off, successor published", at_its_end_to_be_replaced, put_off, publish, "both second", "transition_not_allowed"),
    Pair("end put off, retired", at_its_end, put_off, retire, "first second", "transition_not_allowed"),
)  # fmt: skip


@of_pairs(PAIRS)
def test_cc_01_two_people_at_once(pair, rounds):
    race(pair, rounds)
