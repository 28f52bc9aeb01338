"""Acceptance opens production; grants and accounts are suspended, ended, collected, rotated, revoked."""

import datetime
import uuid

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.agreements.actions import (
    approve_request,
    claim_credential,
    confirm_acceptance,
    end_grant,
    record_acceptance,
    reissue_credential,
    reject_acceptance,
    resume_grant,
    revoke_credential,
    rotate_credential,
    start_change,
    suspend_agreement,
    suspend_grant,
)
from apps.agreements.choices import AcceptanceStatus, CredentialStatus, GrantStatus, SuspensionKind
from apps.agreements.models import AcceptanceRecord, Credential, Grant
from apps.agreements.secrets import secret_matches
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, sign_request, submit_request
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted, TransitionNotAllowed
from apps.core.models import PolicyChange
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.portal import inbox
from apps.registry.choices import Environment
from tests.factories.agreements import accepted, agreement_in_force, collected, recorded
from tests.factories.connections import forwarded
from tests.factories.organizations import InformationSystemFactory, officer
from tests.factories.registry import PublishedServiceFactory, operation_of


def with_two_providers(w):
    """In force and tested: an agreement over services of two providers; the officer of the second one beside it."""
    service = PublishedServiceFactory()
    second = officer(Role.PROVIDER_OFFICER, service.provider)
    request = forwarded(w, scope={w.operation: w.fields(), operation_of(service): w.fields()})
    approve_request(request, by=w.provider_officer)
    agreement = approve_request(request, by=second)
    return agreement, recorded(w, agreement), second


def raised(before: int) -> set:
    return set(PolicyChange.objects.filter(epoch__gt=before).values_list("kind", "ref"))


# --- acceptance ---------------------------------------------------------------------------------


def test_a_test_access_that_was_ended_after_it_was_tested_opens_no_production(w):
    agreement = agreement_in_force(w)
    record = recorded(w, agreement)
    end_grant(agreement.grants.get(), by=w.provider_officer, reason="Phát hiện rò rỉ.")
    with pytest.raises(FactMissing) as refusal:
        confirm_acceptance(record, by=w.provider_officer)
    assert refusal.value.code == "no_test_access"
    assert not agreement.grants.open().exists()
    record.refresh_from_db()
    assert record.status == AcceptanceStatus.RECORDED


def test_of_several_accesses_the_one_that_was_ended_after_its_test_stays_closed(w):
    agreement, record, second = with_two_providers(w)
    ended = agreement.grants.get(operation__version__service__provider=w.provider)
    end_grant(ended, by=w.provider_officer, reason="Phát hiện rò rỉ.")
    confirm_acceptance(record, by=w.operator)
    production = agreement.grants.open().filter(environment=Environment.PRODUCTION)
    assert [grant.operation.version.service.provider_id for grant in production] == [second.memberships.get().organization_id]


def test_one_provider_of_several_does_not_open_what_is_the_others(w):
    agreement, record, second = with_two_providers(w)
    for person in (w.provider_officer, second):
        with pytest.raises(NotPermitted):
            confirm_acceptance(record, by=person)
        assert not [task for task in inbox.tasks(person) if task.name == agreement.number]
    assert not agreement.grants.filter(environment=Environment.PRODUCTION).exists()
    assert [task for task in inbox.tasks(w.operator) if task.name == agreement.number]
    confirm_acceptance(record, by=w.operator)
    assert agreement.grants.filter(environment=Environment.PRODUCTION, status=GrantStatus.ACTIVE).count() == 2


@pytest.mark.parametrize("person", ["provider_officer", "operator"])
def test_wf_35_confirming_the_test_opens_production(w, person):
    agreement = agreement_in_force(w)
    before = current_epoch()
    record = confirm_acceptance(recorded(w, agreement), by=getattr(w, person))
    assert record.status == AcceptanceStatus.CONFIRMED
    production, test = (agreement.grants.get(environment=env) for env in (Environment.PRODUCTION, Environment.TEST))
    assert (production.fields, production.purpose, production.quota_per_day) == (test.fields, test.purpose, test.quota_per_day)
    account = Credential.objects.get(environment=Environment.PRODUCTION)
    assert account.status == CredentialStatus.UNCLAIMED
    assert {("grant", production.uuid), ("credential", account.uuid)} <= raised(before)
    assert Notice.objects.filter(recipient=w.consumer_officer, kind="acceptancerecord.confirmed").exists()


