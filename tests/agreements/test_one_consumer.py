"""WF-42: one consumer is stopped for a violation, is told within a day, and the others go on."""

from __future__ import annotations

import datetime

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.agreements.actions import (
    approve_request,
    confirm_acceptance,
    lift_consumer_suspension,
    resume_agreement,
    resume_grant,
    start_change,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
    terminate_agreement,
)
from apps.agreements.models import ConsumerSuspension, Grant
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, sign_request, submit_request
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.notices.models import Notice
from tests.factories.agreements import accepted, agreement_in_force, recorded

WHY = {"violation": "Chuyển tiếp cho bên thứ ba", "plan": "Xác minh", "restore_conditions": "Báo cáo khắc phục"}


def consumer_of(agreement):
    return agreement.parties.get(side="consumer")


def statuses(agreement):
    return set(agreement.grants.exclude(status="ended").values_list("status", flat=True))


def changed(agreement, w):
    request = start_change(agreement, by=w.consumer_officer)
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)


def test_the_consumers_grants_stop_and_the_epoch_rises(w):
    agreement = accepted(w)
    before = current_epoch()
    made = suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)
    assert statuses(agreement) == {"suspended"}
    assert current_epoch() > before
    assert not made.was_told_late
    assert set(agreement.grants.filter(held_by=made).values_list("status_reason", flat=True)) == {WHY["violation"]}
    agreement.refresh_from_db()
    assert agreement.status == "in_force", "the agreement goes on for the others"


def test_the_consumer_is_told_at_once_and_the_event_has_its_actor(w, django_capture_on_commit_callbacks):
    agreement = accepted(w)
    with django_capture_on_commit_callbacks(execute=True):
        suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)
    assert Notice.objects.filter(recipient=w.consumer_officer, kind="agreement.consumer_suspended").count() == 1
    assert AuditEvent.objects.get(event="consumer.suspended").actor == w.provider_officer


def test_a_violation_determined_days_ago_was_told_late(w):
    agreement = accepted(w)
    made = suspend_consumer(
        consumer_of(agreement), by=w.operator, determined_at=timezone.now() - datetime.timedelta(days=3), **WHY
    )
    assert made.was_told_late
    assert AuditEvent.objects.get(event="consumer.suspended").facts["told_late"] is True


@pytest.mark.parametrize("person", ["consumer_officer", "consumer_signer", "provider_signer", "stranger"])
def test_only_the_provider_or_the_operator_stops_a_consumer(w, person):
    agreement = accepted(w)
    with pytest.raises(NotPermitted):
        suspend_consumer(consumer_of(agreement), by=getattr(w, person), **WHY)


@pytest.mark.parametrize("absent", list(WHY))
def test_all_three_words_are_needed(w, absent):
    agreement = accepted(w)
    with pytest.raises(FactMissing):
        suspend_consumer(consumer_of(agreement), by=w.operator, **{**WHY, absent: " "})
    assert statuses(agreement) == {"active"}


def test_not_from_the_future_not_a_provider_and_not_twice(w):
    agreement = accepted(w)
    with pytest.raises(InvalidFact):
        suspend_consumer(
            consumer_of(agreement), by=w.operator, determined_at=timezone.now() + datetime.timedelta(hours=1), **WHY
        )
    with pytest.raises(FactMissing):
        suspend_consumer(agreement.parties.get(side="provider"), by=w.operator, **WHY)
    suspend_consumer(consumer_of(agreement), by=w.operator, **WHY)
    with pytest.raises((Conflict, FactMissing)):
        suspend_consumer(consumer_of(agreement), by=w.operator, **WHY)


def test_a_consumer_stopped_while_the_agreement_stands_still_is_not_opened_by_its_resumption(w):
    agreement = accepted(w)
    suspend_agreement(agreement, by=w.operator, kind="force_majeure", violation="Mất điện.", plan="Chờ.")
    made = suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)
    resume_agreement(agreement, by=w.operator)
    assert statuses(agreement) == {"suspended"}
    assert agreement.grants.filter(held_by=made).exists()
    lift_consumer_suspension(made, by=w.provider_officer)
    assert statuses(agreement) == {"active"}


