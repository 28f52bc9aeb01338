"""The home page's list: what waits for a person stands there until it is done, and nothing that is not theirs to do."""

from __future__ import annotations

import datetime

import time_machine
from django.urls import reverse
from django.utils import timezone, translation

from apps.agreements.actions import (
    agree_content,
    claim_credential,
    complete_duty,
    propose_content,
    rotate_credential,
    terminate_agreement,
)
from apps.agreements.choices import TerminationGround
from apps.agreements.models import Credential
from apps.connections.actions import enter_paper_request, sign_request
from apps.disputes.actions import answer_dispute, raise_dispute
from apps.disputes.choices import DisputeCategory
from apps.organizations.choices import Role
from apps.portal import inbox
from apps.portal.unsigned import unsigned
from apps.registry.actions.default_lists import decide_default_list
from apps.registry.choices import Environment, SharingForm
from tests.factories import agreements, connections
from tests.factories.organizations import InformationSystemFactory, MembershipFactory, ReadyOrganizationFactory, officer


def waits_for(user, obj, name: str) -> bool:
    return any(task.url == reverse(name, args=[obj.uuid]) for task in inbox.tasks(user))


def agreement_waits_for(user, agreement) -> bool:
    return waits_for(user, agreement, "portal:agreement")


def test_a_negotiation_waits_for_whoever_has_not_agreed_to_the_newest_content(db):
    world = agreements.special_world()
    agreement = agreements.negotiating(world)
    propose_content(agreement, by=world.consumer_officer, changes={"other_terms": "Báo cáo quý."}, note="Báo cáo quý")
    assert agreement_waits_for(world.provider_officer, agreement)
    assert not agreement_waits_for(world.consumer_officer, agreement), "who proposed has agreed already"
    assert not agreement_waits_for(world.stranger, agreement)
    newest = agreement.versions.order_by("-number").first()
    agree_content(agreement, by=world.provider_officer, content_hash=newest.content_hash)
    assert not agreement_waits_for(world.provider_officer, agreement)


def test_duties_wait_for_the_party_whose_they_are_and_the_last_press_for_the_provider(world):
    agreement = agreements.agreement_in_force(world)
    test = Credential.objects.get(system=world.system, environment=Environment.TEST)
    assert waits_for(world.consumer_officer, test, "portal:credential")
    terminate_agreement(agreement, by=world.consumer_officer, ground=TerminationGround.CONSUMER, reason="Không còn nhu cầu")
    assert not waits_for(world.consumer_officer, test, "portal:credential"), "its access has ended: it opens nothing"
    for duty in agreement.duties.select_related("party__organization").order_by("party__side", "id"):
        owner = world.consumer_officer if duty.party.side == "consumer" else world.provider_officer
        assert agreement_waits_for(owner, agreement)
        assert not agreement_waits_for(world.stranger, agreement)
        complete_duty(duty, by=owner, note="Đã làm", file=("bien-ban.pdf", b"%PDF-1.7"))
    assert not agreement_waits_for(world.consumer_officer, agreement)
    assert agreement_waits_for(world.provider_officer, agreement), "the termination is still to be completed"


def test_an_account_that_was_rotated_is_not_to_be_renewed_again(world):
    agreements.agreement_in_force(world)
    old, _secret = agreements.collected(world, Environment.TEST)
    Credential.objects.filter(pk=old.pk).update(expires_at=timezone.now() + datetime.timedelta(days=10))
    assert waits_for(world.consumer_officer, old, "portal:credential")
    old.refresh_from_db()
    new = rotate_credential(old, by=world.consumer_officer)
    claim_credential(new, by=world.consumer_officer)
    assert not waits_for(world.consumer_officer, old, "portal:credential")


def test_an_account_whose_access_has_ended_is_not_to_be_renewed(world):
    agreement = agreements.agreement_in_force(world)
    account, _secret = agreements.collected(world, Environment.TEST)
    Credential.objects.filter(pk=account.pk).update(expires_at=timezone.now() + datetime.timedelta(days=10))
    assert waits_for(world.operator, account, "portal:credential")
    terminate_agreement(agreement, by=world.consumer_officer, ground=TerminationGround.CONSUMER, reason="Không còn nhu cầu")
    assert not waits_for(world.consumer_officer, account, "portal:credential")
    assert not waits_for(world.operator, account, "portal:credential")


def request_waits_for(user, request) -> bool:
    return waits_for(user, request, "portal:request")


def test_a_request_waits_for_the_signature_of_its_present_content(world):
    draft = connections.complete_draft(world)
    assert request_waits_for(world.consumer_signer, draft)
    sign_request(draft, by=world.consumer_signer)
    assert not request_waits_for(world.consumer_signer, draft)
    assert not request_waits_for(officer(Role.SIGNER, world.consumer), draft), "a colleague has signed"
    connections.change(draft, world, note="Thêm một ý.")
    assert request_waits_for(world.consumer_signer, draft), "what was signed is void: the content is another"


