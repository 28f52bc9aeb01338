"""TE-19: whoever has access on a version whose end is announced hears the day once, however late the access came."""

from __future__ import annotations

import datetime

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.agreements.actions import (
    announce_end_of_version,
    approve_request,
    end_grant,
    postpone_end_of_version,
    retire_service_version,
)
from apps.agreements.clock import run_clock
from apps.agreements.ends import _tell_later, tell_later_users_of_ends
from apps.agreements.models import Grant
from apps.core.errors import InvalidFact, NotPermitted
from apps.notices.models import Notice, OutboxMessage
from apps.organizations.choices import Role
from tests.agreements.locking import LockOrder
from tests.agreements.test_amendment import joined
from tests.connections.test_races import on, with_state
from tests.factories.agreements import accepted, agreement_in_force
from tests.factories.connections import forwarded, world
from tests.factories.organizations import officer
from tests.fixtures.races import again, at_once, held

KINDS = ("service_version.end_announced", "service_version.end_postponed")
ROUNDS = [pytest.param(3, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)]


def in_days(count: int) -> datetime.date:
    return timezone.localdate() + datetime.timedelta(days=count)


def announced(w, days: int = 30):
    return announce_end_of_version(w.service.versions.get(), by=w.provider_officer, until=in_days(days))


def days_told(person) -> list[datetime.date]:
    rows = Notice.objects.filter(recipient=person, kind__in=KINDS).order_by("pk")
    return [datetime.datetime.strptime(row.facts["params"]["day"], "%d/%m/%Y").date() for row in rows]


def test_a_request_approved_after_the_announcement_is_told_by_the_next_tick_and_once(w):
    version = announced(w)
    agreement_in_force(w)
    assert days_told(w.consumer_officer) == []
    assert run_clock()["ends"] == 1
    assert run_clock()["ends"] == 0
    assert days_told(w.consumer_officer) == [in_days(30)]
    notice = Notice.objects.get(recipient=w.consumer_officer, kind="service_version.end_announced")
    assert (notice.facts["params"]["number"], notice.url) == (version.number, f"/portal/services/{w.service.code}/")
    assert OutboxMessage.objects.filter(key__contains=notice.key, payload__to=w.consumer_officer.email).count() == 1


@time_machine.travel("2026-06-01T09:00:00+07:00", tick=False)
def test_wf_40_nobody_in_production_is_stopped_by_an_end_before_its_notice_has_run(w):
    version = accepted(w).grants.first().operation.version
    with pytest.raises(InvalidFact) as refusal:
        announce_end_of_version(version, by=w.provider_officer, until=datetime.date(2026, 6, 10))
    assert (refusal.value.code, refusal.value.extra["earliest"]) == ("notice_too_short", "2026-06-10")
    assert list(refusal.value.extra["fields"]) == ["until"]
    assert announce_end_of_version(version, by=w.provider_officer, until=datetime.date(2026, 6, 11)).status == "deprecated"


def test_what_nobody_uses_in_production_ends_on_any_day_to_come(w):
    agreement_in_force(w)
    assert announced(w, days=1).status == "deprecated"


def test_who_was_told_by_the_announcement_is_not_told_by_the_clock_and_who_joins_later_is(w):
    agreement = accepted(w)
    announced(w)
    assert run_clock()["ends"] == 0
    _system, asker, _signer = joined(agreement, w)
    colleague = officer(Role.CONSUMER_OFFICER, w.consumer)
    assert run_clock()["ends"] == 1
    for person in (w.consumer_officer, asker, colleague):
        assert days_told(person) == [in_days(30)], person
    assert not days_told(w.provider_officer)


def test_another_day_is_told_anew_to_all_and_by_the_clock_to_nobody_twice(w):
    agreement = accepted(w)
    version = announced(w)
    postpone_end_of_version(version, by=w.provider_officer, until=in_days(60))
    _system, asker, _signer = joined(agreement, w)
    assert [run_clock()["ends"], run_clock()["ends"]] == [1, 0]
    assert days_told(w.consumer_officer) == [in_days(30), in_days(60)]
    assert days_told(asker) == [in_days(60)]


