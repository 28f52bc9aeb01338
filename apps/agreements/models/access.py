"""Access under an agreement: the test record, grants and accounts."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import (
    AcceptanceStatus,
    CredentialStatus,
    GrantStatus,
)
from apps.agreements.models.agreement import Agreement, AgreementVersion
from apps.agreements.models.life import ConsumerSuspension
from apps.agreements.querysets import (
    AcceptanceQuerySet,
    CredentialQuerySet,
    GrantQuerySet,
)
from apps.audit.models import WithHistory
from apps.core.models import StatefulModel
from apps.organizations.models import InformationSystem
from apps.registry.choices import Environment
from apps.registry.models import Operation, Purpose

USER = settings.AUTH_USER_MODEL


class AcceptanceRecord(WithHistory, StatefulModel):
    """The test record (biên bản kiểm thử, WF-35) of one system under an agreement; confirmed, it opens production."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="acceptances")
    system = models.ForeignKey(InformationSystem, verbose_name=_("system"), on_delete=models.PROTECT, related_name="+")
    for_version = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, related_name="acceptances")
    status = models.CharField(_("status"), max_length=12, choices=AcceptanceStatus, default=AcceptanceStatus.RECORDED)
    tested_on = models.DateField(_("tested on"))
    summary = models.TextField(_("what was tested, with what result"))
    recorded_by = models.ForeignKey(USER, verbose_name=_("recorded by"), on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(USER, verbose_name=_("decided by"), on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(_("decided at"), null=True)
    comment = models.TextField(_("comment"), blank=True)

    objects = AcceptanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("acceptance record")
        verbose_name_plural = _("acceptance records")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "system", "for_version"], condition=Q(status__in=["recorded", "confirmed"]),
                name="agreements_acceptancerecord_one_open",
            ),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("recorded_by")),
                name="agreements_acceptancerecord_four_eyes",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.agreement} – {self.system}"


class Grant(WithHistory, StatefulModel):
    """What the gateway enforces: system × operation × fields × purpose × quota × period × environment.

    It admits only while it is active itself, its agreement is in force, and system, organizations, service
    and credential are active. `fields` are leaf paths of the operation's tree ("Data.MainInformation.NAME").
    """

    # Of a version that begins later: it waits beside the one that runs, whose `valid_to` is its `valid_from`.
    is_planned = models.BooleanField(_("begins with a later version"), default=False)
    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="grants")
    version_of = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, related_name="grants")
    system = models.ForeignKey(InformationSystem, verbose_name=_("system"), on_delete=models.PROTECT, related_name="grants")
    operation = models.ForeignKey(Operation, verbose_name=_("operation"), on_delete=models.PROTECT, related_name="grants")
    environment = models.CharField(_("environment"), max_length=10, choices=Environment)
    purpose = models.ForeignKey(Purpose, verbose_name=_("purpose"), on_delete=models.PROTECT, related_name="+")
    fields = ArrayField(models.CharField(max_length=300), verbose_name=_("fields"))
    quota_per_day = models.PositiveIntegerField(_("calls per day"), null=True, validators=[MinValueValidator(1)])
    quota_per_month = models.PositiveIntegerField(_("calls per month"), null=True, validators=[MinValueValidator(1)])
    rate_per_second = models.PositiveIntegerField(_("calls per second"), null=True, validators=[MinValueValidator(1)])
    hours_from = models.TimeField(_("from (hour)"), null=True, blank=True)
    hours_to = models.TimeField(_("until (hour)"), null=True, blank=True)
    networks = ArrayField(models.CharField(max_length=50), verbose_name=_("networks"), default=list, blank=True)
    codes_day = models.DateField(_("codes of the day"), null=True, blank=True)
    valid_from = models.DateTimeField(_("valid from"))
    valid_to = models.DateTimeField(_("valid until"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=12, choices=GrantStatus, default=GrantStatus.ACTIVE)
    status_reason = models.TextField(_("reason"), blank=True)
    held_by = models.ForeignKey(
        ConsumerSuspension, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="grants"
    )

    objects = GrantQuerySet.as_manager()

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "system", "operation", "environment", "is_planned"], condition=~Q(status="ended"),
                name="agreements_grant_one_open",
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")), name="agreements_grant_period"
            ),
            models.CheckConstraint(
                condition=~Q(status="active") | Q(held_by__isnull=True), name="agreements_grant_held_is_not_active"
            ),
        ]  # fmt: skip
        indexes = [models.Index(fields=["system", "operation", "environment"], name="agreements_grant_lookup")]

    def __str__(self) -> str:
        return f"{self.system} → {self.operation} ({self.get_environment_display()})"

    def standing_suspensions(self) -> list:
        """What suspends this access on its own and is not lifted, oldest first."""
        return [row for row in self.suspensions.all() if row.lifted_at is None]

    def what_suspends(self) -> list:
        return self.standing_suspensions() if self.status == GrantStatus.SUSPENDED else []


class Credential(WithHistory, StatefulModel):
    """The account of one system in one environment. The secret is made when it is collected, shown once, kept as a hash."""

    system = models.ForeignKey(
        InformationSystem, verbose_name=_("system"), on_delete=models.PROTECT, related_name="credentials"
    )
    environment = models.CharField(_("environment"), max_length=10, choices=Environment)
    client_id = models.CharField(_("client identifier"), max_length=80, unique=True)
    secret_hash = models.CharField(max_length=128, blank=True, editable=False)
    certificate_hash = models.CharField(
        _("certificate hash (SHA-256)"), max_length=64, blank=True,
        help_text=_("When set, tokens are bound to this client certificate (RFC 8705)."),
    )  # fmt: skip
    status = models.CharField(_("status"), max_length=12, choices=CredentialStatus, default=CredentialStatus.UNCLAIMED)
    replaces = models.ForeignKey(
        "self", verbose_name=_("replaces"), on_delete=models.PROTECT, null=True, blank=True, related_name="replaced_by"
    )
    issued_by = models.ForeignKey(USER, verbose_name=_("issued by"), on_delete=models.PROTECT, related_name="+")
    claimed_by = models.ForeignKey(USER, verbose_name=_("collected by"), on_delete=models.PROTECT, null=True, related_name="+")
    claimed_at = models.DateTimeField(_("collected at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    warned_days = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)

    objects = CredentialQuerySet.as_manager()

    class Meta:
        verbose_name = _("credential")
        verbose_name_plural = _("credentials")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=~Q(status="active") | ~Q(secret_hash=""), name="agreements_credential_active_has_secret"
            ),
            models.UniqueConstraint(
                fields=["system", "environment"], condition=Q(status="unclaimed"), name="agreements_credential_one_unclaimed"
            ),
        ]

    def __str__(self) -> str:
        return self.client_id
