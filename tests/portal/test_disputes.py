"""Obstacles and questions in the portal: from the agreement's page through the three levels, with the document of level 3."""

from __future__ import annotations

import datetime
import uuid

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import (
    decline_change,
    leave_agreement,
    merge_organizations,
    sign_agreement,
    terminate_agreement,
)
from apps.core.errors import StaleVersion
from apps.disputes.actions import send_document
from apps.disputes.models import Dispute, Ticket
from apps.notices.models import Notice
from apps.organizations.choices import Role
from tests.agreements.test_joining import asked
from tests.agreements.test_leaving import joined
from tests.factories import agreements, connections
from tests.factories.agreements import accepted
from tests.factories.organizations import officer

MONDAY, LATER = "2026-06-01T09:00:00+07:00", "2026-06-11T09:00:00+07:00"


def new(agreement=None, **query) -> str:
    query = {"agreement": agreement.uuid} if agreement else query
    return reverse("portal:dispute-new") + "?" + "&".join(f"{name}={value}" for name, value in query.items())


def do(client, row, verb: str, **data):
    kind = "dispute" if isinstance(row, Dispute) else "ticket"
    here = reverse(f"portal:{kind}", args=[row.uuid])
    row.refresh_from_db()
    return client.post(f"{here}do/{verb}/", {"back": here, "version": row.version, **data}, follow=True)


def raise_one(world, as_person, **changes) -> Dispute:
    agreement = agreements.agreement_in_force(world)
    facts = {"uuid": uuid.uuid4(), "respondent": world.provider.pk, "category": "data", "title": "Sai tên",
             "description": "Tên doanh nghiệp sai dấu.", **changes}  # fmt: skip
    answer = as_person(world.consumer_officer).post(new(agreement), facts)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    return Dispute.objects.latest("id")


def test_wf_50_an_obstacle_is_raised_from_the_agreement_and_lies_with_the_other_party(world, as_person):
    agreement = agreements.agreement_in_force(world)
    page = as_person(world.consumer_officer).get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
    assert new(agreement) in page
    dispute = raise_one(world, as_person)
    home = as_person(world.provider_officer).get("/").content.decode() or ""
    home = as_person(world.provider_officer).get(reverse("home")).content.decode()
    assert dispute.number in home
    assert "Trả lời vướng mắc" in home
    notice = Notice.objects.get(kind="dispute.raised", recipient=world.provider_officer)
    assert as_person(world.provider_officer).get(notice.url).status_code == 200


def test_cc_05_the_same_form_sent_twice_raises_one(world, as_person):
    key = uuid.uuid4()
    raise_one(world, as_person, uuid=key)
    agreement = Dispute.objects.get().agreement
    facts = {"uuid": key, "respondent": world.provider.pk, "category": "data", "title": "Sai tên", "description": "x"}
    assert as_person(world.consumer_officer).post(new(agreement), facts).status_code == 302
    assert Dispute.objects.count() == 1
    assert as_person(world.provider_officer).post(new(agreement), {**facts, "respondent": world.consumer.pk}).status_code == 409