def test_a_request_waits_for_every_agency_whose_system_shall_read(world):
    commune = ReadyOrganizationFactory(parent=world.consumer)
    draft = connections.complete_draft(world, systems=[world.system, InformationSystemFactory(organization=commune)])
    signer = officer(Role.SIGNER, commune)
    sign_request(draft, by=world.consumer_signer)
    assert request_waits_for(signer, draft)
    sign_request(draft, by=signer)
    assert not request_waits_for(signer, draft)
    assert not request_waits_for(world.stranger, draft)


def test_nobody_is_asked_to_sign_what_is_not_signed_as_a_request(db):
    special = connections.world(sharing_form=SharingForm.SPECIAL)
    assert not request_waits_for(special.consumer_signer, connections.complete_draft(special, special_reason="Không có."))


def test_a_paper_that_was_entered_waits_for_the_operator_with_its_own_time(world):
    day = datetime.date(2026, 6, 1)  # a Monday
    with time_machine.travel("2026-06-02T09:00:00+07:00", tick=False):
        paper = enter_paper_request(
            world.consumer, by=world.operator, received_on=day, paper_signer="Trần Văn Ký", **world.content()
        )
        (task,) = [task for task in inbox.tasks(world.operator) if paper.number == task.name]
        assert timezone.localdate(task.due_at) == datetime.date(2026, 6, 3)
        assert not request_waits_for(world.consumer_signer, paper)


def test_an_answered_obstacle_waits_to_be_settled_and_is_not_said_to_be_unanswered(world):
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        agreement = agreements.agreement_in_force(world)
        facts = {"category": DisputeCategory.DATA, "title": "Sai tên", "description": "Sai dấu.", "by": world.consumer_officer}
        answered, silent = raise_dispute(agreement, **facts), raise_dispute(agreement, **facts)
        answer_dispute(answered, by=world.provider_officer, text="Đã sửa.")
    with time_machine.travel("2026-06-11T09:00:00+07:00", tick=False), translation.override("en"):
        told = {
            task.name: (task.what, task.is_late)
            for task in inbox.tasks(world.consumer_officer)
            if task.name in (answered.number, silent.number)
        }
    assert told[answered.number] == ("Read the answer: settled, or one level up", False)
    assert told[silent.number] == ("Not answered in time: take it one level up", True)


def test_a_list_of_what_waits_for_a_signature_takes_no_more_queries_as_it_grows(world, django_assert_max_num_queries):
    def drafts(number: int) -> None:
        for _n in range(number):
            sign_request(connections.complete_draft(world), by=world.consumer_signer)
            connections.change(connections.signed_draft(world), world, note="Sửa sau khi ký.")
            connections.complete_draft(world)

    drafts(1)
    with django_assert_max_num_queries(20) as few:
        assert len(unsigned(world.consumer_signer, 100)) == 2
    drafts(3)
    with django_assert_max_num_queries(len(few.captured_queries)):
        assert len(unsigned(world.consumer_signer, 100)) == 8


def test_a_provider_that_shares_by_default_without_a_decision_is_told_to_enter_one(world):
    def told() -> list:
        here = reverse("portal:default-lists")
        return [task.name for task in inbox.tasks(world.provider_officer) if task.url == here]

    assert told() == [world.provider.code]
    assert not [task for task in inbox.tasks(world.consumer_officer) if task.url == reverse("portal:default-lists")]
    decide_default_list(
        world.provider, by=world.provider_officer, number="12/QĐ", decided_on=timezone.localdate(),
        services=[world.operation.version.service],
    )  # fmt: skip
    assert told() == []


def test_papers_of_one_day_take_no_more_queries_as_they_grow(world, django_assert_max_num_queries):
    def enter(number: int) -> None:
        for _n in range(number):
            enter_paper_request(
                world.consumer,
                by=world.operator,
                received_on=datetime.date(2026, 6, 1),
                paper_signer="Trần Văn Ký",
                **world.content(),
            )

    with time_machine.travel("2026-06-02T09:00:00+07:00", tick=False):
        enter(1)
        inbox.tasks(world.operator)
        with django_assert_max_num_queries(60) as few:
            inbox.tasks(world.operator)
        enter(4)
        with django_assert_max_num_queries(len(few.captured_queries)):
            assert len([task for task in inbox.tasks(world.operator) if task.name.startswith("YC")]) >= 5


def test_who_drafted_or_wrote_is_not_asked_to_sign(db):
    w = agreements.special_world()
    agreement = agreements.awaiting_signatures(w)
    assert agreement_waits_for(w.consumer_signer, agreement)
    for person, agency in ((w.consumer_officer, w.consumer), (w.provider_officer, w.provider)):
        MembershipFactory(user=person, organization=agency, role=Role.SIGNER)
        assert not agreement_waits_for(type(person).objects.get(pk=person.pk), agreement)
