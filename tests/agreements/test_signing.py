"""Special sharing: the same hash on both sides, then signatures of two other hands."""

import pytest
from django.db import IntegrityError, transaction

from apps.agreements.actions import (
    agree_content,
    decline_agreement,
    propose_content,
    reopen_agreement,
    sign_agreement,
)
from apps.agreements.choices import AgreementStatus, VersionState
from apps.agreements.models import Grant, Signature
from apps.audit.models import AuditEvent
from apps.core.errors import FactMissing, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.registry.choices import Environment
from tests.factories.agreements import awaiting_signatures, negotiating, signed_special
from tests.factories.organizations import officer


def present(agreement) -> str:
    return agreement.versions.order_by("-number").first().content_hash


def test_the_last_word_on_the_same_hash_ends_the_negotiation(special):
    agreement = negotiating(special)
    agree_content(agreement, by=special.consumer_officer, content_hash=present(agreement))
    assert agreement.status == AgreementStatus.AWAITING_SIGNATURES
    assert Notice.objects.filter(kind="agreement.agreed", recipient=special.provider_signer).exists()


def told(event: str) -> set:
    return {row.recipient for row in Notice.objects.filter(kind=f"agreement.{event}").select_related("recipient")}


def test_the_other_side_is_told_of_each_proposal(special):
    agreement = negotiating(special)
    assert special.consumer_officer in told("negotiating")
    for note in ("Báo cáo quý.", "Báo cáo tháng."):
        propose_content(agreement, by=special.consumer_officer, changes={"other_terms": note}, note=note)
    heard = Notice.objects.filter(kind="agreement.proposed", recipient=special.provider_officer)
    assert heard.count() == 2, "once a version"


def test_who_has_not_agreed_yet_hears_that_the_first_side_has(special):
    agreement = awaiting_signatures(special)
    assert not told("party_agreed"), "the last word ends the negotiation, and is told as that"
    reopen_agreement(agreement, by=special.provider_officer, reason="Xem lại")
    agree_content(agreement, by=special.consumer_officer, content_hash=present(agreement))
    assert special.provider_officer in told("party_agreed")
    assert special.consumer_officer not in told("party_agreed")
    agree_content(agreement, by=officer(Role.CONSUMER_OFFICER, special.consumer), content_hash=present(agreement))
    assert Notice.objects.filter(kind="agreement.party_agreed", recipient=special.provider_officer).count() == 1


def test_who_is_to_sign_hears_that_the_first_side_has(special):
    agreement = awaiting_signatures(special)
    writes_too = made_signer(special.provider_officer, special.provider)
    sign_agreement(agreement, by=special.consumer_signer, content_hash=present(agreement))
    heard = told("party_signed")
    assert {special.provider_signer, special.provider_officer} <= heard
    assert not heard & {special.consumer_signer, special.consumer_officer, special.stranger, special.operator}
    assert Notice.objects.filter(kind="agreement.party_signed", recipient=writes_too).count() == 1, "as an officer, once"
    sign_agreement(agreement, by=special.provider_signer, content_hash=present(agreement))
    assert not told("party_signed") & {special.consumer_signer, special.consumer_officer}, "the last one is told as in force"


def test_who_signed_is_not_told_of_their_own_signature(special):
    agreement = awaiting_signatures(special)
    both = made_signer(officer(Role.PROVIDER_OFFICER, special.provider), special.consumer)
    sign_agreement(agreement, by=both, content_hash=present(agreement))
    assert special.provider_officer in told("party_signed")
    assert both not in told("party_signed")


def test_a_second_signer_of_the_side_that_has_signed_is_not_asked(special):
    agreement = awaiting_signatures(special)
    colleague = officer(Role.SIGNER, special.consumer)
    sign_agreement(agreement, by=special.consumer_signer, content_hash=present(agreement))
    assert colleague not in told("party_signed")


def test_a_counter_proposal_asks_the_other_side_again(special):
    agreement = negotiating(special)
    old = present(agreement)
    draft = propose_content(
        agreement, by=special.consumer_officer, changes={"other_terms": "Báo cáo quý."}, note="Thêm báo cáo."
    )
    assert (draft.number, draft.content["supersedes"], draft.content["other_terms"]) == (2, old, "Báo cáo quý.")
    assert agreement.status == AgreementStatus.NEGOTIATING
    with pytest.raises(StaleVersion):
        agree_content(agreement, by=special.provider_officer, content_hash=old)
    agree_content(agreement, by=special.provider_officer, content_hash=draft.content_hash)
    assert agreement.status == AgreementStatus.AWAITING_SIGNATURES