def test_wf_51_to_54_through_the_three_levels(world, as_person):
    consumer, provider, operator = (as_person(u) for u in (world.consumer_officer, world.provider_officer, world.operator))
    with time_machine.travel(MONDAY, tick=False):
        dispute = raise_one(world, as_person)
        page = as_person(world.consumer_officer).get(reverse("portal:dispute", args=[dispute.uuid])).content.decode()
        assert "do/escalate/" not in page, "nothing to take further yet"
        assert "10/06/2026" in page
        assert "Điều 49(1)" in page
        do(provider, dispute, "answer", text="Sẽ đối chiếu lại.")
        do(consumer, dispute, "escalate", reason="Chưa sửa.")
    dispute.refresh_from_db()
    assert dispute.status == "level_2"
    assert "Chưa sửa." in operator.get(reverse("portal:dispute", args=[dispute.uuid])).content.decode(), (
        "why it came up a level"
    )
    with time_machine.travel(LATER, tick=False):
        said = do(operator, dispute, "answer", text="Đề nghị nguồn sửa.").content.decode()
        assert "cả hai bên đã được thông báo" in said
        do(consumer, dispute, "escalate", reason="Thuộc thẩm quyền của bộ.")
    dispute.refresh_from_db()
    assert (dispute.status, dispute.deadline_rule.code) == ("level_3", "dispute.level_3")
    do(operator, dispute, "send", sent_to="Bộ Tài chính", number="15/SKHCN-CĐS", day="12/06/2026")
    dispute.refresh_from_db()
    assert (dispute.sent_to, dispute.sent_number, dispute.sent_date) == (
        "Bộ Tài chính",
        "15/SKHCN-CĐS",
        datetime.date(2026, 6, 12),
    )
    assert "15/SKHCN-CĐS" in provider.get(reverse("portal:dispute", args=[dispute.uuid])).content.decode()
    refused = do(operator, dispute, "answer", text="Bộ đã trả lời")
    assert dispute.answers.filter(level="level_3").count() == 0, refused
    do(operator, dispute, "answer", text="Bộ đồng ý sửa.", document_number="99/BTC", document_date="20/06/2026")
    do(consumer, dispute, "resolve", outcome="Đã sửa dữ liệu.")
    assert "Theo dõi, đóng vướng mắc" in operator.get(reverse("home")).content.decode()
    do(operator, dispute, "close")
    dispute.refresh_from_db()
    assert dispute.status == "closed"


def test_a_document_dated_tomorrow_or_without_addressee_is_refused(world, as_person):
    dispute = raise_one(world, as_person)
    Dispute.objects.filter(pk=dispute.pk).update(status="level_3")
    tomorrow = (timezone.localdate() + datetime.timedelta(days=1)).strftime("%d/%m/%Y")
    do(as_person(world.operator), dispute, "send", sent_to="Bộ", number="1", day=tomorrow)
    do(as_person(world.operator), dispute, "send", sent_to=" ", number="1", day="01/01/2026")
    do(as_person(world.consumer_officer), dispute, "send", sent_to="Bộ", number="1", day="01/01/2026")
    dispute.refresh_from_db()
    assert dispute.sent_date is None


def test_who_sends_the_document_on_a_former_page_is_told_who_was_first(world, as_person):
    dispute = raise_one(world, as_person)
    Dispute.objects.filter(pk=dispute.pk).update(status="level_3")
    dispute.refresh_from_db()
    facts = {"sent_to": "Bộ Tài chính", "number": "1", "day": timezone.localdate()}
    send_document(dispute, by=world.operator, version=dispute.version, **facts)
    with pytest.raises(StaleVersion) as refusal:
        send_document(dispute, by=world.operator, version=dispute.version - 1, **facts)
    assert refusal.value.extra["by"] == str(world.operator)


def test_wf_53_the_document_of_level_three_holds_the_whole_story(world, as_person):
    from apps.disputes.documents import document_html

    dispute = raise_one(world, as_person, title="Sai <b>tên</b>")
    address = reverse("portal:dispute-document", args=[dispute.uuid])
    assert as_person(world.operator).get(address).status_code == 404
    do(as_person(world.provider_officer), dispute, "answer", text="Không đồng ý.")
    Dispute.objects.filter(pk=dispute.pk).update(status="level_3")
    answer = as_person(world.operator).get(address)
    assert answer.status_code == 200
    assert answer.content.startswith(b"%PDF-") or b"<h2>" in answer.content
    dispute.refresh_from_db()
    text = document_html(dispute)
    for part in (
        dispute.number,
        dispute.agreement.number,
        str(world.consumer),
        str(world.provider),
        "Không đồng ý.",
        "47/2020",
    ):
        assert part in text
    assert "Sai <b>" not in text
    assert as_person(world.stranger).get(address).status_code == 404


