"""A service that is suspended stops its consumers' calls: they are told in the same transaction, and told when it is open again."""

from __future__ import annotations

import datetime

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone, translation

from apps.agreements.actions import (
    announce_end_of_version,
    change_service,
    end_grant,
    postpone_end_of_version,
    resume_service,
    retire_service_version,
    suspend_service,
)
from apps.core.errors import Conflict, InvalidFact, NotPermitted, TransitionNotAllowed
from apps.notices.models import Notice, OutboxMessage
from apps.notices.outbox import render
from apps.registry import clock
from tests.factories.agreements import accepted, agreement_in_force
from tests.factories.connections import World

REASON = "Rò rỉ khóa kết nối"


def told(kind: str) -> set:
    return {notice.recipient for notice in Notice.objects.filter(kind=kind)}


def test_everybody_whose_calls_stop_is_told_why_and_when_they_pass_again(w: World):
    agreement_in_force(w)
    suspend_service(w.service, by=w.provider_officer, reason=REASON)
    assert told("service.suspended") == {w.consumer_officer, w.provider_officer, w.operator}
    assert Notice.objects.filter(kind="service.suspended").first().facts["params"]["reason"] == REASON
    assert OutboxMessage.objects.filter(
        key__startswith="email:service.suspended", key__endswith=str(w.consumer_officer.uuid)
    ).exists()
    resume_service(w.service, by=w.provider_officer)
    assert told("service.resumed") == {w.consumer_officer, w.provider_officer, w.operator}
    suspend_service(w.service, by=w.operator, reason="Lần hai")
    assert Notice.objects.filter(kind="service.suspended", recipient=w.consumer_officer).count() == 2


def test_who_has_no_access_any_more_is_not_told(w: World):
    agreement = agreement_in_force(w)
    for grant in agreement.grants.all():
        end_grant(grant, by=w.consumer_officer, reason="Không dùng nữa")
    suspend_service(w.service, by=w.operator, reason=REASON)
    assert told("service.suspended") == {w.provider_officer, w.operator}


