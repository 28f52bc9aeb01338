"""Whom the clock of a request reaches, and when: papers, desks that change, returns (WF-17, WF-30)."""

import datetime

import pytest
import time_machine
from django.utils import timezone

from apps.connections.actions import (
    attach_file,
    enter_paper_request,
    forward_request,
    return_request,
    save_draft,
    sign_request,
    submit_request,
    withdraw_request,
)
from apps.connections.choices import AttachmentKind, RequestStatus
from apps.connections.models import ConnectionRequest
from apps.connections.overdue import overdue_rows, told
from apps.connections.reminders import run_clock
from apps.core.errors import InvalidFact
from apps.notices.models import Notice
from apps.organizations.choices import Role
from tests.factories.connections import complete_draft, returned, submitted
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"
MONDAY = "2026-06-01T09:00:00+07:00"
HALF_GONE = "2026-06-03T08:00:00+07:00"
LATE = "2026-06-04T08:00:00+07:00"


def at(moment: str):
    return time_machine.travel(moment, tick=False)


def paper(w, **changes) -> ConnectionRequest:
    facts = {"received_on": datetime.date(2026, 6, 1), "paper_signer": "Trần Thị Ký, Giám đốc", **w.content(), **changes}
    return enter_paper_request(w.consumer, by=w.operator, **facts)


def paper_submitted(w) -> ConnectionRequest:
    request = paper(w)
    attach_file(request, by=w.operator, name="cv.pdf", data=PDF, kind=AttachmentKind.PAPER)
    return submit_request(request, by=w.operator)


def hearers(kind: str) -> list[int]:
    """Who was told this, a person as often as told."""
    return sorted(Notice.objects.filter(kind=f"request.{kind}").values_list("recipient", flat=True))


# --- papers -------------------------------------------------------------------------------------


def test_wf_17_a_paper_that_was_entered_and_forgotten_is_reminded_of_late_and_public(w):
    with at(MONDAY):
        request = paper(w)
        assert timezone.localdate(request.due_at) == datetime.date(2026, 6, 3)
        assert run_clock() == {"lapsed": 0, "recalled": 0, "reminded": 0, "escalated": 0}
    with at(HALF_GONE):
        assert [run_clock()["reminded"] for _n in range(2)] == [1, 0]
        assert hearers("half") == [w.operator.pk]
    with at(LATE):
        assert [run_clock()["escalated"] for _n in range(2)] == [1, 0]
        assert hearers("late") == [w.operator.pk], "it lies on the operator's desk and on nobody else's"
        (row,) = told(overdue_rows(w.operator, timezone.now()), w.operator)
    assert (row.number, row.desks, timezone.localdate(row.received_at)) == (request.number, (), datetime.date(2026, 6, 1))
    assert row.citation


def test_wf_17_submitting_the_paper_begins_no_other_clock(w):
    with at(MONDAY):
        request = paper(w)
        before = (request.received_at, request.due_at, request.half_at, request.deadline_rule)
    with at(HALF_GONE):
        attach_file(request, by=w.operator, name="cv.pdf", data=PDF, kind=AttachmentKind.PAPER)
        submit_request(request, by=w.operator)
    request.refresh_from_db()
    assert (request.received_at, request.due_at, request.half_at, request.deadline_rule) == before


def test_wf_17_a_paper_entered_before_its_clock_ran_from_then_has_its_own_day_all_the_same(w):
    with at(MONDAY):
        request = paper(w)
        due = request.due_at
        ConnectionRequest.objects.filter(pk=request.pk).update(received_at=None, due_at=None, half_at=None, deadline_rule=None)
        request.refresh_from_db()
    with at(HALF_GONE):
        attach_file(request, by=w.operator, name="cv.pdf", data=PDF, kind=AttachmentKind.PAPER)
        submit_request(request, by=w.operator)
    assert (timezone.localdate(request.received_at), request.due_at) == (request.paper_received_on, due)


def test_a_draft_that_nobody_sent_has_no_clock_and_is_not_among_the_open_cases(w):
    draft = complete_draft(w)
    assert (draft.due_at, draft.is_open, ConnectionRequest.objects.open().exists()) == (None, False, False)


@pytest.mark.parametrize(("make", "is_open"), [(paper, True), (submitted, True), (returned, True)])
def test_what_the_list_calls_open_the_row_does_too(w, make, is_open):
    request = make(w)
    assert request.is_open is ConnectionRequest.objects.open().filter(pk=request.pk).exists() is is_open
    assert request.is_late(request.due_at + datetime.timedelta(days=1)) is (request.status != RequestStatus.RETURNED)
    withdraw_request(request, by=w.operator if request.channel == "paper" else w.consumer_officer)
    assert request.is_open is ConnectionRequest.objects.open().filter(pk=request.pk).exists() is False


def test_a_paper_of_a_day_before_every_rule_is_not_entered(w):
    with pytest.raises(InvalidFact) as refusal:
        paper(w, received_on=datetime.date(2019, 6, 1))
    assert refusal.value.code == "no_legal_rule"
    assert not ConnectionRequest.objects.exists()