def test_a_refused_request_offers_to_raise_an_obstacle(world, as_person):
    refused = connections.refused(world)
    address = new(request=refused.uuid)
    assert address in as_person(world.consumer_officer).get(reverse("portal:request", args=[refused.uuid])).content.decode()
    assert address not in as_person(world.provider_officer).get(reverse("portal:request", args=[refused.uuid])).content.decode()
    facts = {"uuid": uuid.uuid4(), "respondent": world.provider.pk, "category": "rights", "title": "x", "description": "y"}
    assert as_person(world.consumer_officer).post(address, facts).status_code == 302
    assert Dispute.objects.get().request == refused


def test_strangers_find_nothing(world, as_person):
    dispute = raise_one(world, as_person)
    stranger = as_person(world.stranger)
    assert stranger.get(reverse("portal:dispute", args=[dispute.uuid])).status_code == 404
    assert stranger.get(new(dispute.agreement)).status_code == 404
    assert stranger.get(reverse("portal:dispute-new")).status_code == 404
    assert stranger.get(reverse("portal:dispute-new") + "?agreement=x").status_code == 404
    assert dispute.number not in stranger.get(reverse("portal:disputes")).content.decode()
    assert stranger.post(reverse("portal:dispute-step", args=[dispute.uuid, "answer"]), {"text": "x"}).status_code == 404


@pytest.mark.parametrize(("query", "found"), [("", 1), ("status=level_1", 1), ("status=closed", 0), ("due=late", 0), ("due=open", 1),
                                              ("category=data", 1), ("category=rights", 0), ("status=%00&page=x", 1)])  # fmt: skip
def test_the_list_filters(world, as_person, query, found):
    dispute = raise_one(world, as_person)
    page = as_person(world.operator).get(reverse("portal:disputes") + f"?{query}").content.decode()
    assert page.count(f">{dispute.number}<") == found


def test_ag_03_only_a_bound_officer_of_one_side_sees_the_form_and_on_it_the_other_side(world, as_person):
    agreement = accepted(world)
    other = joined(world, agreement)
    page = as_person(world.provider_officer).get(new(agreement)).content.decode()
    assert world.consumer.name in page
    assert other.organization.name in page
    page = as_person(other.officer).get(new(agreement)).content.decode()
    assert world.provider.name in page
    assert f">{world.consumer.name}<" not in page
    leave_agreement(agreement, by=world.consumer_officer, reason="Ngừng dùng")
    assert as_person(world.consumer_officer).get(reverse("portal:agreement", args=[agreement.uuid])).status_code == 200
    for person in (world.consumer_officer, world.operator, world.provider_signer):
        answer = as_person(person).get(new(agreement))
        assert (answer.status_code, other.organization.name in answer.content.decode()) == (404, False)
    facts = {"uuid": uuid.uuid4(), "respondent": other.organization.pk, "category": "data", "title": "x", "description": "y"}
    assert as_person(world.consumer_officer).post(new(agreement), facts).status_code == 404
    assert world.consumer.name not in as_person(world.provider_officer).get(new(agreement)).content.decode()


def test_ag_03_who_is_joining_raises_nothing_and_learns_of_nobody(db, as_person):
    w = agreements.special_world()
    agreement, one = asked(w)
    assert as_person(one.officer).get(reverse("portal:agreement", args=[agreement.uuid])).status_code == 200
    answer = as_person(one.officer).get(new(agreement))
    assert (answer.status_code, w.consumer.name in answer.content.decode()) == (404, False)


def test_a_refused_request_is_not_disputed_when_its_two_sides_have_become_one(world, as_person):
    refused = connections.refused(world)
    merge_organizations(world.consumer, world.provider, by=world.operator, instrument="Nghị quyết 202/2025/QH15")
    heir = officer(Role.CONSUMER_OFFICER, world.provider)
    address = new(request=refused.uuid)
    page = as_person(heir).get(reverse("portal:request", args=[refused.uuid]))
    assert (page.status_code, address in page.content.decode()) == (200, False)
    facts = {"category": "rights", "title": "x", "description": "y"}
    assert as_person(heir).get(address).status_code == 404
    answer = as_person(heir).post("/api/v1/disputes", {"request": refused.number, **facts}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "not_the_other_party")
    assert not Dispute.objects.exists()


