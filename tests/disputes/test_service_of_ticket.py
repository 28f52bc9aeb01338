"""Wrong data is reported of a service (WF-46): which one is kept, shown, sought by, and counted on its page."""

import re
import uuid

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from apps.core.errors import InvalidFact
from apps.disputes.actions import answer_ticket, close_ticket, open_ticket
from apps.disputes.choices import TicketKind
from apps.disputes.models import Ticket
from apps.notices.models import Notice
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import world
from tests.factories.registry import PublishedServiceFactory

MONDAY, LATER = "2026-06-01T09:00:00+07:00", "2026-06-11T09:00:00+07:00"


@pytest.fixture
def w(db):
    return world()


def browser(user) -> Client:
    client = Client()
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return client


def report(w, agreement=None, **changes) -> Ticket:
    facts = {"kind": TicketKind.WRONG_DATA, "asked_of": w.provider, "text": "Sai địa chỉ.", "service": w.service, **changes}
    return open_ticket(agreement or agreement_in_force(w), by=w.consumer_officer, **facts)


def figures(user, service) -> list[int]:
    """Open, late, answered, all, as the service's page says them; empty where it says nothing of it."""
    page = browser(user).get(reverse("portal:service", args=[service.code])).content.decode()
    part = page.partition('id="reported-h"')[2].partition("</section>")[0]
    return [int(found) for found in re.findall(r">(\d+)</a>", part)]


def test_wf_46_the_report_keeps_its_service_and_is_told_once(w):
    key, agreement = uuid.uuid4(), agreement_in_force(w)
    for _twice in range(2):
        ticket = report(w, agreement, uuid=key)
    assert ticket.service == w.service
    assert list(Notice.objects.filter(kind="ticket.opened").values_list("recipient", flat=True)) == [w.provider_officer.pk]


def test_the_service_is_one_of_the_agreement_and_the_asked_agencys_own(w):
    agreement, other = agreement_in_force(w), PublishedServiceFactory(provider=w.provider)
    with pytest.raises(InvalidFact) as refusal:
        report(w, agreement, service=other)
    assert refusal.value.code == "service_not_in_agreement"
    w.service.provider = w.consumer
    w.service.save()
    with pytest.raises(InvalidFact) as refusal:
        report(w, agreement)
    assert refusal.value.code == "service_of_another"
    assert not Ticket.objects.exists()


def test_a_question_about_the_agreement_as_a_whole_names_no_service(w):
    assert report(w, service=None).service is None


def test_the_portal_keeps_the_service_from_whose_page_it_was_reported(w):
    agreement = agreement_in_force(w)
    address = reverse("portal:ticket-new", args=["wrong_data"]) + f"?service={w.service.code}"
    form = browser(w.consumer_officer).get(address).content.decode()
    assert f'value="{w.service.code}" selected' in form
    facts = {"uuid": uuid.uuid4(), "agreement": agreement.uuid, "service": w.service.code, "text": "Sai địa chỉ."}
    assert browser(w.consumer_officer).post(address, facts).status_code == 302
    ticket = Ticket.objects.get()
    assert ticket.service == w.service
    for person in (w.consumer_officer, w.provider_officer, w.operator):
        page = browser(person).get(reverse("portal:ticket", args=[ticket.uuid])).content.decode()
        assert w.service.code in page.partition('id="facts-h"')[2].partition("</section>")[0]
    assert browser(w.stranger).get(reverse("portal:ticket", args=[ticket.uuid])).status_code == 404


def test_the_lists_are_sought_by_service_and_by_what_is_late(w):
    agreement = agreement_in_force(w)
    with time_machine.travel(MONDAY, tick=False):
        mine = report(w, agreement)
        general = report(w, agreement, service=None)
        answer_ticket(general, by=w.provider_officer, answer="Đã sửa.")
    with time_machine.travel(LATER, tick=False):
        for query, found in (
            (f"service={w.service.code}", {mine.number}),
            ("due=late", {mine.number}),
            ("", {mine.number, general.number}),
        ):
            page = browser(w.provider_officer).get(reverse("portal:tickets") + f"?{query}").content.decode()
            assert {row.number for row in (mine, general) if row.number in page} == found, query
        for query, count in ((f"service={w.service.code}", 1), ("late=true", 1), ("late=false", 2), ("service=khong-co", 0)):
            assert browser(w.provider_officer).get(f"/api/v1/tickets?{query}").json()["count"] == count, query
            assert browser(w.stranger).get(f"/api/v1/tickets?{query}").json()["count"] == 0


def test_the_api_takes_and_gives_the_service(w):
    agreement = agreement_in_force(w)
    body = {"agreement": agreement.number, "kind": "wrong_data", "asked_of": w.provider.code, "text": "Sai"}
    client = browser(w.consumer_officer)
    made = client.post("/api/v1/tickets", {**body, "service": w.service.code}, content_type="application/json")
    assert (made.status_code, made.json()["service"]) == (201, w.service.code)
    assert client.post("/api/v1/tickets", body, content_type="application/json").json()["service"] is None
    wrong = client.post("/api/v1/tickets", {**body, "service": "khong-co"}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "unknown_service")


def test_wf_46_the_provider_and_the_operator_read_how_much_was_reported_and_others_do_not(w):
    agreement = agreement_in_force(w)
    with time_machine.travel(MONDAY, tick=False):
        assert figures(w.provider_officer, w.service) == [], "nothing was reported"
        _late, answered, closed = (report(w, agreement) for _n in range(3))
        answer_ticket(answered, by=w.provider_officer, answer="Đã sửa.")
        close_ticket(closed, by=w.consumer_officer)
        report(w, agreement, service=None)
    with time_machine.travel(LATER, tick=False):
        report(w, agreement)
        for person in (w.provider_officer, w.provider_signer, w.operator):
            assert figures(person, w.service) == [2, 1, 1, 4]
        for person in (w.consumer_officer, w.stranger):
            assert figures(person, w.service) == []
