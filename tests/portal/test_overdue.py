"""What everybody on the platform reads of late cases (WF-30), and the planned suspensions that their parties alone see (WF-40)."""

from __future__ import annotations

import datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import announce_suspension, suspend_agreement
from apps.agreements.actions.suspension import begin_suspension
from apps.connections.models import ConnectionRequest
from apps.organizations.choices import Role
from tests.factories.accounts import UserFactory
from tests.factories.agreements import accepted
from tests.factories.connections import forwarded, submitted
from tests.factories.connections import world as other_world
from tests.factories.organizations import officer

SECRET = "Chuyện riêng của hai bên"


def late(request: ConnectionRequest, days: int = 10) -> ConnectionRequest:
    ConnectionRequest.objects.filter(pk=request.pk).update(due_at=timezone.now() - datetime.timedelta(days=days))
    return request


def test_wf_30_everybody_reads_with_whom_a_late_case_lies_and_nothing_of_who_asks_or_for_what(
    world, as_person, django_assert_max_num_queries
):
    case = late(forwarded(world, title=SECRET, purpose_text=SECRET))
    checked = late(submitted(world, title=SECRET), days=20)
    forwarded(world, title="Đúng hạn")
    page = reverse("portal:overdue")
    for person in (world.stranger, officer(Role.AUDITOR), world.consumer_officer):
        text = as_person(person).get(page).content.decode()
        assert text.index(checked.number) < text.index(case.number), "the latest first"
        assert world.provider.name in text
        assert SECRET not in text
        assert "Đúng hạn" not in text
        assert case.deadline_rule.citation in text
    told = as_person(world.stranger).get(page).content.decode()
    assert world.consumer.name not in told
    assert world.service.name not in told
    assert str(case.uuid) not in told
    assert reverse("portal:request", args=[case.uuid]) in as_person(world.consumer_officer).get(page).content.decode()
    assert case.number not in as_person(UserFactory()).get(page).content.decode(), "who works nowhere reads nothing"
    for _n in range(5):
        late(forwarded(world))
    browser = as_person(world.stranger)
    browser.get(page)
    with django_assert_max_num_queries(14):
        browser.get(page)


def listed(browser, **asked) -> dict:
    answer = browser.get("/api/v1/requests/overdue", asked)
    assert answer.status_code == 200
    return answer.json()


def test_wf_30_the_api_gives_the_same_list_to_the_same_people(world, as_person):
    case = late(forwarded(world, title=SECRET, purpose_text=SECRET))
    checked = late(submitted(world, title=SECRET), days=20)
    forwarded(world, title="Đúng hạn")
    for person in (world.stranger, world.consumer_officer, officer(Role.AUDITOR), UserFactory()):
        browser = as_person(person)
        given = listed(browser)
        shown = browser.get(reverse("portal:overdue")).context["cases"]
        assert [
            (row["number"], row["uuid"], tuple(row["desks"]), row["rule"], row["citation"]) for row in given["results"]
        ] == [(row.number, row.uuid and str(row.uuid), row.desks, row.rule, row.citation) for row in shown]
    told = listed(as_person(world.stranger))
    assert [(row["number"], row["uuid"], row["desks"]) for row in told["results"]] == [
        (checked.number, None, []), (case.number, None, [str(world.provider)]),
    ]  # fmt: skip
    assert set(told["results"][0]) == {"number", "uuid", "desks", "received_at", "due_at", "rule", "citation"}
    own = {row["number"]: row["uuid"] for row in listed(as_person(world.consumer_officer))["results"]}
    assert own == {case.number: str(case.uuid), checked.number: str(checked.uuid)}
    assert listed(as_person(UserFactory()))["results"] == [], "who works nowhere reads nothing"


def test_the_list_of_the_api_comes_in_pages_and_costs_the_same_however_long(world, as_person, django_assert_max_num_queries):
    browser = as_person(world.provider_officer)
    late(forwarded(world))
    with django_assert_max_num_queries(9) as one:
        listed(browser)
    for days in range(1, 5):
        late(forwarded(world), days=days)
    with django_assert_max_num_queries(len(one)):
        whole = listed(browser)
    parts = [listed(browser, page_size=2, page=number) for number in (1, 2, 3)]
    assert [len(part["results"]) for part in parts] == [2, 2, 1]
    assert [row for part in parts for row in part["results"]] == whole["results"]
    assert [row["due_at"] for row in whole["results"]] == sorted(row["due_at"] for row in whole["results"])


def test_a_paused_or_decided_case_is_not_on_the_list(world, as_person):
    paused = late(forwarded(world))
    ConnectionRequest.objects.filter(pk=paused.pk).update(paused_at=timezone.now(), status="returned")
    assert paused.number not in as_person(world.stranger).get(reverse("portal:overdue")).content.decode()
    assert listed(as_person(world.stranger))["results"] == []


@pytest.fixture
def announced(world):
    agreement = accepted(world)
    starts = timezone.now() + datetime.timedelta(days=40)
    return announce_suspension(
        agreement,
        by=world.provider_officer,
        starts_at=starts,
        ends_at=starts + datetime.timedelta(days=1),
        reason="Nâng cấp máy chủ",
    )


def places(world) -> list[str]:
    return [
        reverse("home"), reverse("portal:accounts"), reverse("portal:service", args=[world.service.code]),
        reverse("portal:agency", args=[world.consumer.code]),
    ]  # fmt: skip


def test_wf_40_a_planned_suspension_is_seen_where_the_consumer_looks_and_by_its_parties_alone(world, announced, as_person):
    for place in places(world):
        assert "Nâng cấp máy chủ" in as_person(world.consumer_officer).get(place).content.decode(), place
        assert "Nâng cấp máy chủ" not in as_person(world.stranger).get(place).content.decode(), place
    provider = as_person(world.provider_officer).get(reverse("portal:service", args=[world.service.code]))
    assert "Nâng cấp máy chủ" in provider.content.decode()
    assert world.service.name in as_person(world.consumer_officer).get(reverse("home")).content.decode()


def test_the_banner_stays_while_it_lasts_and_goes_when_it_is_over(world, announced, as_person):
    browser, home = as_person(world.consumer_officer), reverse("home")
    type(announced).objects.filter(pk=announced.pk).update(starts_at=timezone.now() - datetime.timedelta(hours=1))
    announced.refresh_from_db()
    begin_suspension(announced, by=world.operator)
    assert "dự kiến mở lại" in browser.get(home).content.decode()
    type(announced).objects.filter(pk=announced.pk).update(ended_at=timezone.now())
    assert "Nâng cấp máy chủ" not in browser.get(home).content.decode()


@pytest.mark.parametrize("stopped", [True, False])
def test_what_has_begun_is_called_off_on_the_page_only_beside_another_suspension(world, announced, as_person, stopped):
    agreement = announced.agreement
    if stopped:
        suspend_agreement(agreement, by=world.operator, kind="force_majeure", violation="Mất điện.", plan="Chờ.")
    type(announced).objects.filter(pk=announced.pk).update(starts_at=timezone.now() - datetime.timedelta(hours=1))
    begin_suspension(announced, by=world.operator)
    page = as_person(world.provider_officer).get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()
    assert (reverse("portal:suspension-cancel", args=[announced.uuid]) in page) is stopped


def test_a_service_page_shows_the_suspensions_of_that_service_alone(world, announced, as_person):
    other = other_world()
    text = as_person(world.consumer_officer).get(reverse("portal:service", args=[other.service.code])).content.decode()
    assert "Nâng cấp máy chủ" not in text