LATE = "chip nowrap chip--red"


def test_who_has_answered_in_time_is_not_shown_as_late(world, as_person):
    operator = as_person(world.operator)

    def shown() -> tuple[str, str]:
        return tuple(
            operator.get(address).content.decode()
            for address in (reverse("portal:dispute", args=[dispute.uuid]), reverse("portal:disputes"))
        )

    with time_machine.travel(MONDAY, tick=False):
        dispute = raise_one(world, as_person)
    with time_machine.travel(LATER, tick=False):
        assert [LATE in page for page in shown()] == [True, True]
    with time_machine.travel(MONDAY, tick=False):
        do(as_person(world.provider_officer), dispute, "answer", text="Sẽ đối chiếu lại.")
    with time_machine.travel(LATER, tick=False):
        assert [LATE in page for page in shown()] == [False, False]
        assert ["đã trả lời" in page for page in shown()] == [True, True]
        do(as_person(world.consumer_officer), dispute, "escalate", reason="Chưa sửa.")
    with time_machine.travel("2026-07-01T09:00:00+07:00", tick=False):
        assert [LATE in page for page in shown()] == [True, True], "level 2 has a clock of its own"


def test_a_reply_of_level_three_given_in_time_is_not_shown_as_late_at_home(world, as_person):
    with time_machine.travel(MONDAY, tick=False):
        dispute = raise_one(world, as_person)
        Dispute.objects.filter(pk=dispute.pk).update(status="level_3")
    with time_machine.travel(LATER, tick=False):
        assert LATE in as_person(world.operator).get(reverse("home")).content.decode()
    with time_machine.travel(MONDAY, tick=False):
        do(
            as_person(world.operator),
            dispute,
            "answer",
            text="Bộ đồng ý.",
            document_number="99/BTC",
            document_date="01/06/2026",
        )
    with time_machine.travel(LATER, tick=False):
        assert LATE not in as_person(world.operator).get(reverse("home")).content.decode()


# --- questions ----------------------------------------------------------------------------------


def ask(client, kind: str, agreement=None):
    address = reverse("portal:ticket-new", args=[kind])
    return client.get(address + f"?agreement={agreement.uuid}" if agreement else address)


def test_ag_03_who_has_left_an_agreement_is_offered_it_no_more_and_is_not_offered(world, as_person):
    agreement = accepted(world)
    other = joined(world, agreement)
    leave_agreement(agreement, by=world.consumer_officer, reason="Ngừng dùng")
    for given in (None, agreement):
        assert ask(as_person(world.consumer_officer), "wrong_data", given).status_code == 404
    page = ask(as_person(world.provider_officer), "explanation").content.decode()
    assert (agreement.number in page, world.consumer.name in page) == (True, False)
    assert agreement.number in ask(as_person(other.officer), "wrong_data").content.decode()


@pytest.mark.parametrize("declined", [True, False])
def test_ag_03_who_is_joining_or_was_declined_is_not_offered_the_agreement(db, as_person, declined):
    w = agreements.special_world()
    agreement, one = asked(w)
    draft = agreement.versions.order_by("-number").first()
    sign_agreement(agreement, by=one.signer, content_hash=draft.content_hash)
    if declined:
        decline_change(agreement, by=w.consumer_officer, reason="Không đồng ý")
    answer = ask(as_person(one.officer), "wrong_data")
    assert (answer.status_code, agreement.number in answer.content.decode()) == (404, False)
    page = ask(as_person(w.provider_officer), "explanation").content.decode()
    assert (agreement.number in page, one.organization.name in page) == (True, False)


def test_under_an_agreement_that_has_ended_its_parties_still_ask(world, as_person):
    agreement = accepted(world)
    terminate_agreement(agreement, by=world.operator, ground="authority", reason="Theo yêu cầu")
    for person, kind in ((world.consumer_officer, "wrong_data"), (world.provider_officer, "explanation")):
        assert agreement.number in ask(as_person(person), kind, agreement).content.decode()