def test_under_an_agreement_that_ends_no_consumer_is_stopped(w):
    agreement = accepted(w)
    terminate_agreement(agreement, by=w.operator, ground="purpose_gone", reason="Không còn phù hợp.")
    with pytest.raises(FactMissing):
        suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)


def test_lifting_opens_what_was_held_and_not_what_was_suspended_on_its_own(w):
    agreement = accepted(w)
    test = agreement.grants.get(environment="test")
    suspend_grant(test, by=w.provider_officer, reason="Lỗi kỹ thuật")
    made = suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)
    with pytest.raises(NotPermitted):
        lift_consumer_suspension(made, by=w.consumer_officer)
    lift_consumer_suspension(made, by=w.provider_officer, comment="Đã khắc phục")
    found = dict(agreement.grants.values_list("environment", "status"))
    assert found == {"test": "suspended", "production": "active"}
    with pytest.raises(Conflict):
        lift_consumer_suspension(made, by=w.operator)


def test_a_held_grant_is_not_resumed_alone(w):
    agreement = accepted(w)
    suspend_consumer(consumer_of(agreement), by=w.operator, **WHY)
    with pytest.raises(Conflict):
        resume_grant(agreement.grants.first(), by=w.provider_officer)
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.filter(agreement=agreement).update(status="active")


def test_what_stood_still_before_its_consumer_was_suspended_does_not_open_while_that_lasts(w):
    agreement = accepted(w)
    grant = agreement.grants.get(environment="production")
    suspend_grant(grant, by=w.provider_officer, reason="Lỗi kỹ thuật")
    made = suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)
    before = current_epoch()
    with pytest.raises(Conflict) as refused:
        resume_grant(grant, by=w.operator)
    assert refused.value.code == "consumer_suspended"
    assert (statuses(agreement), current_epoch()) == ({"suspended"}, before)
    lift_consumer_suspension(made, by=w.provider_officer)
    grant.refresh_from_db()
    resume_grant(grant, by=w.provider_officer)
    assert statuses(agreement) == {"active"}


def test_a_change_in_between_does_not_make_what_stood_still_alone_one_of_those_that_lifting_opens(w):
    agreement = accepted(w)
    suspend_grant(agreement.grants.get(environment="production"), by=w.provider_officer, reason="Lỗi kỹ thuật")
    made = suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)
    changed(agreement, w)
    lift_consumer_suspension(made, by=w.provider_officer)
    rows = agreement.grants.exclude(status="ended").values_list("environment", "status", "status_reason")
    assert sorted(rows) == [("production", "suspended", "Lỗi kỹ thuật"), ("test", "active", "")]


def test_neither_an_acceptance_nor_a_new_version_is_a_way_around(w):
    agreement = agreement_in_force(w)
    record = recorded(w, agreement)
    suspend_consumer(consumer_of(agreement), by=w.operator, **WHY)
    confirm_acceptance(record, by=w.provider_officer)
    assert statuses(agreement) == {"suspended"}
    changed(agreement, w)
    assert statuses(agreement) == {"suspended"}
    assert agreement.grants.exclude(status="ended").count() == 2
    lift_consumer_suspension(ConsumerSuspension.objects.get(), by=w.operator)
    assert statuses(agreement) == {"active"}


def test_two_suspensions_hold_until_the_last_is_lifted(w):
    agreement = accepted(w)
    by_provider = suspend_consumer(consumer_of(agreement), by=w.provider_officer, **WHY)
    Grant.objects.filter(agreement=agreement, environment="test").update(status="active", held_by=None)
    by_operator = suspend_consumer(consumer_of(agreement), by=w.operator, **{**WHY, "violation": "Khác"})
    lift_consumer_suspension(by_provider, by=w.provider_officer)
    assert statuses(agreement) == {"suspended"}
    lift_consumer_suspension(by_operator, by=w.operator)
    assert statuses(agreement) == {"active"}
