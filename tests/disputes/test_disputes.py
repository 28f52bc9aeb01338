"""Obstacles climb three levels with their own clocks; tickets ask the other party; strangers see none of it."""

import datetime

import pytest
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.errors import FactMissing, InvalidFact, NotPermitted, TransitionNotAllowed
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
)
from apps.disputes.choices import DisputeCategory, DisputeStatus, TicketKind, TicketStatus
from apps.disputes.clock import run_clock as clock
from apps.disputes.models import Dispute, Ticket
from apps.disputes.workflow import DISPUTE, TICKET
from apps.notices.models import Notice
from apps.organizations.choices import Role
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import refused, submitted, world
from tests.factories.organizations import officer

NOTHING = {"reminded": 0, "escalated": 0}
MONDAY = "2026-06-01T09:00:00+07:00"


@pytest.fixture
def w(db):
    return world()


def raised(w, agreement=None, **changes) -> Dispute:
    facts = {"category": DisputeCategory.DATA, "title": "Sai tên", "description": "Tên doanh nghiệp sai dấu.", **changes}
    return raise_dispute(agreement or agreement_in_force(w), by=w.consumer_officer, **facts)


def test_wf_51_level_one_has_seven_working_days(w):
    with time_machine.travel(MONDAY, tick=False):
        dispute = raised(w)
    assert dispute.status == DisputeStatus.LEVEL_1
    assert (dispute.raised_for, dispute.respondent) == (w.consumer, w.provider)
    assert dispute.version_of == dispute.agreement.current_version
    assert timezone.localdate(dispute.due_at) == datetime.date(2026, 6, 10)
    assert Notice.objects.filter(kind="dispute.raised", recipient=w.provider_officer).exists()
    assert AuditEvent.objects.about(dispute).get(event="dispute.raised").actor == w.consumer_officer


def test_wf_52_one_level_up_only_when_late_or_answered(w):
    with time_machine.travel(MONDAY, tick=False):
        dispute = raised(w)
        with pytest.raises(FactMissing):
            escalate_dispute(dispute, by=w.consumer_officer, reason="Chưa trả lời")
    with time_machine.travel("2026-06-11T09:00:00+07:00", tick=False):
        escalate_dispute(dispute, by=w.consumer_officer, reason="Quá hạn")
    assert dispute.status == DisputeStatus.LEVEL_2
    assert timezone.localdate(dispute.due_at) == datetime.date(2026, 6, 22)
    assert Notice.objects.filter(kind="dispute.escalated", recipient=w.operator).exists()
    assert dispute.deadline_rule.citation == "NĐ 47/2020/NĐ-CP Điều 49(2)"


def at_level_three(w) -> Dispute:
    """At the body in charge since the eleventh of June 2026, a Thursday."""
    with time_machine.travel(MONDAY, tick=False):
        dispute = raised(w)
        answer_dispute(dispute, by=w.provider_officer, text="Sẽ sửa.")
        escalate_dispute(dispute, by=w.consumer_officer, reason="Chưa sửa")
    with time_machine.travel("2026-06-11T09:00:00+07:00", tick=False):
        answer_dispute(dispute, by=w.operator, text="Đề nghị đối chiếu.")
        escalate_dispute(dispute, by=w.consumer_officer, reason="Không đồng ý")
    return dispute


