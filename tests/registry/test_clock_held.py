"""Whoever cannot be told at this moment, and an address that somebody holds, stop no other: both have their turn at the next tick."""

from __future__ import annotations

import datetime

import pytest
from django.utils import timezone

from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.registry import clock, health
from apps.registry.actions import decide_default_list, give_feedback
from apps.registry.models import Feedback, HealthProbe, ServiceVersion, Upstream
from tests.factories.organizations import officer
from tests.factories.registry import DraftVersionFactory, PublishedServiceFactory
from tests.fixtures.races import held, holder, impatient

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = datetime.timedelta(days=200)


def late_publishing(_asker):
    version = DraftVersionFactory(ready_at=timezone.now() - datetime.timedelta(days=20))
    return officer(Role.PROVIDER_OFFICER, version.service.provider)


def review(_asker):
    service = PublishedServiceFactory()
    person = officer(Role.PROVIDER_OFFICER, service.provider)
    day = timezone.localdate() - LONG_AGO
    decide_default_list(service.provider, by=person, number="5/QĐ", decided_on=day, services=[service])
    return person


def announced_end(_asker):
    service = PublishedServiceFactory()
    ServiceVersion.objects.filter(service=service).update(status="deprecated", deprecated_on=timezone.localdate())
    return officer(Role.PROVIDER_OFFICER, service.provider)


def feedback(asker):
    service = PublishedServiceFactory()
    give_feedback(service, by=asker, text="Có mã bưu chính không?")
    Feedback.objects.update(due_at=timezone.now() - datetime.timedelta(hours=1))
    return officer(Role.PROVIDER_OFFICER, service.provider)


@pytest.mark.parametrize("due", [late_publishing, review, announced_end, feedback])
def test_whoever_cannot_be_told_at_this_moment_is_told_at_the_next_tick_and_the_others_now(due):
    asker = officer(Role.CONSUMER_OFFICER)
    busy, other = (due(asker) for _n in range(2))
    with held(busy):
        clock.remind()
    assert set(Notice.objects.values_list("recipient", flat=True)) == {other.pk}
    clock.remind()
    assert sorted(Notice.objects.values_list("recipient", flat=True)) == [busy.pk, other.pk]


@pytest.fixture
def addresses(provider_server) -> list[Upstream]:
    """Two live ones."""
    for _n in range(2):
        PublishedServiceFactory(version__base_url=provider_server.url)
    Upstream.objects.filter(environment="test").delete()
    return list(Upstream.objects.order_by("pk"))


def test_an_address_that_is_being_changed_is_looked_at_later_and_the_others_now(addresses):
    with held(addresses[0]):
        assert health.probe_due() == 1
    assert health.probe_due() == 1
    assert health.probe_due() == 0


def test_what_was_found_at_the_others_is_kept_when_one_is_changed_meanwhile(addresses, provider_server):
    one, two = addresses
    with holder() as hold, impatient():
        provider_server.before = lambda: hold(one)
        assert health.probe_due() == 2
    assert list(HealthProbe.objects.values_list("upstream", flat=True)) == [two.pk]
