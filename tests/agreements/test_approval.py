"""The last approval makes the agreement, its signatures, test grants and accounts, in one transaction."""

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.agreements.actions import approve_request
from apps.agreements.choices import AgreementStatus, CredentialStatus, Side, SignatureBasis
from apps.agreements.content import term_of
from apps.agreements.models import Agreement, AgreementVersion, Credential, Grant, Signature
from apps.audit.models import AuditEvent
from apps.connections.choices import RequestStatus
from apps.connections.content import request_hash
from apps.core.canonical import content_hash
from apps.core.epoch import current_epoch
from apps.core.errors import FactMissing, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.core.models import PolicyChange
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.registry.choices import Environment
from tests.factories.agreements import agreement_in_force, negotiating
from tests.factories.connections import forwarded
from tests.factories.organizations import InformationSystemFactory, officer
from tests.factories.registry import PublishedServiceFactory, SignedRegulationFactory, operation_of


def test_default_sharing_is_in_force_at_once(w):
    agreement = agreement_in_force(w)
    assert agreement.status == AgreementStatus.IN_FORCE
    assert agreement.number.startswith("TT-")
    assert {(p.organization, p.side) for p in agreement.parties.all()} == {(w.provider, "provider"), (w.consumer, "consumer")}
    assert agreement.bases.get().request.status == RequestStatus.APPROVED


def test_the_published_terms_and_the_signed_request_are_the_signatures(w):
    agreement = agreement_in_force(w)
    request = agreement.bases.get().request
    terms = w.service.usage_regulation
    found = {s.party.side: (s.signer, s.basis, s.signed_hash) for s in agreement.current_version.signatures.all()}
    assert found == {
        Side.PROVIDER: (terms.terms_signed_by, SignatureBasis.STANDING_TERMS, terms.terms_hash),
        Side.CONSUMER: (w.consumer_signer, SignatureBasis.REQUEST, request_hash(request)),
    }


def test_the_test_grant_has_exactly_the_fields_asked_for_and_the_envelope(w):
    grant = agreement_in_force(w).grants.get()
    envelope = {field.path for field in w.operation.fields.all() if field.is_envelope and field.is_leaf}
    assert grant.environment == Environment.TEST
    assert set(grant.fields) == set(w.fields()) | envelope
    assert (grant.operation, grant.purpose, grant.system) == (w.operation, w.purpose, w.system)
    assert (grant.quota_per_day, grant.rate_per_second) == (500, 5)
    assert grant.valid_from <= timezone.now()


def test_wf_35_approval_opens_nothing_in_production(w):
    agreement_in_force(w)
    assert not Grant.objects.filter(environment=Environment.PRODUCTION).exists()
    assert not Credential.objects.filter(environment=Environment.PRODUCTION).exists()


def test_a_test_account_waits_to_be_collected_and_has_no_secret_yet(w):
    agreement_in_force(w)
    credential = Credential.objects.get()
    assert (credential.system, credential.environment) == (w.system, Environment.TEST)
    assert (credential.status, credential.secret_hash) == (CredentialStatus.UNCLAIMED, "")


@pytest.mark.parametrize("delegated", [True, False])
def test_wf_02_who_issues_the_account_follows_the_delegation_and_is_recorded(w, delegated):
    type(w.service).objects.filter(pk=w.service.pk).update(account_issuing_delegated=delegated)
    agreement_in_force(w)
    issuer = Credential.objects.get().issued_by
    assert issuer.is_machine is delegated
    assert delegated or issuer == w.provider_officer
    assert AuditEvent.objects.get(event="credential.issued").facts["delegated"] is delegated


def test_a_system_that_has_a_test_account_gets_no_second_one(w):
    agreement_in_force(w)
    other = operation_of(PublishedServiceFactory(provider=w.provider))
    agreement_in_force(w, scope={other: w.fields()})
    assert Credential.objects.filter(system=w.system).count() == 1


def test_the_rights_raise_the_epoch_in_the_same_transaction(w):
    request = forwarded(w)
    before = current_epoch()
    agreement = approve_request(request, by=w.provider_officer)
    kinds = set(PolicyChange.objects.filter(epoch__gt=before).values_list("kind", "ref"))
    assert ("grant", agreement.grants.get().uuid) in kinds
    assert ("agreement", agreement.uuid) in kinds
    assert ("credential", Credential.objects.get().uuid) in kinds


