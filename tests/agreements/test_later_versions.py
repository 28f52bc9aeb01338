"""A version that begins later: what runs goes on until that moment, and what follows runs from it, without a gap (A16).

"Open at" is what the gateway would say: an active grant of an agreement in force whose period holds the moment.
"""

import datetime

import pytest
import time_machine
from django.utils import timezone

from apps.agreements.actions import (
    approve_request,
    confirm_acceptance,
    decline_change,
    end_grant,
    lift_consumer_suspension,
    merge_organizations,
    resume_agreement,
    resume_grant,
    sign_agreement,
    start_change,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
    terminate_agreement,
)
from apps.agreements.choices import GrantStatus, VersionState
from apps.agreements.clock import run_clock
from apps.agreements.models import Grant
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.core.errors import Conflict, FactMissing
from apps.registry.choices import Environment
from tests.factories.agreements import accepted, recorded, signed_special
from tests.factories.organizations import ReadyOrganizationFactory
from tests.fixtures.worlds import remembered

DAYS = 20


def first_day():
    return timezone.localdate() + datetime.timedelta(days=DAYS)


def moment():
    return datetime.datetime.combine(first_day(), datetime.time(), tzinfo=timezone.get_default_timezone())


def changed_later(w, agreement, count=1, **facts):
    """A change of the fields to the first `count`, from the first day on; approved, and in special sharing signed by all."""
    request = start_change(agreement, by=w.consumer_officer)
    facts = {"scope": {w.operation: w.fields(count)}, "wanted_from": first_day(), **facts}
    save_draft(request, by=w.consumer_officer, **facts)
    if agreement.sharing_form == "default":
        sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    if agreement.sharing_form == "special":
        draft = agreement.versions.get(state=VersionState.DRAFT)
        for person in (w.consumer_signer, w.provider_signer):
            sign_agreement(agreement, by=person, content_hash=draft.content_hash)
    agreement.refresh_from_db()
    return agreement.versions.get(number=2)


@remembered
def special_in_production(w):
    agreement = signed_special(w)
    confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    return agreement


MAKE = {"default": accepted, "special": special_in_production}


@pytest.fixture(params=MAKE)
def running(request):
    """(the world, an agreement with three fields in production, default or special sharing)"""
    w = request.getfixturevalue("w" if request.param == "default" else "special")
    return w, MAKE[request.param](w)


def open_at(w, agreement, at, environment=Environment.PRODUCTION):
    """The fields that a call at this moment would get; None when it would be refused."""
    agreement.refresh_from_db()
    if agreement.status != "in_force" or not agreement.valid_from <= at or (agreement.valid_to and at >= agreement.valid_to):
        return None
    rows = agreement.grants.filter(environment=environment, status=GrantStatus.ACTIVE, valid_from__lte=at)
    found = [grant for grant in rows if grant.valid_to is None or at < grant.valid_to]
    assert len(found) <= 1
    envelope = {field.path for field in w.operation.fields.all() if field.is_envelope}
    return sorted(set(found[0].fields) - envelope) if found else None


SECOND = datetime.timedelta(seconds=1)


@pytest.mark.parametrize("environment", Environment.values)
def test_what_runs_goes_on_until_the_first_moment_of_the_next_version(running, environment):
    w, agreement = running
    version = changed_later(w, agreement)
    assert (version.state, version.begins_at) == (VersionState.SCHEDULED, moment())
    assert agreement.current_version.number == 1
    for at in (timezone.now(), moment() - SECOND):
        assert open_at(w, agreement, at, environment) == sorted(w.fields(3)), at
    for at in (moment(), moment() + SECOND):
        assert open_at(w, agreement, at, environment) == sorted(w.fields(1)), at


def test_the_clock_moves_the_state_after_it_once(running):
    w, agreement = running
    version = changed_later(w, agreement)
    with time_machine.travel(moment() - SECOND, tick=False):
        assert run_clock()["versions"] == 0
    at = moment() + datetime.timedelta(minutes=1)
    with time_machine.travel(at, tick=False):
        assert run_clock()["versions"] == 1
        assert run_clock()["versions"] == 0
        version.refresh_from_db()
        assert (version.state, agreement.current_version) == (VersionState.CURRENT, version)
        assert open_at(w, agreement, at) == sorted(w.fields(1))
    assert not agreement.grants.filter(is_planned=True).exclude(status=GrantStatus.ENDED).exists()
    assert set(agreement.grants.exclude(status=GrantStatus.ENDED).values_list("version_of", flat=True)) == {version.pk}
    assert agreement.versions.get(number=1).state == VersionState.SUPERSEDED


