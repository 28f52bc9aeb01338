"""Lifecycles as small tables, moved by one conditional UPDATE.

A `Workflow` is a tuple of `Step`s. Buttons, API actions, tests and the documentation are made from it.
`move` is the only way a status changes: it checks the role, then updates the row only if it still has a
source status and the version that was read. Of two actors at the same instant exactly one wins; the other
gets `TransitionNotAllowed` with the state the winner left.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db import connection, models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from rules import has_perm

from apps.core.errors import Conflict, NotPermitted, StaleVersion, TransitionNotAllowed


def may(user, permission: str, obj: object = None) -> bool:
    """May `user` do this? Asked of the rules alone: Django's superuser flag opens no verb (four eyes, agency scope)."""
    return has_perm(permission, user, obj)


def first(obj: models.Model | None) -> tuple[str, str]:
    """Who took the last step on `obj`, and a sentence that says so and when; empty when nobody is known to have.

    Models above the audit floor know it; this floor only repeats what they say.
    """
    who, when = obj.last_move() if hasattr(obj, "last_move") else ("", None)
    return who, _("The last step was taken by %(who)s at %(when)s.") % {"who": who, "when": _clock(when)} if who else ""


def came_second(obj: models.Model | None, said: object = "", error: type[Conflict] = TransitionNotAllowed, **facts) -> Conflict:
    """`error` for whoever finds that somebody was first (CC-01): `said`, who took the last step on `obj`, and when."""
    who, told = first(obj)
    return error(" ".join(filter(None, (str(said), told))), by=who, **facts)


def done_already(said: object, who: object, when: datetime.datetime, **facts) -> Conflict:
    """The same of a row that names who made it so, and when."""
    told = _("It was done by %(who)s at %(when)s.") % {"who": who, "when": _clock(when)} if who else ""
    return Conflict(" ".join(filter(None, (str(said), str(told)))), by=str(who or ""), **facts)


def stale(obj: models.Model) -> StaleVersion:
    """What whoever decided on a former version of `obj` is told: that it is none any more, and who was first (CC-01)."""
    return came_second(obj, error=StaleVersion, version=obj.version)


def _clock(when: datetime.datetime) -> str:
    return timezone.localtime(when).strftime("%H:%M:%S %d/%m/%Y")


def require(user, permission: str, obj: object = None) -> None:
    """Raise NotPermitted unless `user` may."""
    if not may(user, permission, obj):
        raise NotPermitted(permission=permission)


@dataclass(frozen=True)
class Step:
    """One verb of a lifecycle.

    `sources` are the statuses it may start from, `target` the one it ends in, `permission` the name asked
    of `may(user, permission, obj)` (None: only the system's own clock takes this step), `label` the
    button's text, `style` one of "primary", "default", "danger", `note` why an odd row is as it is.
    """

    verb: str
    sources: tuple[str, ...]
    target: str
    permission: str | None
    label: object
    style: str = "default"
    note: str = ""


@dataclass(frozen=True)
class Workflow:
    """The lifecycle of one model with the fields `status`, `version` and `updated_at`."""

    name: str
    steps: tuple[Step, ...]
    _by_verb: dict[str, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_verb", {step.verb: step for step in self.steps})
        if len(self._by_verb) != len(self.steps):
            raise ValueError(f"{self.name}: a verb appears twice")

    def step(self, verb: str) -> Step:
        return self._by_verb[verb]

    def check(self, obj: models.Model, verb: str, *, by, version: int | None = None) -> Step:
        """Raise unless `by` may take `verb` on `obj` as it was read; return the step.

        Raises NotPermitted, TransitionNotAllowed, or StaleVersion when `version` (what the caller saw) is old.
        """
        step = self._by_verb[verb]
        if step.permission:
            require(by, step.permission, obj)
        if obj.status not in step.sources:
            raise self._refusal(obj, step)
        if version is not None and version != obj.version:
            raise stale(obj)
        return step

    def move(self, obj: models.Model, verb: str, *, by, version: int | None = None, **facts: object) -> models.Model:
        """Take `verb` on `obj` for `by`, writing `facts` (field values) in the same UPDATE.

        Must run inside the verb's transaction. Guarantees that exactly one caller succeeds from one state.
        Raises NotPermitted, StaleVersion, TransitionNotAllowed.
        """
        if not connection.in_atomic_block:
            raise RuntimeError(f"{self.name}.{verb} must run inside a transaction")
        step = self.check(obj, verb, by=by, version=version)
        changes = {**facts, "status": step.target, "updated_at": timezone.now()}
        rows = type(obj)._base_manager.filter(pk=obj.pk, status__in=step.sources, version=obj.version)
        if rows.update(version=F("version") + 1, **changes) != 1:
            obj.refresh_from_db()
            raise self._refusal(obj, step)
        for name, value in changes.items():
            setattr(obj, name, value)
        obj.version += 1
        return obj

    def available(self, obj: models.Model, user) -> list[Step]:
        """The steps `user` may take now, in the order of the table: what the buttons are drawn from."""
        return [s for s in self.steps if s.permission and obj.status in s.sources and may(user, s.permission, obj)]

    def disallowed(self, statuses: Iterable[str]) -> list[tuple[str, str]]:
        """All (verb, status) pairs that must be refused: what the tests are parametrized with."""
        return [(s.verb, status) for s in self.steps for status in statuses if status not in s.sources]

    def _refusal(self, obj: models.Model, step: Step) -> TransitionNotAllowed:
        label = obj.get_status_display() if hasattr(obj, "get_status_display") else obj.status
        detail = _("The state is now “%(state)s” (since %(when)s).") % {
            "state": label,
            "when": _clock(obj.updated_at),
        }
        return came_second(obj, detail, verb=step.verb, state=obj.status, since=obj.updated_at.isoformat())
