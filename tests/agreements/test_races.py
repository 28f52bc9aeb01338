"""CC-01 for agreements: two people at the same instant, exactly one transition, one event, one word to each person."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.agreements.actions import (
    agree_content,
    approve_request,
    complete_duty,
    confirm_acceptance,
    decline_agreement,
    end_grant,
    leave_agreement,
    merge_organizations,
    propose_content,
    reopen_agreement,
    resume_grant,
    sign_agreement,
    start_change,
    suspend_consumer,
    suspend_grant,
    terminate_agreement,
)
from apps.agreements.locks import lock_agreement
from apps.agreements.models import Agreement, ConsumerSuspension, Signature
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, sign_request, submit_request
from apps.notices.models import Notice
from apps.organizations.actions.agencies import suspend_organization
from apps.organizations.choices import Role
from tests.agreements.test_leaving import Joiner
from tests.factories.accounts import PASSWORD
from tests.factories.agreements import accepted, awaiting_signatures, negotiating, recorded, special_world
from tests.factories.connections import forwarded, world
from tests.factories.organizations import ReadyOrganizationFactory, officer
from tests.fixtures.races import again, at_once, on, refusals, while_not_committed, with_state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]
WHY = {"violation": "x", "plan": "y", "restore_conditions": "z"}
ROUNDS = [pytest.param(3, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)]


def events(obj, name: str) -> int:
    return AuditEvent.objects.about(obj).filter(event=name).count()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_a_signer_who_signs_twice_at_once_has_signed_once(rounds):
    for w, agreement in again(rounds, lambda: with_state(special_world(), awaiting_signatures)):
        shown = agreement.current_version.content_hash
        sign = [on(sign_agreement, agreement, w.consumer_signer, content_hash=shown) for _click in range(3)]
        assert len(refusals(at_once(*sign))) == 2
        assert Signature.objects.filter(version__agreement=agreement).count() == 1
        assert events(agreement, "agreement.signed") == 1


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_the_two_last_signatures_at_once_put_it_in_force_once(rounds):
    for w, agreement in again(rounds, lambda: with_state(special_world(), awaiting_signatures)):
        shown = agreement.current_version.content_hash
        both = [on(sign_agreement, agreement, who, content_hash=shown) for who in (w.consumer_signer, w.provider_signer)]
        assert refusals(at_once(*both)) == []
        agreement.refresh_from_db()
        assert agreement.status == "in_force"
        assert events(agreement, "agreement.in_force") == 1
        told = Notice.objects.filter(kind="agreement.in_force", key__contains=str(agreement.uuid), recipient=w.consumer_officer)
        assert told.count() == 1
        assert agreement.grants.count() == 1


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("other", ["reopen", "decline"])
def test_cc_01_the_last_signature_against_second_thoughts(rounds, other):
    for w, agreement in again(rounds, lambda: with_state(special_world(), awaiting_signatures)):
        shown = agreement.current_version.content_hash
        sign_agreement(agreement, by=w.consumer_signer, content_hash=shown)
        step = {"reopen": reopen_agreement, "decline": decline_agreement}[other]
        answers = at_once(
            on(sign_agreement, agreement, w.provider_signer, content_hash=shown),
            on(step, agreement, w.consumer_officer, reason="Xem lại"),
        )
        assert len(refusals(answers)) == 1
        agreement.refresh_from_db()
        assert (agreement.status == "in_force") == agreement.grants.exists()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_agreeing_against_a_new_proposal_never_agrees_to_what_was_not_read(rounds):
    for turn, (w, agreement) in enumerate(again(rounds, lambda: with_state(special_world(), negotiating))):
        shown = agreement.current_version.content_hash
        answers = at_once(
            on(agree_content, agreement, w.consumer_officer, content_hash=shown),
            on(propose_content, agreement, w.provider_officer, changes={"other_terms": f"Lần {turn}"}, note="Thêm"),
        )
        assert len(refusals(answers)) == 1
        agreement.refresh_from_db()
        newest = agreement.versions.order_by("-number").first()
        agreed = set(newest.consents.values_list("party__side", flat=True))
        assert (agreement.status == "awaiting_signatures") == (agreed == {"consumer", "provider"})
        assert agreement.status == "negotiating" or newest.content_hash == shown


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_one_consumer_suspended_twice_at_once_is_one_suspension(rounds):
    for w, agreement in again(rounds, lambda: with_state(world(), accepted)):
        party = agreement.parties.get(side="consumer")
        colleague = officer(Role.PROVIDER_OFFICER, w.provider)
        answers = at_once(*[on(suspend_consumer, party, who, **WHY) for who in (w.provider_officer, colleague)])
        assert len(refusals(answers)) == 1
        assert ConsumerSuspension.objects.filter(agreement=agreement).count() == 1
        assert events(agreement, "consumer.suspended") == 1


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_one_duty_done_twice_at_once_is_done_once(rounds):
    for w, agreement in again(rounds, lambda: with_state(world(), accepted)):
        terminate_agreement(agreement, by=w.operator, ground="authority", reason="Yêu cầu")
        duty = agreement.duties.get(kind="final_statistics")
        colleague = officer(Role.PROVIDER_OFFICER, w.provider)
        answers = at_once(*[on(complete_duty, duty, who, note=str(who)) for who in (w.provider_officer, colleague)])
        assert len(refusals(answers)) == 1
        assert events(duty, "duty.done") == 1


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_cc_01_an_agency_suspended_at_the_instant_of_approval_gets_no_agreement_after_it(rounds, side):
    """The two take turns on the agency, so what is recorded first was done first."""
    for w, request in again(rounds, lambda: with_state(world(), forwarded)):
        answers = at_once(
            on(approve_request, request, w.provider_officer),
            on(suspend_organization, getattr(w, side), w.operator, reason="Vi phạm"),
        )
        assert refusals(answers) in ([], answers[:1])
        made = AuditEvent.objects.filter(event="agreement.in_force").first()
        assert (made is None) == isinstance(answers[0], Exception) == (not Agreement.objects.exists())
        assert made is None or made.pk < AuditEvent.objects.get(event="organization.suspended").pk


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_one_access_resumed_against_its_consumer_suspended_leaves_nothing_open(rounds):
    for w, agreement in again(rounds, lambda: with_state(world(), accepted)):
        grant = agreement.grants.get(environment="production")
        suspend_grant(grant, by=w.provider_officer, reason="Lỗi kỹ thuật")
        resumed, stopped = at_once(
            on(resume_grant, grant, w.provider_officer),
            on(suspend_consumer, agreement.parties.get(side="consumer"), w.operator, **WHY),
        )
        assert refusals([resumed, stopped]) in ([], [resumed])
        assert not agreement.grants.filter(status="active").exists()


def changing(w, agreement):
    """A change that only waits for the provider's decision."""
    request = start_change(agreement, by=w.consumer_officer)
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    return forward_request(request, by=w.operator)


