"""Refused attempts are recorded too: a door that had to say no leaves the error on the request, and it is written down here.

In a transaction of its own, because the verb's was rolled back. Only what a person tried and was not allowed (403)
or lost against another (409) is an event; a form with a mistake is not.
"""

from __future__ import annotations

import logging

from django.db import DatabaseError

from apps.audit import actions as audit
from apps.audit.models import AuditEvent

log = logging.getLogger(__name__)


class RefusalMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        error = getattr(request, "refused", None)
        if error is not None:
            self._record(request, error)
        return response

    @staticmethod
    def _record(request, error) -> None:
        facts = {"code": error.code, "method": request.method, "path": request.path[:300]}
        try:
            audit.record("attempt.refused", by=request.user, outcome=AuditEvent.Outcome.REFUSED, **facts)
        except DatabaseError:
            # The answer was already a refusal; that it could not be recorded must not turn it into something else.
            log.exception("a refused attempt could not be recorded: %s", facts)
