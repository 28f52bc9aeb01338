from __future__ import annotations

import datetime
import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.audit.querysets import AuditEventQuerySet


class AuditEvent(models.Model):
    """One act of a person or a machine user. Never edited, never deleted (a trigger refuses)."""

    class Outcome(models.TextChoices):
        DONE = "done", _("done")
        REFUSED = "refused", _("refused")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(_("time"), auto_now_add=True, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("actor"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    event = models.CharField(_("event"), max_length=80, db_index=True)
    outcome = models.CharField(_("outcome"), max_length=10, choices=Outcome, default=Outcome.DONE)
    object_type = models.CharField(_("object type"), max_length=60, blank=True)
    object_ref = models.CharField(_("object"), max_length=100, blank=True)
    object_label = models.CharField(_("object name"), max_length=300, blank=True)
    organizations = ArrayField(models.UUIDField(), verbose_name=_("organizations"), default=list)
    facts = models.JSONField(_("facts"), default=dict)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["object_type", "object_ref"], name="audit_event_object"),
            GinIndex(fields=["organizations"], name="audit_event_organizations"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.object_label or self.object_ref}"


class WithHistory:
    """For models whose verbs are audited: who acted on the row last, for the one who came second (CC-01)."""

    def last_move(self) -> tuple[str, datetime.datetime | None]:
        """The name of the last actor, and when; ("", None) when nobody did anything yet."""
        return self.last_move_of()

    def last_move_of(self, *events: str) -> tuple[str, datetime.datetime | None]:
        """The same of these events alone; of all when none is named."""
        found = AuditEvent.objects.about(self).select_related("actor")
        event = (found.filter(event__in=events) if events else found).first()
        return (str(event.actor), event.at) if event and event.actor else ("", None)

    def last_mover(self) -> str:
        return self.last_move()[0]