@pytest.mark.parametrize("person", ["consumer_officer", "consumer_signer", "provider_signer", "stranger"])
def test_only_the_provider_and_the_operator_confirm(w, person):
    record = recorded(w, agreement_in_force(w))
    with pytest.raises(NotPermitted):
        confirm_acceptance(record, by=getattr(w, person))
    assert not Grant.objects.filter(environment=Environment.PRODUCTION).exists()


def test_an_operator_who_works_for_the_consumer_does_not_confirm(w):
    record = recorded(w, agreement_in_force(w))
    insider = officer(Role.OPERATOR, w.consumer)
    with pytest.raises(NotPermitted):
        confirm_acceptance(record, by=insider)


def test_cc_04_the_database_refuses_a_confirmation_by_the_recorder(w):
    record = recorded(w, agreement_in_force(w))
    with pytest.raises(IntegrityError), transaction.atomic():
        AcceptanceRecord.objects.filter(pk=record.pk).update(decided_by=record.recorded_by)


def test_a_rejected_test_opens_nothing_and_may_be_recorded_again(w):
    agreement = agreement_in_force(w)
    record = recorded(w, agreement)
    with pytest.raises(FactMissing):
        reject_acceptance(record, by=w.provider_officer, comment=" ")
    reject_acceptance(record, by=w.provider_officer, comment="Thiếu trường hợp lỗi.")
    assert not Grant.objects.filter(environment=Environment.PRODUCTION).exists()
    assert recorded(w, agreement).status == AcceptanceStatus.RECORDED


def test_one_open_record_a_system(w):
    agreement = agreement_in_force(w)
    recorded(w, agreement)
    with pytest.raises(Conflict):
        recorded(w, agreement)


def test_cc_05_the_same_key_records_once(w):
    agreement = agreement_in_force(w)
    facts = {"by": w.consumer_officer, "tested_on": timezone.localdate(), "summary": "Đạt", "uuid": uuid.uuid4()}
    assert record_acceptance(agreement, w.system, **facts) == record_acceptance(agreement, w.system, **facts)
    assert AcceptanceRecord.objects.count() == 1


@pytest.mark.parametrize("days", [1, -1])
def test_a_test_before_there_was_access_or_in_the_future_is_none(w, days):
    day = timezone.localdate() + datetime.timedelta(days=days)
    with pytest.raises(InvalidFact):
        record_acceptance(agreement_in_force(w), w.system, by=w.consumer_officer, tested_on=day, summary="Đạt")


def test_a_system_outside_the_agreement_has_no_test_record(w):
    other = InformationSystemFactory(organization=w.consumer)
    with pytest.raises(FactMissing):
        record_acceptance(agreement_in_force(w), other, by=w.consumer_officer, tested_on=timezone.localdate(), summary="Đạt")


@pytest.mark.parametrize("person", ["consumer_signer", "provider_officer", "operator", "stranger"])
def test_only_the_consumer_officer_records(w, person):
    with pytest.raises(NotPermitted):
        record_acceptance(agreement_in_force(w), w.system, by=getattr(w, person), tested_on=timezone.localdate(), summary="Đạt")


def test_nothing_is_confirmed_while_the_agreement_is_suspended(w):
    agreement = agreement_in_force(w)
    record = recorded(w, agreement)
    suspend_agreement(agreement, by=w.operator, kind=SuspensionKind.FORCE_MAJEURE, violation="Mất điện", plan="Chờ")
    with pytest.raises(FactMissing):
        confirm_acceptance(record, by=w.provider_officer)
    record.refresh_from_db()
    assert record.status == AcceptanceStatus.RECORDED


# --- grants -------------------------------------------------------------------------------------


