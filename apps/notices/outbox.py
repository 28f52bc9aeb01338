"""Sending what the outbox holds: each row claimed by a lease, sent, closed. The row is the job.

A killed worker's lease runs out and another takes the row. Messages of one `stream` leave in order. E-mail
may in the worst case leave twice (killed between sending and closing); its Message-ID stays the same.
"""

from __future__ import annotations

import datetime
import logging
import random
import time
from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.utils import timezone, translation
from django.utils.translation import gettext

from apps.core.killpoints import reach
from apps.notices.models import OutboxMessage

log = logging.getLogger(__name__)
LEASE = datetime.timedelta(seconds=120)
FIRST_WAIT = datetime.timedelta(seconds=30)
LONGEST_WAIT = datetime.timedelta(hours=6)
MOST_ATTEMPTS = 14
TURN = 200
TURN_SECONDS = 120
"""Messages, and seconds, after which a task lets others come: a mail server may be slow to say no."""

_CLAIM = """
UPDATE notices_outboxmessage SET lease_until = clock_timestamp() + %s, attempts = attempts + 1
WHERE id = (
    SELECT m.id FROM notices_outboxmessage m
    WHERE m.sent_at IS NULL AND m.failed_at IS NULL AND m.next_attempt_at <= clock_timestamp()
      AND (m.lease_until IS NULL OR m.lease_until < clock_timestamp())
      AND (m.stream = '' OR NOT EXISTS (
            SELECT 1 FROM notices_outboxmessage e
            WHERE e.stream = m.stream AND e.id < m.id AND e.sent_at IS NULL AND e.failed_at IS NULL))
    ORDER BY m.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""


def send_email(message: OutboxMessage) -> None:
    """Send one e-mail in Vietnamese; raises whatever the mail server's connection raises."""
    payload = message.payload
    with translation.override("vi"):
        text = render(payload)
        subject = f"[LGSP] {text[:120]}"
    body = text + (f"\n\n{settings.SITE_URL}{payload['url']}" if payload.get("url") else "")
    mail_id = f"<{message.uuid}@lgsp>"
    EmailMessage(subject, body, to=[payload["to"]], headers={"Message-ID": mail_id}).send()


class Undeliverable(Exception):
    """Raised by a sender: nobody is to get it any more, no later attempt can be right. The row is closed at once as dropped."""


SENDERS: dict[str, Callable[[OutboxMessage], None]] = {"email": send_email}
"""Channel → sender. Upper floors add theirs in their AppConfig.ready()."""


def render(facts: dict) -> str:
    """The text of a notice in the active language; unknown placeholders never break a page. A list among the params holds msgids."""
    try:
        params = {name: _listed(value) if isinstance(value, list) else value for name, value in facts.get("params", {}).items()}
        return gettext(facts["message"]) % params
    except (KeyError, ValueError, TypeError, AttributeError):
        return gettext(facts.get("message", ""))


def _listed(msgids: list) -> str:
    return ", ".join(gettext(str(msgid)) for msgid in msgids)


def deliver_due(limit: int = TURN) -> int:
    """Try up to `limit` due messages; return how many were tried, or `limit` when there was no time for more."""
    ends = time.monotonic() + TURN_SECONDS
    for tried in range(limit):
        if time.monotonic() > ends:
            return limit
        message = _claim()
        if message is None:
            return tried
        _deliver(message)
    return limit


def _claim() -> OutboxMessage | None:
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [LEASE])
        row = cursor.fetchone()
    return OutboxMessage.objects.get(pk=row[0]) if row else None


def _deliver(message: OutboxMessage) -> None:
    if message.attempts > MOST_ATTEMPTS:  # every worker that took it died of it
        OutboxMessage.objects.filter(pk=message.pk).update(failed_at=timezone.now(), lease_until=None)
        return
    try:
        SENDERS[message.channel](message)
    except Exception as error:  # whatever a foreign server does, the row must be closed or planned again
        log.warning("outbox %s attempt %s failed: %s", message.uuid, message.attempts, type(error).__name__)
        _plan_again(message, error)
        return
    reach("notices.sent")
    OutboxMessage.objects.filter(pk=message.pk).update(sent_at=timezone.now(), lease_until=None, last_error="")


def _plan_again(message: OutboxMessage, error: Exception) -> None:
    wait = min(FIRST_WAIT * 2 ** min(message.attempts - 1, 12), LONGEST_WAIT) * random.uniform(0.8, 1.2)  # noqa: S311
    if asked := getattr(error, "retry_after", None):
        wait = max(wait, datetime.timedelta(seconds=asked))  # the other side said when
    changes = {
        "lease_until": None,
        "next_attempt_at": timezone.now() + wait,
        "last_error": f"{getattr(error, 'code', type(error).__name__)}: {error}"[:500],
    }
    dropped = isinstance(error, Undeliverable)
    if dropped or message.attempts >= MOST_ATTEMPTS:
        changes |= {"failed_at": timezone.now(), "dropped": dropped}
    OutboxMessage.objects.filter(pk=message.pk).update(**changes)
