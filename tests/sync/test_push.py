"""Outgoing (DM-04): the difference is shown first, sent only as approved, and never twice (SY-05)."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core import outbound
from apps.core.errors import NotPermitted, TransitionNotAllowed
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.sync.actions import RunAlreadyOpen, approve_push
from apps.sync.choices import RunStatus
from apps.sync.models import SyncRun
from apps.sync.walk import run_sync
from tests.factories.organizations import OrganizationFactory, SuspendedOrganizationFactory, officer
from tests.factories.sync import PushSourceFactory, QueuedRunFactory, at_sandbox

pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/dmdc/1.0/Category/qlvanbandieuhanhcap2"


@pytest.fixture
def source(sandbox, operator):
    outbound._TOKENS.__init__()
    Organization.objects.update(code="H03.00")  # the operator's own agency
    parent = OrganizationFactory(code="H03", name="Ủy ban nhân dân tỉnh")
    OrganizationFactory(code="H03.12", name="Sở Tài chính", parent=parent, email="stc@example.vn")
    SuspendedOrganizationFactory(code="H03.13")
    OrganizationFactory(code="G05", name="Bộ Khác")
    return PushSourceFactory(**at_sandbox(sandbox))


def there(sandbox) -> list[str]:
    return [row["MaDinhDanhCap2"] for row in sandbox.get(PATH).json()]


def posts(sandbox) -> list[dict]:
    return [entry for entry in sandbox.received(PATH) if entry["method"] == "POST"]


def test_a_run_shows_the_difference_and_sends_nothing(source, sandbox, run_now):
    run = run_now(source)
    assert run.status == RunStatus.HELD
    assert run.report["counts"] == {"add": 3, "differ": 0, "only_there": 0}
    row = next(row for row in run.report["add"] if row["MaDinhDanhCap2"] == "H03.12")
    assert (row["TenDonVi"], row["MaDinhDanhCap1"], row["Email"], row["DiaChi"]) == (
        "Sở Tài chính",
        "H03",
        "stc@example.vn",
        None,
    )
    assert posts(sandbox) == []


def test_an_approved_difference_is_sent_and_read_back(source, sandbox, run_now, operator):
    held = run_now(source)
    sending = approve_push(held, by=operator)
    assert run_sync(sending.uuid) == RunStatus.PUBLISHED
    assert sorted(there(sandbox)) == ["H03", "H03.00", "H03.12"]
    assert AuditEvent.objects.get(event="sync_push.approved").actor == operator
    assert run_now(source).status == RunStatus.UNCHANGED


def test_what_changed_after_the_approval_is_not_sent_but_shown_again(source, sandbox, run_now, operator):
    held = run_now(source)
    sending = approve_push(held, by=operator)
    OrganizationFactory(code="H03.99", name="Sở Mới")
    assert run_sync(sending.uuid) == RunStatus.HELD
    assert posts(sandbox) == []
    sending.refresh_from_db()
    assert sending.report["counts"]["add"] == 4


def test_an_acknowledgement_that_was_lost_causes_no_second_sending(source, sandbox, run_now, operator):
    held = run_now(source)
    sending = approve_push(held, by=operator)
    sandbox.fault("store_then_drop", PATH, after=1)
    assert run_sync(sending.uuid) == RunStatus.QUEUED
    assert sorted(there(sandbox)) == ["H03", "H03.00", "H03.12"]
    SyncRun.objects.update(next_attempt_at=timezone.now())
    assert run_sync(sending.uuid) == RunStatus.PUBLISHED
    assert len(posts(sandbox)) == 1


def test_rows_that_differ_are_reported_and_never_overwritten(source, sandbox, run_now, operator):
    run_sync(approve_push(run_now(source), by=operator).uuid)
    Organization.objects.filter(code="H03.12").update(name="Sở Tài chính và Kế hoạch")
    run = run_now(source)
    assert run.status == RunStatus.UNCHANGED
    assert run.report["differ"] == [
        {"key": "H03.12", "column": "TenDonVi", "ours": "Sở Tài chính và Kế hoạch", "theirs": "Sở Tài chính"}
    ]
    assert len(posts(sandbox)) == 1


def test_what_only_they_have_is_reported(source, sandbox, run_now, operator):
    run_sync(approve_push(run_now(source), by=operator).uuid)
    Organization.objects.filter(code="H03.12").update(status="closed")
    assert run_now(source).report["only_there"] == ["H03.12"]


@pytest.mark.parametrize("status", [s for s in RunStatus.values if s != RunStatus.HELD])
def test_only_a_held_run_can_be_approved(source, operator, status):
    closed = {"finished_at": timezone.now()} if status not in ("queued", "running") else {}
    leased = {"lease_until": timezone.now()} if status == "running" else {}
    run = QueuedRunFactory(source=source, status=status, **closed, **leased)
    with pytest.raises(TransitionNotAllowed):
        approve_push(run, by=operator)


def test_only_the_newest_report_can_be_approved(source, run_now, operator):
    old = run_now(source)
    run_now(source)
    with pytest.raises(TransitionNotAllowed):
        approve_push(old, by=operator)


def test_a_report_is_approved_once(source, run_now, operator):
    held = run_now(source)
    approve_push(held, by=operator)
    with pytest.raises((TransitionNotAllowed, RunAlreadyOpen)) as refused:
        approve_push(held, by=operator)
    assert refused.value.extra["by"] == str(operator)
    assert SyncRun.objects.filter(approves=held).count() == 1


@pytest.mark.parametrize("role", [r for r in Role if r != Role.OPERATOR])
def test_nobody_but_the_operator_approves(source, run_now, role):
    held = run_now(source)
    with pytest.raises(NotPermitted):
        approve_push(held, by=officer(role))
    assert not SyncRun.objects.filter(approves=held).exists()