@pytest.mark.parametrize("item", ["providers", "consumers", "legal_bases", "requests", "agreement", "personal_data", "nothing"])
def test_what_follows_from_the_request_is_not_negotiable(special, item):
    with pytest.raises(InvalidFact) as refusal:
        propose_content(negotiating(special), by=special.consumer_officer, changes={item: []}, note="x")
    assert refusal.value.code == "not_negotiable"


def test_a_proposal_may_narrow_the_fields_but_not_widen_them(special):
    agreement = negotiating(special)
    (row,) = agreement.current_version.content["scope"]
    narrower = [{**row, "fields": row["fields"][:1]}]
    draft = propose_content(agreement, by=special.consumer_officer, changes={"scope": narrower}, note="Bớt mục tin.")
    assert draft.content["scope"] == narrower
    more = {"path": special.fields(9)[-1], "label": "", "personal_data": "none"}
    with pytest.raises(InvalidFact) as refusal:
        propose_content(
            agreement, by=special.consumer_officer, changes={"scope": [{**row, "fields": [*row["fields"], more]}]}, note="x"
        )
    assert refusal.value.code == "scope_widened"


@pytest.mark.parametrize("scope", [["x"], [{}], "text", [{"service": "a", "version": "1", "operation": "b"}]], ids=str)
def test_a_malformed_scope_is_refused_clearly(special, scope):
    with pytest.raises(InvalidFact):
        propose_content(negotiating(special), by=special.consumer_officer, changes={"scope": scope}, note="x")


def test_one_person_does_not_agree_for_both_sides(special):
    agreement = negotiating(special)
    special.provider_officer.memberships.create(organization=special.consumer, role=Role.CONSUMER_OFFICER)
    special.provider_officer.__dict__.pop("_roles", None)
    with pytest.raises(NotPermitted) as refusal:
        agree_content(agreement, by=special.provider_officer, content_hash=present(agreement))
    assert refusal.value.code == "four_eyes"


@pytest.mark.parametrize("person", ["consumer_signer", "provider_signer", "operator", "stranger"])
def test_only_the_officers_of_the_parties_agree(special, person):
    agreement = negotiating(special)
    with pytest.raises(NotPermitted):
        agree_content(agreement, by=getattr(special, person), content_hash=present(agreement))


def test_the_last_signature_puts_it_in_force_and_opens_the_test(special):
    agreement = awaiting_signatures(special)
    sign_agreement(agreement, by=special.consumer_signer, content_hash=present(agreement))
    assert agreement.status == AgreementStatus.AWAITING_SIGNATURES
    assert not Grant.objects.exists()
    sign_agreement(agreement, by=special.provider_signer, content_hash=present(agreement))
    assert agreement.status == AgreementStatus.IN_FORCE
    assert agreement.valid_from is not None
    assert agreement.current_version.state == VersionState.CURRENT
    assert [grant.environment for grant in agreement.grants.all()] == [Environment.TEST]
    events = AuditEvent.objects.about(agreement).filter(event="agreement.signed")
    assert {event.actor for event in events} == {special.consumer_signer, special.provider_signer}


def test_the_negotiated_scope_is_what_the_gateway_enforces(special):
    agreement = negotiating(special)
    (row,) = agreement.current_version.content["scope"]
    draft = propose_content(
        agreement, by=special.consumer_officer, changes={"scope": [{**row, "fields": row["fields"][:1]}]}, note="Bớt."
    )
    agree_content(agreement, by=special.provider_officer, content_hash=draft.content_hash)
    for signer in (special.consumer_signer, special.provider_signer):
        sign_agreement(agreement, by=signer, content_hash=draft.content_hash)
    asked = {field["path"] for field in row["fields"]}
    assert set(agreement.grants.get().fields) & asked == {row["fields"][0]["path"]}
    assert [v.state for v in agreement.versions.order_by("number")] == [VersionState.SUPERSEDED, VersionState.CURRENT]


def test_the_drafter_does_not_sign(special):
    agreement = awaiting_signatures(special)
    drafter = agreement.current_version.drafted_by
    drafter.memberships.create(organization=special.provider, role=Role.SIGNER)
    drafter.__dict__.pop("_roles", None)
    with pytest.raises(NotPermitted) as refusal:
        sign_agreement(agreement, by=drafter, content_hash=present(agreement))
    assert refusal.value.code == "four_eyes"


def made_signer(person, organization):
    person.memberships.create(organization=organization, role=Role.SIGNER)
    person.__dict__.pop("_roles", None)
    return person


