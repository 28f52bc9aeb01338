"""The tables of agreement, grant, acceptance record and credential: what they do not allow is refused."""

import pytest
from django.db import transaction
from django.utils import timezone
from rules import perm_exists

from apps.agreements.choices import AcceptanceStatus, AgreementStatus, CredentialStatus, GrantStatus
from apps.agreements.models import AcceptanceRecord, Credential
from apps.agreements.workflow import ACCEPTANCE, AGREEMENT, CREDENTIAL, GRANT
from apps.core.errors import NotPermitted, TransitionNotAllowed
from tests.factories.agreements import agreement_in_force, recorded
from tests.factories.organizations import ReadyOrganizationFactory

AGREEMENT_ACTORS = {"agree": "consumer_officer", "sign": "consumer_signer", "reopen": "consumer_officer",
                    "decline": "consumer_officer", "leave": "consumer_officer"}  # fmt: skip


def refused(workflow, obj, verb, by):
    status = obj.status
    with pytest.raises(TransitionNotAllowed), transaction.atomic():
        workflow.move(obj, verb, by=by)
    obj.refresh_from_db()
    assert obj.status == status


@pytest.mark.parametrize(
    ("verb", "status"), [pair for pair in AGREEMENT.disallowed(AgreementStatus.values) if not pair[0].startswith("draft")]
)
def test_a_step_of_an_agreement_from_another_state_is_refused(w, verb, status):
    agreement = agreement_in_force(w)
    agreement.parties.create(organization=ReadyOrganizationFactory(), side="consumer")  # so that one may leave
    type(agreement).objects.filter(pk=agreement.pk).update(status=status)
    agreement.refresh_from_db()
    refused(AGREEMENT, agreement, verb, getattr(w, AGREEMENT_ACTORS.get(verb, "provider_officer")))


@pytest.mark.parametrize("verb", ["draft_default", "draft_special"])
def test_an_agreement_is_born_and_never_moved_to_its_first_state(w, verb):
    agreement = agreement_in_force(w)
    with pytest.raises((TransitionNotAllowed, NotPermitted, AttributeError)), transaction.atomic():
        AGREEMENT.move(agreement, verb, by=w.provider_officer)


@pytest.mark.parametrize(("verb", "status"), GRANT.disallowed(GrantStatus.values))
def test_a_step_of_a_grant_from_another_state_is_refused(w, verb, status):
    grant = agreement_in_force(w).grants.first()
    type(grant).objects.filter(pk=grant.pk).update(status=status)
    grant.refresh_from_db()
    refused(GRANT, grant, verb, w.provider_officer)


@pytest.mark.parametrize(("verb", "status"), ACCEPTANCE.disallowed(AcceptanceStatus.values))
def test_a_step_of_an_acceptance_record_from_another_state_is_refused(w, verb, status):
    record = recorded(w, agreement_in_force(w))
    AcceptanceRecord.objects.filter(pk=record.pk).update(status=status)
    record.refresh_from_db()
    refused(ACCEPTANCE, record, verb, w.provider_officer)


@pytest.mark.parametrize(("verb", "status"), CREDENTIAL.disallowed(CredentialStatus.values))
def test_a_step_of_a_credential_from_another_state_is_refused(w, verb, status):
    agreement_in_force(w)
    credential = Credential.objects.get(system=w.system)
    Credential.objects.filter(pk=credential.pk).update(status=status, secret_hash="0" * 64, claimed_at=timezone.now())
    credential.refresh_from_db()
    refused(CREDENTIAL, credential, verb, w.consumer_officer)


def test_every_permission_of_the_tables_is_a_rule():
    for workflow in (AGREEMENT, GRANT, ACCEPTANCE, CREDENTIAL):
        assert all(perm_exists(step.permission) for step in workflow.steps if step.permission)


def test_every_agreement_status_is_a_target_of_the_table():
    assert {step.target for step in AGREEMENT.steps} == set(AgreementStatus.values)
