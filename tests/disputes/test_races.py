"""A merge and something begun with the agency that ends, at the same instant: it is carried over, or not begun."""

import datetime

import pytest
from django.utils import timezone

from apps.core.errors import Conflict, NotPermitted, TransitionNotAllowed
from apps.disputes.actions import answer_dispute, escalate_dispute, open_ticket, raise_dispute
from apps.disputes.choices import DisputeCategory, TicketKind
from apps.disputes.models import Answer, Dispute, Ticket
from apps.disputes.reorganization import merge_organizations
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import world
from tests.factories.organizations import ReadyOrganizationFactory
from tests.fixtures.races import again, at_once, on, while_not_committed, with_state

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("racers")]
ROUNDS = [pytest.param(3, id="quick"), pytest.param(1000, id="full", marks=pytest.mark.full)]
FACTS = {"category": DisputeCategory.DATA, "title": "Sai tên", "description": "Sai dấu."}


def merging(w, into):
    return on(merge_organizations, w.provider, w.operator, into=into, instrument="Nghị quyết 202/2025/QH15")


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_nothing_is_left_with_the_agency_that_ends(rounds):
    for w, agreement in again(rounds, lambda: with_state(world(), agreement_in_force)):
        into = ReadyOrganizationFactory()
        ask = {"kind": TicketKind.WRONG_DATA, "asked_of": w.provider, "text": "Sai ngày cấp."}
        merged, *begun = at_once(
            merging(w, into),
            on(raise_dispute, agreement, w.consumer_officer, **FACTS),
            on(open_ticket, agreement, w.consumer_officer, **ask),
        )
        assert not isinstance(merged, Exception), merged
        codes = {answer.code for answer in begun if isinstance(answer, Exception)}
        assert codes <= {"organization_closed", "not_the_other_party"}, begun
        left = (Dispute.objects.filter(respondent=w.provider), Ticket.objects.filter(asked_of=w.provider))
        assert not any(rows.exists() for rows in left)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_cc_01_an_answer_comes_before_the_merge_or_not_at_all(rounds):
    for w, agreement in again(rounds, lambda: with_state(world(), agreement_in_force)):
        dispute = raise_dispute(agreement, by=w.consumer_officer, **FACTS)
        merged, answered = at_once(
            merging(w, ReadyOrganizationFactory()), on(answer_dispute, dispute, w.provider_officer, text="Sẽ sửa.")
        )
        assert not isinstance(merged, Exception), merged
        assert isinstance(answered, Answer | NotPermitted | Conflict), answered
        assert dispute.answers.count() == isinstance(answered, Answer)


def test_cc_01_an_answer_written_for_a_level_is_not_given_for_the_next():
    w = world()
    dispute = raise_dispute(agreement_in_force(w), by=w.consumer_officer, **FACTS)
    Dispute.objects.update(due_at=timezone.now() - datetime.timedelta(hours=1))
    (refused,) = while_not_committed(
        on(escalate_dispute, dispute, w.consumer_officer, reason="Quá hạn"),
        on(answer_dispute, dispute, w.provider_officer, text="Sẽ sửa."),
    )
    assert isinstance(refused, TransitionNotAllowed), refused
    assert (refused.extra["by"], refused.extra["state"]) == (str(w.consumer_officer), "level_2")
