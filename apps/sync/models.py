from __future__ import annotations

import datetime

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory
from apps.catalogs.models import Catalog, Release
from apps.core.fields import EncryptedTextField
from apps.core.models import StatefulModel
from apps.core.upstream_auth import AuthKind, UpstreamAuth, read_auth
from apps.sync.choices import CLOSED_STATUSES, COUNT_LABELS, OPEN_STATUSES, AdapterName, RunStatus, SourceKind, Stage, Trigger
from apps.sync.querysets import RunQuerySet, SourceQuerySet

SLUG = RegexValidator(r"^[a-z0-9][a-z0-9-]{1,59}$", _("Small letters, digits and hyphens."))
USER = settings.AUTH_USER_MODEL


class Source(WithHistory, StatefulModel):
    """Another platform from which (or to which) something is synced, how it is reached, and when.

    `settings` belongs to the kind: see `apps.sync.plans` for its shape. The secret rests encrypted and is never shown.
    """

    code = models.CharField(_("code"), max_length=60, unique=True, validators=[SLUG])
    name = models.CharField(_("name"), max_length=300)
    kind = models.CharField(_("kind"), max_length=10, choices=SourceKind, default=SourceKind.CATALOG)
    adapter = models.CharField(_("adapter"), max_length=20, choices=AdapterName, default=AdapterName.NGSP)
    catalog = models.ForeignKey(Catalog, verbose_name=_("shared catalog"), on_delete=models.PROTECT, null=True, blank=True)
    base_url = models.CharField(_("base address"), max_length=300)
    auth_kind = models.CharField(_("authentication"), max_length=10, choices=AuthKind, default=AuthKind.NONE)
    token_url = models.CharField(_("token address"), max_length=300, blank=True)
    secret = EncryptedTextField(_("credential"), blank=True, default="", editable=False)
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True)
    interval_minutes = models.PositiveIntegerField(
        _("interval (minutes)"), default=1440, validators=[MinValueValidator(5), MaxValueValidator(44640)]
    )
    next_run_at = models.DateTimeField(_("next run"), default=timezone.now, db_index=True)
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True, editable=False)
    alarmed_at = models.DateTimeField(_("stale since"), null=True, blank=True, editable=False)
    watermark = models.DateField(_("complete until"), null=True, blank=True, editable=False)

    objects = SourceQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync source")
        verbose_name_plural = _("sync sources")
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=Q(interval_minutes__range=(5, 44640)), name="sync_source_interval"),
            models.CheckConstraint(
                condition=Q(kind=SourceKind.CATALOG, catalog__isnull=False)
                | (~Q(kind=SourceKind.CATALOG) & Q(catalog__isnull=True)),
                name="sync_source_catalog_has_catalog",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def auth(self) -> UpstreamAuth:
        """Raises InvalidFact when the stored credential does not fit the kind."""
        return read_auth(self.auth_kind, self.secret, self.token_url)

    @property
    def interval(self) -> datetime.timedelta:
        return datetime.timedelta(minutes=self.interval_minutes)


class SyncRun(WithHistory, StatefulModel):
    """One run of a source. The row is the job: who holds `fence` until `lease_until` may write, nobody else."""

    source = models.ForeignKey(Source, verbose_name=_("source"), on_delete=models.PROTECT, related_name="runs")
    status = models.CharField(_("status"), max_length=10, choices=RunStatus, default=RunStatus.QUEUED, db_index=True)
    stage = models.CharField(_("stage"), max_length=12, choices=Stage, default=Stage.WAITING)
    trigger = models.CharField(_("started by"), max_length=10, choices=Trigger, default=Trigger.SCHEDULE)
    requested_by = models.ForeignKey(
        USER, verbose_name=_("requested by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    counts = models.JSONField(_("counts"), default=dict)
    report = models.JSONField(_("report"), default=dict)
    release = models.ForeignKey(Release, verbose_name=_("release"), on_delete=models.PROTECT, null=True, related_name="+")
    approves = models.OneToOneField(
        "self", verbose_name=_("sends what was held in"), on_delete=models.PROTECT, null=True, related_name="approved_by_run"
    )
    started_at = models.DateTimeField(_("started"), null=True)
    finished_at = models.DateTimeField(_("finished"), null=True)
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    fence = models.PositiveBigIntegerField(_("fencing token"), default=0)
    lease_until = models.DateTimeField(_("lease until"), null=True)
    next_attempt_at = models.DateTimeField(_("next attempt"), db_default=Now())
    error_code = models.CharField(_("error code"), max_length=60, blank=True)
    error_text = models.CharField(_("error"), max_length=500, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        verbose_name = _("sync run")
        verbose_name_plural = _("sync runs")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source"], condition=Q(status__in=OPEN_STATUSES), name="sync_syncrun_one_open_per_source"
            ),
            models.CheckConstraint(
                condition=(
                    Q(status__in=CLOSED_STATUSES, finished_at__isnull=False, lease_until__isnull=True)
                    | Q(status=RunStatus.RUNNING, finished_at__isnull=True, lease_until__isnull=False)
                    | Q(status=RunStatus.QUEUED, finished_at__isnull=True, lease_until__isnull=True)
                ),
                name="sync_syncrun_lease_while_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source.name}, {timezone.localtime(self.created_at):%H:%M %d/%m/%Y}"

    @property
    def progress(self) -> list[dict]:
        """The figures so far with what they are called: `{"name", "label", "value"}`, in a fixed order; zeros say nothing."""
        known = [name for name in COUNT_LABELS if self.counts.get(name) or name in ("fetched", "rows") and name in self.counts]
        return [{"name": name, "label": str(COUNT_LABELS[name]), "value": self.counts[name]} for name in known]

    @property
    def elapsed_seconds(self) -> int | None:
        """Seconds from the first start to the end (or until now); None before it started."""
        if self.started_at is None:
            return None
        return int(((self.finished_at or timezone.now()) - self.started_at).total_seconds())

    @property
    def elapsed_label(self) -> str:
        """How long it has taken, for people; empty before it started."""
        seconds = self.elapsed_seconds
        if seconds is None:
            return ""
        minutes, rest = divmod(seconds, 60)
        if not minutes:
            return _("%(seconds)d s") % {"seconds": rest}
        if minutes < 60:
            return _("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
        return _("%(hours)d h %(minutes)d min") % {"hours": minutes // 60, "minutes": minutes % 60}


class EnterpriseChange(models.Model):
    """One dossier that changed an enterprise: its code and dates, never its record. `id` is the position in the feed."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="enterprise_changes")
    enterprise_code = models.CharField(_("enterprise code"), max_length=100)
    journal_no = models.CharField(_("dossier number"), max_length=60)
    document_type = models.CharField(_("kind of dossier"), max_length=60, blank=True)
    received_on = models.DateField(_("received on"))
    recorded_at = models.DateTimeField(_("recorded at"), auto_now_add=True)

    class Meta:
        verbose_name = _("enterprise change")
        verbose_name_plural = _("enterprise changes")
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["source", "journal_no"], name="sync_enterprisechange_once")]
        indexes = [models.Index(fields=["source", "id"], name="sync_enterprisechange_feed")]

    def __str__(self) -> str:
        return f"{self.enterprise_code} {self.received_on:%d/%m/%Y}"


class WorkerHeartbeat(models.Model):
    """When a worker last did the tick: proof that schedule, broker and worker work together."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} {self.at:%H:%M:%S}"
