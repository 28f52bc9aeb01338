"""CC-01: whoever comes second is told who was first, and when."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
import time_machine
from django.utils import timezone

from apps.agreements.actions import (
    announce_end_of_version,
    announce_suspension,
    approve_request,
    cancel_suspension,
    complete_duty,
    lift_consumer_suspension,
    merge_organizations,
    propose_content,
    publish_service_version,
    record_acceptance,
    reissue_credential,
    rotate_credential,
    suspend_agreement,
    suspend_consumer,
    suspend_service,
    terminate_agreement,
)
from apps.agreements.models import Duty
from apps.connections.actions import attach_file, save_draft, sign_request
from apps.core.errors import Conflict, InvalidFact
from apps.organizations.actions import suspend_system
from apps.organizations.choices import Role
from apps.registry import actions as registry
from tests.agreements.test_clock import at
from tests.agreements.test_publishing import successor
from tests.factories.agreements import accepted, agreement_in_force, collected, recorded
from tests.factories.connections import forwarded
from tests.factories.organizations import FocalPointFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory, operation_of

WRONG = {"violation": "Dùng sai", "plan": "Chờ", "restore_conditions": "Sửa"}
FIRST, THEN = "2026-03-04T15:30:00+07:00", "2026-03-04T16:00:00+07:00"


def second(step, who, *, after=lambda: None) -> None:
    """`after` is what was done at half past three; who comes half an hour later with `step` is told."""
    with time_machine.travel(FIRST, tick=False):
        after()
    with time_machine.travel(THEN, tick=False), pytest.raises(Conflict) as refused:
        step()
    assert refused.value.extra["by"] == str(who)
    assert str(who) in str(refused.value)
    assert "15:30:00 04/03/2026" in str(refused.value)


@pytest.fixture
def colleague(w):
    return officer(Role.PROVIDER_OFFICER, w.provider)


def test_a_suspension_at_once(w, colleague):
    agreement = agreement_in_force(w)

    def suspend(by):
        suspend_agreement(
            agreement, by=by, kind="force_majeure", **{k: v for k, v in WRONG.items() if k != "restore_conditions"}
        )

    second(lambda: suspend(colleague), w.provider_officer, after=lambda: suspend(w.provider_officer))


def test_an_announcement_and_its_end(w, colleague):
    with time_machine.travel(FIRST, tick=False):
        agreement = agreement_in_force(w)
    facts = {"starts_at": at("2026-04-06T08:00:00+07:00"), "ends_at": at("2026-04-07T08:00:00+07:00"), "reason": "Nâng cấp"}

    def announce(by):
        return announce_suspension(agreement, by=by, **facts)

    second(lambda: announce(colleague), w.provider_officer, after=lambda: announce(w.provider_officer))
    planned = agreement.planned_suspensions.get()
    second(
        lambda: cancel_suspension(planned, by=colleague), w.provider_officer,
        after=lambda: cancel_suspension(planned, by=w.provider_officer),
    )  # fmt: skip


def test_a_consumers_suspension_and_its_end(w, colleague):
    agreement = accepted(w)
    party = agreement.parties.get(side="consumer")
    made = []

    def suspend(by):
        made.append(suspend_consumer(party, by=by, **WRONG))

    second(lambda: suspend(colleague), w.provider_officer, after=lambda: suspend(w.provider_officer))
    second(
        lambda: lift_consumer_suspension(made[0], by=colleague), w.provider_officer,
        after=lambda: lift_consumer_suspension(made[0], by=w.provider_officer),
    )  # fmt: skip


def test_a_record_of_a_test(w):
    agreement, other = agreement_in_force(w), officer(Role.CONSUMER_OFFICER, w.consumer)
    today = timezone.localdate(agreement.in_force_at)
    with time_machine.travel(agreement.in_force_at):
        row = recorded(w, agreement)
        type(row).objects.filter(pk=row.pk).update(created_at=FIRST)
        with pytest.raises(Conflict) as refused:
            record_acceptance(agreement, w.system, by=other, tested_on=today, summary="Đạt")
    assert (refused.value.code, refused.value.extra["by"]) == ("already_recorded", str(w.consumer_officer))
    assert "15:30:00 04/03/2026" in str(refused.value)


def test_what_is_submitted_is_written_no_more(w):
    made = []
    second(
        lambda: save_draft(made[0], by=w.consumer_officer, note="x"), w.operator,
        after=lambda: made.append(forwarded(w)),
    )  # fmt: skip
    for step in (
        lambda: attach_file(made[0], by=w.consumer_officer, name="a.pdf", data=b"%PDF-1.7"),
        lambda: sign_request(made[0], by=w.consumer_signer),
    ):
        second(step, w.operator)


def test_what_is_no_negotiation_any_more(w):
    made = []
    second(
        lambda: propose_content(made[0], by=w.consumer_officer, changes={"other_terms": "x"}, note="y"), w.provider_officer,
        after=lambda: made.append(agreement_in_force(w)),
    )  # fmt: skip


def test_an_address_and_a_draft_of_a_service(w, colleague, settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8011"]
    service, made = w.service, []

    def draft(by):
        made.append(registry.add_version(service, by=by))

    second(lambda: draft(colleague), w.provider_officer, after=lambda: draft(w.provider_officer))

    def address(by, revision):
        registry.set_upstream(made[0], "test", by=by, base_url="http://127.0.0.1:8011/", revision=revision)

    known = made[0].upstreams.filter(environment="test").first()
    seen = known.revision if known else 0
    second(lambda: address(colleague, seen), w.provider_officer, after=lambda: address(w.provider_officer, seen))


def test_a_version_that_was_replaced_and_what_was_carried_over(w, colleague):
    accepted(w)
    version, draft = w.service.versions.get(), successor(w)
    FocalPointFactory(organization=w.provider)
    second(lambda: announce_end_of_version(version, by=colleague, until=timezone.localdate() + datetime.timedelta(days=9)),
           w.provider_officer, after=lambda: publish_service_version(draft, by=w.provider_officer))  # fmt: skip
    heirs, law = [ReadyOrganizationFactory() for _n in range(2)], "Nghị quyết 202/2025/QH15"
    other, w.system = officer(Role.OPERATOR), type(w.system).objects.get(pk=w.system.pk)
    second(lambda: suspend_service(w.service, by=other, reason="x"), w.operator,
           after=lambda: merge_organizations(w.provider, heirs[0], by=w.operator, instrument=law))  # fmt: skip
    second(lambda: suspend_system(w.system, by=other, reason="x"), w.operator,
           after=lambda: merge_organizations(w.consumer, heirs[1], by=w.operator, instrument=law))  # fmt: skip


def test_an_account_that_is_waiting_and_one_that_works(w):
    accepted(w)
    colleague, account = officer(Role.CONSUMER_OFFICER, w.consumer), collected(w)[0]
    second(lambda: rotate_credential(account, by=colleague), w.consumer_officer,
           after=lambda: rotate_credential(account, by=w.consumer_officer))  # fmt: skip
    type(w.service).objects.filter(pk=w.service.pk).update(account_issuing_delegated=True)
    with pytest.raises(Conflict) as refused:
        reissue_credential(w.system, account.environment, by=w.operator)
    assert refused.value.code == "has_account"
    assert str(w.consumer_officer) in str(refused.value)


def test_a_duty_is_done_once_and_only_when_it_is_owed(w, colleague):
    agreement = accepted(w)
    duty = Duty.objects.filter(party__organization=w.provider).first()
    assert duty is None, "a checklist is made when somebody leaves"
    terminate_agreement(agreement, by=w.provider_officer, ground="purpose_gone", reason="Hết mục đích")
    duty = Duty.objects.filter(party__organization=w.provider).exclude(kind="data_deleted").first()

    def done(by):
        complete_duty(duty, by=by, note="Đã làm")

    second(lambda: done(colleague), w.provider_officer, after=lambda: done(w.provider_officer))
    Duty.objects.filter(pk=duty.pk).update(done_at=None, done_by=None)
    type(agreement).objects.filter(pk=agreement.pk).update(status="in_force")
    with pytest.raises(InvalidFact) as refused:
        done(colleague)
    assert refused.value.code == "duty_not_owed"


def test_who_issues_accounts_is_told_that_one_is_there_not_whose_hands_made_it(w):
    """Another provider of the same system sees neither the account nor its history (AZ-02)."""
    type(w.service).objects.filter(pk=w.service.pk).update(account_issuing_delegated=False)
    agreement_in_force(w)
    service = PublishedServiceFactory(account_issuing_delegated=False)
    other = dataclasses.replace(
        w, service=service, provider=service.provider, operation=operation_of(service),
        provider_officer=officer(Role.PROVIDER_OFFICER, service.provider), provider_signer=officer(Role.SIGNER, service.provider),
    )  # fmt: skip
    approve_request(forwarded(other), by=other.provider_officer)
    account = w.system.credentials.get()
    with pytest.raises(Conflict) as refused:
        reissue_credential(w.system, account.environment, by=other.provider_officer)
    assert (refused.value.code, refused.value.extra["by"]) == ("has_account", "")
    assert str(account.issued_by) not in str(refused.value)
