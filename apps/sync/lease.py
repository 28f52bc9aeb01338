"""Holding a run: claimed by one conditional UPDATE, kept by a heartbeat, fenced at every write.

The database's clock decides. A worker that was stopped and wakes up late (SIGSTOP, a long pause) finds its fence gone
and writes nothing: whatever it did in the open transaction is rolled back by `LostLease`.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from apps.core.killpoints import reach
from apps.sync.choices import RunStatus, Stage
from apps.sync.models import SyncRun
from apps.sync.workflow import END, RUN

log = logging.getLogger(__name__)


class LostLease(Exception):
    """Another worker took the run over; nothing of ours may be written any more."""


def lease_length() -> datetime.timedelta:
    return datetime.timedelta(seconds=settings.SYNC_LEASE_SECONDS)


def claim(run_uuid: UUID | str) -> Lease | None:
    """Take the run when it is due or its holder's lease has ended; None when there is nothing to take.

    Of any number of workers at the same instant exactly one succeeds, and its fence is higher than any before.
    """
    taken = (
        SyncRun.objects.claimable()
        .filter(uuid=run_uuid)
        .update(
            status=RunStatus.RUNNING,
            version=F("version") + 1,
            fence=F("fence") + 1,
            attempt=F("attempt") + 1,
            lease_until=Now() + lease_length(),
            started_at=Coalesce(F("started_at"), Now()),
            updated_at=Now(),
        )
    )
    if taken != 1:
        return None
    lease = Lease(SyncRun.objects.select_related("source", "source__catalog", "approves").get(uuid=run_uuid))
    reach("sync.claimed")
    return lease


class Lease:
    """The right to write the run `run` under the fence it was claimed with."""

    def __init__(self, run: SyncRun) -> None:
        self.run = run
        self.fence = run.fence
        self._stop = threading.Event()

    def _mine(self):
        return SyncRun.objects.filter(pk=self.run.pk, fence=self.fence, status=RunStatus.RUNNING)

    def progress(self, stage: Stage | str, **counts: int) -> None:
        """Show where the run stands. Raises LostLease when it is no longer ours."""
        self.run.stage = stage
        self.run.counts = {**self.run.counts, **counts}
        changes = {"stage": stage, "counts": self.run.counts, "lease_until": Now() + lease_length(), "updated_at": Now()}
        if self._mine().update(**changes) != 1:
            raise LostLease(str(self.run.uuid))

    @contextmanager
    def fenced(self) -> Iterator[None]:
        """A transaction that commits only if the run is still ours when it ends."""
        with transaction.atomic():
            yield
            if self._mine().update(lease_until=Now() + lease_length()) != 1:
                raise LostLease(str(self.run.uuid))

    def finish(self, status: RunStatus, **facts: object) -> None:
        """Close the run. Inside a transaction this is its fence: LostLease undoes everything before it."""
        RUN.step(END[status])
        changes = {
            "status": status,
            "stage": Stage.DONE,
            "finished_at": Now(),
            "lease_until": None,
            "updated_at": Now(),
            **facts,
        }
        if self._mine().update(version=F("version") + 1, **changes) != 1:
            raise LostLease(str(self.run.uuid))
        self.run.refresh_from_db()

    def postpone(self, seconds: float, **facts: object) -> None:
        """Give the run back to the queue, due in `seconds`."""
        due = Now() + datetime.timedelta(seconds=seconds)
        changes = {"status": RunStatus.QUEUED, "stage": Stage.WAITING, "lease_until": None, "next_attempt_at": due, **facts}
        if self._mine().update(version=F("version") + 1, updated_at=Now(), **changes) != 1:
            raise LostLease(str(self.run.uuid))
        self.run.refresh_from_db()

    # --- the heartbeat ------------------------------------------------------------------------

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Extend the lease from a thread while the body runs, but never longer than a run may take (FI-25)."""
        thread = threading.Thread(target=self._beat, daemon=True, name=f"lease-{self.run.uuid}")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(5)

    def _beat(self) -> None:
        length = lease_length()
        ends = time.monotonic() + settings.SYNC_RUN_SECONDS
        while not self._stop.wait(length.total_seconds() / 3) and time.monotonic() < ends:
            try:
                if self._mine().update(lease_until=Now() + length) != 1:
                    break
            except DatabaseError as error:
                log.warning("lease of %s not extended: %s", self.run.uuid, type(error).__name__)
            finally:
                connection.close()
