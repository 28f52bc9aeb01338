"""The verbs of people: run now, change a source, add one."""

from __future__ import annotations

import pytest
from celery.signals import before_task_publish
from django.db import transaction

from apps.audit.models import AuditEvent
from apps.core.egress import EgressRefused
from apps.core.errors import Conflict, InvalidFact, NotPermitted
from apps.organizations.choices import Role
from apps.sync.actions import RunAlreadyOpen, add_source, change_source, request_run
from apps.sync.choices import CLOSED_STATUSES, OPEN_STATUSES, RunStatus, Trigger
from apps.sync.models import Source, SyncRun
from tests.factories.accounts import UserFactory
from tests.factories.organizations import officer
from tests.factories.sync import ETHNIC_GROUPS, CatalogSourceFactory, ClosedRunFactory, QueuedRunFactory, RunningRunFactory

pytestmark = pytest.mark.django_db
STRANGERS = [r for r in Role if r != Role.OPERATOR]


@pytest.fixture
def source(settings):
    settings.EGRESS_ALLOW = ["127.0.0.1:8002"]
    return CatalogSourceFactory()


def test_an_operator_runs_a_source_now(source, operator):
    run = request_run(source, by=operator)
    assert (run.status, run.trigger, run.requested_by) == (RunStatus.QUEUED, Trigger.PERSON, operator)
    event = AuditEvent.objects.get(event="sync_run.requested")
    assert (event.actor, event.object_ref) == (operator, str(run.uuid))


@pytest.mark.parametrize("make", [QueuedRunFactory, RunningRunFactory])
def test_a_source_has_one_run_at_a_time(source, operator, make):
    standing = make(source=source)
    with pytest.raises(RunAlreadyOpen) as refused:
        request_run(source, by=operator)
    assert refused.value.extra["run"] == str(standing.uuid)
    assert not AuditEvent.objects.filter(event="sync_run.requested").exists()


@pytest.mark.parametrize("status", CLOSED_STATUSES)
def test_after_a_closed_run_the_next_may_start(source, operator, status):
    ClosedRunFactory(source=source, status=status)
    assert request_run(source, by=operator).status in OPEN_STATUSES


@pytest.mark.parametrize("role", STRANGERS)
def test_nobody_but_the_operator_runs_or_changes_a_source(source, role):
    person = officer(role)
    for verb in (lambda: request_run(source, by=person), lambda: change_source(source, by=person, enabled=False)):
        with pytest.raises(NotPermitted):
            verb()
    with pytest.raises(NotPermitted):
        add_source(by=person, code="x-y", name="x")
    source.refresh_from_db()
    assert source.enabled
    assert not SyncRun.objects.exists()


def test_a_superuser_without_a_role_runs_nothing_by_being_one(source):
    person = UserFactory(is_superuser=True)
    assert not source.runs.exists()
    assert Source.objects.visible_to(person).count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_worker_is_woken_only_when_the_request_commits(source, operator):
    sent = []

    def note(sender=None, body=None, **_kwargs):
        sent.append(sender)

    before_task_publish.connect(note)
    try:
        with pytest.raises(RuntimeError), transaction.atomic():
            request_run(source, by=operator)
            raise RuntimeError
        assert (sent, SyncRun.objects.count()) == ([], 0)
        with transaction.atomic():
            request_run(source, by=operator)
            assert sent == []
        assert sent == ["sync.run"]
    finally:
        before_task_publish.disconnect(note)


def test_the_schedule_is_edited_on_the_source(source, operator):
    changed = change_source(source, by=operator, interval_minutes=30, enabled=False, version=source.version)
    changed.refresh_from_db()
    assert (changed.interval_minutes, changed.enabled, changed.version) == (30, False, 2)
    assert AuditEvent.objects.get(event="sync_source.changed").facts["fields"] == ["enabled", "interval_minutes"]


def test_a_page_that_is_no_longer_current_is_refused(source, operator):
    change_source(source, by=operator, interval_minutes=30)
    with pytest.raises(Conflict) as refused:
        change_source(source, by=operator, version=1, interval_minutes=45)
    assert (refused.value.code, refused.value.extra["by"]) == ("stale_version", str(operator))
    assert str(operator) in str(refused.value)


@pytest.mark.parametrize("facts", [
    {"interval_minutes": 1}, {"settings": {}}, {"settings": {"parts": []}}, {"settings": {"parts": [{"category": "x", "columns": {}}]}},
    {"settings": [1]}, {"auth_kind": "ngsp", "token_url": "http://127.0.0.1:8002/token", "secret": "{}"}, {"auth_kind": "nonsense"},
    {"settings": {**ETHNIC_GROUPS, "adapter": [1]}}, {"settings": {**ETHNIC_GROUPS, "adapter": {"total_seconds": 0}}},
    {"secret": "not json", "auth_kind": "basic"}, {"adapter": "other"}, {"base_url": ""}, {"name": ""},
])  # fmt: skip
def test_a_source_that_could_never_work_is_refused_and_nothing_is_written(source, operator, facts):
    with pytest.raises(InvalidFact):
        change_source(source, by=operator, **facts)
    fresh = Source.objects.get(pk=source.pk)
    assert (fresh.version, fresh.interval_minutes) == (1, 60)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:5432", "http://169.254.169.254/", "https://user@api.gov.vn/", "ftp://x.vn/", "http://localhost:8002"],
)
def test_an_address_outside_the_allow_list_is_refused_at_save(source, operator, address):
    with pytest.raises(EgressRefused):
        change_source(source, by=operator, base_url=address)


def test_a_machine_or_id_cannot_be_smuggled_through_the_facts(source, operator):
    change_source(source, by=operator, kind="push", code="other", watermark="2020-01-01", id=99)
    source.refresh_from_db()
    assert (source.kind, source.code[:5], source.watermark) == ("catalog", "nguon", None)


def test_the_audit_row_of_a_new_credential_does_not_hold_it(source, operator):
    change_source(source, by=operator, auth_kind="basic", secret='{"username":"u","password":"hush-hush"}')
    assert "hush-hush" not in str(AuditEvent.objects.get(event="sync_source.changed").facts)
    assert Source.objects.get(pk=source.pk).auth.static_headers()["Authorization"].startswith("Basic ")