def test_wf_53_level_three_has_its_clock_by_the_platforms_own_rule(w):
    dispute = at_level_three(w)
    assert dispute.status == DisputeStatus.LEVEL_3
    assert timezone.localdate(dispute.due_at) == datetime.date(2026, 6, 22)
    assert (dispute.deadline_rule.code, dispute.deadline_rule.evidence) == ("dispute.level_3", "D")
    assert "không nêu thời hạn" in dispute.deadline_rule.citation
    with time_machine.travel(dispute.half_at, tick=False):
        assert clock() == {"reminded": 1, "escalated": 0}
    assert told("dispute.half") == {w.operator}
    with time_machine.travel("2026-06-23T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 0, "escalated": 1}
        assert clock() == NOTHING
    assert told("dispute.late") == {w.operator, w.consumer_officer, w.provider_officer}
    notice = Notice.objects.filter(kind="dispute.late").first()
    assert "body in charge" in str(notice.facts), "there is no level above"


def test_wf_53_an_answer_of_level_three_ends_its_clock(w):
    dispute = at_level_three(w)
    sent = {"document_number": "99/BTC", "document_date": datetime.date(2026, 6, 12)}
    answer_dispute(dispute, by=w.operator, text="Bộ đồng ý sửa.", **sent)
    with time_machine.travel("2026-06-23T09:00:00+07:00", tick=False):
        assert clock() == NOTHING


def test_wf_53_level_three_is_answered_by_a_document(w):
    dispute = raised(w)
    Dispute.objects.filter(pk=dispute.pk).update(status=DisputeStatus.LEVEL_3)
    dispute.refresh_from_db()
    with pytest.raises(FactMissing):
        answer_dispute(dispute, by=w.operator, text="Đã gửi Bộ")
    answer = answer_dispute(
        dispute, by=w.operator, text="Đã gửi Bộ", document_number="12/UBND", document_date=datetime.date(2026, 7, 1)
    )
    assert answer.level == DisputeStatus.LEVEL_3


def test_each_level_is_answered_by_whom_it_lies_with(w):
    dispute = raised(w)
    for person in (w.consumer_officer, w.operator, w.stranger):
        with pytest.raises(NotPermitted):
            answer_dispute(dispute, by=person, text="x")
    answer_dispute(dispute, by=w.provider_officer, text="Sẽ sửa.")
    escalate_dispute(dispute, by=w.consumer_officer, reason="Chưa sửa")
    with pytest.raises(NotPermitted):
        answer_dispute(dispute, by=w.provider_officer, text="x")


def test_wf_54_settled_by_who_raised_it_and_closed_by_the_operator(w):
    dispute = raised(w)
    with pytest.raises(NotPermitted):
        resolve_dispute(dispute, by=w.provider_officer, outcome="Xong")
    resolve_dispute(dispute, by=w.consumer_officer, outcome="Đã sửa dữ liệu")
    with pytest.raises(NotPermitted):
        close_dispute(dispute, by=w.consumer_officer)
    close_dispute(dispute, by=w.operator)
    assert dispute.status == DisputeStatus.CLOSED
    with pytest.raises(TransitionNotAllowed):
        answer_dispute(dispute, by=w.operator, text="x")


def test_a_refused_request_is_disputed_and_an_open_one_is_not(w):
    facts = {"category": DisputeCategory.RIGHTS, "title": "Không đồng ý từ chối", "description": "Có căn cứ."}
    dispute = raise_dispute(refused(w), by=w.consumer_officer, **facts)
    assert dispute.respondent == w.provider
    with pytest.raises(FactMissing):
        raise_dispute(submitted(w), by=w.consumer_officer, **facts)


@pytest.mark.parametrize("person", ["stranger", "operator", "consumer_signer"])
def test_only_officers_of_the_parties_raise(w, person):
    with pytest.raises(NotPermitted):
        raise_dispute(agreement_in_force(w), by=getattr(w, person), category=DisputeCategory.OTHER, title="x", description="y")


@pytest.mark.parametrize("change", [{"title": " "}, {"description": ""}, {"category": "war"}], ids=str)
def test_kind_title_and_description_are_needed(w, change):
    with pytest.raises((FactMissing, InvalidFact)):
        raised(w, **change)


def test_a_respondent_who_is_no_party_is_refused(w):
    with pytest.raises(InvalidFact):
        raised(w, respondent=w.stranger.memberships.first().organization)


def test_a_late_level_is_told_once(w):
    with time_machine.travel(MONDAY, tick=False):
        raised(w)
        assert clock() == NOTHING
    with time_machine.travel("2026-06-11T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 0, "escalated": 1}
        assert clock() == NOTHING
    assert Notice.objects.filter(kind="dispute.late", recipient=w.operator).count() == 1


def told(kind: str) -> set:
    return {notice.recipient for notice in Notice.objects.filter(kind=kind)}


def test_half_of_the_time_is_told_to_whoever_has_to_answer_at_each_level(w):
    with time_machine.travel(MONDAY, tick=False):
        dispute = raised(w)
    with time_machine.travel("2026-06-05T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 1, "escalated": 0}
        assert clock() == NOTHING
    assert told("dispute.half") == {w.provider_officer}
    with time_machine.travel("2026-06-11T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 0, "escalated": 1}
        escalate_dispute(dispute, by=w.consumer_officer, reason="Quá hạn.")
    with time_machine.travel("2026-06-17T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 1, "escalated": 0}, "level 2 has a clock of its own"
    assert w.operator in told("dispute.half")
    assert w.consumer_officer not in told("dispute.half")


def test_what_is_late_does_not_take_the_turn_of_what_is_to_be_reminded_of(w, monkeypatch):
    """The worker was away over its half: it is told late and never of its half, and fills no turn."""
    monkeypatch.setattr("apps.disputes.clock.MOST", 1)
    with time_machine.travel(MONDAY, tick=False):
        raised(w)
    with time_machine.travel("2026-06-11T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 0, "escalated": 1}
        raised(w)
    with time_machine.travel("2026-06-17T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 1, "escalated": 0}


def test_a_level_that_has_answered_is_reminded_of_nothing(w):
    with time_machine.travel(MONDAY, tick=False):
        dispute = raised(w)
        answer_dispute(dispute, by=w.provider_officer, text="Đã sửa.")
    with time_machine.travel("2026-06-20T09:00:00+07:00", tick=False):
        assert clock() == NOTHING


@pytest.mark.parametrize(("verb", "status"), DISPUTE.disallowed(DisputeStatus.values))
def test_a_step_of_a_dispute_from_another_state_is_refused(w, verb, status):
    dispute = raised(w)
    Dispute.objects.filter(pk=dispute.pk).update(status=status)
    dispute.refresh_from_db()
    by = w.operator if verb == "close" else w.consumer_officer
    with pytest.raises(TransitionNotAllowed), transaction.atomic():
        DISPUTE.move(dispute, verb, by=by)


# --- tickets ------------------------------------------------------------------------------------


def question(w, **changes) -> Ticket:
    facts = {
        "kind": TicketKind.WRONG_DATA,
        "asked_of": w.provider,
        "text": "Sai địa chỉ",
        "record_key": "0100109106",
        **changes,
    }
    return open_ticket(agreement_in_force(w), by=w.consumer_officer, **facts)


def test_wf_46_wrong_data_goes_to_the_provider_without_the_record_itself(w):
    ticket = question(w)
    assert ticket.record_key_hash
    assert "0100109106" not in str(Ticket.objects.values().get(pk=ticket.pk))
    assert not any("0100109106" in str(event.facts) for event in AuditEvent.objects.all())
    answer_ticket(ticket, by=w.provider_officer, answer="Đã sửa.")
    ask_again(ticket, by=w.consumer_officer, text="Vẫn sai.")
    assert ticket.status == TicketStatus.OPEN
    close_ticket(ticket, by=w.consumer_officer)
    assert ticket.status == TicketStatus.CLOSED


def test_wf_46_wrong_data_has_a_term_half_of_it_and_its_end_are_told_once(w):
    with time_machine.travel(MONDAY, tick=False):
        ticket = question(w)
    assert ticket.deadline_rule.code == "ticket.wrong_data"
    assert timezone.localdate(ticket.due_at) == datetime.date(2026, 6, 8)
    with time_machine.travel("2026-06-04T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 1, "escalated": 0}
        assert clock() == NOTHING
    assert told("ticket.half") == {w.provider_officer}
    with time_machine.travel("2026-06-09T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 0, "escalated": 1}
        assert clock() == NOTHING
    assert told("ticket.late") == {w.provider_officer, w.consumer_officer, w.operator}


def test_an_answer_stops_the_clock_of_a_question_and_asking_again_starts_it_anew(w):
    with time_machine.travel(MONDAY, tick=False):
        ticket = question(w)
        answer_ticket(ticket, by=w.provider_officer, answer="Đã sửa.")
    with time_machine.travel("2026-06-09T09:00:00+07:00", tick=False):
        assert clock() == NOTHING
        ask_again(ticket, by=w.consumer_officer, text="Vẫn sai.")
        ticket.refresh_from_db()
        assert timezone.localdate(ticket.due_at) == datetime.date(2026, 6, 16)
        assert clock() == NOTHING
    with time_machine.travel("2026-06-17T09:00:00+07:00", tick=False):
        assert clock() == {"reminded": 0, "escalated": 1}


def test_an_explanation_asked_again_has_as_many_working_days_as_it_had(w):
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w)
        due = timezone.now() + datetime.timedelta(days=2)
        facts = {"kind": TicketKind.EXPLANATION, "asked_of": w.consumer, "text": "Vì sao?", "due_at": due}
        ticket = open_ticket(agreement, by=w.provider_officer, **facts)
        assert ticket.half_at < due
        answer_ticket(ticket, by=w.consumer_officer, answer="Vì thế.")
    with time_machine.travel("2026-06-08T09:00:00+07:00", tick=False):
        ask_again(ticket, by=w.provider_officer, text="Chưa rõ.")
    ticket.refresh_from_db()
    assert timezone.localdate(ticket.due_at) == datetime.date(2026, 6, 10)


def test_an_explanation_asked_again_twice_and_late_has_no_more_time_than_at_first(w):
    with time_machine.travel(MONDAY, tick=False):
        agreement = agreement_in_force(w)
        due = timezone.now() + datetime.timedelta(days=2)
        facts = {"kind": TicketKind.EXPLANATION, "asked_of": w.consumer, "text": "Vì sao?", "due_at": due}
        ticket = open_ticket(agreement, by=w.provider_officer, **facts)
    for asked, due in (("2026-06-08", 10), ("2026-06-15", 17), ("2026-06-22", 24)):
        with time_machine.travel(f"{asked}T09:00:00+07:00", tick=False):
            answer_ticket(ticket, by=w.consumer_officer, answer="Vì thế.")
            ask_again(ticket, by=w.provider_officer, text="Chưa rõ.")
        ticket.refresh_from_db()
        assert timezone.localdate(ticket.due_at) == datetime.date(2026, 6, due)


def test_wf_44_a_provider_asks_for_an_explanation_with_a_day(w):
    agreement = agreement_in_force(w)
    facts = {"kind": TicketKind.EXPLANATION, "asked_of": w.consumer, "text": "Vì sao 9.000 lượt đêm?"}
    with pytest.raises(FactMissing):
        open_ticket(agreement, by=w.provider_officer, **facts)
    with pytest.raises(InvalidFact) as far:  # its half is counted day by day: a typing error of a year would hold a worker
        open_ticket(agreement, by=w.provider_officer, due_at=timezone.now() + datetime.timedelta(days=400), **facts)
    assert "due_at" in far.value.extra["fields"]
    ticket = open_ticket(agreement, by=w.provider_officer, due_at=timezone.now() + datetime.timedelta(days=3), **facts)
    with pytest.raises(NotPermitted):
        answer_ticket(ticket, by=w.provider_officer, answer="x")
    assert answer_ticket(ticket, by=w.consumer_officer, answer="Chạy đối soát.").answered_by == w.consumer_officer


def test_only_the_right_side_asks_and_only_a_party_is_asked(w):
    agreement = agreement_in_force(w)
    for person in (w.provider_officer, w.stranger, w.operator):
        with pytest.raises(NotPermitted):
            open_ticket(agreement, by=person, kind=TicketKind.WRONG_DATA, asked_of=w.provider, text="x")
    with pytest.raises(InvalidFact):
        open_ticket(agreement, by=w.consumer_officer, kind=TicketKind.WRONG_DATA, asked_of=w.consumer, text="x")


@pytest.mark.parametrize(("verb", "status"), TICKET.disallowed(TicketStatus.values))
def test_a_step_of_a_ticket_from_another_state_is_refused(w, verb, status):
    ticket = question(w)
    Ticket.objects.filter(pk=ticket.pk).update(status=status)
    ticket.refresh_from_db()
    by = w.provider_officer if verb == "answer" else w.consumer_officer
    with pytest.raises(TransitionNotAllowed), transaction.atomic():
        TICKET.move(ticket, verb, by=by)


# --- API ----------------------------------------------------------------------------------------


def post(user, address, body=None):
    client = Client()
    client.force_login(user)
    return client.post(f"/api/v1/{address}", body or {}, content_type="application/json")


def get(user, address):
    client = Client()
    client.force_login(user)
    return client.get(f"/api/v1/{address}")


def test_a_dispute_by_api_from_raising_to_closing(w):
    agreement = agreement_in_force(w)
    body = {"agreement": agreement.number, "category": "data", "title": "Sai tên", "description": "Sai dấu."}
    made = post(w.consumer_officer, "disputes", body)
    assert made.status_code == 201, made.content
    here = f"disputes/{made.json()['uuid']}"
    seen = get(w.provider_officer, here).json()
    assert "7" in seen["deadline_rule"]
    assert seen["deadline_citation"] == "NĐ 47/2020/NĐ-CP Điều 49(1)"
    assert post(w.provider_officer, f"{here}/answer", {"text": "Sẽ sửa"}).json()["answers"][0]["text"] == "Sẽ sửa"
    assert post(w.consumer_officer, f"{here}/escalate", {"reason": "Chưa sửa"}).json()["status"] == "level_2"
    assert post(w.consumer_officer, f"{here}/resolve", {"outcome": "Đã sửa"}).json()["status"] == "resolved"
    assert post(w.operator, f"{here}/close").json()["status"] == "closed"
    assert get(w.stranger, here).status_code == 404
    assert get(w.stranger, "disputes").json()["count"] == 0
    assert post(w.stranger, "disputes", body).status_code == 404
    for verb in ("answer", "escalate", "resolve", "close"):
        assert post(w.stranger, f"{here}/{verb}").status_code == 404
    assert get(w.operator, "disputes?status=closed&category=data&late=false").json()["count"] == 1


def test_a_ticket_by_api(w):
    agreement = agreement_in_force(w)
    body = {
        "agreement": agreement.number,
        "kind": "wrong_data",
        "asked_of": w.provider.code,
        "text": "Sai",
        "record_key": "001",
    }
    made = post(w.consumer_officer, "tickets", body)
    assert made.status_code == 201, made.content
    assert "001" not in str(made.json().get("record_key", ""))
    rule = Ticket.objects.get().deadline_rule
    assert (made.json()["deadline_rule"], made.json()["deadline_citation"]) == (str(rule), rule.citation)
    here = f"tickets/{made.json()['uuid']}"
    assert post(w.provider_officer, f"{here}/answer", {"answer": "Đã sửa"}).json()["status"] == "answered"
    assert post(w.consumer_officer, f"{here}/ask-again", {"text": "Vẫn sai"}).json()["status"] == "open"
    assert post(w.consumer_officer, f"{here}/close").json()["status"] == "closed"
    assert get(w.stranger, here).status_code == 404


@pytest.mark.parametrize("rows", ["disputes", "tickets"])
def test_the_lists_cost_the_same_for_one_row_and_for_several(w, rows, django_assert_max_num_queries):
    agreement = agreement_in_force(w)
    facts = {"kind": TicketKind.WRONG_DATA, "asked_of": w.provider, "text": "x"}
    client = Client()
    client.force_login(w.operator)
    for count in (1, 2, 3):
        raised(w, agreement)
        open_ticket(agreement, by=w.consumer_officer, **facts)
        with django_assert_max_num_queries(6):
            assert client.get(f"/api/v1/{rows}").json()["count"] == count


# --- who is told --------------------------------------------------------------------------------


def heard(kind: str) -> list[int]:
    """Who was told this, a person as often as told."""
    return sorted(Notice.objects.filter(kind=kind).values_list("recipient", flat=True))


def test_the_answer_of_the_other_party_is_told_to_who_raised_it(w):
    answer_dispute(raised(w), by=w.provider_officer, text="Sẽ sửa.")
    assert heard("dispute.answered") == [w.consumer_officer.pk]


def test_what_the_digital_unit_and_the_body_in_charge_answer_both_sides_hear_once(w):
    dispute = at_level_three(w)
    level_two = sorted([w.consumer_officer.pk, w.consumer_officer.pk, w.provider_officer.pk])
    assert heard("dispute.answered") == level_two, "level 1 told the one, level 2 both"
    sent = {"document_number": "99/BTC", "document_date": datetime.date(2026, 6, 12)}
    answer_dispute(dispute, by=w.operator, text="Bộ đồng ý sửa.", **sent)
    assert heard("dispute.answered") == sorted([*level_two, w.consumer_officer.pk, w.provider_officer.pk])


def test_both_sides_hear_once_that_a_dispute_is_closed(w):
    dispute = raised(w)
    resolve_dispute(dispute, by=w.consumer_officer, outcome="Đã sửa dữ liệu")
    close_dispute(dispute, by=w.operator)
    with pytest.raises(TransitionNotAllowed):
        close_dispute(dispute, by=w.operator)
    assert heard("dispute.closed") == sorted([w.consumer_officer.pk, w.provider_officer.pk])


@pytest.mark.parametrize("answered", [False, True])
def test_who_was_asked_hears_that_the_question_is_closed(w, answered):
    colleague = officer(Role.CONSUMER_OFFICER, w.consumer)
    ticket = open_ticket(
        agreement_in_force(w), by=w.consumer_officer, kind=TicketKind.WRONG_DATA, asked_of=w.provider, text="Sai tên."
    )
    if answered:
        answer_ticket(ticket, by=w.provider_officer, answer="Đã sửa.")
    close_ticket(ticket, by=w.consumer_officer)
    with pytest.raises(TransitionNotAllowed):
        close_ticket(ticket, by=w.consumer_officer)
    assert heard("ticket.closed") == sorted([w.provider_officer.pk, colleague.pk]), "but for the one who closed it"
