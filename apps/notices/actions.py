"""Telling people: a notice in the portal and an e-mail, both as rows of the verb's own transaction."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils import timezone

from apps.core.wake import wake
from apps.notices.models import Notice, OutboxMessage
from apps.notices.tasks import deliver_outbox


def notify(recipients: Iterable, kind: str, *, key: str, message: str, url: str = "", email: bool = True, **params) -> None:
    """Tell each of `recipients` once.

    `message` is an untranslated msgid (mark it with `gettext_noop`) with `%(name)s` placeholders that
    `params` (JSON-ready) fill; the text is made when it is read, in the reader's language. `key` names the
    fact that is told, e.g. "request.forwarded:<uuid>:3": the same key reaches the same person once, ever.
    """
    people = {user.pk: user for user in recipients if user.is_active and not user.is_machine}.values()
    facts = {"message": message, "params": params}
    Notice.objects.bulk_create(
        [Notice(recipient=user, kind=kind, key=key[:120], facts=facts, url=url) for user in people], ignore_conflicts=True
    )
    if email:
        enqueue(
            [
                OutboxMessage(
                    channel="email", key=f"email:{key[:110]}:{user.uuid}", payload={"to": user.email, "url": url, **facts}
                )
                for user in people
                if user.email
            ]
        )


def enqueue(messages: list[OutboxMessage]) -> None:
    """Put messages into the outbox; the same `key` is sent once. A worker is woken when the transaction commits."""
    now = timezone.now()
    for message in messages:
        message.next_attempt_at = message.next_attempt_at or now
    OutboxMessage.objects.bulk_create(messages, ignore_conflicts=True)
    if messages:
        wake(deliver_outbox)


def mark_read(user, uuids: Iterable | None = None) -> int:
    """Mark the user's own notices (all, or those named) as read; return how many were."""
    rows = Notice.objects.filter(recipient=user, read_at__isnull=True)
    if uuids is not None:
        rows = rows.filter(uuid__in=list(uuids))
    return rows.update(read_at=timezone.now())
