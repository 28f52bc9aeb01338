from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.agreements.models import Agreement, AgreementVersion
from apps.audit.models import WithHistory
from apps.connections.models import ConnectionRequest
from apps.core.models import StatefulModel, TimedModel
from apps.disputes.choices import DisputeCategory, DisputeStatus, TicketKind, TicketStatus
from apps.disputes.querysets import DisputeQuerySet, MaintenanceQuerySet, TicketQuerySet
from apps.legal.announced import OPEN, AnnouncedPeriod
from apps.legal.models import LegalRule
from apps.organizations.models import Organization
from apps.registry.models import DataService

USER = settings.AUTH_USER_MODEL


class Dispute(WithHistory, StatefulModel):
    """An obstacle between two agencies about an agreement (its version of that day) or a refused request."""

    number = models.CharField(_("number"), max_length=30, unique=True, editable=False)
    category = models.CharField(_("kind"), max_length=20, choices=DisputeCategory)
    status = models.CharField(_("status"), max_length=10, choices=DisputeStatus, default=DisputeStatus.LEVEL_1, db_index=True)
    title = models.CharField(_("title"), max_length=300)
    description = models.TextField(_("description"))
    agreement = models.ForeignKey(
        Agreement, verbose_name=_("agreement"), on_delete=models.PROTECT, null=True, related_name="disputes"
    )
    version_of = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, null=True, related_name="+")
    request = models.ForeignKey(
        ConnectionRequest, verbose_name=_("request"), on_delete=models.PROTECT, null=True, related_name="disputes"
    )
    raised_by = models.ForeignKey(USER, verbose_name=_("raised by"), on_delete=models.PROTECT, related_name="+")
    raised_for = models.ForeignKey(Organization, verbose_name=_("raised for"), on_delete=models.PROTECT, related_name="+")
    respondent = models.ForeignKey(Organization, verbose_name=_("other party"), on_delete=models.PROTECT, related_name="+")
    due_at = models.DateTimeField(_("due"), null=True, blank=True, db_index=True)
    deadline_rule = models.ForeignKey(LegalRule, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    half_at = models.DateTimeField(_("half of the time"), null=True, blank=True, editable=False)
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)
    escalated_at = models.DateTimeField(null=True, blank=True, editable=False)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    outcome = models.TextField(_("outcome"), blank=True)
    sent_to = models.CharField(_("document sent to"), max_length=300, blank=True)
    sent_number = models.CharField(_("number of the document sent"), max_length=100, blank=True)
    sent_date = models.DateField(_("date of the document sent"), null=True, blank=True)

    objects = DisputeQuerySet.as_manager()

    class Meta:
        verbose_name = _("dispute")
        verbose_name_plural = _("disputes")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(agreement__isnull=False, version_of__isnull=False) | Q(request__isnull=False),
                name="disputes_dispute_about_something",
            ),
            models.CheckConstraint(condition=~Q(raised_for=F("respondent")), name="disputes_dispute_two_sides"),
            models.CheckConstraint(
                condition=Q(sent_date__isnull=True) | (~Q(sent_number="") & ~Q(sent_to="")),
                name="disputes_dispute_document_whole",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Answer(TimedModel):
    """What a level answered; at level 3 with the number and day of the document sent and of the reply."""

    dispute = models.ForeignKey(Dispute, on_delete=models.PROTECT, related_name="answers")
    level = models.CharField(_("level"), max_length=10, choices=DisputeStatus)
    author = models.ForeignKey(USER, verbose_name=_("author"), on_delete=models.PROTECT, related_name="+")
    text = models.TextField(_("answer"))
    document_number = models.CharField(_("document number"), max_length=100, blank=True)
    document_date = models.DateField(_("document date"), null=True, blank=True)

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.dispute} {self.level}"


class Ticket(WithHistory, StatefulModel):
    """A question from one party to the other under an agreement: explain your use, or correct this record.

    The key of a wrong record is kept as a keyed hash only: it may name a person.
    """

    number = models.CharField(_("number"), max_length=30, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=12, choices=TicketKind)
    status = models.CharField(_("status"), max_length=10, choices=TicketStatus, default=TicketStatus.OPEN, db_index=True)
    agreement = models.ForeignKey(Agreement, verbose_name=_("agreement"), on_delete=models.PROTECT, related_name="tickets")
    service = models.ForeignKey(
        DataService, verbose_name=_("service"), on_delete=models.PROTECT, null=True, blank=True, related_name="tickets",
        help_text=_("Of those under the agreement, the one whose data it is about; empty for the agreement as a whole."),
    )  # fmt: skip
    asked_by = models.ForeignKey(Organization, verbose_name=_("asked by"), on_delete=models.PROTECT, related_name="+")
    asked_of = models.ForeignKey(Organization, verbose_name=_("asked of"), on_delete=models.PROTECT, related_name="+")
    author = models.ForeignKey(USER, verbose_name=_("author"), on_delete=models.PROTECT, related_name="+")
    text = models.TextField(_("text"))
    record_key_hash = models.CharField(_("record (hashed)"), max_length=64, blank=True)
    due_at = models.DateTimeField(_("due"), null=True, blank=True)
    # Of an explanation: asked again it has as many, however late that is. Empty in what was asked before this was kept.
    days = models.PositiveSmallIntegerField(_("working days given"), null=True, blank=True, editable=False)
    deadline_rule = models.ForeignKey(LegalRule, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    half_at = models.DateTimeField(_("half of the time"), null=True, blank=True, editable=False)
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)
    escalated_at = models.DateTimeField(null=True, blank=True, editable=False)
    answer = models.TextField(_("answer"), blank=True)
    answered_by = models.ForeignKey(USER, verbose_name=_("answered by"), on_delete=models.PROTECT, null=True, related_name="+")
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.number


class Maintenance(AnnouncedPeriod):
    """A time announced beforehand in which a service answers nobody (NĐ 47/2020 Điều 43(1)(a), (3)). One a service at a time."""

    service = models.ForeignKey(DataService, verbose_name=_("service"), on_delete=models.PROTECT, related_name="maintenances")

    objects = MaintenanceQuerySet.as_manager()

    class Meta:
        verbose_name = _("maintenance")
        verbose_name_plural = _("maintenance")
        ordering = ["-starts_at", "-id"]
        constraints = [
            *AnnouncedPeriod.Meta.constraints,
            models.UniqueConstraint(fields=["service"], condition=OPEN, name="disputes_maintenance_one_open"),
        ]

    def __str__(self) -> str:
        return f"{self.service} {self.starts_at:%d/%m/%Y %H:%M}"
