"""A term that ends in a year whose holidays are not announced yet is told as provisional, until the legal officer says otherwise."""

from __future__ import annotations

import datetime
import io
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.urls import reverse

from apps.legal.actions import change_rule
from apps.organizations.choices import Role
from tests.factories.organizations import officer

pytestmark = pytest.mark.django_db


def command(start: str) -> tuple[list[str], str]:
    out, aside = io.StringIO(), io.StringIO()
    call_command("deadline", days=2, start=start, stdout=out, stderr=aside)
    return out.getvalue().splitlines(), aside.getvalue()


def test_the_command_says_it_beside_the_answer_never_in_it():
    lines, aside = command("2027-02-03T10:00")
    assert "2027" in aside
    assert "chưa được công bố" in aside
    for line in lines:
        datetime.datetime.fromisoformat(line.split(" ")[0])
    assert command("2026-02-13T10:00")[1] == ""


def test_a_term_that_crosses_the_turn_of_the_year_is_provisional():
    assert "2027" in command("2026-12-31T10:00")[1]


def test_the_page_and_the_api_say_it(client):
    client.force_login(officer(Role.CONSUMER_OFFICER))
    page = reverse("portal:calculator")
    shown = client.get(page, {"received": "03/02/2027 10:00", "days": "2"}).content.decode()
    assert "Tạm tính" in shown
    assert "2027" in shown
    assert "Tạm tính" not in client.get(page, {"received": "13/02/2026 10:00", "days": "2"}).content.decode()
    asked = {"days": 2, "start": "2027-02-03T10:00:00+07:00"}
    assert client.get("/api/v1/deadline", asked).json()["provisional_year"] == 2027
    assert client.get("/api/v1/deadline", {**asked, "start": "2026-02-13T10:00:00+07:00"}).json()["provisional_year"] is None


def test_the_legal_officer_says_when_a_year_is_announced():
    change_rule("calendar.announced_to", by=officer(Role.LEGAL_OFFICER), value=Decimal(2027), citation="Thông báo của Bộ Nội vụ",
                effective_from=datetime.date(2026, 1, 2), evidence="T")  # fmt: skip
    assert command("2027-02-03T10:00")[1] == ""
    assert "2028" in command("2028-02-03T10:00")[1]
