"""CC-01 by the table: two steps of one dispute or question at the same instant, and an agency closed while something begins with it."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.connections.actions import draft_request, sign_request
from apps.disputes.actions import (
    answer_dispute,
    answer_ticket,
    ask_again,
    close_dispute,
    close_ticket,
    escalate_dispute,
    open_ticket,
    raise_dispute,
    resolve_dispute,
    send_document,
)
from apps.disputes.choices import DisputeCategory, DisputeStatus, TicketKind
from apps.disputes.closing import close_organization
from apps.disputes.models import Answer, Dispute
from apps.organizations.choices import OrganizationStatus, Role
from tests.agreements.pairs import Pair, act, of_pairs, race
from tests.agreements.test_race_pairs import approve, asked, submit
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import world
from tests.factories.organizations import ReadyOrganizationFactory, officer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]

# --- cases --------------------------------------------------------------------------------------------------------------------


def raised() -> dict:
    w = world()
    agreement = agreement_in_force(w)
    facts = {"category": DisputeCategory.DATA, "title": "Sai tên", "description": "Sai dấu."}
    return {
        "w": w, "agreement": agreement, "dispute": raise_dispute(agreement, by=w.consumer_officer, **facts),
        "colleague": officer(Role.CONSUMER_OFFICER, w.consumer), "second_operator": officer(Role.OPERATOR),
    }  # fmt: skip


def late() -> dict:
    found = raised()
    Dispute.objects.update(due_at=timezone.now() - datetime.timedelta(hours=1))
    return found


def at_the_top() -> dict:
    found = late()
    for _level in range(2):
        found["dispute"].refresh_from_db()
        escalate_dispute(found["dispute"], by=found["w"].consumer_officer, reason="x")
        Dispute.objects.update(due_at=timezone.now() - datetime.timedelta(hours=1))
    return found


def settled() -> dict:
    found = raised()
    resolve_dispute(found["dispute"], by=found["w"].consumer_officer, outcome="x")
    return found


def asked_about() -> dict:
    w = world()
    agreement = agreement_in_force(w)
    ask = {"kind": TicketKind.WRONG_DATA, "asked_of": w.provider, "text": "Sai ngày cấp."}
    return {
        "w": w, "ticket": open_ticket(agreement, by=w.consumer_officer, **ask),
        "colleague": officer(Role.CONSUMER_OFFICER, w.consumer), "neighbour": officer(Role.PROVIDER_OFFICER, w.provider),
    }  # fmt: skip


def answered() -> dict:
    found = asked_about()
    return {**found, "ticket": answer_ticket(found["ticket"], by=found["w"].provider_officer, answer="Đã sửa.")}


def about_to_file() -> dict:
    """An agency without a system of its own, whose officer files for another's, too."""
    w = world()
    agency = ReadyOrganizationFactory()
    w.consumer_officer.memberships.create(organization=agency, role=Role.CONSUMER_OFFICER)
    w.consumer_signer.memberships.create(organization=agency, role=Role.SIGNER)
    by, signer = (type(person).objects.get(pk=person.pk) for person in (w.consumer_officer, w.consumer_signer))
    request = draft_request(agency, by=by, **w.content())
    sign_request(request, by=signer)
    return {"w": w, "request": request, "agency": agency}


# --- acts ---------------------------------------------------------------------------------------------------------------------

answer = act(answer_dispute, "dispute", "provider_officer", text="Sẽ sửa.")
escalate = act(escalate_dispute, "dispute", "consumer_officer", reason="Quá hạn")
resolve = act(resolve_dispute, "dispute", "consumer_officer", outcome="Đã sửa")
reply = act(answer_ticket, "ticket", "provider_officer", answer="Đã sửa.")
close_question = act(close_ticket, "ticket", "consumer_officer")
send = act(
    send_document, "dispute", "operator", sent_to="Bộ", number="12/UBND", day=lambda _found: timezone.localdate()
)  # fmt: skip


def answered_as_the_level_it_lay_with(found: dict, came: str) -> None:
    assert [row.level for row in Answer.objects.all()] == ([DisputeStatus.LEVEL_1] if came == "both" else [])


def closed_or_filed(found: dict, came: str) -> None:
    for row in (found["agency"], found["request"]):
        row.refresh_from_db()
    if came == "first":
        assert (found["agency"].status, found["request"].status) == (OrganizationStatus.CLOSED, "withdrawn")
    else:
        assert (found["agency"].status, found["request"].status) == (OrganizationStatus.ACTIVE, "checking")


PAIRS = (
    # One obstacle.
    Pair("answered, taken up", late, answer, escalate, "both second", "transition_not_allowed", after=answered_as_the_level_it_lay_with),
    Pair("answered, settled", raised, answer, resolve, "both second", "transition_not_allowed", after=answered_as_the_level_it_lay_with),
    Pair("settled, taken up", late, resolve, act(escalate_dispute, "dispute", "colleague", reason="x"), "first second", "transition_not_allowed"),
    Pair("taken up twice", late, escalate, act(escalate_dispute, "dispute", "colleague", reason="x"), "first second", "transition_not_allowed"),
    Pair("document sent, settled", at_the_top, send, resolve, "first second", "stale_version transition_not_allowed"),
    Pair(
        "closed twice", settled, act(close_dispute, "dispute", "operator"), act(close_dispute, "dispute", "second_operator"),
        "first second", "transition_not_allowed",
    ),
    # One question.
    Pair("question answered, closed", asked_about, reply, close_question, "first second", "transition_not_allowed"),
    Pair(
        "question answered twice", asked_about, reply, act(answer_ticket, "ticket", "neighbour", answer="Đã xem."), "first second",
        "transition_not_allowed",
    ),
    Pair(
        "question asked again, closed", answered, act(ask_again, "ticket", "colleague", text="x"), close_question, "first second",
        "transition_not_allowed",
    ),
    # An agency is closed.
    Pair(
        "approval, agency closed", asked, approve, act(close_organization, "consumer_organization", "operator", reason="x"), "first",
        "unfinished",
    ),
    Pair(
        "agency closed, draft submitted", about_to_file, act(close_organization, "agency", "operator", reason="x"), submit,
        "first second", "unfinished transition_not_allowed request_incomplete not_permitted", after=closed_or_filed,
    ),
)  # fmt: skip


@of_pairs(PAIRS)
def test_cc_01_two_steps_at_once(pair, rounds):
    race(pair, rounds)
