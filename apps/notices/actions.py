"""Telling people: a notice in the portal and an e-mail, both as rows of the verb's own transaction; and keeping the outbox."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from apps.audit.actions import record
from apps.core.permissions import require
from apps.core.wake import wake
from apps.core.workflow import came_second
from apps.notices.models import Notice, OutboxMessage
from apps.notices.tasks import deliver_outbox


def notify(recipients: Iterable, kind: str, *, key: str, message: str, url: str = "", email: bool = True, **params) -> None:
    """Tell each of `recipients` once.

    `message` is an untranslated msgid (mark it with `gettext_noop`) with `%(name)s` placeholders that
    `params` (JSON-ready; a list holds msgids) fill; the text is made when it is read, in the reader's language. `key` names the
    fact that is told, e.g. "request.forwarded:<uuid>:3": the same key reaches the same person once, ever.
    """
    people = list({user.pk: user for user in recipients if user.is_active and not user.is_machine}.values())
    facts = {"message": message, "params": params}
    # The notice remembers that a person was told; their e-mail's row goes after its time (`retention`).
    told = set(Notice.objects.filter(key=key[:120], recipient__in=people).values_list("recipient_id", flat=True))
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
                if user.email and user.pk not in told
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


@transaction.atomic
def send_again(message: OutboxMessage, *, by) -> OutboxMessage:
    """Give a message that was given up its attempts anew, now. Raises NotPermitted, TransitionNotAllowed (it waits, or has left)."""
    require(by, "notices.send_again", message)
    given_up = OutboxMessage.objects.given_up().select_for_update(no_key=True).filter(pk=message.pk)
    last_error = given_up.values_list("last_error", flat=True).first()
    if last_error is None:
        raise came_second(message, verb="send_again")
    given_up.update(failed_at=None, attempts=0, lease_until=None, next_attempt_at=timezone.now(), updated_at=timezone.now())
    message.refresh_from_db()
    record("outbox_message.sent_again", message, by=by, channel=message.channel, key=message.key, last_error=last_error)
    wake(deliver_outbox)
    return message


@transaction.atomic
def send_all_again(*, by) -> int:
    """`send_again` for every message that was given up, oldest first; return how many. Raises NotPermitted."""
    require(by, "notices.send_again", None)
    messages = OutboxMessage.objects.given_up().order_by("id").select_for_update(skip_locked=True, no_key=True)[:MOST_AT_ONCE]
    return len([send_again(message, by=by) for message in messages])


MOST_AT_ONCE = 2_000
"""Messages that one press of a button puts on their way again."""
