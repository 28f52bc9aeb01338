"""The verbs of people: run now, change a source, approve an outgoing push."""

from __future__ import annotations

import json

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from apps.audit.actions import record
from apps.core import egress
from apps.core.errors import Conflict, InvalidFact, NotPermitted
from apps.core.upstream_auth import AuthKind, read_auth
from apps.core.wake import wake
from apps.core.workflow import came_second, stale
from apps.sync import plans
from apps.sync.choices import RunStatus, SourceKind, Trigger
from apps.sync.models import Source, SyncRun
from apps.sync.tasks import sync_source

CHANGEABLE = frozenset({"name", "adapter", "base_url", "auth_kind", "token_url", "secret", "settings", "enabled", "interval_minutes",
                        "next_run_at"})  # fmt: skip


class RunAlreadyOpen(Conflict):
    """The source has a run that waits or works. `extra["run"]` is its identifier."""

    code = "run_already_open"
    title = _("This source already has a run that waits or works.")


@transaction.atomic
def request_run(source: Source, *, by, approves: SyncRun | None = None) -> SyncRun:
    """Queue a run now. Raises NotPermitted, RunAlreadyOpen. A disabled source may be run by hand, to try it."""
    _permit(by, "sync.request_run", source)
    run = _queue(source, SyncRun(source=source, trigger=Trigger.PERSON, requested_by=by, approves=approves))
    record("sync_run.requested", run, by=by, source=source.code, approves=str(approves.uuid) if approves else "")
    wake(sync_source, str(run.uuid))
    return run


def _queue(source: Source, run: SyncRun) -> SyncRun:
    try:
        with transaction.atomic():
            run.save()
            run.refresh_from_db(fields=["next_attempt_at"])  # the database's clock
    except IntegrityError:
        standing = source.runs.open().first()
        raise came_second(standing, error=RunAlreadyOpen, run=str(standing.uuid) if standing else "") from None
    return run


@transaction.atomic
def approve_push(run: SyncRun, *, by) -> SyncRun:
    """Send what `run` found, if it is still the same when it is sent. Returns the run that sends.

    Raises NotPermitted, TransitionNotAllowed (not a held push, or decided already), RunAlreadyOpen.
    """
    _permit(by, "sync.approve_push", run)
    held = SyncRun.objects.select_for_update(no_key=True).get(pk=run.pk)
    is_newest = not held.source.runs.filter(pk__gt=held.pk).exists()
    if held.status != RunStatus.HELD or held.source.kind != SourceKind.PUSH or not is_newest:
        raise came_second(held, verb="approve_push", state=held.status)
    sending = request_run(held.source, by=by, approves=held)
    record("sync_push.approved", held, by=by, digest=held.report.get("digest"), rows=held.report.get("counts", {}).get("add"))
    return sending


@transaction.atomic
def change_source(source: Source, *, by, version: int | None = None, **facts: object) -> Source:
    """Write the given fields of a source; all of it must make sense afterwards. `secret` is a JSON text, never shown again.

    Raises NotPermitted, StaleVersion, InvalidFact, EgressRefused.
    """
    _permit(by, "sync.change_source", source)
    source = Source.objects.select_for_update(no_key=True).get(pk=source.pk)
    if version is not None and version != source.version:
        raise stale(source)
    changed = sorted(name for name, value in facts.items() if name in CHANGEABLE and getattr(source, name) != value)
    for name in changed:
        setattr(source, name, facts[name])
    check_source(source)
    source.version += 1
    source.save()
    record("sync_source.changed", source, by=by, fields=changed)
    return source


@transaction.atomic
def add_source(*, by, **facts: object) -> Source:
    """Make a source. Raises NotPermitted, InvalidFact, EgressRefused."""
    _permit(by, "sync.change_source", None)
    source = Source(**facts)
    check_source(source)
    source.save()
    record("sync_source.added", source, by=by, kind=source.kind, adapter=source.adapter)
    return source


def check_source(source: Source) -> None:
    """Raise InvalidFact or EgressRefused for a source that could never work."""
    try:
        source.full_clean(validate_unique=source._state.adding, validate_constraints=True)
    except ValidationError as error:
        raise InvalidFact(fields=error.message_dict) from None
    egress.check_url(source.base_url)
    if source.auth_kind == AuthKind.NGSP:
        egress.check_url(source.token_url)
    read_auth(source.auth_kind, source.secret, source.token_url)
    reader = {SourceKind.CATALOG: plans.catalog_parts, SourceKind.CHANGES: plans.changes_plan, SourceKind.PUSH: plans.push_plan}
    if not isinstance(source.settings, dict):
        raise InvalidFact(fields={"settings": "not_an_object"})
    plans.check_adapter(source.settings)
    reader[SourceKind(source.kind)](json.loads(json.dumps(source.settings)))


def _permit(by, permission: str, obj) -> None:
    if not by.has_perm(permission, obj):
        raise NotPermitted(permission=permission)