def test_who_wrote_the_request_does_not_sign_its_own_words(special):
    agreement = awaiting_signatures(special)
    with pytest.raises(NotPermitted) as refusal:
        sign_agreement(agreement, by=made_signer(special.consumer_officer, special.consumer), content_hash=present(agreement))
    assert refusal.value.code == "four_eyes"


def test_nor_when_they_come_again_after_a_negotiation(special):
    agreement = awaiting_signatures(special)
    reopen_agreement(agreement, by=special.provider_officer, reason="Xem lại")
    for person in (special.consumer_officer, special.provider_officer):
        agree_content(agreement, by=person, content_hash=present(agreement))
    with pytest.raises(NotPermitted) as refusal:
        sign_agreement(agreement, by=made_signer(special.consumer_officer, special.consumer), content_hash=present(agreement))
    assert refusal.value.code == "four_eyes"


def test_reopening_does_not_let_the_drafter_sign_the_same_words(special):
    agreement = negotiating(special)
    propose_content(agreement, by=special.provider_officer, changes={"other_terms": "Báo cáo quý."}, note="Báo cáo")
    agree_content(agreement, by=special.consumer_officer, content_hash=present(agreement))
    reopen_agreement(agreement, by=special.consumer_officer, reason="Xem lại")
    for person in (special.consumer_officer, special.provider_officer):
        agree_content(agreement, by=person, content_hash=present(agreement))
    with pytest.raises(NotPermitted) as refusal:
        sign_agreement(agreement, by=made_signer(special.provider_officer, special.provider), content_hash=present(agreement))
    assert refusal.value.code == "four_eyes"


def test_the_same_hand_does_not_sign_for_both_sides(special):
    special.consumer_signer.memberships.create(organization=special.provider, role=Role.SIGNER)
    agreement = awaiting_signatures(special)
    special.consumer_signer.__dict__.pop("_roles", None)
    sign_agreement(agreement, by=special.consumer_signer, content_hash=present(agreement))
    with pytest.raises(NotPermitted) as refusal:
        sign_agreement(agreement, by=special.consumer_signer, content_hash=present(agreement))
    assert refusal.value.code == "already_signed"
    signature = Signature.objects.get()
    other = agreement.parties.exclude(pk=signature.party_id).get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Signature.objects.create(
            version=signature.version, party=other, signer=signature.signer, drafted_by=signature.drafted_by, basis="portal",
            signed_hash=signature.signed_hash, signed_at=signature.signed_at,
        )  # fmt: skip


@pytest.mark.parametrize("person", ["consumer_officer", "operator", "stranger"])
def test_only_signers_of_the_parties_sign(special, person):
    agreement = awaiting_signatures(special)
    with pytest.raises(NotPermitted):
        sign_agreement(agreement, by=getattr(special, person), content_hash=present(agreement))


def test_another_content_than_the_one_read_is_not_signed(special):
    with pytest.raises(StaleVersion):
        sign_agreement(awaiting_signatures(special), by=special.consumer_signer, content_hash="0" * 64)


def test_reopening_makes_a_new_version_so_that_old_signatures_sign_nothing(special):
    agreement = awaiting_signatures(special)
    sign_agreement(agreement, by=special.consumer_signer, content_hash=present(agreement))
    reopen_agreement(agreement, by=special.provider_officer, reason="Sai thời hạn.")
    assert agreement.status == AgreementStatus.NEGOTIATING
    newest = agreement.versions.order_by("-number").first()
    assert newest.number == 2
    assert not newest.signatures.exists()
    assert not newest.consents.exists()


def test_declining_needs_a_reason_and_ends_it(special):
    agreement = negotiating(special)
    with pytest.raises(FactMissing):
        decline_agreement(agreement, by=special.consumer_officer, reason=" ")
    decline_agreement(agreement, by=special.consumer_officer, reason="Không còn nhu cầu.")
    assert agreement.status == AgreementStatus.DECLINED
    with pytest.raises(TransitionNotAllowed):
        propose_content(agreement, by=special.provider_officer, changes={}, note="x")


def test_a_stranger_neither_proposes_nor_declines(special):
    agreement = negotiating(special)
    with pytest.raises(NotPermitted):
        propose_content(agreement, by=special.stranger, changes={}, note="x")
    with pytest.raises(NotPermitted):
        decline_agreement(agreement, by=special.stranger, reason="x")


def test_a_signed_special_agreement_is_complete(special):
    agreement = signed_special(special)
    assert agreement.current_version.signatures.count() == 2