def test_a_late_failure_leaves_nothing_behind(w, monkeypatch):
    request = forwarded(w)
    before = current_epoch()
    monkeypatch.setattr("apps.agreements.actions.approval.tell_parties", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        approve_request(request, by=w.provider_officer)
    request.refresh_from_db()
    assert request.status == RequestStatus.AWAITING_PROVIDER
    assert request.decisions.get().status == "pending"
    assert not Agreement.objects.exists()
    assert not Grant.objects.exists()
    assert current_epoch() == before
    assert not AuditEvent.objects.filter(event__in=["request.approved", "agreement.in_force"]).exists()


@pytest.mark.parametrize("person", ["consumer_officer", "consumer_signer", "provider_signer", "operator", "stranger"])
def test_only_the_provider_officer_approves(w, person):
    request = forwarded(w)
    with pytest.raises(NotPermitted):
        approve_request(request, by=getattr(w, person))
    assert not Agreement.objects.exists()


def test_provider_cannot_decide_own_request(w):
    both = officer(Role.PROVIDER_OFFICER, w.provider)
    both.memberships.create(organization=w.consumer, role=Role.SIGNER)
    with pytest.raises(NotPermitted):
        approve_request(forwarded(w), by=both)


def test_cc_04_who_signed_the_terms_drafts_no_request_under_them(w):
    request = forwarded(w)
    type(request).objects.filter(pk=request.pk).update(created_by=w.service.usage_regulation.terms_signed_by)
    request.refresh_from_db()
    with pytest.raises(NotPermitted) as refusal:
        approve_request(request, by=w.provider_officer)
    assert refusal.value.code == "four_eyes"


def test_a_superuser_approves_nothing(w):
    w.operator.is_superuser = True
    with pytest.raises(NotPermitted):
        approve_request(forwarded(w), by=w.operator)


def test_cc_04_the_database_refuses_a_decision_by_the_requester(w):
    decision = forwarded(w).decisions.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        type(decision).objects.filter(pk=decision.pk).update(decided_by=decision.requested_by)


def test_a_stale_page_decides_nothing(w):
    request = forwarded(w)
    with pytest.raises(StaleVersion):
        approve_request(request, by=w.provider_officer, version=request.version - 1)


@pytest.mark.parametrize("what", ["service", "system", "consumer"])
def test_cc_01_what_was_suspended_meanwhile_is_not_approved(w, what):
    request = forwarded(w)
    obj = getattr(w, what)
    type(obj).objects.filter(pk=obj.pk).update(status="suspended")
    with pytest.raises((FactMissing, NotPermitted)):
        approve_request(request, by=w.provider_officer)
    assert not Agreement.objects.exists()


def test_one_person_does_not_sign_for_both_sides(w):
    terms = SignedRegulationFactory(organization=w.provider, terms_signed_by=w.consumer_signer)
    type(w.service).objects.filter(pk=w.service.pk).update(usage_regulation=terms)
    with pytest.raises(NotPermitted) as refusal:
        agreement_in_force(w)
    assert refusal.value.code == "four_eyes"


def test_with_two_providers_the_last_approval_makes_the_agreement(w):
    other_service = PublishedServiceFactory()
    other_officer = officer(Role.PROVIDER_OFFICER, other_service.provider)
    request = forwarded(w, scope={w.operation: w.fields(), operation_of(other_service): w.fields()})
    assert approve_request(request, by=w.provider_officer) is None
    assert request.status == RequestStatus.AWAITING_PROVIDER
    with pytest.raises(TransitionNotAllowed, match=str(w.provider_officer)):
        approve_request(request, by=w.provider_officer)
    agreement = approve_request(request, by=other_officer)
    assert agreement.organization_ids(Side.PROVIDER) == {w.provider.pk, other_service.provider_id}
    assert agreement.grants.count() == 2


def test_several_systems_of_several_agencies_each_get_their_grant_and_account(w):
    w.consumer_officer.memberships.create(organization=w.provider, role=Role.AUDITOR, ended_at=timezone.now())
    second = InformationSystemFactory(organization=w.consumer)
    agreement = agreement_in_force(w, systems=[w.system, second])
    assert {grant.system for grant in agreement.grants.all()} == {w.system, second}
    assert {credential.system for credential in Credential.objects.all()} == {w.system, second}


def test_special_sharing_begins_to_negotiate_and_opens_nothing(special):
    agreement = negotiating(special)
    assert agreement.status == AgreementStatus.NEGOTIATING
    assert agreement.valid_from is None
    assert not Grant.objects.exists()
    assert not Signature.objects.exists()
    assert [c.party.organization for c in agreement.current_version.consents.all()] == [special.provider]


def test_both_sides_are_told_once(w):
    agreement = agreement_in_force(w)
    rows = Notice.objects.filter(kind="agreement.in_force", facts__params__number=agreement.number)
    assert sorted(rows.values_list("recipient", flat=True)) == sorted([w.consumer_officer.pk, w.provider_officer.pk])


# --- content ------------------------------------------------------------------------------------


def test_the_content_holds_the_twenty_items_and_its_hash(w):
    version = agreement_in_force(w).current_version
    content = version.content
    for item in (
        "providers", "consumers", "scope", "systems", "place", "term", "method", "post_processing", "restrictions", "commitments",
        "security", "storage", "disposal", "usage_regulations", "log_retention_months", "legal_bases", "contacts", "purpose",
    ):  # fmt: skip
        assert content[item], item
    assert set(content) >= {
        "other_terms",
        "service_level",
        "personal_data",
        "open_to_join",
        "version",
        "supersedes",
        "change_note",
    }
    assert version.content_hash == content_hash(content)
    assert content["legal_bases"] == ["Nghị định 47/2020/NĐ-CP", "Nghị định 61/2018/NĐ-CP"]


def test_the_hash_is_the_same_when_read_back_from_the_database(w):
    version = AgreementVersion.objects.get(pk=agreement_in_force(w).current_version.pk)
    assert content_hash(version.content) == version.content_hash


@pytest.mark.parametrize("change", [{"content": {}}, {"content_hash": "0" * 64}, {"number": 9}, {"change_note": "x"}], ids=str)
def test_the_database_refuses_to_edit_a_version(w, change):
    version = agreement_in_force(w).current_version
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        AgreementVersion.objects.filter(pk=version.pk).update(**change)


def test_the_database_refuses_to_delete_a_version_or_a_signature(w):
    version = agreement_in_force(w).current_version
    for rows in (Signature.objects.filter(version=version), AgreementVersion.objects.filter(pk=version.pk)):
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            rows._raw_delete("default")


def test_the_database_refuses_to_edit_a_signature(w):
    agreement_in_force(w)
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        Signature.objects.update(signed_hash="0" * 64)


def test_cc_04_the_database_refuses_a_signer_who_drafted(special):
    version = negotiating(special).current_version
    party = version.agreement.parties.first()
    with pytest.raises(IntegrityError), transaction.atomic():
        Signature.objects.create(
            version=version, party=party, signer=version.drafted_by, drafted_by=version.drafted_by, basis="portal",
            signed_hash=version.content_hash, signed_at=timezone.now(),
        )  # fmt: skip


@time_machine.travel("2026-06-10T09:00:00+07:00", tick=False)
def test_the_term_runs_from_the_first_wanted_day_to_the_end_of_the_last():
    content = {"term": {"valid_from": "2026-07-01", "valid_to": "2026-12-31"}}
    starts, ends = term_of(content, timezone.now())
    assert timezone.localtime(starts).isoformat() == "2026-07-01T00:00:00+07:00"
    assert timezone.localtime(ends).isoformat() == "2027-01-01T00:00:00+07:00"
    past = {"term": {"valid_from": "2026-01-01", "valid_to": None}}
    assert term_of(past, timezone.now()) == (timezone.now(), None)


def test_a_renamed_agency_changes_no_agreement(w):
    agreement = agreement_in_force(w)
    w.consumer.name = "Tên mới"
    w.consumer.save()
    assert agreement.current_version.content["consumers"][0]["name"] != "Tên mới"


def test_the_hash_of_a_request_is_made_once_and_what_the_approval_asks_the_database_is_bounded(w):
    """What is signed, recorded and written in the agreement is one hash over one reading of the request."""
    request = forwarded(w)
    with CaptureQueriesContext(connection) as asked:
        agreement = approve_request(request, by=w.provider_officer)
    read = [row for row in asked.captured_queries if '"connections_attachment"."request_id" IN' in row["sql"]]
    assert len(read) == 1, "the assessments, which the content names, are asked for by themselves"
    assert len(asked) <= 124
    present = request_hash(request)
    assert agreement.versions.get().content["requests"] == [{"number": request.number, "content_hash": present}]
    assert agreement.versions.get().signatures.get(party__side=Side.CONSUMER).signed_hash == present
    assert AuditEvent.objects.get(event="request.approved").facts["content_hash"] == present
