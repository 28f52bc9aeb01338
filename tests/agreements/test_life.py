"""In force, suspended, ended: each step holds for the very next call, because it raises the epoch with it."""

import datetime

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from apps.agreements.actions import (
    complete_duty,
    expire_agreements,
    finish_termination,
    plan_merge,
    resume_agreement,
    suspend_agreement,
    terminate_agreement,
)
from apps.agreements.choices import AgreementStatus, GrantStatus, SuspensionKind, TerminationGround
from apps.agreements.clock import run_clock
from apps.agreements.models import DutyCertificate
from apps.audit.models import AuditEvent
from apps.connections import files
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.models import PolicyChange
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.portal import inbox
from tests.factories.agreements import accepted, agreement_in_force
from tests.factories.organizations import ReadyOrganizationFactory, officer

CERTIFICATE = ("Biên bản xóa.pdf", b"%PDF-1.7\nxoa")
VIOLATION = {
    "kind": SuspensionKind.VIOLATION,
    "violation": "Gọi quá mục đích.",
    "plan": "Ngừng và yêu cầu giải trình.",
    "restore_conditions": "Khắc phục và báo cáo.",
}


@pytest.mark.parametrize("person", ["provider_officer", "operator"])
def test_wf_42_suspending_for_a_violation_raises_the_epoch_and_tells_the_consumer_at_once(w, person):
    agreement = agreement_in_force(w)
    before = current_epoch()
    suspend_agreement(agreement, by=getattr(w, person), **VIOLATION)
    assert agreement.status == AgreementStatus.SUSPENDED
    assert agreement.restore_conditions == "Khắc phục và báo cáo."
    assert PolicyChange.objects.filter(epoch__gt=before, kind="agreement", ref=agreement.uuid).exists()
    assert Notice.objects.filter(recipient=w.consumer_officer, kind="agreement.suspended").exists()


@pytest.mark.parametrize("absent", ["violation", "plan", "restore_conditions"])
def test_wf_42_what_was_violated_how_it_is_handled_and_what_restores_it_must_be_said(w, absent):
    agreement = agreement_in_force(w)
    with pytest.raises(FactMissing) as refusal:
        suspend_agreement(agreement, by=w.provider_officer, **{**VIOLATION, absent: " "})
    assert absent in refusal.value.extra["fields"]
    assert agreement.status == AgreementStatus.IN_FORCE


def test_wf_40_a_planned_suspension_does_not_begin_without_notice(w):
    with pytest.raises(InvalidFact) as refusal:
        suspend_agreement(agreement_in_force(w), by=w.provider_officer, kind=SuspensionKind.PLANNED, plan="Nâng cấp")
    assert refusal.value.code == "needs_notice"


@pytest.mark.parametrize("person", ["consumer_officer", "consumer_signer", "provider_signer", "stranger"])
def test_only_the_provider_and_the_operator_suspend_and_resume(w, person):
    agreement = agreement_in_force(w)
    with pytest.raises(NotPermitted):
        suspend_agreement(agreement, by=getattr(w, person), **VIOLATION)
    suspend_agreement(agreement, by=w.operator, **VIOLATION)
    with pytest.raises(NotPermitted):
        resume_agreement(agreement, by=getattr(w, person))


def test_resuming_opens_what_was_open_and_keeps_what_was_suspended_alone(w):
    agreement = agreement_in_force(w)
    suspend_agreement(agreement, by=w.operator, **VIOLATION)
    before = current_epoch()
    resume_agreement(agreement, by=w.operator)
    assert agreement.status == AgreementStatus.IN_FORCE
    assert (agreement.suspension_kind, agreement.violation) == ("", "")
    assert current_epoch() > before