def test_suspending_a_grant_raises_the_epoch_and_tells_why(w):
    grant = agreement_in_force(w).grants.get()
    before = current_epoch()
    suspend_grant(grant, by=w.provider_officer, reason="Lưu lượng bất thường.")
    assert (grant.status, grant.status_reason) == (GrantStatus.SUSPENDED, "Lưu lượng bất thường.")
    assert ("grant", grant.uuid) in raised(before)
    event = AuditEvent.objects.about(grant).get(event="grant.suspended")
    assert (event.actor, set(event.organizations)) == (w.provider_officer, {w.consumer.uuid, w.provider.uuid})
    assert Notice.objects.filter(recipient=w.consumer_officer, kind="grant.suspended").exists()


def test_resuming_and_ending_raise_it_too(w):
    grant = agreement_in_force(w).grants.get()
    suspend_grant(grant, by=w.operator, reason="x")
    before = current_epoch()
    resume_grant(grant, by=w.operator)
    assert grant.status == GrantStatus.ACTIVE
    end_grant(grant, by=w.consumer_officer, reason="Không dùng nữa.")
    assert grant.status == GrantStatus.ENDED
    assert current_epoch() == before + 2


@pytest.mark.parametrize("person", ["consumer_officer", "consumer_signer", "provider_signer", "stranger"])
def test_only_the_provider_and_the_operator_suspend_a_grant(w, person):
    grant = agreement_in_force(w).grants.get()
    with pytest.raises(NotPermitted):
        suspend_grant(grant, by=getattr(w, person), reason="x")


@pytest.mark.parametrize("person", ["provider_officer", "operator"])
def test_confirming_the_test_of_a_new_version_does_not_resume_what_was_suspended_on_its_own(w, person):
    agreement = accepted(w)
    suspend_grant(agreement.grants.get(environment=Environment.PRODUCTION), by=w.provider_officer, reason="Bất thường")
    request = start_change(agreement, by=w.consumer_officer)
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    confirm_acceptance(recorded(w, agreement), by=getattr(w, person))
    grant = agreement.grants.exclude(status=GrantStatus.ENDED).get(environment=Environment.PRODUCTION)
    assert (grant.status, grant.status_reason) == (GrantStatus.SUSPENDED, "Bất thường")
    assert grant.version_of == agreement.current_version
    resume_grant(grant, by=w.provider_officer)
    assert grant.status == GrantStatus.ACTIVE


@pytest.mark.parametrize("verb", [suspend_grant, end_grant])
def test_a_reason_is_given(w, verb):
    with pytest.raises(FactMissing):
        verb(agreement_in_force(w).grants.get(), by=w.provider_officer, reason=" ")


def test_one_open_grant_for_a_system_and_operation_in_an_environment(w):
    grant = agreement_in_force(w).grants.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Grant.objects.create(
            agreement=grant.agreement, version_of=grant.version_of, system=grant.system, operation=grant.operation,
            environment=grant.environment, purpose=grant.purpose, fields=[], valid_from=timezone.now(),
        )  # fmt: skip


# --- accounts -----------------------------------------------------------------------------------


def test_the_secret_is_shown_once_and_kept_as_a_hash(w):
    agreement_in_force(w)
    credential, secret = collected(w, Environment.TEST)
    credential.refresh_from_db()
    assert len(secret) == 43
    assert secret_matches(secret, credential.secret_hash)
    assert secret not in str(Credential.objects.values().get(pk=credential.pk))
    assert credential.claimed_by == w.consumer_officer
    with pytest.raises(TransitionNotAllowed):
        claim_credential(credential, by=w.consumer_officer)


def test_no_audit_row_holds_the_secret(w):
    agreement_in_force(w)
    _credential, secret = collected(w, Environment.TEST)
    assert not any(secret in str(event.facts) for event in AuditEvent.objects.all())


@pytest.mark.parametrize("person", ["consumer_signer", "provider_officer", "operator", "stranger"])
def test_only_the_systems_own_officer_collects(w, person):
    agreement_in_force(w)
    with pytest.raises(NotPermitted):
        claim_credential(Credential.objects.get(), by=getattr(w, person))


