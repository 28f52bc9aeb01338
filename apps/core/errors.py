"""Errors of the domain: each has a stable code, an HTTP status and a text in the reader's language.

A verb raises one of these; a door turns it into a page message or a problem+json body. Codes are part of
the API and never change; texts may.
"""

from __future__ import annotations

from django.db.utils import OperationalError
from django.utils.translation import gettext_lazy as _

BUSY_STATES = {"55P03", "40P01"}
"""PostgreSQL's lock_not_available and deadlock_detected. Its words follow the server's language, its states do not."""


def is_busy(error: BaseException) -> bool:
    """Whether somebody else held what the step needed: nothing was written, and the same step may succeed in a moment."""
    return isinstance(error, OperationalError) and getattr(error.__cause__, "sqlstate", None) in BUSY_STATES


class DomainError(Exception):
    """Base of everything a verb may refuse with.

    `code` is stable, `status` is the HTTP status a door answers with, `title` a translated sentence,
    `detail` says what happened this time, `extra` holds JSON-ready members for machines.
    """

    code = "refused"
    status = 400
    title = _("The operation was refused.")

    def __init__(self, detail: object = "", *, code: str | None = None, **extra: object) -> None:
        super().__init__(str(detail or self.title))
        self.detail = detail
        if code:
            self.code = code
        self.extra = extra


class FactMissing(DomainError):
    """A step needs a fact that is not there yet. `fields` names what is missing."""

    code = "fact_missing"
    status = 422
    title = _("Something is missing before this step can be taken.")


class InvalidFact(DomainError):
    """A fact was given that cannot be true. `fields` names which and why."""

    code = "invalid"
    status = 400
    title = _("The data is not valid.")


class NotPermitted(DomainError):
    """The person may see the object but may not take this step."""

    code = "not_permitted"
    status = 403
    title = _("Your role does not allow this step.")


class NotProven(NotPermitted):
    """The person did not prove, at the moment of signing, to be who is logged in."""

    code = "not_proven"
    title = _("It was not confirmed that it is you.")


class NotFound(DomainError):
    """Absent, or not visible to this person: the two are told apart by nobody."""

    code = "not_found"
    status = 404
    title = _("Not found.")


class Conflict(DomainError):
    """Somebody else was first, or the facts changed meanwhile."""

    code = "conflict"
    status = 409
    title = _("The data changed meanwhile.")


class TransitionNotAllowed(Conflict):
    """The object is not in a state from which the verb may be taken (or another actor moved it first)."""

    code = "transition_not_allowed"
    title = _("This step is not possible in the present state.")


class StaleVersion(Conflict):
    """The caller decided on an older version of the object than the one stored."""

    code = "stale_version"
    title = _("The page you decided on is no longer current.")
