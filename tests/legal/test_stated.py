"""Sentences on screens say what a rule sets as it stands when they are read; no sentence of ours has a term written into it."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone, translation

from apps.core.errors import InvalidFact
from apps.legal.choices import Unit
from apps.legal.models import LegalRule
from apps.legal.stated import stated, stated_lazy
from lgsp.dev.messages import collect
from tests.factories.legal import CITATION, set_rule

TEXT, CODE = "within %(term)s (%(citation)s)", "dispute.level_1"
NUMBERS = "one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|sixty|ninety|[0-9]+"
TERM = re.compile(rf"\b({NUMBERS})[ -]((working|calendar)[ -])?(hour|day|week|month|year)s?\b", re.IGNORECASE)
NO_LAW = {
    "1 working day": "the value of a rule, in words",
    "1 day": "the value of a rule, in words",
    "1 hour": "the value of a rule, in words",
    "1 month": "the value of a rule, in words",
    "Fields by class, and the last 30 days of calls under the new policy.": "what the preview replays",
    "Fields by class, overlaps, load, and the last 30 days of calls under the new policy.": "what the preview replays",
    "Health in the last 24 hours": "what the page shows",
    "Nothing fits. Without a period, the last 24 hours are shown.": "what the page shows",
    "The last 24 hours, over the calls your agency may see.": "what the page shows",
    "due within seven days": "a filter of the list",
}
"""Text with a number of days → what it is about, in place of a rule of law."""


def test_no_text_has_a_term_written_into_it():
    found = {msgid for _context, msgid in collect() if TERM.search(msgid)}
    assert found - set(NO_LAW) == set(), "say it by `legal.stated`, or by the moment it is due"
    assert set(NO_LAW) - found == set(), "no longer there"


@pytest.mark.parametrize(
    "text", ["seven working days", "one working day", "every six months", "30 days", "at least 5 working days"]
)
def test_a_written_term_is_found(text):
    assert TERM.search(text)


@pytest.mark.django_db
@pytest.mark.parametrize("say", [stated, stated_lazy])
def test_a_sentence_says_the_rule_of_the_day_on_which_it_is_read(say):
    with translation.override("en"):
        assert str(say(TEXT, CODE)) == "within 7 working days (NĐ 47/2020/NĐ-CP Điều 49(1))"
        set_rule(CODE, 5)
        assert str(say(TEXT, CODE)) == f"within 5 working days ({CITATION})"
        with time_machine.travel(timezone.now() - datetime.timedelta(days=1)):
            assert "7 working days" in str(say(TEXT, CODE))


@pytest.mark.django_db
def test_a_text_of_a_module_is_made_anew_each_time_it_is_shown():
    told = stated_lazy(TEXT, CODE)
    set_rule(CODE, 5)
    with translation.override("vi"):
        assert "5 ngày làm việc" in str(told)


@pytest.mark.django_db
def test_without_a_rule_nothing_is_said():
    with pytest.raises(InvalidFact) as refusal:
        stated(TEXT, "no.such")
    assert refusal.value.code == "no_legal_rule"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (7, Unit.WORKING_DAYS, "7 working days"), (1, Unit.WORKING_DAYS, "1 working day"), (1, Unit.DAYS, "1 day"),
        (6, Unit.MONTHS, "6 months"), (1, Unit.MONTHS, "1 month"), (72, Unit.HOURS, "72 hours"), (1, Unit.HOURS, "1 hour"),
        (10, Unit.DAYS, "10 days"), (1, Unit.PERCENT, "1 percent"),
    ],
)  # fmt: skip
def test_a_value_goes_with_its_unit(value, unit, words):
    with translation.override("en"):
        assert LegalRule(value=Decimal(f"{value}.00"), unit=unit).amount == words
