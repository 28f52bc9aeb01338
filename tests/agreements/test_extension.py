"""The time to test a system may be extended once (regulations, section 7): by whom, from when, who hears of it, what is refused."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import (
    approve_request,
    confirm_acceptance,
    decline_agreement,
    extend_test,
    reject_acceptance,
    resume_agreement,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
    terminate_agreement,
)
from apps.agreements.actions.life import expire_agreement
from apps.agreements.choices import AgreementStatus, StepKind
from apps.agreements.clock import run_clock
from apps.agreements.models import Agreement, StepClock
from apps.agreements.workflow import AGREEMENT
from apps.audit.models import AuditEvent
from apps.core.errors import Conflict, FactMissing, NotPermitted, StaleVersion
from apps.legal.actions import change_rule
from apps.notices.models import Notice, OutboxMessage
from apps.organizations.choices import Role
from tests.agreements.test_joining import joiner
from tests.agreements.test_steps import FORCE, MINUTE, MONDAY, at, change, ran, told
from tests.factories.agreements import accepted, agreement_in_force, awaiting_signatures, negotiating, recorded
from tests.factories.connections import world as new_world
from tests.factories.organizations import InformationSystemFactory, officer
from tests.fixtures.races import again, at_once

DUE = datetime.datetime.fromisoformat("2026-06-29T23:59:59+07:00")
"""Twenty working days after the first of June."""
LATER = datetime.datetime.fromisoformat("2026-07-27T23:59:59+07:00")
"""Twenty more."""
WHY = "Chờ nhà thầu sửa lỗi"


@pytest.fixture
def agreement(w) -> Agreement:
    """In force since Monday the first of June 2026, with the test of one system to come."""
    with time_machine.travel(MONDAY, tick=False):
        made = agreement_in_force(w)
        Notice.objects.all().delete()
        return made


def clock_of(agreement: Agreement) -> StepClock:
    return agreement.clocks.get(step=StepKind.TEST, over_at=None)


def extend(w, agreement, **changes) -> StepClock:
    return extend_test(agreement, **{"system": w.system, "by": w.consumer_officer, "reason": WHY, **changes})


def written(agreement) -> tuple:
    """What a refusal must leave as it is."""
    counts = [model.objects.count() for model in (AuditEvent, Notice, OutboxMessage)]
    return list(StepClock.objects.order_by("pk").values()), list(Agreement.objects.values()), counts


def refused(w, agreement, error=Conflict, **changes):
    before = written(agreement)
    with pytest.raises(error) as found:
        extend(w, agreement, **changes)
    assert written(agreement) == before
    return found.value


# What it does


def test_the_new_end_is_counted_from_the_old_one_and_everybody_concerned_is_told_once(w, agreement):
    colleague = officer(Role.CONSUMER_OFFICER, w.consumer)
    with at("06-03T09:00:00"):
        clock = extend(w, agreement, reason=f"  {WHY} ")
    clock.refresh_from_db()
    half = datetime.datetime.fromisoformat("2026-07-13T23:59:59+07:00")
    assert (clock.due_at, clock.half_at) == (LATER, half)
    assert clock.extended_at == datetime.datetime.fromisoformat("2026-06-03T09:00:00+07:00")
    assert told("extended") == {w.provider_officer, colleague}, "not who did it, nor operators who never heard of it"
    notice = Notice.objects.filter(kind="step.extended").first()
    assert notice.facts["params"] == {
        "number": agreement.number, "system": w.system.name, "due": "27/07/2026 23:59", "reason": WHY,
    }  # fmt: skip
    assert notice.url == reverse("portal:agreement", args=[agreement.uuid])


def test_one_event_says_who_why_and_until_when(w, agreement):
    with at("06-03T09:00:00"):
        clock = extend(w, agreement)
    event = AuditEvent.objects.get(event="step.extended")
    assert (event.actor, event.object_ref) == (w.consumer_officer, str(clock.uuid))
    assert set(event.organizations) == set(agreement.party_uuids())
    assert event.facts == {
        "system": w.system.code, "reason": WHY, "was_due": DUE.astimezone(datetime.UTC).isoformat(),
        "due": LATER.isoformat(),
    }  # fmt: skip


def test_reminders_go_again_at_half_of_what_was_added_and_at_its_end(w, agreement):
    half = datetime.datetime.fromisoformat("2026-07-13T23:59:59+07:00")
    assert ran(datetime.datetime.fromisoformat("2026-06-16T00:01:00+07:00")) == (1, 0)
    with at("06-17T09:00:00"):
        extend(w, agreement)
        Notice.objects.all().delete()
    assert ran(DUE + MINUTE) == (0, 0), "what it was due before is over"
    assert [ran(half + MINUTE), ran(half + 2 * MINUTE)] == [(1, 0), (0, 0)]
    assert told("half") == {w.consumer_officer}
    assert Notice.objects.get(kind="step.half").facts["message"].startswith("Half of the time that was added")
    assert [ran(LATER + MINUTE), ran(LATER + 2 * MINUTE)] == [(0, 1), (0, 0)]
    assert told("late") == {w.consumer_officer, w.operator}


def test_what_was_late_is_so_no_more_and_the_operators_hear_of_it(w, agreement):
    assert ran(DUE + MINUTE) == (0, 1)
    with at("07-02T09:00:00"):
        clock = extend(w, agreement)
        assert (clock.due_at, clock.is_late) == (LATER, False), "who asks late wins nothing by it"
    assert told("extended") == {w.provider_officer, w.operator}
    assert ran(DUE + datetime.timedelta(days=7)) == (0, 0)
    assert ran(LATER + MINUTE) == (0, 1)


def test_a_rule_changed_since_does_not_change_what_is_added(w, agreement):
    with at("06-01T10:00:00"):
        change_rule(
            "test.period", by=officer(Role.LEGAL_OFFICER), value=Decimal(1), citation="Quy định mới",
            effective_from=datetime.date(2026, 6, 2), evidence="D",
        )  # fmt: skip
    with at("06-03T09:00:00"):
        assert extend(w, agreement).due_at == LATER


def test_days_of_a_suspension_before_and_after_are_not_lost(w, agreement):
    with at("06-10T09:00:00"):
        suspend_agreement(agreement, by=w.operator, **FORCE)
    with at("07-20T09:00:00"):
        resume_agreement(agreement, by=w.operator)
        clock = extend(w, agreement)
        assert f"{timezone.localtime(clock.due_at):%m-%d}" == "09-07", "06/08, twenty working days and the two of 2 September"
    with at("07-21T09:00:00"):
        suspend_agreement(agreement, by=w.operator, **FORCE)
    with at("07-22T09:00:00"):
        resume_agreement(agreement, by=w.operator)
    clock.refresh_from_db()
    assert (f"{timezone.localtime(clock.due_at):%m-%d}", clock.paused_at) == ("09-08", None)


def test_each_system_has_its_own_extension(w):
    other = InformationSystemFactory(organization=w.consumer)
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w, systems=[w.system, other])
        extend(w, agreement)
        assert dict(agreement.clocks.values_list("system", "due_at")) == {w.system.pk: LATER, other.pk: DUE}
        extend(w, agreement, system=other)


def test_a_clock_begun_anew_may_be_extended_again(w, agreement):
    with at("06-03T09:00:00"):
        extend(w, agreement)
        reject_acceptance(recorded(w, agreement), by=w.provider_officer, comment="Thiếu kết quả")
        assert clock_of(agreement).extended_at is None
        again_extended = extend(w, agreement)
        confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    with at("06-10T09:00:00"):
        change(w, agreement, scope={w.operation: w.fields(4)})
        assert extend(w, agreement).pk > again_extended.pk
    assert AuditEvent.objects.filter(event="step.extended").count() == 3


def test_a_late_word_blows_up_and_nothing_is_written(w, agreement, monkeypatch):
    before = written(agreement)
    monkeypatch.setattr("apps.agreements.actions.extension.notify", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        extend(w, agreement)
    assert written(agreement) == before


# What is refused


def test_once_and_who_comes_second_is_told_who_was_first_and_when(w, agreement):
    with at("06-03T15:30:00"):
        extend(w, agreement)
    with at("06-03T16:00:00"):
        error = refused(w, agreement, by=officer(Role.CONSUMER_OFFICER, w.consumer))
    assert (error.code, error.status, error.extra["by"]) == ("already_extended", 409, str(w.consumer_officer))
    assert str(w.consumer_officer) in str(error)
    assert "15:30:00 03/06/2026" in str(error)


@pytest.mark.parametrize("confirmed", [False, True])
def test_not_after_the_record_was_handed_in(w, agreement, confirmed):
    with at("06-03T15:30:00"):
        record = recorded(w, agreement)
    with at("06-03T16:00:00"):
        if confirmed:
            confirm_acceptance(record, by=w.provider_officer)
        error = refused(w, agreement)
    assert (error.code, error.status, error.extra["by"]) == ("already_recorded", 409, str(w.consumer_officer))
    assert "15:30:00 03/06/2026" in str(error)


def test_not_while_the_agreement_is_suspended(w, agreement):
    with at("06-03T15:30:00"):
        suspend_agreement(agreement, by=w.operator, **FORCE)
    with at("06-03T16:00:00"):
        error = refused(w, agreement)
    assert (error.code, error.status, error.extra["by"]) == ("transition_not_allowed", 409, str(w.operator))
    assert error.extra["state"] == "suspended"
    assert "15:30:00 03/06/2026" in str(error)


def test_not_while_the_access_to_be_tested_is_suspended(w, agreement):
    with at("06-03T15:30:00"):
        suspend_grant(agreement.grants.get(), by=w.provider_officer, reason="x")
    with at("06-03T16:00:00"):
        error = refused(w, agreement)
    assert (error.code, error.status, error.extra["by"]) == ("access_suspended", 409, str(w.provider_officer))
    assert "15:30:00 03/06/2026" in str(error)


def test_not_while_its_consumer_is_suspended(w, agreement):
    party = agreement.parties.get(organization=w.consumer)
    suspend_consumer(party, by=w.provider_officer, violation="x", plan="x", restore_conditions="x")
    error = refused(w, agreement)
    assert (error.code, error.extra["by"]) == ("access_suspended", str(w.provider_officer))


def ended(w, **_none):
    return terminate_agreement(agreement_in_force(w), by=w.provider_officer, ground="authority", reason="Có yêu cầu")


def terminated(w):
    agreement = ended(w)
    Agreement.objects.filter(pk=agreement.pk).update(status=AgreementStatus.TERMINATED)
    return Agreement.objects.get(pk=agreement.pk)


def expired(w):
    agreement = agreement_in_force(w)
    Agreement.objects.update(valid_from=timezone.now() - 2 * MINUTE, valid_to=timezone.now() - MINUTE)
    return expire_agreement(Agreement.objects.get(pk=agreement.pk), by=w.operator)


def declined(w):
    return decline_agreement(negotiating(w), by=w.consumer_officer, reason="Không thống nhất được")


def suspended(w):
    return suspend_agreement(agreement_in_force(w), by=w.operator, **FORCE)


STATES = {
    "negotiating": negotiating, "awaiting_signatures": awaiting_signatures, "suspended": suspended, "ending": ended,
    "terminated": terminated, "expired": expired, "declined": declined,
}  # fmt: skip


def test_every_other_state_is_looked_at():
    assert set(STATES) == set(AgreementStatus.values) - {AgreementStatus.IN_FORCE}
    assert "extend_test" not in {step.verb for step in AGREEMENT.steps}, "it moves no state: it is no row of the table"


@pytest.mark.parametrize("state", STATES)
def test_an_agreement_in_any_other_state_has_no_test_to_extend(w, special, state):
    world = special if state in ("negotiating", "awaiting_signatures", "declined") else w
    agreement = STATES[state](world)
    error = refused(world, agreement)
    assert (error.code, error.status, error.extra["state"]) == ("transition_not_allowed", 409, state)
    assert error.extra["by"]


def test_a_system_that_has_nothing_to_test(w, agreement):
    error = refused(w, agreement, system=InformationSystemFactory(organization=w.consumer))
    assert (error.code, error.status) == ("no_test_running", 409)
    assert refused(w, accepted(w)).code == "already_recorded"


@pytest.mark.parametrize(
    "person", ["consumer_signer", "provider_officer", "provider_signer", "operator", "stranger"]
)  # fmt: skip
def test_only_the_consumers_officer_extends(w, agreement, person):
    assert refused(w, agreement, NotPermitted, by=getattr(w, person)).status == 403


def test_not_the_system_of_another_consumer(w, agreement):
    one = joiner()
    approve_request(one.asks(w, agreement), by=w.provider_officer)
    agreement.refresh_from_db()
    for person, system in ((w.consumer_officer, one.system), (one.officer, w.system)):
        assert refused(w, agreement, NotPermitted, by=person, system=system).code == "not_the_owner"
    assert extend(w, agreement, by=one.officer, system=one.system).system == one.system


@pytest.mark.parametrize("reason", ["", "  "])
def test_not_without_a_reason(w, agreement, reason):
    assert "reason" in refused(w, agreement, FactMissing, reason=reason).extra["fields"]


def test_not_on_what_was_read_before_the_agreement_changed(w, agreement):
    seen = agreement.version
    suspend_agreement(agreement, by=w.operator, **FORCE)
    resume_agreement(agreement, by=w.operator)
    refused(w, agreement, StaleVersion, version=seen)


def test_the_database_knows_no_extension_of_another_step(special):
    clock = negotiating(special).clocks.get()
    with pytest.raises(IntegrityError, match="extended_test"), transaction.atomic():
        StepClock.objects.filter(pk=clock.pk).update(extended_at=timezone.now())


# Doors


def ask(agreement, user, **body):
    client = Client()
    client.force_login(user)
    return client.post(f"/api/v1/agreements/{agreement.uuid}/extend-test", body, content_type="application/json")


def test_by_api(w, agreement):
    body = {"system": w.system.code, "reason": WHY}
    with at("06-03T09:00:00"):
        answer = ask(agreement, w.consumer_officer, **body)
        assert answer.status_code == 200
        shown = answer.json()["deadlines"]
        assert [(row["step"], row["due_at"][:10], row["extended_at"][:16]) for row in shown] == [
            ("test", "2026-07-27", "2026-06-03T09:00"),
        ]  # fmt: skip
        second = ask(agreement, w.consumer_officer, **body)
        assert (second.status_code, second.json()["code"]) == (409, "already_extended")
        assert second.json()["by"] == str(w.consumer_officer)
        assert [ask(agreement, w.consumer_officer, **bad).status_code for bad in ({**body, "reason": ""}, {"reason": WHY})] == [
            400,
            400,
        ]
        assert ask(agreement, w.consumer_officer, **{**body, "system": "khong-co"}).status_code == 404
        others = {
            name: ask(agreement, getattr(w, name), **body).status_code for name in ("provider_officer", "operator", "stranger")
        }
    assert others == {"provider_officer": 404, "operator": 403, "stranger": 404}, "a provider sees no system of a consumer"
    assert AuditEvent.objects.filter(event="step.extended").count() == 1


# At once


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("racers")
@pytest.mark.parametrize("rounds", [pytest.param(3, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)])
def test_extended_while_the_clock_tells_that_it_is_late(rounds):
    """Whoever was first, nobody who was told that it is late is left without the word that it is so no more."""

    def make():
        w = new_world()
        agreement = agreement_in_force(w)
        now = timezone.now()
        StepClock.objects.update(begun_at=now - datetime.timedelta(days=9), half_at=now - 2 * MINUTE, due_at=now - MINUTE)
        return w, agreement

    for w, agreement in again(rounds, make):
        answers = at_once(run_clock, lambda w=w, agreement=agreement: extend(w, agreement))
        assert not [answer for answer in answers if isinstance(answer, Exception)], answers
        clock = clock_of(agreement)
        assert (clock.escalated_at, clock.due_at > timezone.now()) == (None, True)
        assert (w.operator in told("late")) == (w.operator in told("extended"))
