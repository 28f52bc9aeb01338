import datetime
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.core.errors import InvalidFact
from apps.legal.actions import change_rule
from apps.legal.deadlines import remaining_working_days, resume, start, working_days
from apps.legal.models import CalendarException, LegalRule
from apps.organizations.choices import Role
from tests.factories.organizations import officer

VN = timezone.get_default_timezone()


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=VN)


def test_a_government_exception_overrules_the_library(db):
    CalendarException.objects.create(day="2026-11-24", is_working=True, reason="thử", citation="thử")
    CalendarException.objects.create(day="2026-11-25", is_working=False, reason="bão", citation="thử")
    found = working_days(2, at("2026-11-23T10:00"))
    assert timezone.localdate(found.due_at) == datetime.date(2026, 11, 26)
    assert [(s.day.day, s.reason) for s in found.skipped] == [(25, "bão")]


def test_the_rule_of_the_day_of_receipt_counts(db):
    """NĐ 194/2025 cut five working days to two on 2025-08-19; what was received before keeps five."""
    old, new = start("connection.decide", at("2025-08-18T10:00")), start("connection.decide", at("2025-08-19T10:00"))
    assert (old.rule.value, new.rule.value) == (5, 2)
    assert timezone.localdate(old.due_at) == datetime.date(2025, 8, 25)
    assert timezone.localdate(new.due_at) == datetime.date(2025, 8, 21)


def test_an_exception_years_ahead_counts_as_well(db):
    CalendarException.objects.create(day="2030-06-03", is_working=False, reason="bão", citation="thử")
    found = working_days(1000, at("2026-11-23T10:00"))
    assert datetime.date(2030, 6, 3) in {skipped.day for skipped in found.skipped}


def test_a_day_without_law_is_said(db):
    with pytest.raises(InvalidFact) as refused:
        start("connection.decide", at("2019-01-01T10:00"))
    assert refused.value.code == "no_legal_rule"


def test_the_clock_stands_still_while_a_case_is_returned(db):
    due = working_days(2, at("2026-11-26T10:00")).due_at  # Thursday, due Monday
    again = resume(due, at("2026-11-27T09:00"), at("2026-12-02T15:00"))  # one working day was left
    assert timezone.localdate(again) == datetime.date(2026, 12, 3)


@pytest.mark.parametrize(
    ("goes_on", "due"),
    [
        ("2026-11-30T15:00", "2026-11-30"),  # the same Monday
        ("2026-12-01T09:00", "2026-12-01"),
        ("2026-12-05T09:00", "2026-12-07"),  # a Saturday: no term ends on it
        ("2027-02-07T09:00", "2027-02-11"),  # in the holidays of Tết
    ],
)
def test_a_clock_paused_on_its_last_day_ends_on_a_working_day(db, goes_on, due):
    paused = resume(at("2026-11-30T23:59:59"), at("2026-11-30T10:00"), at(goes_on))
    assert timezone.localdate(paused) == datetime.date.fromisoformat(due)
    assert paused > at(goes_on)


def test_a_clock_that_goes_on_after_the_end_of_the_day_has_the_next_working_day(db):
    LegalRule.objects.filter(code="day_end_hour").update(value=17)
    again = resume(at("2026-11-30T17:00"), at("2026-11-30T10:00"), at("2026-12-04T18:00"))
    assert again == at("2026-12-07T17:00")


def test_a_clock_paused_after_it_was_late_stays_late(db):
    due = at("2026-11-23T23:59:59")
    assert resume(due, at("2026-11-24T09:00"), at("2026-12-02T15:00")) == due


def test_remaining_days_count_down_and_go_negative(db):
    due = at("2026-12-01T23:59:59")
    assert remaining_working_days(due, at("2026-11-27T09:00")) == 2
    assert remaining_working_days(due, at("2026-12-01T09:00")) == 0
    assert remaining_working_days(due, at("2026-12-03T09:00")) == -2


def test_the_command_prints_the_due_moment_first_and_then_why(db, capsys):
    call_command("deadline", "--days", "2", "--from", "2026-02-13T10:00")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026-02-24T23:59:59+07:00"
    assert lines[1] == "2026-02-14 cuối tuần"
    assert "2026-02-17 Tết Nguyên Đán" in lines
    assert len(lines) == 10


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("connection.decide", "2.5"), ("connection.decide", "99999999"), ("connection.decide", "-1"), ("suspension.violation_notice", "0.5"),
        ("default_list.review", "6000"), ("day_end_hour", "0"), ("day_end_hour", "25"), ("day_end_hour", "16.5"), ("catalog.brake_closed", "101"),
    ],
)  # fmt: skip
def test_a_value_that_no_clock_can_count_by_is_no_rule(db, code, value):
    """Half a day was dropped unsaid; two hundred thousand days for two was counted day by day, at every submission."""
    facts = {"citation": "NĐ mới", "effective_from": timezone.localdate() + datetime.timedelta(days=1), "evidence": "T"}
    with pytest.raises(InvalidFact) as refusal:
        change_rule(code, by=officer(Role.LEGAL_OFFICER), value=Decimal(value), **facts)
    assert "value" in refusal.value.extra["fields"]


@pytest.mark.parametrize(
    ("code", "value"), [("connection.decide", "3.00"), ("day_end_hour", "17"), ("catalog.brake_closed", "2.5")]
)
def test_a_value_that_can_be_counted_by_is(db, code, value):
    facts = {"citation": "NĐ mới", "effective_from": timezone.localdate() + datetime.timedelta(days=1), "evidence": "T"}
    assert change_rule(code, by=officer(Role.LEGAL_OFFICER), value=Decimal(value), **facts).value == Decimal(value)
