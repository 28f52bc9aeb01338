"""An agency is merged away: what it has not settled goes on with its successor, and with nobody else."""

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.agreements.actions import terminate_agreement
from apps.agreements.choices import Side
from apps.agreements.models import Agreement
from apps.audit.models import AuditEvent
from apps.connections.models import ConnectionRequest
from apps.core.errors import Conflict, NotPermitted, StaleVersion
from apps.disputes import reorganization
from apps.disputes.actions import (
    answer_dispute,
    answer_ticket,
    close_dispute,
    close_ticket,
    escalate_dispute,
    open_ticket,
    raise_dispute,
    resolve_dispute,
)
from apps.disputes.choices import DisputeCategory, DisputeStatus, TicketKind, TicketStatus
from apps.disputes.clock import handlers
from apps.disputes.models import Dispute, Ticket
from apps.disputes.reorganization import merge_organizations, plan_merge
from apps.notices.models import Notice
from apps.organizations.choices import OrganizationStatus, Role
from tests.agreements.locking import LockOrder
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import refused, world
from tests.factories.organizations import ReadyOrganizationFactory, officer

LAW = "Nghị quyết 202/2025/QH15"


@pytest.fixture
def w(db):
    return world()


@pytest.fixture
def into(w):
    return ReadyOrganizationFactory()


def raised(w, subject) -> Dispute:
    facts = {"category": DisputeCategory.DATA, "title": "Sai tên", "description": "Tên doanh nghiệp sai dấu."}
    return raise_dispute(subject, by=w.consumer_officer, **facts)


def asked(w, agreement) -> Ticket:
    return open_ticket(agreement, by=w.consumer_officer, kind=TicketKind.WRONG_DATA, asked_of=w.provider, text="Sai ngày cấp.")


def merge(w, source, into):
    with LockOrder("merge"):
        return merge_organizations(source, into, by=w.operator, instrument=LAW)


def fresh(person):
    """As the next request reads them: roles are cached on the object."""
    return type(person).objects.get(pk=person.pk)


def sees(person) -> tuple[bool, bool]:
    return tuple(model.objects.visible_to(fresh(person)).exists() for model in (Dispute, Ticket))


def test_the_successor_of_the_asked_answers_and_the_other_side_goes_on(w, into):
    agreement = agreement_in_force(w)
    dispute, ticket = raised(w, agreement), asked(w, agreement)
    heir, due = officer(Role.PROVIDER_OFFICER, into), dispute.due_at
    made = merge(w, w.provider, into)
    assert (made.disputes, made.tickets) == ([dispute], [ticket])
    dispute.refresh_from_db()
    ticket.refresh_from_db()
    assert (dispute.respondent, dispute.raised_for, dispute.due_at) == (into, w.consumer, due)
    assert (ticket.asked_of, ticket.asked_by, ticket.author) == (into, w.consumer, w.consumer_officer)
    assert handlers(dispute) == handlers(ticket) == [heir]
    with pytest.raises(NotPermitted):
        answer_dispute(dispute, by=fresh(w.provider_officer), text="x")
    answer_dispute(dispute, by=heir, text="Sẽ sửa.")
    answer_ticket(ticket, by=heir, answer="Đã sửa.")
    resolve_dispute(dispute, by=w.consumer_officer, outcome="Đã sửa")
    close_dispute(dispute, by=w.operator)
    close_ticket(ticket, by=w.consumer_officer)


def test_the_successor_of_who_raised_it_pursues_it(w, into):
    agreement = agreement_in_force(w)
    dispute, ticket = raised(w, agreement), asked(w, agreement)
    answer_dispute(dispute, by=w.provider_officer, text="Sẽ sửa.")
    answer_ticket(ticket, by=w.provider_officer, answer="Đã sửa.")
    merge(w, w.consumer, into)
    heir = officer(Role.CONSUMER_OFFICER, into)
    dispute.refresh_from_db()
    ticket.refresh_from_db()
    assert (dispute.raised_for, dispute.raised_by) == (into, w.consumer_officer)
    assert ticket.answered_by == w.provider_officer
    assert [row.author for row in dispute.answers.all()] == [w.provider_officer]
    escalate_dispute(dispute, by=heir, reason="Chưa sửa")
    close_ticket(ticket, by=heir)