def test_a_late_failure_leaves_the_agreement_in_force(w, monkeypatch):
    agreement = agreement_in_force(w)
    before = current_epoch()
    monkeypatch.setattr("apps.agreements.actions.life.tell_parties", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        suspend_agreement(agreement, by=w.operator, **VIOLATION)
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.IN_FORCE
    assert current_epoch() == before


def end(agreement, w, person="provider_officer", ground=TerminationGround.PURPOSE_GONE):
    return terminate_agreement(agreement, by=getattr(w, person), ground=ground, reason="Không còn phù hợp.")


def test_wf_43_terminating_closes_every_access_and_opens_the_checklist(w):
    agreement = accepted(w)
    end(agreement, w)
    assert agreement.status == AgreementStatus.ENDING
    assert {grant.status for grant in agreement.grants.all()} == {GrantStatus.ENDED}
    duties = {(duty.party.organization, duty.kind) for duty in agreement.duties.all()}
    assert duties == {
        (w.consumer, "data_deleted"), (w.consumer, "configuration_removed"), (w.provider, "final_statistics"),
    }  # fmt: skip


def test_wf_43_terminated_only_after_every_duty(w):
    agreement = end(agreement_in_force(w), w)
    with pytest.raises(FactMissing) as refusal:
        finish_termination(agreement, by=w.provider_officer)
    assert refusal.value.code == "duties_open"
    for duty in agreement.duties.all():
        by = w.consumer_officer if duty.party.side == "consumer" else w.provider_officer
        complete_duty(duty, by=by, note="Đã thực hiện, biên bản số 3.", file=CERTIFICATE)
    finish_termination(agreement, by=w.provider_officer)
    assert agreement.status == AgreementStatus.TERMINATED
    assert AuditEvent.objects.about(agreement).filter(event="agreement.terminated").exists()


def test_a_duty_is_done_by_its_party_once(w):
    agreement = end(agreement_in_force(w), w)
    duty = agreement.duties.get(kind="data_deleted")
    for person in (w.provider_officer, w.operator, w.stranger):
        with pytest.raises(NotPermitted):
            complete_duty(duty, by=person, note="x", file=CERTIFICATE)
    with pytest.raises(FactMissing):
        complete_duty(duty, by=w.consumer_officer, note=" ", file=CERTIFICATE)
    complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=CERTIFICATE)
    with pytest.raises(Conflict):
        complete_duty(duty, by=w.consumer_officer, note="Lần nữa.", file=CERTIFICATE)
    assert DutyCertificate.objects.count() == 1


def test_that_data_is_deleted_is_shown_by_a_certificate_judged_like_every_file(w):
    agreement = end(agreement_in_force(w), w)
    duty = agreement.duties.get(kind="data_deleted")
    with pytest.raises(FactMissing) as refusal:
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa.")
    assert refusal.value.code == "certificate_missing"
    with pytest.raises(InvalidFact) as refusal:
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=("x.pdf", b"MZ\x90"))
    assert refusal.value.code == "file_type"
    duty.refresh_from_db()
    assert duty.done_at is None
    complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=CERTIFICATE)
    assert (duty.certificate.name, duty.certificate.uploaded_by) == ("Biên bản xóa.pdf", w.consumer_officer)
    assert files.read(duty.certificate) == CERTIFICATE[1]
    assert AuditEvent.objects.about(duty).get(event="duty.done").facts["sha256"] == duty.certificate.sha256
    other = agreement.duties.get(kind="configuration_removed")
    complete_duty(other, by=w.consumer_officer, note="Đã gỡ.")
    assert not DutyCertificate.objects.filter(duty=other).exists()


def test_only_the_consumer_says_that_it_needs_it_no_longer(w):
    agreement = agreement_in_force(w)
    with pytest.raises(NotPermitted):
        end(agreement, w, "provider_officer", TerminationGround.CONSUMER)
    end(agreement, w, "consumer_officer", TerminationGround.CONSUMER)
    assert agreement.termination_ground == TerminationGround.CONSUMER


def test_an_unknown_ground_ends_nothing(w):
    with pytest.raises(InvalidFact):
        end(agreement_in_force(w), w, ground="other")


def test_a_term_that_runs_is_no_ground(w):
    for term in ({}, {"wanted_to": timezone.localdate() + datetime.timedelta(days=30)}):
        agreement = agreement_in_force(w, **term)
        with pytest.raises(FactMissing) as caught:
            end(agreement, w, ground=TerminationGround.EXPIRED)
        assert caught.value.code == "term_runs"
    with time_machine.travel(agreement.valid_to + datetime.timedelta(seconds=1), tick=False):
        end(agreement, w, ground=TerminationGround.EXPIRED)
    assert agreement.status == AgreementStatus.ENDING