def test_whose_access_has_ended_and_what_is_retired_or_past_its_day_is_not_told_of(w):
    version = announced(w, days=2)
    agreement = agreement_in_force(w)
    with time_machine.travel(timezone.now() + datetime.timedelta(days=3), tick=False):
        assert tell_later_users_of_ends() == 0
    for grant in agreement.grants.all():
        end_grant(grant, by=w.provider_officer, reason="Không dùng nữa")
    assert tell_later_users_of_ends() == 0
    Grant.objects.update(status="active")
    type(version).objects.filter(pk=version.pk).update(deprecated_on=timezone.localdate())
    assert tell_later_users_of_ends() == 1, "on the day itself it is not over yet"
    version.refresh_from_db()
    retire_service_version(version, by=w.provider_officer, reason="Thay bằng 2.0")
    Grant.objects.update(status="active")
    Notice.objects.all().delete()
    assert tell_later_users_of_ends() == 0


def test_each_hears_of_the_versions_on_which_its_own_access_rests(w):
    other = world()
    for one, days in ((w, 30), (other, 40)):
        announced(one, days)
        agreement_in_force(one)
    assert tell_later_users_of_ends() == 2
    assert (days_told(w.consumer_officer), days_told(other.consumer_officer)) == ([in_days(30)], [in_days(40)])


def test_a_day_that_was_put_off_before_it_was_told_is_not_told(w):
    announced(w)
    as_read = w.service.versions.get()
    agreement_in_force(w)
    postpone_end_of_version(w.service.versions.get(), by=w.provider_officer, until=in_days(60))
    assert _tell_later(as_read, {w.provider_officer.pk}) == 0
    assert not days_told(w.provider_officer)


def test_a_version_without_an_announced_end_is_not_told_of(w):
    accepted(w)
    assert run_clock()["ends"] == 0


def test_more_versions_users_and_officers_take_no_more_queries_while_there_is_nobody_to_tell(w):
    agreement = accepted(w)
    announced(w)
    with CaptureQueriesContext(connection) as few:
        assert tell_later_users_of_ends() == 0
    assert len(few) == 4
    joined(agreement, w)
    officer(Role.CONSUMER_OFFICER, w.consumer)
    second = world()
    accepted(second)
    announced(second)
    tell_later_users_of_ends()
    with CaptureQueriesContext(connection) as many:
        assert tell_later_users_of_ends() == 0
    assert len(many) == len(few)


@pytest.mark.parametrize("verb", ["announce", "postpone"])
def test_the_service_is_held_before_it_is_looked_who_has_access(w, verb):
    accepted(w)
    version = w.service.versions.get() if verb == "announce" else announced(w)
    act = announce_end_of_version if verb == "announce" else postpone_end_of_version
    with pytest.raises(NotPermitted), LockOrder(verb) as order:
        act(version, by=w.consumer_officer, until=in_days(60))
    assert order.locked == [], "whoever may not, holds nobody up"
    with pytest.raises(InvalidFact):
        act(version, by=w.provider_officer, until=in_days(0))
    with LockOrder(verb) as order:
        act(version, by=w.provider_officer, until=in_days(60))
    assert order.locked == ["registry_dataservice"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("racers")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_who_is_approved_at_the_instant_of_the_announcement_hears_of_it_once(rounds):
    for w, request in again(rounds, lambda: with_state(world(), forwarded)):
        announce = on(announce_end_of_version, w.service.versions.get(), w.provider_officer, until=in_days(30))
        answers = at_once(announce, on(approve_request, request, w.provider_officer))
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        tell_later_users_of_ends()
        assert days_told(w.consumer_officer) == [in_days(30)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("racers")
def test_while_another_day_is_being_announced_the_clock_says_nothing_of_the_old_one():
    w = world()
    version = announced(w)
    agreement_in_force(w)
    with transaction.atomic():
        postpone_end_of_version(version, by=w.provider_officer, until=in_days(60))
        assert at_once(tell_later_users_of_ends) == [0]
    assert tell_later_users_of_ends() == 0
    assert days_told(w.consumer_officer) == [in_days(60)]


@pytest.mark.django_db(transaction=True)
def test_who_cannot_be_told_at_this_moment_stops_nobody_else_and_is_told_at_the_next_tick():
    worlds = [world(), world()]
    for w in worlds:
        announced(w)
        agreement_in_force(w)
    with held(worlds[0].consumer_officer):
        assert tell_later_users_of_ends() == 1
    assert [len(days_told(w.consumer_officer)) for w in worlds] == [0, 1]
    assert tell_later_users_of_ends() == 1
    assert [len(days_told(w.consumer_officer)) for w in worlds] == [1, 1]
