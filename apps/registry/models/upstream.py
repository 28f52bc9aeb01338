"""Where the provider answers, and what the probes found there."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory
from apps.core.fields import EncryptedTextField
from apps.core.models import TimedModel
from apps.registry.choices import (
    Environment,
    UpstreamAuth,
)
from apps.registry.models.contract import ServiceVersion
from apps.registry.querysets import UpstreamQuerySet


class Upstream(WithHistory, TimedModel):
    """The provider's address of a version in one environment, with the gateway's own credential there.

    `auth_settings` holds what is not secret (token URL, user or consumer key, header names); `secret` is
    encrypted, write-only, and never leaves through a page, an API, a log or an export.
    """

    version = models.ForeignKey(
        ServiceVersion, verbose_name=_("service version"), on_delete=models.CASCADE, related_name="upstreams"
    )
    environment = models.CharField(_("environment"), max_length=10, choices=Environment)
    base_url = models.URLField(_("address"), max_length=300)
    auth_kind = models.CharField(_("authentication"), max_length=10, choices=UpstreamAuth, default=UpstreamAuth.NONE)
    auth_settings = models.JSONField(_("authentication settings"), default=dict, blank=True)
    secret = EncryptedTextField(_("secret"), blank=True, default="")
    timeout_ms = models.PositiveIntegerField(_("total deadline (ms)"), default=15_000)
    max_response_bytes = models.PositiveIntegerField(_("largest answer (bytes)"), default=10_485_760)
    max_concurrency = models.PositiveIntegerField(_("calls at once"), default=64)
    revision = models.PositiveIntegerField(_("times it was set"), default=1, editable=False)
    # What the probes found; nobody types it and no right rests on it.
    is_healthy = models.BooleanField(_("answers"), null=True, editable=False)
    health_since = models.DateTimeField(_("since"), null=True, editable=False)
    next_probe_at = models.DateTimeField(null=True, editable=False, db_index=True)

    objects = UpstreamQuerySet.as_manager()

    class Meta:
        verbose_name = _("upstream address")
        verbose_name_plural = _("upstream addresses")
        ordering = ["version_id", "environment"]
        constraints = [models.UniqueConstraint(fields=["version", "environment"], name="registry_upstream_once")]

    def __str__(self) -> str:
        return f"{self.version} ({self.get_environment_display()})"


class HealthProbe(models.Model):
    """One look at an upstream: did anything answer, how fast. Kept thirty days."""

    upstream = models.ForeignKey(Upstream, on_delete=models.CASCADE, related_name="probes")
    at = models.DateTimeField(_("time"), default=timezone.now)
    answered = models.BooleanField(_("answers"))
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    latency_ms = models.PositiveIntegerField(_("time taken (ms)"))
    error = models.CharField(_("error"), max_length=60, blank=True)

    class Meta:
        verbose_name = _("health probe")
        verbose_name_plural = _("health probes")
        ordering = ["-id"]
        indexes = [models.Index(fields=["upstream", "-at"], name="registry_healthprobe_recent")]

    def __str__(self) -> str:
        return f"{self.upstream} {self.at:%H:%M:%S} {self.status or self.error}"
