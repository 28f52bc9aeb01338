"""An agency is closed only when nothing is left that nobody could bring to an end any more."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.agreements.actions import (
    complete_duty,
    finish_termination,
    leave_agreement,
    retire_service_version,
    terminate_agreement,
)
from apps.core.errors import Conflict, NotPermitted
from apps.disputes.actions import close_ticket, open_ticket, raise_dispute
from apps.disputes.choices import DisputeCategory, TicketKind
from apps.disputes.closing import close_organization, unfinished
from apps.organizations.actions import retire_system
from apps.organizations.choices import OrganizationStatus
from apps.registry.actions import retire_service
from tests.agreements.locking import LockOrder
from tests.agreements.test_leaving import CERTIFICATE, Joiner
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import complete_draft, forwarded, refused, world

WHY = "Giải thể theo nghị quyết"


@pytest.fixture
def w(db):
    return world()


def retired(w) -> None:
    retire_system(w.system, by=w.operator, reason=WHY)


def close(w, organization):
    with LockOrder("close"):
        return close_organization(organization, by=w.operator, reason=WHY)


def refused_for(w, organization) -> list[str]:
    with pytest.raises(Conflict) as refusal:
        close(w, organization)
    organization.refresh_from_db()
    assert (refusal.value.code, organization.status) == ("unfinished", OrganizationStatus.ACTIVE)
    return refusal.value.extra["numbers"]


def test_who_is_bound_by_an_agreement_ends_it_with_its_duties_first(w):
    agreement = agreement_in_force(w)
    retired(w)
    assert refused_for(w, w.consumer) == [agreement.number]
    assert refused_for(w, w.provider) == [agreement.number, w.service.code]
    terminate_agreement(agreement, by=w.operator, ground="authority", reason=WHY)
    assert (refused_for(w, w.consumer), refused_for(w, w.provider)) == (
        [agreement.number], [agreement.number, w.service.code],
    )  # fmt: skip
    for duty in agreement.duties.all():
        person = w.consumer_officer if duty.party.side == "consumer" else w.provider_officer
        complete_duty(duty, by=person, note="Xong.", file=CERTIFICATE)
    finish_termination(agreement, by=w.operator)
    assert close(w, w.consumer).status == OrganizationStatus.CLOSED
    assert refused_for(w, w.provider) == [w.service.code]
    retire_service_version(w.service.versions.get(), by=w.provider_officer, reason=WHY)
    retire_service(w.service, by=w.provider_officer, reason=WHY)
    assert close(w, w.provider).status == OrganizationStatus.CLOSED


def test_who_has_left_owes_its_duties_and_nothing_of_what_goes_on(w):
    agreement = agreement_in_force(w)
    Joiner(w, agreement)
    agreement.refresh_from_db()
    leave_agreement(agreement, by=w.consumer_officer, reason=WHY)
    retired(w)
    assert refused_for(w, w.consumer) == [agreement.number]
    for duty in agreement.duties.all():
        complete_duty(duty, by=w.consumer_officer, note="Xong.", file=CERTIFICATE)
    assert close(w, w.consumer).status == OrganizationStatus.CLOSED


def test_disputes_and_questions_come_first(w):
    case = refused(w)
    retired(w)
    dispute = raise_dispute(case, by=w.consumer_officer, category=DisputeCategory.DATA, title="Sai", description="Sai.")
    assert refused_for(w, w.consumer) == [dispute.number]
    assert dispute.number in unfinished(w.provider)


def test_a_question_comes_first(w):
    agreement = agreement_in_force(w)
    ticket = open_ticket(agreement, by=w.consumer_officer, kind=TicketKind.WRONG_DATA, asked_of=w.provider, text="Sai ngày.")
    assert ticket.number in unfinished(w.consumer)
    close_ticket(ticket, by=w.consumer_officer)
    assert unfinished(w.consumer) == [agreement.number]


def test_an_open_request_comes_first_and_a_draft_is_withdrawn(w):
    request = forwarded(w)
    retired(w)
    assert refused_for(w, w.consumer) == [request.number]


def test_a_draft_is_withdrawn_with_its_agency(w):
    draft = complete_draft(w)
    retired(w)
    close(w, w.consumer)
    draft.refresh_from_db()
    assert draft.status == "withdrawn"


def test_only_the_operator_closes(w):
    with pytest.raises(NotPermitted):
        close_organization(w.consumer, by=w.consumer_officer, reason=WHY)


@pytest.mark.parametrize("door", ["api", "admin"])
def test_both_doors_say_what_is_to_be_finished(w, door):
    agreement = agreement_in_force(w)
    retired(w)
    type(w.operator).objects.filter(pk=w.operator.pk).update(is_staff=True)
    client = Client()
    client.force_login(type(w.operator).objects.get(pk=w.operator.pk))
    code = w.consumer.code
    addresses = {
        "api": f"/api/v1/organizations/{code}/close", "admin": f"/admin/organizations/organization/{code}/do/close/",
    }  # fmt: skip
    answer = client.post(addresses[door], {"reason": WHY}, **({"content_type": "application/json"} if door == "api" else {}))
    assert answer.status_code == 409
    assert agreement.number in answer.content.decode()
    w.consumer.refresh_from_db()
    assert w.consumer.status == OrganizationStatus.ACTIVE