def test_what_the_next_version_widens_waits_for_its_own_test_as_ever(w):
    agreement = accepted(w)
    changed_later(w, agreement, count=5)
    assert open_at(w, agreement, moment()) == sorted(w.fields(3))
    assert open_at(w, agreement, moment() - SECOND, Environment.TEST) == sorted(w.fields(3))
    assert open_at(w, agreement, moment(), Environment.TEST) == sorted(w.fields(5))


def test_it_may_be_called_off_before_it_begins_and_what_runs_goes_on_to_its_own_end(running):
    w, agreement = running
    ends = agreement.valid_to
    changed_later(w, agreement)
    decline_change(agreement, by=w.provider_officer, reason="Chưa cần")
    assert agreement.versions.get(number=2).state == VersionState.SUPERSEDED
    for at in (timezone.now(), moment(), ends - SECOND):
        assert open_at(w, agreement, at) == sorted(w.fields(3)), at
    with time_machine.travel(moment() + SECOND, tick=False):
        assert run_clock()["versions"] == 0
    assert changed_later_again(w, agreement).state == VersionState.CURRENT


def changed_later_again(w, agreement):
    request = start_change(agreement, by=w.consumer_officer)
    if agreement.sharing_form == "default":
        sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    version = agreement.versions.get(number=3)
    for person in (w.consumer_signer, w.provider_signer) if version.state == VersionState.DRAFT else ():
        sign_agreement(agreement, by=person, content_hash=version.content_hash)
    version.refresh_from_db()
    return version


def test_what_has_begun_is_not_called_off_though_the_clock_has_not_come_by(running):
    w, agreement = running
    changed_later(w, agreement)
    with time_machine.travel(moment() + SECOND, tick=False):
        with pytest.raises(FactMissing) as refusal:
            decline_change(agreement, by=w.provider_officer, reason="Muộn")
        assert refusal.value.code == "no_change_pending"
        assert open_at(w, agreement, moment() + SECOND) == sorted(w.fields(1))


def test_a_terminated_agreement_has_nothing_that_begins_later(running):
    w, agreement = running
    changed_later(w, agreement)
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="Yêu cầu")
    assert not agreement.grants.exclude(status=GrantStatus.ENDED).exists()
    with time_machine.travel(moment() + SECOND, tick=False):
        assert run_clock()["versions"] == 0
    assert agreement.versions.get(number=2).state == VersionState.SUPERSEDED


def test_an_agreement_suspended_over_the_moment_goes_on_with_the_next_version(running):
    w, agreement = running
    changed_later(w, agreement)
    suspend_agreement(agreement, by=w.provider_officer, kind="force_majeure", violation="Mất điện", plan="Chờ")
    at = moment() + SECOND
    with time_machine.travel(at, tick=False):
        run_clock()
        assert open_at(w, agreement, at) is None
        resume_agreement(agreement, by=w.provider_officer)
        assert open_at(w, agreement, at) == sorted(w.fields(1))


def suspended_alone(w, agreement, grant):
    suspend_grant(grant, by=w.provider_officer, reason="Bất thường")
    return lambda: resume_grant(grant, by=w.provider_officer)


def suspended_with_its_consumer(w, agreement, grant):
    party = agreement.parties.get(organization=w.consumer)
    facts = {"violation": "x", "plan": "x", "restore_conditions": "x"}
    made = suspend_consumer(party, by=w.provider_officer, **facts)
    return lambda: lift_consumer_suspension(made, by=w.provider_officer)


@pytest.mark.parametrize("ticked", [True, False], ids=["the clock came by", "the clock did not"])
@pytest.mark.parametrize("suspend", [suspended_alone, suspended_with_its_consumer])
def test_a_suspended_access_is_not_opened_by_the_next_version_and_opens_in_it_when_resumed(running, suspend, ticked):
    w, agreement = running
    changed_later(w, agreement)
    grant = agreement.grants.get(environment=Environment.PRODUCTION, is_planned=False, status=GrantStatus.ACTIVE)
    undo = suspend(w, agreement, grant)
    assert [open_at(w, agreement, at) for at in (timezone.now(), moment(), moment() + SECOND)] == [None] * 3
    if ticked:
        with time_machine.travel(moment() + SECOND, tick=False):
            run_clock()
            assert open_at(w, agreement, moment() + SECOND) is None
        return
    undo()
    assert open_at(w, agreement, moment() - SECOND) == sorted(w.fields(3))
    assert open_at(w, agreement, moment()) == sorted(w.fields(1))