@pytest.mark.parametrize("verb", [suspend_grant, end_grant])
def test_cc_01_one_access_stopped_while_a_new_version_comes_into_force_is_not_open_after_it(verb):
    w = world()
    agreement = accepted(w)
    request, grant = changing(w, agreement), agreement.grants.get(environment="production")
    answers = while_not_committed(
        on(verb, grant, w.operator, reason="Bất thường"), on(approve_request, request, w.provider_officer)
    )
    assert refusals(answers) == []
    assert agreement.current_version.number == 2
    assert not agreement.grants.filter(environment="production", status="active").exists()


def test_cc_01_one_access_suspended_while_its_test_is_confirmed_is_not_open_after_it():
    w = world()
    agreement = accepted(w)
    approve_request(changing(w, agreement), by=w.provider_officer)
    record = recorded(w, agreement)
    grant = agreement.grants.exclude(status="ended").get(environment="production")
    answers = while_not_committed(
        on(suspend_grant, grant, w.operator, reason="Bất thường"), on(confirm_acceptance, record, w.provider_officer)
    )
    assert refusals(answers) == []
    assert not agreement.grants.filter(environment="production", status="active").exists()


def test_cc_01_one_access_is_not_suspended_as_the_row_that_a_new_version_has_just_replaced():
    w = world()
    agreement = accepted(w)
    request, grant = changing(w, agreement), agreement.grants.get(environment="production")
    (refused,) = while_not_committed(
        on(approve_request, request, w.provider_officer), on(suspend_grant, grant, w.operator, reason="Bất thường")
    )
    assert refusals([refused]) == [refused]
    assert agreement.grants.filter(environment="production", status="active").count() == 1


def test_cc_01_a_change_goes_through_that_waited_for_another_consumer_to_leave():
    w = world()
    agreement = accepted(w)
    other = Joiner(w, agreement)
    request = start_change(agreement, by=other.officer)
    sign_request(request, by=other.signer)
    submit_request(request, by=other.officer)
    forward_request(request, by=w.operator)
    answers = while_not_committed(
        on(leave_agreement, agreement, w.consumer_officer, reason="Hết nhu cầu"),
        on(approve_request, request, w.provider_officer),
    )
    assert refusals(answers) == []
    agreement.refresh_from_db()
    assert [row["code"] for row in agreement.current_version.content["consumers"]] == [other.organization.code]


def test_cc_01_a_merge_and_a_verb_of_its_agreement_do_not_wait_for_each_other():
    w = world()
    agreement = accepted(w)
    grant, into = agreement.grants.get(environment="production"), ReadyOrganizationFactory()
    answers = while_not_committed(
        lambda: lock_agreement(agreement),
        on(merge_organizations, w.consumer, w.operator, into=into, instrument="Nghị quyết 202/2025/QH15"),
        then=lambda: suspend_grant(grant, by=w.provider_officer, reason="Bất thường"),
    )
    assert refusals(answers) == []
    grant.refresh_from_db()
    assert (grant.status, grant.system.organization) == ("suspended", into)


def test_cc_05_a_double_click_on_sign_in_the_portal_signs_once_and_never_fails_hard():
    w = special_world()
    agreement = awaiting_signatures(w)
    body = {"password": PASSWORD, "content_hash": agreement.current_version.content_hash, "version": agreement.version}

    def click():
        client = Client()
        client.force_login(w.consumer_signer)
        return client.post(reverse("portal:agreement-sign", args=[agreement.uuid]), body).status_code

    answers = at_once(*[click] * 4)
    assert set(answers) <= {302, 409}, answers
    assert Signature.objects.count() == 1
    assert events(agreement, "agreement.signed") == 1
