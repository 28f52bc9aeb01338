"""A source that somebody holds stops no other: the tick goes on, and comes back to it."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.sync import schedule
from apps.sync.models import Source, SyncRun
from tests.factories.sync import CatalogSourceFactory
from tests.fixtures.races import held

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_sources_that_are_due_the_one_that_nobody_holds_has_its_run():
    one, two = (CatalogSourceFactory(next_run_at=timezone.now() - datetime.timedelta(seconds=1)) for _n in range(2))
    with held(one):
        schedule.tick()
    assert list(SyncRun.objects.values_list("source", flat=True)) == [two.pk]
    schedule.tick()
    assert sorted(SyncRun.objects.values_list("source", flat=True)) == [one.pk, two.pk]


def test_of_two_sources_that_are_stale_the_one_that_nobody_holds_is_told_of():
    one, two = (CatalogSourceFactory() for _n in range(2))
    Source.objects.update(last_success_at=timezone.now() - datetime.timedelta(days=9))
    told_of = Source.objects.filter(alarmed_at__isnull=False).order_by("pk").values_list("pk", flat=True)
    with held(one):
        schedule.tick()
    assert list(told_of.all()) == [two.pk]
    schedule.tick()
    assert list(told_of.all()) == [one.pk, two.pk]