def test_an_account_lives_as_long_as_the_rule_says(w):
    agreement_in_force(w)
    with time_machine.travel(timezone.now(), tick=False):
        credential, _secret = collected(w, Environment.TEST)
        expected = timezone.now()
    assert (credential.expires_at.year, credential.expires_at.month) == (expected.year + 1, expected.month)


def test_rotating_lets_both_accounts_work_for_the_overlap_only(w):
    agreement_in_force(w)
    old, _secret = collected(w, Environment.TEST)
    colleague = officer(Role.CONSUMER_OFFICER, w.consumer)
    new = rotate_credential(old, by=w.consumer_officer)
    assert Notice.objects.get(kind="credential.waiting").recipient == colleague
    old.refresh_from_db()
    assert old.status == CredentialStatus.ACTIVE
    assert old.expires_at > timezone.now() + datetime.timedelta(days=300)
    before = current_epoch()
    claim_credential(new, by=w.consumer_officer)
    old.refresh_from_db()
    left = old.expires_at - timezone.now()
    assert datetime.timedelta(hours=71) < left <= datetime.timedelta(hours=72)
    assert {("credential", old.uuid), ("credential", new.uuid)} <= raised(before)


def test_two_successors_do_not_wait_at_once(w):
    agreement_in_force(w)
    old, _secret = collected(w, Environment.TEST)
    rotate_credential(old, by=w.consumer_officer)
    with pytest.raises(Conflict):
        rotate_credential(old, by=w.consumer_officer)


@pytest.mark.parametrize("person", ["consumer_officer", "operator"])
def test_revoking_ends_the_account_at_once(w, person):
    agreement_in_force(w)
    credential, _secret = collected(w, Environment.TEST)
    before = current_epoch()
    colleague = officer(Role.CONSUMER_OFFICER, w.consumer)
    revoke_credential(credential, by=getattr(w, person), reason="Lộ khóa.")
    assert credential.status == CredentialStatus.REVOKED
    assert ("credential", credential.uuid) in raised(before)
    told = Notice.objects.filter(kind="credential.revoked")
    assert {row.recipient for row in told} == {w.consumer_officer, colleague} - {getattr(w, person)}
    assert "Lộ khóa." in str(told.first().facts)


@pytest.mark.parametrize("delegated", [True, False])
def test_wf_02_a_new_account_after_a_revoked_one_comes_from_whoever_issues_them(w, delegated):
    type(w.service).objects.filter(pk=w.service.pk).update(account_issuing_delegated=delegated)
    accepted(w)
    account, _secret = collected(w)
    with pytest.raises(Conflict):
        reissue_credential(w.system, Environment.PRODUCTION, by=w.operator if delegated else w.provider_officer)
    revoke_credential(account, by=w.consumer_officer, reason="Lộ khóa.")
    right, wrong = (w.operator, w.provider_officer) if delegated else (w.provider_officer, w.operator)
    with pytest.raises(NotPermitted):
        reissue_credential(w.system, Environment.PRODUCTION, by=wrong)
    new = reissue_credential(w.system, Environment.PRODUCTION, by=right)
    assert (new.status, new.issued_by) == (CredentialStatus.UNCLAIMED, right)
    assert new.client_id != account.client_id
    assert Notice.objects.get(kind="credential.waiting").recipient == w.consumer_officer


def test_a_system_without_access_gets_no_account(w):
    with pytest.raises(FactMissing):
        reissue_credential(w.system, Environment.PRODUCTION, by=w.operator)


def test_a_test_confirmed_after_the_version_was_retired_opens_nothing(w):
    agreement = agreement_in_force(w)
    record = recorded(w, agreement)
    w.service.versions.update(status="retired")
    with pytest.raises(FactMissing) as refusal:
        confirm_acceptance(record, by=w.provider_officer)
    assert refusal.value.code == "operation_gone"
    assert not agreement.grants.filter(environment=Environment.PRODUCTION).exists()