def test_nobody_but_the_successor_sees_anything_new(w, into):
    agreement = agreement_in_force(w)
    raised(w, agreement)
    asked(w, agreement)
    heir, elsewhere = officer(Role.PROVIDER_OFFICER, into), officer(Role.PROVIDER_OFFICER)
    assert sees(heir) == sees(elsewhere) == sees(w.stranger) == (False, False)
    merge(w, w.provider, into)
    assert sees(heir) == sees(w.consumer_officer) == (True, True)
    assert sees(w.provider_officer) == sees(elsewhere) == sees(w.stranger) == (False, False)


def test_what_is_closed_stays_with_those_who_closed_it(w, into):
    agreement = agreement_in_force(w)
    dispute, ticket = raised(w, agreement), asked(w, agreement)
    resolve_dispute(dispute, by=w.consumer_officer, outcome="Đã sửa")
    close_dispute(dispute, by=w.operator)
    close_ticket(ticket, by=w.consumer_officer)
    heir = officer(Role.PROVIDER_OFFICER, into)
    made = merge(w, w.provider, into)
    assert (made.disputes, made.tickets) == ([], [])
    assert (Dispute.objects.get().respondent, Ticket.objects.get().asked_of) == (w.provider, w.provider)
    assert sees(heir) == (False, False)


def test_the_audit_names_both_agencies_and_the_officers_are_told(w, into):
    agreement = agreement_in_force(w)
    dispute, ticket = raised(w, agreement), asked(w, agreement)
    heir = officer(Role.PROVIDER_OFFICER, into)
    merge(w, w.provider, into)
    for case, kind in ((dispute, "dispute"), (ticket, "ticket")):
        event = AuditEvent.objects.about(case).get(event=f"{kind}.carried_over")
        assert (event.actor, event.facts) == (w.operator, {"successor": into.code, "instrument": LAW})
        assert set(event.organizations) == {w.provider.uuid, w.consumer.uuid, into.uuid}
        told = Notice.objects.filter(kind=f"{kind}.carried_over")
        assert set(told.values_list("recipient", flat=True)) == {heir.pk, w.consumer_officer.pk}


def test_all_of_it_or_nothing(w, into, monkeypatch):
    agreement = agreement_in_force(w)
    raised(w, agreement)
    asked(w, agreement)

    def fails(*_args, **_facts):
        raise RuntimeError("late")

    monkeypatch.setattr(reorganization.agreements, "merge_organizations", fails)
    with pytest.raises(RuntimeError):
        merge_organizations(w.provider, into, by=w.operator, instrument=LAW)
    assert (Dispute.objects.get().respondent, Ticket.objects.get().asked_of) == (w.provider, w.provider)
    assert not AuditEvent.objects.filter(event__endswith=".carried_over").exists()
    assert not Notice.objects.filter(kind__endswith=".carried_over").exists()


def test_whoever_is_not_the_operator_moves_nothing(w, into):
    dispute = raised(w, agreement_in_force(w))
    for person in (w.consumer_officer, w.provider_officer, w.stranger):
        with pytest.raises(NotPermitted):
            merge_organizations(w.provider, into, by=person, instrument=LAW)
        with pytest.raises(NotPermitted):
            plan_merge(w.provider, into, by=person)
    dispute.refresh_from_db()
    assert dispute.respondent == w.provider


def test_who_had_the_page_of_before_is_told_that_it_is_old(w, into):
    dispute = raised(w, agreement_in_force(w))
    seen = dispute.version
    merge(w, w.provider, into)
    dispute.refresh_from_db()
    with pytest.raises(StaleVersion):
        resolve_dispute(dispute, by=w.consumer_officer, outcome="Đã sửa", version=seen)


