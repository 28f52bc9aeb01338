"""The approval preview: what is on the page, who may open it, and that looking is recorded."""

from __future__ import annotations

import datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import announce_end_of_version
from apps.audit.models import AuditEvent
from tests.factories.agreements import accepted, agreement_in_force, negotiating, special_world
from tests.factories.connections import forwarded
from tests.factories.organizations import InformationSystemFactory
from tests.factories.registry import PublishedServiceFactory
from tests.gateway.test_preview import change_of, production, record


def test_the_provider_sees_before_deciding_what_calls_would_lose(world, as_person):
    agreement = accepted(world)
    record(production(agreement), count=4)
    case = change_of(world, agreement, scope={world.operation: world.fields(2)})
    client = as_person(world.provider_officer)
    address = reverse("portal:request-preview", args=[case.uuid])
    assert address in client.get(reverse("portal:request", args=[case.uuid])).content.decode()
    page = client.get(address)
    assert page.context["sums"] == {"calls": 4, "passing": 4, "refused": 0, "losing": 4, "opened": 0}
    assert world.fields(3)[2] in page.content.decode()
    event = AuditEvent.objects.filter(event="call_log.read").last()
    assert (event.actor, event.facts["asked"]) == (world.provider_officer, {"page": "preview", "about": case.number})


@pytest.mark.parametrize(
    ("person", "status"),
    [("provider_officer", 200), ("operator", 200), ("consumer_officer", 403), ("stranger", 404)],
)
def test_the_preview_of_a_request_is_for_those_who_decide(world, as_person, person, status):
    case = forwarded(world)
    answer = as_person(getattr(world, person)).get(reverse("portal:request-preview", args=[case.uuid]))
    assert answer.status_code == status


def test_both_sides_see_the_preview_of_a_version_before_they_sign(db, as_person):
    w = special_world()
    agreement = negotiating(w)
    address = reverse("portal:agreement-preview", args=[agreement.uuid])
    for person in (w.consumer_signer, w.provider_signer):
        client = as_person(person)
        assert address in client.get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
        assert client.get(address).status_code == 200
    assert as_person(w.stranger).get(address).status_code == 404


def test_the_api_says_before_a_decision_what_the_page_says(world, as_person):
    agreement = accepted(world)
    record(production(agreement), count=4)
    case = change_of(world, agreement, scope={world.operation: world.fields(2)})
    client = as_person(world.provider_officer)
    page = client.get(reverse("portal:request-preview", args=[case.uuid])).context
    told = client.get(f"/api/v1/requests/{case.uuid}/preview").json()
    replay = told["replay"]
    assert {name: replay[name] for name in page["sums"]} == page["sums"]
    assert (replay["days"], replay["passing"], replay["losing"]) == (30, 4, 4)
    assert [(row["field"], row["calls"]) for row in replay["lost_fields"]] == page["lost"] == [(world.fields(3)[2], 4)]
    assert [(row["system"], row["calls"]) for row in replay["lines"]] == [(world.system.code, 4)]
    assert [load["service"] for load in told["loads"]] == [load.service for load in page["about"].loads] != []
    events = AuditEvent.objects.filter(event="call_log.read", actor=world.provider_officer)
    assert [event.facts["asked"] for event in events] == [{"page": "preview", "about": case.number}] * 2


def test_the_api_gives_the_reasons_and_each_person_its_own_calls_before_signing(world, as_person):
    agreement = accepted(world)
    record(production(agreement), count=3)
    where = f"/api/v1/agreements/{agreement.uuid}/preview"
    for person, loads in ((world.provider_officer, 1), (world.operator, 1), (world.consumer_officer, 0)):
        told = as_person(person).get(where).json()
        assert (told["replay"]["calls"], len(told["loads"])) == (3, loads)
        page = as_person(person).get(reverse("portal:agreement-preview", args=[agreement.uuid]))
        assert len(page.context["about"].loads) == loads
        assert ('id="load-h"' in page.content.decode()) == bool(loads)
    client = as_person(world.provider_officer)
    assert client.get(f"{where}?version=1").json()["replay"]["calls"] == 3
    assert client.get(f"{where}?version=9").status_code == client.get(f"{where}?version=x").status_code == 404


EVERYWHERE = {
    "vi": ("mọi địa chỉ", "Lượt gọi có thể đến từ mọi địa chỉ."),
    "en": ("every address", "Calls could come from every address."),
}


@pytest.mark.parametrize("language", EVERYWHERE)
@pytest.mark.parametrize(
    ("networks", "everywhere"),
    [
        (["10.1.2.0/24"], False),
        ([], True),
        (["0.0.0.0/0"], True),
        (["0.0.0.0/1", "128.0.0.0/1"], True),
        (["10.1.2.0/24", "::/0"], True),
    ],
)
def test_who_decides_reads_from_where_calls_will_come(world, as_person, language, networks, everywhere):
    """WF-26: nobody approves every address without having read it."""
    case = forwarded(world, source_networks=networks)
    client = as_person(world.provider_officer, language)
    facts = client.get(reverse("portal:request", args=[case.uuid])).content.decode()
    before = client.get(reverse("portal:request-preview", args=[case.uuid])).content.decode()
    for network in networks:
        assert f"<code>{network}</code>" in facts
        assert f"<code>{network}</code>" in before
    words, warning = EVERYWHERE[language]
    assert (f"<strong>{words}</strong>" in facts) is everywhere
    assert (warning in before) is everywhere
    told = client.get(f"/api/v1/requests/{case.uuid}/preview").json()
    assert (told["networks"], told["is_everywhere"]) == (networks, everywhere)


