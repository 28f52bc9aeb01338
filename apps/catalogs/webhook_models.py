"""Who is told of a catalog's releases."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.catalogs.choices import WebhookStatus
from apps.catalogs.querysets import WebhookQuerySet
from apps.core.fields import EncryptedTextField
from apps.core.models import StatefulModel
from apps.organizations.models import InformationSystem


class Webhook(StatefulModel):
    """A system of an agency that is told of each release of a catalog at its own address (TT 13/2017 Điều 21 khoản 4 điểm b).

    `told_release` is the newest release whose message its receiver took. `old_secret` still signs beside the new one until
    `old_secret_until`, so that the receiver can be changed without losing a message.
    """

    catalog = models.ForeignKey(
        "catalogs.Catalog", verbose_name=_("catalog"), on_delete=models.PROTECT, related_name="webhooks"
    )
    system = models.ForeignKey(
        InformationSystem, verbose_name=_("information system"), on_delete=models.PROTECT, related_name="catalog_webhooks"
    )
    url = models.CharField(_("address of the receiver"), max_length=500)
    secret = EncryptedTextField(editable=False)
    old_secret = EncryptedTextField(editable=False, blank=True, default="")
    old_secret_until = models.DateTimeField(null=True, editable=False)
    status = models.CharField(_("status"), max_length=20, choices=WebhookStatus, default=WebhookStatus.ACTIVE)
    status_reason = models.CharField(_("reason of the state"), max_length=300, blank=True)
    told_release = models.PositiveIntegerField(_("newest release told"), null=True, editable=False)
    told_at = models.DateTimeField(_("told at"), null=True, editable=False)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("added by"), on_delete=models.PROTECT, related_name="+", editable=False
    )

    objects = WebhookQuerySet.as_manager()

    class Meta:
        verbose_name = _("catalog webhook")
        verbose_name_plural = _("catalog webhooks")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["catalog", "system", "url"], condition=~Q(status=WebhookStatus.ENDED), name="catalogs_webhook_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.system} ← {self.catalog}"