@pytest.mark.parametrize("settled", [False, True])
def test_what_is_open_between_the_two_is_finished_first(w, settled):
    """A refused request and its dispute bind no agreement that would stop the merge."""
    dispute = raised(w, refused(w))
    if settled:
        resolve_dispute(dispute, by=w.consumer_officer, outcome="Thống nhất")
    for source, into in ((w.consumer, w.provider), (w.provider, w.consumer)):
        assert plan_merge(source, into, by=w.operator).unfinished == [dispute.number]
        with pytest.raises(Conflict) as refusal:
            merge_organizations(source, into, by=w.operator, instrument=LAW)
        assert refusal.value.extra["numbers"] == [dispute.number]
    if not settled:
        resolve_dispute(dispute, by=w.consumer_officer, outcome="Thống nhất")
    close_dispute(dispute, by=w.operator)
    merge(w, w.consumer, w.provider)
    dispute.refresh_from_db()
    assert (dispute.raised_for, dispute.respondent, dispute.status) == (w.consumer, w.provider, DisputeStatus.CLOSED)


def test_a_question_between_the_two_is_finished_first(w):
    agreement = agreement_in_force(w)
    ticket = asked(w, agreement)
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="x")
    assert plan_merge(w.consumer, w.provider, by=w.operator).unfinished == sorted([agreement.number, ticket.number])


def test_the_plan_names_what_goes_over_and_whom_the_successor_lacks(w, into):
    dispute = raised(w, refused(w))
    for source, side, role in (
        (w.consumer, Side.CONSUMER, Role.CONSUMER_OFFICER), (w.provider, Side.PROVIDER, Role.PROVIDER_OFFICER),
    ):  # fmt: skip
        plan = plan_merge(source, into, by=w.operator)
        assert (plan.disputes, plan.tickets, plan.unfinished, plan.missing_roles) == ([dispute], [], [], [role]), side
    dispute.refresh_from_db()
    assert (dispute.respondent, dispute.version) == (w.provider, 1)


def test_the_api_tells_what_would_go_over_and_what_did(w, into):
    agreement = agreement_in_force(w)
    dispute, ticket = raised(w, agreement), asked(w, agreement)
    pair = {"source": w.provider.code, "into": into.code}
    client = APIClient()
    client.force_login(w.operator)
    told = client.get("/api/v1/reorganizations/plan", pair).json()
    assert [row["number"] for row in told["disputes"]] == [dispute.number]
    assert [(row["number"], row["status"]) for row in told["tickets"]] == [(ticket.number, TicketStatus.OPEN)]
    made = client.post("/api/v1/reorganizations", {**pair, "instrument": LAW}, format="json").json()
    assert (made["disputes"], made["tickets"]) == ([dispute.number], [ticket.number])


def test_nothing_is_begun_with_an_agency_that_was_merged_away_meanwhile(w, into, monkeypatch):
    """Two at one instant: the parties were read before the merge, the turn came after it."""
    agreement, refusal = agreement_in_force(w), refused(w)
    parties, providers = agreement.organization_ids, refusal.provider_ids()
    before = {side: parties(side) for side in Side.values}
    merge(w, w.provider, into)
    monkeypatch.setattr(Agreement, "organization_ids", lambda _self, side: before[side])
    monkeypatch.setattr(ConnectionRequest, "provider_ids", lambda _self: providers)
    for begin in (lambda: raised(w, agreement), lambda: raised(w, refusal), lambda: asked(w, agreement)):
        with pytest.raises(Conflict) as refused_now:
            begin()
        assert refused_now.value.code == "organization_closed"
    w.provider.refresh_from_db()
    assert w.provider.status == OrganizationStatus.CLOSED


def test_the_page_of_the_plan_leads_to_the_dispute_and_the_question_themselves(w):
    agreement = agreement_in_force(w)
    ticket, dispute = asked(w, agreement), raised(w, agreement)
    client = Client()
    client.force_login(w.operator)
    given = {"source": w.consumer.code, "into": w.provider.code, "instrument": LAW}
    page = client.post(reverse("portal:reorganization"), given)
    assert dict(page.context["unfinished"]) == {
        agreement.number: f"{reverse('portal:agreements')}?q={agreement.number}",
        ticket.number: reverse("portal:ticket", args=[ticket.uuid]),
        dispute.number: reverse("portal:dispute", args=[dispute.uuid]),
    }
    assert reverse("portal:dispute", args=[dispute.uuid]) in page.content.decode()
