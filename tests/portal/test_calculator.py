"""The calculator page says what `manage.py deadline` says."""

from __future__ import annotations

import pytest
from django.urls import reverse


def ask(client, **query) -> str:
    answer = client.get(reverse("portal:calculator"), query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_term_over_tet_with_each_day_and_why(world, as_person):
    page = ask(as_person(world.consumer_officer), received="13/02/2026 10:00", days="2")
    assert "24/02/2026" in page
    assert "Tết Nguyên Đán" in page
    assert page.count("cuối tuần") == 4


def test_a_rule_instead_of_days_with_its_citation(world, as_person):
    page = ask(as_person(world.provider_officer), received="18/08/2025 10:00", rule="connection.decide")
    assert "25/08/2025" in page
    assert "Điều 35(3)" in page
    assert "19/08" not in page


@pytest.mark.parametrize("query", [{"received": "13/02/2026 10:00"}, {"received": "02/13/2026", "days": "2"},
                                   {"received": "13/02/2026 10:00", "days": "-1"}, {"received": "\x00", "days": "2"},
                                   {"received": "13/02/2019 10:00", "rule": "connection.decide"},
                                   {"received": "13/02/2026 10:00", "rule": "no.such"}])  # fmt: skip
def test_what_cannot_be_counted_is_said(world, as_person, query):
    assert 'class="error"' in ask(as_person(world.consumer_officer), **query)
