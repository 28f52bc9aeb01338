"""WF-42: also who suspends a whole agreement for a violation says when that was determined, and the notice is found late or in time."""

from __future__ import annotations

import datetime

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.agreements.actions import suspend_agreement
from apps.agreements.models import Suspension
from apps.audit.models import AuditEvent
from apps.core.errors import InvalidFact
from apps.legal import deadlines
from apps.notices.models import Notice
from tests.factories.agreements import accepted
from tests.factories.legal import set_rule

VIOLATION = {"kind": "violation", "violation": "Chuyển tiếp", "plan": "Xác minh", "restore_conditions": "Báo cáo"}
ACCIDENT = {"kind": "force_majeure", "violation": "Mất điện", "plan": "Chờ"}
RULE = "suspension.violation_notice"


def ago(**time: int) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(**time)


def facts_of(agreement) -> dict:
    return AuditEvent.objects.about(agreement).filter(event__startswith="agreement.suspen").latest("id").facts


@pytest.fixture
def agreement(w):
    return accepted(w)


def test_without_a_moment_it_was_determined_now_and_told_in_time(w, agreement):
    first = timezone.now()
    suspend_agreement(agreement, by=w.provider_officer, **VIOLATION)
    row = Suspension.objects.get()
    assert first <= row.determined_at <= timezone.now()
    assert row.notice_due_at == deadlines.start(RULE, row.determined_at).due_at
    assert not row.was_told_late
    assert facts_of(agreement)["told_late"] is False


def test_one_determined_days_ago_was_told_late_and_that_is_on_record(w, agreement):
    moment = ago(days=3)
    suspend_agreement(agreement, by=w.operator, determined_at=moment, **VIOLATION)
    row = Suspension.objects.get()
    assert (row.determined_at, row.was_told_late) == (moment, True)
    assert facts_of(agreement)["told_late"] is True
    assert facts_of(agreement)["determined_at"] == moment.isoformat()


def test_how_long_it_may_take_is_the_rule_of_that_day(w, agreement):
    set_rule(RULE, 5)
    suspend_agreement(agreement, by=w.operator, determined_at=ago(minutes=1), **VIOLATION)
    row = Suspension.objects.get()
    assert timezone.localdate(row.notice_due_at) == timezone.localdate(row.determined_at) + datetime.timedelta(days=5)


@pytest.mark.parametrize(
    ("facts", "moment", "code"),
    [(VIOLATION, -1, "in_future"), (ACCIDENT, 1, "no_violation")],
    ids=["a moment to come", "no violation"],
)
def test_a_moment_that_cannot_be_is_refused_and_nothing_is_suspended(w, agreement, facts, moment, code):
    with pytest.raises(InvalidFact) as refusal:
        suspend_agreement(agreement, by=w.operator, determined_at=ago(hours=moment), **facts)
    assert (refusal.value.code, list(refusal.value.extra["fields"])) == (code, ["determined_at"])
    agreement.refresh_from_db()
    assert agreement.status == "in_force"
    assert not Suspension.objects.exists()
    assert not Notice.objects.filter(kind="agreement.suspended").exists()


def test_force_majeure_has_no_such_notice(w, agreement):
    suspend_agreement(agreement, by=w.operator, **ACCIDENT)
    row = Suspension.objects.get()
    assert (row.determined_at, row.notice_due_at, row.was_told_late) == (None, None, False)
    assert "told_late" not in facts_of(agreement)


@pytest.mark.parametrize("left", ["determined_at", "notice_due_at"])
def test_the_database_keeps_both_moments_or_none(w, agreement, left):
    suspend_agreement(agreement, by=w.operator, **VIOLATION)
    with pytest.raises(IntegrityError), transaction.atomic():
        Suspension.objects.update(**{left: None})


def test_of_two_that_suspend_it_each_has_its_own(w, agreement):
    suspend_agreement(agreement, by=w.provider_officer, determined_at=ago(days=3), **VIOLATION)
    suspend_agreement(agreement, by=w.operator, **VIOLATION)
    assert [row.was_told_late for row in Suspension.objects.order_by("id")] == [True, False]
    assert facts_of(agreement)["told_late"] is False


# --- the doors ------------------------------------------------------------------------------------


def browser(person) -> Client:
    client = Client()
    client.force_login(person)
    client.cookies["django_language"] = "vi"
    return client


def address(agreement) -> str:
    return reverse("portal:agreement", args=[agreement.uuid])


def suspend(person, agreement, **typed):
    agreement.refresh_from_db()
    sent = {**VIOLATION, "version": agreement.version, "back": address(agreement), **typed}
    return browser(person).post(reverse("portal:agreement-step", args=[agreement.uuid, "suspend"]), sent, follow=True)


def test_the_page_asks_for_the_moment_and_shows_it_with_the_end_of_the_notice(w, agreement):
    form = browser(w.provider_officer).get(address(agreement)).content.decode()
    assert 'name="determined_at"' in form
    suspend(w.provider_officer, agreement, determined_at="05/01/2026 08:00")
    assert Suspension.objects.get().determined_at == datetime.datetime.fromisoformat("2026-01-05T08:00:00+07:00")
    text = browser(w.consumer_officer).get(address(agreement)).content.decode()
    assert "Xác định vi phạm lúc 08:00 05/01/2026; hạn thông báo cho các bên: 23:59 06/01/2026." in text
    assert "thông báo muộn" in text


def test_who_leaves_the_moment_empty_means_now(w, agreement):
    suspend(w.provider_officer, agreement, determined_at="")
    assert not Suspension.objects.get().was_told_late
    text = browser(w.consumer_officer).get(address(agreement)).content.decode()
    assert "hạn thông báo cho các bên" in text
    assert "thông báo muộn" not in text


def test_force_majeure_with_a_moment_is_told_to_leave_it_empty(w, agreement):
    answer = suspend(w.provider_officer, agreement, kind="force_majeure", determined_at="05/01/2026 08:00")
    assert "Chỉ vi phạm mới có thời điểm xác định" in answer.content.decode()
    assert not Suspension.objects.exists()


def test_the_api_takes_and_shows_it(w, agreement):
    moment = "2026-01-05T08:00:00+07:00"
    client = browser(w.operator)
    at = f"/api/v1/agreements/{agreement.uuid}"
    body = {**VIOLATION, "determined_at": moment, "version": client.get(at).json()["version"]}
    answer = client.post(f"{at}/suspend", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    (row,) = client.get(at).json()["suspensions"]
    assert datetime.datetime.fromisoformat(row["determined_at"]) == datetime.datetime.fromisoformat(moment)
    assert datetime.datetime.fromisoformat(row["notice_due_at"]) > datetime.datetime.fromisoformat(moment)
    assert row["was_told_late"] is True