def test_a_suspension_that_cannot_be_told_is_none(w: World, monkeypatch):
    agreement_in_force(w)
    monkeypatch.setattr("apps.agreements.actions.offers.notify", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        suspend_service(w.service, by=w.provider_officer, reason=REASON)
    w.service.refresh_from_db()
    assert w.service.status == "active"


def test_all_doors_tell(w: World):
    agreement_in_force(w)
    client = Client()
    client.force_login(w.provider_officer)
    api, portal = f"/api/v1/services/{w.service.code}", f"/portal/my-services/{w.service.code}/do"
    answer = client.post(f"{api}/suspend", {"reason": REASON}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "suspended")
    assert client.post(f"{portal}/resume/", {"reason": "Đã thay khóa"}).status_code == 302
    assert client.post(f"{portal}/suspend/", {"reason": REASON}).status_code == 302
    answer = client.post(f"{api}/resume", {"reason": "Xong"}, content_type="application/json")
    assert (answer.status_code, answer.json()["status"]) == (200, "active")
    for kind in ("service.suspended", "service.resumed"):
        assert Notice.objects.filter(kind=kind, recipient=w.consumer_officer).count() == 2


# --- what consumers reckon with is another (WF-12) -------------------------------------------------


def test_consumers_are_told_once_a_change_which_parts_are_others(w: World):
    agreement_in_force(w)
    change_service(w.service, by=w.provider_officer, sla="99,9 %", contact="Tổ dữ liệu mới", capacity_rps=7, daily_quota=9)
    assert told("service.changed") == {w.consumer_officer}
    notice = Notice.objects.get(kind="service.changed")
    assert notice.url == f"/portal/services/{w.service.code}/"
    for language, words in (
        ("vi", "mức dịch vụ, liên hệ, năng lực (lượt gọi/giây), hạn mức mặc định (lượt gọi/ngày)."),
        ("en", "service level, contact, capacity (calls per second), default quota (calls per day)."),
    ):
        with translation.override(language):
            assert render(notice.facts).endswith(words)
            assert w.service.name in render(notice.facts)
    assert OutboxMessage.objects.filter(key__startswith="email:service.changed").count() == 1
    change_service(w.service, by=w.provider_officer, sla="99,9 %")
    assert Notice.objects.filter(kind="service.changed").count() == 1, "nothing was another"
    change_service(w.service, by=w.provider_officer, capacity_rps=8)
    newest = Notice.objects.filter(kind="service.changed").order_by("pk").last()
    with translation.override("en"):
        assert render(newest.facts).endswith(": capacity (calls per second).")


def test_a_change_that_is_not_theirs_and_one_of_a_service_nobody_uses_is_told_to_nobody(w: World):
    change_service(w.service, by=w.provider_officer, sla="99,9 %")
    agreement = agreement_in_force(w)
    change_service(w.service, by=w.provider_officer, description="Mô tả rõ hơn")
    for grant in agreement.grants.all():
        end_grant(grant, by=w.consumer_officer, reason="Không dùng nữa")
    change_service(w.service, by=w.provider_officer, sla="99,99 %")
    assert told("service.changed") == set()


def test_a_change_that_cannot_be_told_is_none(w: World, monkeypatch):
    agreement_in_force(w)
    monkeypatch.setattr("apps.agreements.actions.offers.notify", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        change_service(w.service, by=w.provider_officer, capacity_rps=7)
    w.service.refresh_from_db()
    assert w.service.capacity_rps != 7


def test_both_doors_of_a_change_tell(w: World):
    agreement_in_force(w)
    client = Client()
    client.force_login(w.provider_officer)
    answer = client.patch(f"/api/v1/services/{w.service.code}", {"sla": "99,9 %"}, content_type="application/json")
    assert (answer.status_code, answer.json()["sla"]) == (200, "99,9 %")
    step = f"/portal/my-services/{w.service.code}/do/change/"
    form = client.get(step).context["form"]
    given = {box.html_name: box.value() for box in form if box.value() not in (None, False)}
    answer = client.post(step, {**given, "contact": "Tổ dữ liệu mới"})
    assert answer.status_code == 302, answer.content.decode()
    notices = Notice.objects.filter(kind="service.changed", recipient=w.consumer_officer).order_by("pk")
    assert [notice.facts["params"]["parts"] for notice in notices] == [["service level"], ["contact"]]
    assert client.post(f"/admin/registry/dataservice/{w.service.code}/do/change/", given).status_code == 404


# --- another day for the end of a version ---------------------------------------------------------


def in_days(count: int) -> datetime.date:
    return timezone.localdate() + datetime.timedelta(days=count)


@pytest.fixture
def ending(w: World):
    accepted(w)
    return announce_end_of_version(w.service.versions.get(), by=w.provider_officer, until=in_days(30))


def test_a_later_end_is_announced_to_the_same_people_each_time(w, ending):
    for day in (in_days(60), in_days(90)):
        postpone_end_of_version(ending, by=w.provider_officer, until=day)
    ending.refresh_from_db()
    assert (ending.status, ending.deprecated_on) == ("deprecated", in_days(90))
    notices = Notice.objects.filter(kind="service_version.end_postponed", recipient=w.consumer_officer)
    assert {row.facts["params"]["day"] for row in notices} == {
        in_days(60).strftime("%d/%m/%Y"),
        in_days(90).strftime("%d/%m/%Y"),
    }


def test_never_an_earlier_end_nor_one_that_has_passed(w, ending):
    for day in (in_days(29), in_days(30)):
        with pytest.raises(InvalidFact):
            postpone_end_of_version(ending, by=w.provider_officer, until=day)
    type(ending).objects.filter(pk=ending.pk).update(deprecated_on=in_days(-5))
    ending.refresh_from_db()
    with pytest.raises(InvalidFact):
        postpone_end_of_version(ending, by=w.provider_officer, until=in_days(0))
    for person in (w.consumer_officer, w.operator, w.stranger):
        with pytest.raises(NotPermitted):
            postpone_end_of_version(ending, by=person, until=in_days(60))


def test_what_is_not_announced_is_not_postponed(w):
    version = w.service.versions.get()
    with pytest.raises(TransitionNotAllowed):
        postpone_end_of_version(version, by=w.provider_officer, until=in_days(60))


def test_the_version_is_not_retired_on_the_day_announced_first_and_the_clock_says_so_for_each_day(w, ending):
    type(ending).objects.filter(pk=ending.pk).update(deprecated_on=in_days(0))
    ending.refresh_from_db()
    clock.remind()
    postpone_end_of_version(ending, by=w.provider_officer, until=in_days(10))
    with pytest.raises(Conflict):
        retire_service_version(ending, by=w.provider_officer, reason="Hết hạn")
    clock.remind(timezone.now() + datetime.timedelta(days=11))
    assert Notice.objects.filter(kind="service_version.end_reached", recipient=w.provider_officer).count() == 2


def test_both_doors_postpone(w, ending):
    client = Client()
    client.force_login(w.provider_officer)
    answer = client.post(
        f"/api/v1/service-versions/{ending.uuid}/postpone", {"until": str(in_days(60))}, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["deprecated_on"]) == (200, str(in_days(60)))
    page = f"/portal/service-versions/{ending.uuid}/do/postpone/"
    assert client.get(page).status_code == 200
    assert client.post(page, {"until": in_days(20).strftime("%d/%m/%Y")}).status_code == 400
    assert client.post(page, {"until": in_days(90).strftime("%d/%m/%Y")}).status_code == 302
    ending.refresh_from_db()
    assert ending.deprecated_on == in_days(90)
