"""The service, and what stands around it: regulation and terms, default-share list, purposes, feedback."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory
from apps.core.models import StatefulModel, TimedModel, VersionedModel
from apps.core.text import clean, fold, sort_key
from apps.legal.models import LegalRule
from apps.organizations.models import SLUG, Organization
from apps.registry.choices import (
    Classification,
    FeedbackStatus,
    Protocol,
    ServiceStatus,
    SharingForm,
)
from apps.registry.querysets import (
    DataServiceQuerySet,
    DefaultShareListQuerySet,
    FeedbackQuerySet,
    PurposeQuerySet,
    UsageRegulationQuerySet,
)


class KeptBySuccessor(models.Model):
    """What an agency issued stays under its name, by which it was signed or decided; after a merge the successor keeps it."""

    kept_by = models.ForeignKey(
        Organization, verbose_name=_("kept by the successor"), on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        editable=False,
    )  # fmt: skip

    class Meta:
        abstract = True

    @property
    def keeper(self) -> Organization:
        """Whose officers answer for it today."""
        return self.kept_by or self.organization

    @property
    def keeper_id(self) -> int:
        return self.kept_by_id or self.organization_id


class UsageRegulation(WithHistory, KeptBySuccessor, VersionedModel):
    """The published regulation on use (NĐ 47/2020 Điều 22) and, within it, the provider's standard terms.

    Signed once by the provider's signer, the terms are its standing signature under every default agreement.
    Published terms are never edited: a new regulation replaces them.
    """

    organization = models.ForeignKey(
        Organization, verbose_name=_("issuing organization"), on_delete=models.PROTECT, related_name="usage_regulations"
    )
    number = models.CharField(_("number"), max_length=100)
    title = models.CharField(_("title"), max_length=300)
    issued_on = models.DateField(_("issued on"))
    effective_from = models.DateField(_("effective from"))
    effective_to = models.DateField(_("effective to"), null=True, blank=True)
    log_retention_months = models.PositiveSmallIntegerField(
        _("access log kept for (months)"), default=12, validators=[MinValueValidator(1)],
        help_text=_("NĐ 47/2020 Điều 45(3): the regulation sets how long the log of sharing is kept."),
    )  # fmt: skip
    usage_duration = models.CharField(_("how long received data may be used"), max_length=200, blank=True)
    terms = models.TextField(_("standard terms of default sharing"), blank=True)
    terms_hash = models.CharField(_("hash of the terms"), max_length=64, blank=True, editable=False)
    written_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("written by"), on_delete=models.PROTECT, null=True, blank=True,
        related_name="+", editable=False,
    )  # fmt: skip
    terms_signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("terms signed by"), on_delete=models.PROTECT, null=True, blank=True,
        related_name="+", editable=False,
    )  # fmt: skip
    terms_signed_at = models.DateTimeField(_("terms signed at"), null=True, blank=True, editable=False)

    objects = UsageRegulationQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage regulation")
        verbose_name_plural = _("usage regulations")
        ordering = ["-issued_on", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "number"], name="registry_usageregulation_number"),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gt=F("effective_from")),
                name="registry_usageregulation_period",
            ),
            models.CheckConstraint(
                condition=Q(terms_signed_by__isnull=True) | Q(written_by__isnull=True) | ~Q(terms_signed_by=F("written_by")),
                name="registry_usageregulation_four_eyes",
            ),
            models.CheckConstraint(
                condition=Q(terms_signed_at__isnull=True) | (Q(terms_signed_by__isnull=False) & ~Q(terms_hash="")),
                name="registry_usageregulation_signed_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} – {self.title}"

    @property
    def is_signed(self) -> bool:
        return self.terms_signed_at is not None

    def is_effective_on(self, day) -> bool:
        return self.effective_from <= day and (self.effective_to is None or day < self.effective_to)


class DataService(WithHistory, StatefulModel):
    """A data sharing service (dịch vụ chia sẻ dữ liệu, NĐ 47/2020 Điều 24)."""

    code = models.CharField(_("code"), max_length=60, unique=True, validators=[SLUG])
    name = models.CharField(_("name"), max_length=300)
    description = models.TextField(_("description"), blank=True)
    provider = models.ForeignKey(Organization, verbose_name=_("provider"), on_delete=models.PROTECT, related_name="services")
    sharing_form = models.CharField(_("sharing form"), max_length=10, choices=SharingForm, default=SharingForm.DEFAULT)
    classification = models.CharField(_("classification"), max_length=12, choices=Classification, default=Classification.SHARED)
    protocol = models.CharField(_("protocol"), max_length=10, choices=Protocol, default=Protocol.REST)
    is_master_data = models.BooleanField(_("master data"), default=False)
    account_issuing_delegated = models.BooleanField(
        _("the operator issues accounts"), default=True,
        help_text=_("NĐ 47/2020 Điều 40(2): the provider may delegate issuing accounts to the operator."),
    )  # fmt: skip
    capacity_rps = models.PositiveIntegerField(_("capacity (calls per second)"), null=True, blank=True)
    daily_quota = models.PositiveIntegerField(_("default quota (calls per day)"), null=True, blank=True)
    usage_regulation = models.ForeignKey(
        UsageRegulation, verbose_name=_("usage regulation"), on_delete=models.PROTECT, null=True, blank=True,
        related_name="services",
    )  # fmt: skip
    contact = models.CharField(_("contact"), max_length=300, blank=True)
    sla = models.TextField(_("service level"), blank=True)
    status = models.CharField(_("status"), max_length=12, choices=ServiceStatus, default=ServiceStatus.ACTIVE)
    suspended_by_operator = models.BooleanField(_("suspended by the operator"), default=False, editable=False)
    folded = models.TextField(editable=False, default="")
    sort_key = models.TextField(editable=False, default="", db_index=True)

    objects = DataServiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("data service")
        verbose_name_plural = _("data services")
        ordering = ["sort_key", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(classification__in=Classification.values), name="registry_dataservice_no_state_secret"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args, **kwargs):
        self.name = clean(self.name)
        self.folded = fold(f"{self.name} {self.code} {self.description}")
        self.sort_key = sort_key(self.name)
        super().save(*args, **kwargs)


class DefaultShareList(KeptBySuccessor, TimedModel):
    """What a provider shares by default, by one decision; reviewed as often as the rule `default_list.review` says (NĐ 47/2020 Điều 34, WF-15).

    A review makes a new row, also when nothing changed; the newest is in force. One that came with a merge is so until the
    successor decides its own.
    """

    organization = models.ForeignKey(
        Organization, verbose_name=_("provider"), on_delete=models.PROTECT, related_name="default_lists"
    )
    number = models.CharField(_("decision number"), max_length=100)
    decided_on = models.DateField(_("decided on"))
    services = models.ManyToManyField(DataService, verbose_name=_("services"), related_name="default_lists")
    review_rule = models.ForeignKey(LegalRule, verbose_name=_("rule of the review"), on_delete=models.PROTECT, related_name="+")
    next_review_on = models.DateField(_("next review"), db_index=True)
    note = models.TextField(_("note"), blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("entered by"), on_delete=models.PROTECT, related_name="+"
    )
    kept_from = models.DateField(_("kept by the successor since"), null=True, blank=True, editable=False)

    objects = DefaultShareListQuerySet.as_manager()

    class Meta:
        verbose_name = _("default-share list")
        verbose_name_plural = _("default-share lists")
        ordering = ["-decided_on", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "number"], name="registry_defaultsharelist_number"),
            models.CheckConstraint(condition=Q(next_review_on__gt=F("decided_on")), name="registry_defaultsharelist_review"),
            models.CheckConstraint(
                condition=Q(kept_by__isnull=True, kept_from__isnull=True) | Q(kept_by__isnull=False, kept_from__isnull=False),
                name="registry_defaultsharelist_kept_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.organization})"


class Feedback(StatefulModel):
    """A question or suggestion about a service, and the provider's answer (NĐ 47/2020 Điều 25(4), WF-04).

    Read by whoever may see the service: one answer serves all who have the same question.
    """

    service = models.ForeignKey(DataService, verbose_name=_("service"), on_delete=models.PROTECT, related_name="feedback")
    organization = models.ForeignKey(Organization, verbose_name=_("agency"), on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, verbose_name=_("author"), on_delete=models.PROTECT, related_name="+")
    text = models.TextField(_("text"), max_length=5_000)
    status = models.CharField(_("status"), max_length=10, choices=FeedbackStatus, default=FeedbackStatus.OPEN)
    due_at = models.DateTimeField(_("due"))
    deadline_rule = models.ForeignKey(LegalRule, on_delete=models.PROTECT, related_name="+")
    answer = models.TextField(_("answer"), blank=True, max_length=5_000)
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("answered by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)

    objects = FeedbackQuerySet.as_manager()

    class Meta:
        verbose_name = _("question about a service")
        verbose_name_plural = _("questions about services")
        ordering = ["-id"]
        indexes = [models.Index(fields=["service", "status"], name="registry_feedback_of_service")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="open") | (~Q(answer="") & Q(answered_by__isnull=False) & Q(answered_at__isnull=False)),
                name="registry_feedback_answered_whole",
            )
        ]

    def __str__(self) -> str:
        return f"{self.service} – {self.text[:60]}"


class Purpose(VersionedModel):
    """A coded purpose of use; the gateway's `X-Purpose-Code` must be one the agreement names (AG-16)."""

    code = models.CharField(_("code"), max_length=40, unique=True, validators=[SLUG])
    name = models.CharField(_("name"), max_length=300)
    is_active = models.BooleanField(_("may be chosen"), default=True)

    objects = PurposeQuerySet.as_manager()

    class Meta:
        verbose_name = _("purpose")
        verbose_name_plural = _("purposes")
        ordering = ["code"]

    def __str__(self) -> str:
        return self.name
