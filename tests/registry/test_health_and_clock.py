"""Health probes against a real server, and what the clock reminds of."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.core.errors import Conflict, InvalidFact, NotPermitted
from apps.notices.models import Notice
from apps.notices.outbox import render
from apps.organizations.choices import Role
from apps.registry import actions, clock, health
from apps.registry.actions.default_lists import add_months
from apps.registry.models import HealthProbe, ServiceVersion, Upstream
from apps.registry.tasks import tick
from tests.factories.organizations import officer
from tests.factories.registry import (
    DataServiceFactory,
    DraftVersionFactory,
    PublishedServiceFactory,
    SpecialServiceFactory,
    UpstreamFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def upstream(provider_server):
    service = PublishedServiceFactory(version__base_url=provider_server.url)
    Upstream.objects.filter(environment="test").delete()
    return Upstream.objects.get(version__service=service)


def again(upstream):
    Upstream.objects.filter(pk=upstream.pk).update(next_probe_at=None)
    health.probe_due()
    upstream.refresh_from_db()
    return upstream


@pytest.mark.parametrize(("status", "answers"), [(200, True), (401, True), (404, True), (500, False), (503, False)])
def test_any_answer_below_500_is_an_answer(upstream, provider_server, status, answers):
    provider_server.status = status
    health.probe_due()
    probe = HealthProbe.objects.get()
    assert (probe.answered, probe.status) == (answers, status)


def test_a_probe_carries_no_credential_of_ours(upstream, provider_server):
    Upstream.objects.filter(pk=upstream.pk).update(auth_kind="bearer")
    health.probe_due()
    assert len(provider_server.seen) == 1
    assert "Authorization" not in provider_server.seen[0]


def test_an_address_is_looked_at_once_in_its_time(upstream, provider_server):
    assert health.probe_due() == 1
    assert health.probe_due() == 0
    later = timezone.now() + health.EVERY + datetime.timedelta(seconds=1)
    assert health.probe_due(later) == 1
    assert len(provider_server.seen) == 2


def test_the_state_turns_after_two_failures_and_people_are_told_once_a_turn(upstream, provider_server):
    person = officer(Role.PROVIDER_OFFICER, upstream.version.service.provider)
    stranger = officer(Role.PROVIDER_OFFICER)
    assert again(upstream).is_healthy is True
    assert not Notice.objects.exists()
    provider_server.status = 503
    assert again(upstream).is_healthy is True
    assert again(upstream).is_healthy is False
    assert again(upstream).is_healthy is False
    assert list(Notice.objects.filter(recipient=person).values_list("kind", flat=True)) == ["upstream.down"]
    provider_server.status = 200
    assert again(upstream).is_healthy is True
    assert Notice.objects.filter(recipient=person).count() == 2
    assert not Notice.objects.filter(recipient=stranger).exists()


def test_a_server_that_is_gone_is_written_down_with_its_reason(upstream, provider_server):
    provider_server.shutdown()
    provider_server.server_close()
    health.probe_due()
    probe = HealthProbe.objects.get()
    assert (probe.answered, probe.status, probe.error) == (False, None, "connect_failed")


def test_a_forbidden_address_is_never_called(upstream, provider_server, settings):
    settings.EGRESS_ALLOW = []
    health.probe_due()
    assert HealthProbe.objects.get().error == "egress_refused"
    assert provider_server.seen == []


def test_drafts_suspended_and_retired_are_left_alone(provider_server):
    UpstreamFactory(base_url=provider_server.url)
    PublishedServiceFactory(version__base_url=provider_server.url, status="suspended")
    assert health.probe_due() == 0


def test_silent_addresses_are_waited_for_together(provider_server):
    """Each of three is answered only when all three were asked."""
    meeting = threading.Barrier(3)
    provider_server.before = lambda: meeting.wait(30)
    for _n in range(3):
        PublishedServiceFactory(version__base_url=provider_server.url)
    Upstream.objects.filter(environment="test").delete()
    assert health.probe_due() == 3
    assert set(HealthProbe.objects.values_list("status", flat=True)) == {200}


def test_the_time_of_an_address_is_that_of_its_answers(upstream):
    """Looks that nobody answered take as long as we wait."""
    found = [(True, 100), (True, 300), (False, 8000)]
    HealthProbe.objects.bulk_create(HealthProbe(upstream=upstream, answered=one, latency_ms=took) for one, took in found)
    assert health.summary(upstream) == {"looks": 3, "answered_percent": 66.67, "average_ms": 200}
    HealthProbe.objects.filter(answered=True).delete()
    assert health.summary(upstream) == {"looks": 1, "answered_percent": 0.0, "average_ms": None}


def test_old_probes_go(upstream, provider_server):
    HealthProbe.objects.create(upstream=upstream, answered=True, latency_ms=1, at=timezone.now() - datetime.timedelta(days=31))
    health.probe_due()
    assert HealthProbe.objects.count() == 1


def test_consumers_read_health_and_no_address(upstream, provider_server):
    health.probe_due()
    client = APIClient()
    client.force_login(officer(Role.CONSUMER_OFFICER))
    answer = client.get(f"/api/v1/service-versions/{upstream.version.uuid}/health")
    (row,) = answer.json()
    assert (row["environment"], row["is_healthy"], row["looks"], row["answered_percent"]) == ("production", True, 1, 100.0)
    assert str(provider_server.server_port) not in answer.content.decode()


# --- the clock ------------------------------------------------------------------------------------


def test_a_ready_service_not_published_in_a_working_day_is_told_once():
    version = DraftVersionFactory(ready_at=datetime.datetime(2026, 7, 6, 3, tzinfo=datetime.UTC))  # a Monday, 10:00 here
    person, operator = officer(Role.PROVIDER_OFFICER, version.service.provider), officer(Role.OPERATOR)
    due = clock.publishing_due(version)
    assert timezone.localtime(due).date() == datetime.date(2026, 7, 7)
    assert clock.remind(due - datetime.timedelta(minutes=1)) == 0
    for _i in range(2):
        clock.remind(due + datetime.timedelta(minutes=1))
    assert Notice.objects.filter(recipient=person).count() == 1
    assert Notice.objects.filter(recipient=operator).count() == 1
    assert all("23:59 07/07/2026" in render(row.facts) for row in Notice.objects.all()), (
        "when it was due, whatever the rule says"
    )
    ServiceVersion.objects.filter(pk=version.pk).update(ready_at=None)
    version.refresh_from_db()
    assert clock.publishing_due(version) is None


def test_wf_12_the_time_for_publishing_does_not_begin_anew():
    version = DraftVersionFactory()
    by, first = officer(Role.PROVIDER_OFFICER, version.service.provider), timezone.now() - datetime.timedelta(days=5)
    actions.mark_ready(version, by=by, ready_at=first)
    for later in (None, first + datetime.timedelta(hours=1)):
        with pytest.raises(Conflict) as refusal:
            actions.mark_ready(version, by=by, ready_at=later)
        assert refusal.value.code == "already_ready"
    assert actions.mark_ready(version, by=by, ready_at=first - datetime.timedelta(days=1)).ready_at < first


def test_an_announced_end_is_told_on_its_day():
    version = PublishedServiceFactory().versions.get()
    person = officer(Role.PROVIDER_OFFICER, version.service.provider)
    day = timezone.localdate() + datetime.timedelta(days=10)
    actions.deprecate_version(version, by=person, until=day)
    clock.remind()
    assert not Notice.objects.exists()
    clock.remind(timezone.now() + datetime.timedelta(days=11))
    assert Notice.objects.get().recipient == person


# --- default-share lists --------------------------------------------------------------------------


@pytest.fixture
def service():
    return DataServiceFactory()


@pytest.fixture
def person(service):
    return officer(Role.PROVIDER_OFFICER, service.provider)


def decide(service, by, **facts):
    given = {"number": "5/QĐ", "decided_on": datetime.date(2026, 1, 15), "services": [service], **facts}
    return actions.decide_default_list(service.provider, by=by, **given)


def test_a_list_is_to_be_reviewed_after_the_months_of_the_law(service, person):
    row = decide(service, person)
    assert row.next_review_on == datetime.date(2026, 7, 15)
    assert row.review_rule.code == "default_list.review"


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [((2026, 8, 31), 6, (2027, 2, 28)), ((2027, 8, 31), 6, (2028, 2, 29)), ((2026, 12, 15), 1, (2027, 1, 15)),
     ((2026, 6, 30), 6, (2026, 12, 30)), ((2026, 1, 31), 12, (2027, 1, 31))],
)  # fmt: skip
def test_months_are_added_by_the_calendar(day, months, expected):
    assert add_months(datetime.date(*day), months) == datetime.date(*expected)


def test_a_list_holds_ones_own_default_services(service, person):
    special = SpecialServiceFactory(provider=service.provider)
    wrong = ({"services": [DataServiceFactory()]}, {"services": [special]}, {"services": []},
             {"decided_on": timezone.localdate() + datetime.timedelta(days=1)})  # fmt: skip
    for facts in wrong:
        with pytest.raises(InvalidFact):
            decide(service, person, **facts)
    for role in (Role.SIGNER, Role.CONSUMER_OFFICER):
        with pytest.raises(NotPermitted):
            decide(service, officer(role, service.provider))
    with pytest.raises(NotPermitted):
        decide(service, officer(Role.PROVIDER_OFFICER))


def test_a_review_is_told_thirty_days_before_and_again_when_late(service, person):
    decide(service, person)

    def at(*day):
        return datetime.datetime(*day, 3, tzinfo=datetime.UTC)

    clock.remind(at(2026, 6, 14))
    assert not Notice.objects.exists()
    for day in ((2026, 6, 15), (2026, 7, 1)):
        clock.remind(at(*day))
    assert list(Notice.objects.values_list("kind", flat=True)) == ["default_list.soon"]
    clock.remind(at(2026, 7, 16))
    assert Notice.objects.filter(recipient=person).count() == 2
    decide(service, person, number="6/QĐ", decided_on=datetime.date(2026, 7, 16))
    before = Notice.objects.count()
    clock.remind(at(2026, 7, 17))
    assert Notice.objects.count() == before


def test_a_list_by_api_and_by_hand(service, person, client):
    api = APIClient()
    api.force_login(person)
    given = {"organization": service.provider.code, "number": "7/QĐ", "decided_on": "2026-02-01", "services": [service.code]}
    assert api.post("/api/v1/default-lists", given).status_code == 201
    missing = api.post("/api/v1/default-lists", {**given, "number": "8/QĐ", "services": ["khong-co"]})
    assert (missing.status_code, list(missing.json()["fields"])) == (400, ["services"])
    client.force_login(person)
    answer = client.post("/admin/registry/defaultsharelist/do/decide/", {**given, "number": "9/QĐ", "decided_on": "01/03/2026"})
    assert answer.status_code == 302, answer.content.decode()
    assert client.get(answer.url).status_code == 200
    newest = api.get("/api/v1/default-lists?in_force=true").json()["results"]
    assert [row["number"] for row in newest] == ["9/QĐ"]


def test_the_tick_does_both(upstream, provider_server):
    tick()
    assert HealthProbe.objects.count() == 1