@pytest.mark.parametrize("ticked", [True, False], ids=["the clock came by", "the clock did not"])
@pytest.mark.parametrize("first", ["before", "after"])
def test_what_two_sides_suspended_opens_in_the_next_version_when_neither_stands(w, first, ticked):
    """Of the access that follows as of the one that runs: the rows of both are its own, whenever they were made."""
    agreement = accepted(w)
    here = {"environment": Environment.PRODUCTION, "is_planned": False}
    if first == "before":
        suspend_grant(agreement.grants.get(**here), by=w.provider_officer, reason="Bất thường")
    changed_later(w, agreement)
    if first == "after":
        suspend_grant(agreement.grants.get(**here), by=w.provider_officer, reason="Bất thường")
    suspend_grant(agreement.grants.get(**here), by=w.operator, reason="Rà soát")
    planned = agreement.grants.get(**here | {"is_planned": True})
    assert [(row.provider, row.reason) for row in planned.standing_suspensions()] == [
        (w.provider, "Bất thường"),
        (None, "Rà soát"),
    ]
    at = moment() + SECOND
    with time_machine.travel(at if ticked else timezone.now(), tick=False):
        run_clock()
        runs = agreement.grants.exclude(status=GrantStatus.ENDED).get(**here)
        assert (runs.pk == planned.pk) is ticked
        resume_grant(runs, by=w.provider_officer)
        assert [open_at(w, agreement, when) for when in (timezone.now(), at)] == [None, None]
        planned = Grant.objects.get(pk=planned.pk)
        assert [row.provider for row in planned.standing_suspensions()] == [None]
        resume_grant(Grant.objects.get(pk=runs.pk), by=w.operator)
        assert open_at(w, agreement, at) == sorted(w.fields(1))
    assert not Grant.objects.get(pk=planned.pk).standing_suspensions()


def test_an_access_that_ended_meanwhile_does_not_come_back(running):
    w, agreement = running
    changed_later(w, agreement)
    end_grant(
        agreement.grants.get(environment=Environment.PRODUCTION, is_planned=False, status=GrantStatus.ACTIVE),
        by=w.provider_officer, reason="Không dùng nữa",
    )  # fmt: skip
    assert [open_at(w, agreement, at) for at in (timezone.now(), moment())] == [None, None]


def test_production_confirmed_meanwhile_runs_and_goes_on_in_the_next_version(special):
    w, agreement = special, signed_special(special)
    changed_later(w, agreement)
    assert open_at(w, agreement, moment()) is None
    confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    assert open_at(w, agreement, moment() - SECOND) == sorted(w.fields(3))
    assert open_at(w, agreement, moment()) == sorted(w.fields(1))


@pytest.mark.parametrize("verb", ["suspend", "end", "resume"])
def test_what_begins_later_is_not_suspended_by_itself(w, verb):
    agreement = accepted(w)
    changed_later(w, agreement)
    planned = agreement.grants.get(environment=Environment.PRODUCTION, is_planned=True)
    step = {
        "suspend": lambda: suspend_grant(planned, by=w.provider_officer, reason="x"),
        "end": lambda: end_grant(planned, by=w.provider_officer, reason="x"),
        "resume": lambda: resume_grant(planned, by=w.provider_officer),
    }[verb]
    with pytest.raises(FactMissing) as refusal:
        step()
    assert refusal.value.code == "begins_later"


def test_another_change_waits_until_the_one_that_begins_later_has_begun_or_is_called_off(w):
    agreement = accepted(w)
    second = start_change(agreement, by=w.consumer_officer)
    changed_later(w, agreement)
    sign_request(second, by=w.consumer_signer)
    submit_request(second, by=w.consumer_officer)
    forward_request(second, by=w.operator)
    with pytest.raises(FactMissing) as refusal:
        approve_request(second, by=w.provider_officer)
    assert refusal.value.code == "change_pending"


def test_a_version_that_would_begin_after_the_end_of_what_runs_is_refused(w):
    agreement = accepted(w)
    day = timezone.localdate(agreement.valid_to)
    with pytest.raises(FactMissing) as refusal:
        changed_later(w, agreement, wanted_from=day, wanted_to=day + datetime.timedelta(days=365))
    assert refusal.value.code == "begins_after_end"


def test_a_longer_term_of_the_next_version_holds_though_the_clock_came_by_late(w):
    agreement = accepted(w)
    ends = timezone.localdate(agreement.valid_to)
    begins = ends - datetime.timedelta(days=2)
    changed_later(w, agreement, wanted_from=begins, wanted_to=ends + datetime.timedelta(days=300))
    with time_machine.travel(agreement.valid_to + datetime.timedelta(days=1), tick=False):
        run_clock()
        agreement.refresh_from_db()
        assert (agreement.status, agreement.current_version.number) == ("in_force", 2)


def test_agencies_are_not_merged_over_a_change_that_begins_later(w):
    agreement = accepted(w)
    changed_later(w, agreement)
    with pytest.raises(Conflict) as refusal:
        merge_organizations(w.consumer, ReadyOrganizationFactory(), by=w.operator, instrument="Nghị quyết 1")
    assert refusal.value.extra["numbers"] == [agreement.number]
