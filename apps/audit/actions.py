"""Writing the audit row: called by every verb, in the verb's transaction."""

from __future__ import annotations

from collections.abc import Iterable

from apps.audit.models import AuditEvent
from apps.core.middleware import request_id


def record(
    event: str, obj=None, *, by, organizations: Iterable = (), outcome: str = AuditEvent.Outcome.DONE, **facts
) -> AuditEvent:
    """Record that `by` (a user, or None for an anonymous caller) did `event` on `obj`.

    `event` is `noun.past`; `organizations` are Organization objects or UUIDs that may read the row later;
    `facts` must be JSON-ready and must hold no secret and no personal record.
    """
    return AuditEvent.objects.create(
        event=event,
        actor=by if by is not None and by.is_authenticated else None,
        outcome=outcome,
        object_type=obj._meta.label_lower if obj is not None else "",
        object_ref=str(obj.uuid) if obj is not None else "",
        object_label=str(obj)[:300] if obj is not None else "",
        organizations=sorted({getattr(org, "uuid", org) for org in organizations}, key=str),
        facts=facts,
        request_id=request_id.get(),
    )
