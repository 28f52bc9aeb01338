"""How a source stands, for the people who keep it moving: what is wrong, since when, and what waits for them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.sync.choices import RunStatus, SourceKind
from apps.sync.models import Source, SyncRun


class State(models.TextChoices):
    """The most pressing thing about a source."""

    FAILED = "failed", _("failed: somebody must act")
    STALE = "stale", _("not synced for more than twice its interval")
    RETRYING = "retrying", _("failing, tried again by itself")
    WAITING = "waiting", _("waits for a decision")
    RUNNING = "running", _("at work")
    FRESH = "fresh", _("in order")
    NEW = "new", _("not run yet")
    OFF = "off", _("switched off")


@dataclass(frozen=True)
class Condition:
    """`run` is the run it is about; `as_of` when the other side was last read whole."""

    state: State
    run: SyncRun | None
    as_of: datetime.datetime | None

    @property
    def is_bad(self) -> bool:
        return self.state in (State.FAILED, State.STALE, State.RETRYING)


def condition_of(source: Source, newest: SyncRun | None) -> Condition:
    """Judge a source by its row and its newest run."""
    return Condition(_state(source, newest), newest, source.last_success_at)


def _state(source: Source, run: SyncRun | None) -> State:
    if run is not None and run.status == RunStatus.FAILED:
        return State.FAILED
    if run is not None and run.error_code and not run.finished_at:
        return State.RETRYING
    if not source.enabled:
        return State.OFF
    if source.alarmed_at is not None:
        return State.STALE
    if run is None:
        return State.NEW
    if not run.finished_at:
        return State.RUNNING
    return State.WAITING if waits_for_a_decision(run) else State.FRESH


def waits_for_a_decision(run: SyncRun) -> bool:
    """Held, and what it found is still undecided: the release waits, or nobody approved the difference."""
    if run.status != RunStatus.HELD:
        return False
    if run.source.kind == SourceKind.PUSH or run.release is None:
        return True
    return run.release.status in ("held", "ready")


def newest_runs(sources) -> dict[int, SyncRun]:
    """Source → its newest run, in one query."""
    rows = SyncRun.objects.filter(source__in=sources).order_by("source_id", "-id").distinct("source_id")
    return {run.source_id: run for run in rows.select_related("source", "release")}