@pytest.mark.parametrize("person", ["consumer_signer", "provider_signer", "stranger"])
def test_only_the_officers_of_the_parties_and_the_operator_terminate(w, person):
    with pytest.raises(NotPermitted):
        end(agreement_in_force(w), w, person)


def test_the_clock_expires_what_is_over_once(w):
    agreement = agreement_in_force(w, wanted_to=timezone.localdate() + datetime.timedelta(days=30))
    assert expire_agreements(by=w.operator) == 0
    with time_machine.travel(agreement.valid_to + datetime.timedelta(seconds=1), tick=False):
        assert expire_agreements(by=w.operator) == 1
        assert expire_agreements(by=w.operator) == 0
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.EXPIRED
    assert {grant.status for grant in agreement.grants.all()} == {GrantStatus.ENDED}


def test_wf_43_what_has_expired_leaves_the_same_duties(w):
    agreement = agreement_in_force(w, wanted_to=timezone.localdate() + datetime.timedelta(days=30))
    with time_machine.travel(agreement.valid_to + datetime.timedelta(seconds=1), tick=False):
        expire_agreements(by=w.operator)
    agreement.refresh_from_db()
    assert agreement.termination_ground == TerminationGround.EXPIRED
    assert {(duty.party.organization, duty.kind) for duty in agreement.duties.all()} == {
        (w.consumer, "data_deleted"), (w.consumer, "configuration_removed"), (w.provider, "final_statistics"),
    }  # fmt: skip
    assert [task.what for task in inbox.tasks(w.consumer_officer)].count("Thực hiện nghĩa vụ khi chấm dứt thỏa thuận") == 2
    assert plan_merge(w.consumer, ReadyOrganizationFactory(), by=w.operator).unfinished == [agreement.number]
    for duty in agreement.duties.filter(party__organization=w.consumer):
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa", file=("bien-ban.pdf", b"%PDF-1.7"))
    assert plan_merge(w.consumer, ReadyOrganizationFactory(), by=w.operator).unfinished == []


def test_a_suspended_agreement_that_ran_out_is_not_resumed(w):
    agreement = agreement_in_force(w)
    suspend_agreement(agreement, by=w.operator, **VIOLATION)
    with time_machine.travel(agreement.valid_to + datetime.timedelta(days=1), tick=False), pytest.raises(FactMissing):
        resume_agreement(agreement, by=w.operator)


def end_of(w, agreement, by):
    terminate_agreement(agreement, by=by, ground=TerminationGround.AUTHORITY, reason="Có yêu cầu")


def finish(w, agreement, by):
    end_of(w, agreement, by)
    agreement.duties.update(done_at=timezone.now(), done_by=w.consumer_officer)
    finish_termination(agreement, by=by)


STEPS = {
    "suspended": lambda w, agreement, by: suspend_agreement(agreement, by=by, **VIOLATION),
    "ending": end_of,
    "terminated": finish,
}


@pytest.mark.parametrize("event", STEPS)
def test_wf_43_the_operators_are_told_but_for_the_one_who_did_it(w, event):
    agreement, colleague = agreement_in_force(w), officer(Role.OPERATOR)
    kind = f"agreement.{event}"
    STEPS[event](w, agreement, w.operator)
    told = {notice.recipient for notice in Notice.objects.filter(kind=kind)}
    assert told == {w.consumer_officer, w.provider_officer, colleague}


@pytest.mark.parametrize("event", STEPS)
def test_wf_43_what_a_provider_suspends_or_ends_the_operators_hear(w, event):
    STEPS[event](w, agreement_in_force(w), w.provider_officer)
    assert Notice.objects.filter(kind=f"agreement.{event}", recipient=w.operator).count() == 1


def test_wf_43_the_operators_hear_what_expires(w):
    agreement = agreement_in_force(w)
    with time_machine.travel(agreement.valid_to + datetime.timedelta(minutes=1), tick=False):
        assert run_clock()["expired"] == 1
    assert Notice.objects.filter(kind="agreement.expired", recipient=w.operator).count() == 1