def test_wf_46_wrong_data_is_reported_answered_and_asked_again(world, as_person):
    agreement = agreements.agreement_in_force(world)
    consumer, provider = as_person(world.consumer_officer), as_person(world.provider_officer)
    address = reverse("portal:ticket-new", args=["wrong_data"]) + f"?service={world.service.code}"
    assert consumer.get(address).status_code == 200
    facts = {"uuid": uuid.uuid4(), "agreement": agreement.uuid, "record_key": "0100109106", "text": "Sai địa chỉ."}
    for _twice in range(2):
        assert consumer.post(address, facts).status_code == 302
    ticket = Ticket.objects.get()
    assert ticket.number in provider.get(reverse("home")).content.decode()
    page = provider.get(reverse("portal:ticket", args=[ticket.uuid])).content.decode()
    assert "0100109106" not in page
    assert str(ticket.deadline_rule) in page, "by which rule it is due"
    assert ticket.deadline_rule.citation in page
    do(provider, ticket, "answer", answer="Đã sửa.")
    assert "Đọc trả lời và đóng" in consumer.get(reverse("home")).content.decode()
    do(consumer, ticket, "ask_again", text="Vẫn sai.")
    do(provider, ticket, "answer", answer="Đã sửa lần hai.")
    do(consumer, ticket, "close")
    ticket.refresh_from_db()
    assert ticket.status == "closed"
    assert as_person(world.stranger).get(reverse("portal:ticket", args=[ticket.uuid])).status_code == 404


def test_wf_44_a_provider_asks_for_an_explanation_with_a_day(world, as_person):
    agreement = agreements.agreement_in_force(world)
    provider = as_person(world.provider_officer)
    address = reverse("portal:ticket-new", args=["explanation"]) + f"?agreement={agreement.uuid}"
    facts = {"uuid": uuid.uuid4(), "agreement": agreement.uuid, "text": "Vì sao gọi ban đêm?"}
    assert provider.post(address, facts).status_code == 400, "a day is needed"
    assert provider.post(address, {**facts, "due_at": "01/01/2020 08:00"}).status_code == 302
    day = (timezone.localdate() + datetime.timedelta(days=30)).strftime("%d/%m/%Y")
    assert not Ticket.objects.exists()
    assert provider.post(address, {**facts, "due_at": f"{day} 17:00"}).status_code == 302
    ticket = Ticket.objects.get()
    assert (ticket.asked_of, timezone.localtime(ticket.due_at).hour) == (world.consumer, 17)
    assert provider.post(address, {**facts, "uuid": uuid.uuid4(), "due_at": day}).status_code == 302
    whole_day = Ticket.objects.exclude(pk=ticket.pk).get()
    assert timezone.localtime(whole_day.due_at).strftime("%d/%m/%Y %H:%M") == f"{day} 23:59", "a day ends at its end"
    assert (
        as_person(world.consumer_officer)
        .get(reverse("portal:tickets") + "?kind=explanation&status=open")
        .content.decode()
        .count(ticket.number)
    )


def test_who_has_no_agreement_or_not_the_role_asks_nothing(world, as_person):
    agreements.agreement_in_force(world)
    for person, kind in ((world.stranger, "wrong_data"), (world.operator, "wrong_data"), (world.provider_officer, "wrong_data"),
                         (world.consumer_officer, "explanation"), (world.consumer_officer, "gossip")):  # fmt: skip
        assert as_person(person).get(reverse("portal:ticket-new", args=[kind])).status_code == 404


def test_the_lists_cost_the_same_for_more_rows(world, as_person, django_assert_max_num_queries):
    browser = as_person(world.operator)
    raise_one(world, as_person)
    browser.get(reverse("portal:disputes"))
    for _more in range(4):
        raise_one(world, as_person)
    with django_assert_max_num_queries(22):
        browser.get(reverse("portal:disputes"))
