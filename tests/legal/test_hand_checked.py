"""Deadlines of 2024 to 2027 against what the Government announced, not against our code.

`data/official_days.csv` is the calendar of officials as it was announced (public holidays on weekdays, days off
swapped against worked Saturdays), written from the announcements. `data/deadline_cases.csv` holds the terms counted on
that calendar by hand and read through one by one. The Tết and National Day of 2027 were not announced when this was
written: the cases there are those whose answer is the same under every choice the Labor Code leaves open.
"""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import pytest
from django.utils import timezone

from apps.legal.calendar import WorkCalendar
from apps.legal.deadlines import working_days

DATA = Path(__file__).parent / "data"
LEFT_OPEN = {datetime.date(2027, 2, 4), datetime.date(2027, 2, 11), datetime.date(2027, 9, 1), datetime.date(2027, 9, 3)}
"""Days of 2027 that one lawful choice makes a day off and another a working day."""


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


CASES = rows("deadline_cases.csv")
OFFICIAL = {datetime.date.fromisoformat(row["day"]): row["counts"] == "working" for row in rows("official_days.csv")}


def test_there_are_two_hundred_cases_over_the_four_years():
    assert len(CASES) >= 200
    years = [row["received"][:4] for row in CASES]
    assert all(years.count(year) >= 40 for year in ("2024", "2025", "2026", "2027"))
    assert len({(row["received"], row["days"]) for row in CASES}) == len(CASES)


@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['received']}+{case['days']}")
def test_the_term_ends_on_the_day_counted_by_hand(case):
    received = datetime.datetime.fromisoformat(case["received"]).replace(tzinfo=timezone.get_default_timezone())
    found = working_days(int(case["days"]), received)
    assert timezone.localtime(found.due_at).isoformat() == f"{case['due']}T23:59:59+07:00"
    weekdays_off = {skipped.day.isoformat(): skipped.reason for skipped in found.skipped if skipped.day.weekday() < 5}
    named = set(case["days_off_between"].split())
    assert named <= set(weekdays_off)
    assert {day for day in set(weekdays_off) - named if datetime.date.fromisoformat(day) not in LEFT_OPEN} == set()
    assert all(weekdays_off.values()), "a holiday is skipped without a word why"


def test_every_day_of_the_four_years_is_what_was_announced(db):
    calendar = WorkCalendar(datetime.date(2025, 12, 31))
    day, wrong = datetime.date(2024, 1, 1), []
    while day <= datetime.date(2027, 12, 31):
        works = OFFICIAL.get(day, day.weekday() < 5)
        if calendar.is_working(day) != works and day not in LEFT_OPEN:
            wrong.append(f"{day} ({day:%a}): announced as {'working' if works else 'off'}")
        day += datetime.timedelta(days=1)
    assert wrong == []