def test_what_comes_in_late_is_not_half_gone_as_well(w):
    with at(LATE):
        paper_submitted(w)
        counted = run_clock()
    assert (counted["reminded"], counted["escalated"]) == (0, 1)
    assert hearers("half") == []


def test_who_entered_a_paper_hears_that_it_was_returned_and_that_it_lapsed(w):
    colleague = officer(Role.OPERATOR)
    with at(MONDAY):
        request = forward_request(paper_submitted(w), by=w.operator)
        return_request(request, by=w.provider_officer, remarks=[("purpose_text", "Nêu rõ thủ tục nào.")])
        people = sorted([w.operator.pk, colleague.pk, w.consumer_officer.pk])
        assert hearers("returned") == people
    with at(LATE):
        assert [run_clock()["recalled"] for _n in range(2)] == [1, 0]
    assert hearers("recalled") == people
    with at("2026-06-09T08:00:00+07:00"):
        assert [run_clock()["lapsed"] for _n in range(2)] == [1, 0]
    assert hearers("lapsed") == sorted([*people, w.provider_officer.pk])


def test_of_an_online_request_the_operator_hears_no_return(w):
    with at(MONDAY):
        returned(w)
    with at(LATE):
        run_clock()
    assert hearers("returned") == hearers("recalled") == [w.consumer_officer.pk]


def test_the_agency_hears_that_its_paper_was_withdrawn(w):
    colleague = officer(Role.OPERATOR)
    with at(MONDAY):
        withdraw_request(paper(w), by=w.operator)
    assert hearers("withdrawn") == sorted([w.consumer_officer.pk, colleague.pk])
    assert "operator" in Notice.objects.get(kind="request.withdrawn", recipient=w.consumer_officer).facts["message"]


def test_who_shall_read_by_the_request_hears_that_another_withdrew_it(w):
    commune = ReadyOrganizationFactory(parent=w.consumer)
    neighbour = officer(Role.CONSUMER_OFFICER, commune)
    draft = complete_draft(w, systems=[w.system, InformationSystemFactory(organization=commune)])
    withdraw_request(draft, by=w.consumer_officer)
    assert hearers("withdrawn") == [neighbour.pk]


# --- desks --------------------------------------------------------------------------------------


def test_the_provider_is_told_until_when_it_has_to_decide(w):
    with at(MONDAY):
        forward_request(submitted(w), by=w.operator)
    assert hearers("forwarded") == sorted([w.provider_officer.pk, w.consumer_officer.pk])
    facts = Notice.objects.get(kind="request.forwarded", recipient=w.provider_officer).facts
    assert facts["params"]["due"] == "03/06/2026 23:59"
    assert "%(due)s" in facts["message"]


@pytest.mark.parametrize(("moment", "word"), [(HALF_GONE, "half"), (LATE, "late")])
def test_a_case_that_comes_with_half_or_all_of_its_time_gone_is_told_so_to_the_provider_once(w, moment, word):
    with at(MONDAY):
        request = submitted(w)
    with at(moment):
        run_clock()
        assert hearers(word) == [w.operator.pk]
        # As the clerk's page read it, before the clock.
        forward_request(request, by=w.operator)
        run_clock()
    assert hearers(word) == sorted([w.operator.pk, w.provider_officer.pk])
    assert hearers({"half": "late", "late": "half"}[word]) == []


def test_the_clock_that_speaks_after_the_forwarding_speaks_to_the_provider_once(w):
    with at(MONDAY):
        request = submitted(w)
    with at(HALF_GONE):
        forward_request(request, by=w.operator)
        run_clock()
    assert hearers("half") == [w.provider_officer.pk]


def test_a_case_in_time_is_forwarded_without_a_warning(w):
    with at(MONDAY):
        forward_request(submitted(w), by=w.operator)
    assert hearers("half") == hearers("late") == []


# --- returns ------------------------------------------------------------------------------------


def test_each_return_is_reminded_of_once_before_it_lapses(w):
    with at(MONDAY):
        request = returned(w)  # five working days: half of them are over on Wednesday
        assert run_clock()["recalled"] == 0
    with at(LATE):
        save_draft(request, by=w.consumer_officer, note="Đang hỏi phòng chuyên môn.")
        assert [run_clock()["recalled"] for _n in range(2)] == [1, 0]
        assert hearers("recalled") == [w.consumer_officer.pk]
        told_of = Notice.objects.get(kind="request.recalled").facts["params"]["lapses"]
        assert told_of == "08/06/2026 23:59"
        sign_request(request, by=w.consumer_signer)
        submit_request(request, by=w.consumer_officer)
        assert request.return_half_at is None
        return_request(request, by=w.operator, remarks=[("note", "Thiếu số công văn.")])
    with at("2026-06-09T08:00:00+07:00"):
        assert run_clock()["recalled"] == 1
    assert hearers("recalled") == [w.consumer_officer.pk] * 2


def test_what_was_completed_is_not_recalled(w):
    with at(MONDAY):
        request = returned(w)
        submit_request(request, by=w.consumer_officer)
    with at("2026-06-02T16:00:00+07:00"):
        run_clock()
    assert hearers("recalled") == []
