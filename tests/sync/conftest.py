from __future__ import annotations

import pytest

from apps.organizations.choices import Role
from apps.sync.models import SyncRun
from apps.sync.walk import run_sync
from tests.factories.organizations import officer
from tests.sandbox.process import sandbox, sandbox_process  # noqa: F401


@pytest.fixture
def operator(db):
    return officer(Role.OPERATOR, full_name="Vũ Vận Hành")


@pytest.fixture(autouse=True)
def _quick_retries(settings):
    """Short waits, so that a test may look at the next attempt; time is never slept for."""
    settings.SYNC_BACKOFF_SECONDS = 30


@pytest.fixture
def run_now():
    """Queue a run of the source and walk it in this process; return the closed (or postponed) row."""

    def go(source, **facts) -> SyncRun:
        run = SyncRun.objects.create(source=source, **facts)
        run_sync(run.uuid)
        run.refresh_from_db()
        return run

    return go
