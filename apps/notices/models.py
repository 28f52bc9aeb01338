from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory
from apps.core.models import TimedModel
from apps.notices.querysets import NoticeQuerySet, OutboxQuerySet


class Notice(TimedModel):
    """What one person is told in the portal: an event's code and the facts its text is made from.

    The text is made when it is read, in the reader's language.
    """

    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("recipient"), on_delete=models.CASCADE, related_name="notices"
    )
    kind = models.CharField(_("kind"), max_length=60)
    facts = models.JSONField(_("facts"), default=dict)
    url = models.CharField(_("address"), max_length=300, blank=True)
    key = models.CharField(max_length=120, editable=False)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("notice")
        verbose_name_plural = _("notices")
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["recipient", "key"], name="notices_notice_once")]

    def __str__(self) -> str:
        return f"{self.kind} → {self.recipient}"


_WAITS = models.Q(sent_at__isnull=True, failed_at__isnull=True)


class OutboxMessage(WithHistory, TimedModel):
    """A message to the outside (e-mail, webhook) that must leave exactly because its transaction committed.

    The row is the job: a worker claims it by a lease, sends it, and closes it; a killed worker's lease runs
    out and another takes over. `next_attempt_at` is a column, never a countdown.
    """

    channel = models.CharField(_("channel"), max_length=20)
    key = models.CharField(max_length=160, unique=True, editable=False)
    stream = models.CharField(max_length=160, blank=True, db_index=True, editable=False)
    payload = models.JSONField(default=dict)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), db_index=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    failed_at = models.DateTimeField(_("given up at"), null=True, blank=True)
    dropped = models.BooleanField(_("dropped"), default=False, editable=False)
    """Closed (`failed_at`) because nobody is to get it any more, as when its receiver was paused: no alarm, never sent again."""
    last_error = models.CharField(_("last error"), max_length=500, blank=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = _("outgoing message")
        verbose_name_plural = _("outgoing messages")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(dropped=False) | models.Q(failed_at__isnull=False),
                name="notices_outboxmessage_dropped_is_closed",
            ),
        ]
        indexes = [
            # What waits is found among millions that left; so is an earlier message of the same stream.
            models.Index(fields=["id"], condition=_WAITS, name="notices_outbox_waiting"),
            models.Index(fields=["stream", "id"], condition=_WAITS, name="notices_outbox_stream"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.key}"

    @property
    def state(self) -> str:
        """`sent`, `dropped` (nobody is to get it), `failed` (given up) or `waits`."""
        return "sent" if self.sent_at else "dropped" if self.dropped else "failed" if self.failed_at else "waits"