LOADS = {
    "vi": (
        "5 lượt gọi/giây",
        "500 lượt gọi/ngày",
        "2 hệ thống chưa thỏa thuận giới hạn mỗi giây",
        "không đề nghị giới hạn mỗi giây",
    ),
    "en": ("5 calls a second", "500 calls a day", "2 systems: no limit a second agreed", "no limit a second asked"),
}


@pytest.mark.parametrize("language", LOADS)
def test_the_decider_reads_that_a_limit_is_missing_and_not_a_zero(world, as_person, language):
    accepted(world)
    rate, day, unlimited, not_asked = LOADS[language]
    address = reverse("portal:request-preview", args=[forwarded(world).uuid])
    known = as_person(world.provider_officer, language).get(address).content.decode()
    assert (rate in known, day in known, unlimited in known, not_asked in known) == (True, True, False, False)
    for _n in range(2):
        agreement_in_force(world, systems=[InformationSystemFactory(organization=world.consumer)], calls_per_second=None)
    case = forwarded(world, calls_per_second=None)
    page = as_person(world.provider_officer, language).get(reverse("portal:request-preview", args=[case.uuid])).content.decode()
    for said in (rate, f"1{'.' if language == 'vi' else ','}{day}", unlimited, not_asked):
        assert said in page, said
    (told,) = as_person(world.provider_officer).get(f"/api/v1/requests/{case.uuid}/preview").json()["loads"]
    assert told == {
        "service": world.service.name, "capacity": 50, "agreed": 5, "unlimited": 2, "asked": None, "exceeds": False,
        "agreed_per_day": 1500, "unlimited_per_day": 0, "asked_per_day": 500, "is_lower_bound": True,
    }  # fmt: skip


def test_the_decider_reads_what_overlaps_and_when_the_version_ends(world, as_person):
    agreement = agreement_in_force(world)
    case = forwarded(world)
    day = timezone.localdate() + datetime.timedelta(days=30)
    announce_end_of_version(world.service.versions.get(), by=world.provider_officer, until=day)
    client = as_person(world.provider_officer)
    page = client.get(reverse("portal:request-preview", args=[case.uuid])).content.decode()
    assert f"“{world.service.name}” phiên bản 1.0 sẽ ngừng sử dụng từ ngày {day:%d/%m/%Y}." in page
    assert "đang thử nghiệm</span>" in page
    told = client.get(f"/api/v1/requests/{case.uuid}/preview").json()
    assert told["endings"] == [{"service": world.service.name, "number": "1.0", "day": f"{day}"}]
    overlap = {
        "agreement": agreement.number,
        "system": world.system.name,
        "operation": world.operation.name,
        "shared_fields": 3,
    }
    assert told["overlaps"] == [{**overlap, "in_test": True, "is_suspended": False}]


def test_who_signs_reads_it_too(world, as_person):
    agreement = accepted(world, source_networks=["10.1.2.0/24"])
    client = as_person(world.provider_signer)
    assert "<code>10.1.2.0/24</code>" in client.get(reverse("portal:agreement-preview", args=[agreement.uuid])).content.decode()
    assert "10.1.2.0/24" in client.get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()


@pytest.mark.parametrize("language", EVERYWHERE)
def test_an_agreement_says_that_calls_may_come_from_everywhere(world, as_person, language):
    agreement = accepted(world)
    said = {"vi": "Lượt gọi được đến từ mọi địa chỉ.", "en": "Calls may come from every address."}[language]
    shown = as_person(world.consumer_signer, language).get(reverse("portal:agreement", args=[agreement.uuid]))
    assert said in shown.content.decode()


@pytest.mark.parametrize(("language", "words"), [("vi", "Dịch vụ mặc định đã xem xét"), ("en", "Default services considered")])
def test_the_decider_reads_which_default_services_were_considered_and_why_they_do_not_do(db, as_person, language, words):
    """NĐ 47/2020 Điều 36(1), WF-33."""
    w = special_world()
    beside = PublishedServiceFactory(code="dich-vu-gan", name="Tra cứu doanh nghiệp mặc định")
    case = forwarded(w, special_reason="Dịch vụ mặc định không có địa chỉ trụ sở.")
    assert case.alternatives == [beside.code]
    page = as_person(w.provider_officer, language).get(reverse("portal:request", args=[case.uuid])).content.decode()
    for said in (f"<dt>{words}</dt>", beside.name, case.special_reason):
        assert said in page, said
    beside.versions.update(status="retired")
    page = as_person(w.provider_officer, language).get(reverse("portal:request", args=[case.uuid])).content.decode()
    assert f"<dd>{beside.code}</dd>" in page, "what may not be read any more is named by the code that was entered"


def test_a_request_by_default_sharing_names_none(world, as_person):
    page = as_person(world.provider_officer).get(reverse("portal:request", args=[forwarded(world).uuid])).content.decode()
    assert "<dt>Dịch vụ mặc định đã xem xét</dt>" not in page
