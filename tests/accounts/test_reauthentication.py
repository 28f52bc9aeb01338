"""Guesses of a password before a signature: five in five minutes, also when they come at one instant."""

from __future__ import annotations

from collections import Counter

import pytest
from django.core.cache import cache

from apps.accounts.models import User
from apps.accounts.reauthentication import TRIES, prove
from apps.core.errors import NotProven
from tests.factories.accounts import PASSWORD, UserFactory
from tests.fixtures.races import at_once


@pytest.fixture(autouse=True)
def _fresh_counts(db):
    cache.clear()


def said(person, password: str) -> str:
    try:
        prove(person, password)
    except NotProven as error:
        return error.code
    return "proven"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("racers")
def test_guesses_at_one_instant_are_each_counted():
    person = UserFactory()
    guesses = [lambda: said(User.objects.get(pk=person.pk), "sai")] * (TRIES + 3)
    assert Counter(at_once(*guesses)) == {"not_proven": TRIES, "too_many_attempts": 3}
    assert said(person, PASSWORD) == "too_many_attempts"


def test_the_right_password_begins_the_count_anew_and_another_person_has_its_own():
    person, other = UserFactory(), UserFactory()
    assert [said(person, "sai") for _n in range(TRIES - 1)] == ["not_proven"] * (TRIES - 1)
    assert said(person, PASSWORD) == "proven"
    assert [said(person, "sai") for _n in range(TRIES + 1)] == ["not_proven"] * TRIES + ["too_many_attempts"]
    assert said(other, PASSWORD) == "proven"
