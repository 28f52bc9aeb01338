from __future__ import annotations

import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory
from apps.connections.choices import OVER, AttachmentKind, Channel, DecisionStatus, RequestKind, RequestStatus, SharingMethod
from apps.connections.querysets import (
    RECEIVED,
    AttachmentQuerySet,
    CommentQuerySet,
    ConnectionRequestQuerySet,
    ProviderDecisionQuerySet,
)
from apps.core.models import StatefulModel, TimedModel
from apps.core.search import SearchLineField, search_index
from apps.legal.models import LegalRule, RefusalGround
from apps.organizations.models import InformationSystem, Organization
from apps.registry.choices import SharingForm
from apps.registry.models import Field, Operation, Purpose

USER = settings.AUTH_USER_MODEL


class ConnectionRequest(WithHistory, StatefulModel):
    """A request with the contents of NĐ 47/2020 Điều 35(2) (WF-20 to WF-26)."""

    number = models.CharField(_("number"), max_length=30, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=10, choices=RequestKind, default=RequestKind.NEW)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel, default=Channel.ONLINE)
    status = models.CharField(_("status"), max_length=20, choices=RequestStatus, default=RequestStatus.DRAFT, db_index=True)
    title = models.CharField(_("title"), max_length=300, blank=True)
    consumer = models.ForeignKey(
        Organization, verbose_name=_("requesting organization"), on_delete=models.PROTECT, related_name="requests"
    )
    created_by = models.ForeignKey(USER, verbose_name=_("prepared by"), on_delete=models.PROTECT, related_name="+")
    preparers = models.ManyToManyField(USER, verbose_name=_("everybody who wrote in it"), related_name="+", blank=True)
    systems = models.ManyToManyField(
        InformationSystem, verbose_name=_("systems"), through="RequestSystem", related_name="requests"
    )
    operations = models.ManyToManyField(
        Operation, verbose_name=_("operations"), through="RequestedOperation", related_name="requests"
    )
    purpose = models.ForeignKey(Purpose, verbose_name=_("purpose"), on_delete=models.PROTECT, null=True, blank=True)
    purpose_text = models.TextField(_("purpose in words"), blank=True)
    solution = models.TextField(_("how the data will be used"), blank=True)
    legal_basis = models.TextField(_("legal basis"), blank=True)
    procedures = ArrayField(models.CharField(max_length=60), verbose_name=_("procedures served"), default=list, blank=True)
    method = models.CharField(_("method of sharing"), max_length=10, choices=SharingMethod, default=SharingMethod.QUERY)
    calls_per_day = models.PositiveIntegerField(_("calls per day"), null=True, blank=True, validators=[MinValueValidator(1)])
    calls_per_second = models.PositiveIntegerField(
        _("peak calls per second"), null=True, blank=True, validators=[MinValueValidator(1)]
    )
    source_networks = ArrayField(models.CharField(max_length=50), verbose_name=_("source networks"), default=list, blank=True)
    wanted_from = models.DateField(_("wanted from"), null=True, blank=True)
    wanted_to = models.DateField(_("wanted until"), null=True, blank=True)
    codes_day = models.DateField(
        _("codes of the day"), null=True, blank=True,
        help_text=_("When your system still uses administrative codes of an earlier day, for example 30/06/2025: the gateway translates."),
    )  # fmt: skip
    technician = models.CharField(_("technical contact"), max_length=300, blank=True)
    exemption_reason = models.TextField(
        _("data protection assessment, or reason for exemption"), blank=True,
        help_text=_("Needed when sensitive personal data is asked for (Luật 91/2025/QH15, NĐ 356/2025/NĐ-CP)."),
    )  # fmt: skip
    special_reason = models.TextField(
        _("why default sharing does not suffice"), blank=True,
        help_text=_("NĐ 47/2020 Điều 36(1): special sharing only for what default sharing does not give."),
    )  # fmt: skip
    alternatives = ArrayField(
        models.CharField(max_length=60), verbose_name=_("default services considered"), default=list, blank=True,
        help_text=_("Codes of the default services that come near, looked at before asking for special sharing."),
    )  # fmt: skip
    note = models.TextField(_("other information"), blank=True)
    change_reason = models.TextField(
        _("why the agreement is to change"), blank=True,
        help_text=_("Of a change or renewal: stands as the note of the new version, beside its terms and not among them."),
    )  # fmt: skip
    # Number, title, agencies and services, for the search: kept by the database (migration `search_line`).
    search_line = SearchLineField()

    paper_received_on = models.DateField(_("paper received on"), null=True, blank=True)
    paper_signer = models.CharField(_("signed on paper by"), max_length=200, blank=True)
    received_at = models.DateTimeField(_("received at"), null=True, blank=True)
    handler = models.ForeignKey(
        USER, verbose_name=_("handled by"), on_delete=models.PROTECT, null=True, blank=True, related_name="+",
        help_text=_("The operator's person for this case."),
    )  # fmt: skip
    submitted_by = models.ForeignKey(
        USER, verbose_name=_("submitted by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    deadline_rule = models.ForeignKey(
        LegalRule, verbose_name=_("rule of the deadline"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    due_at = models.DateTimeField(_("due"), null=True, blank=True, db_index=True)
    half_at = models.DateTimeField(_("half of the time"), null=True, blank=True, db_index=True)
    reminded_at = models.DateTimeField(_("reminded at"), null=True, blank=True)
    escalated_at = models.DateTimeField(_("escalated at"), null=True, blank=True)
    paused_at = models.DateTimeField(_("clock paused at"), null=True, blank=True)
    lapses_at = models.DateTimeField(_("withdrawn by itself at"), null=True, blank=True, db_index=True)
    # Half of the time to complete a returned request; empty once that was said.
    return_half_at = models.DateTimeField(null=True, blank=True, db_index=True, editable=False)
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    refusal_ground = models.ForeignKey(
        RefusalGround, verbose_name=_("refusal ground"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    refusal_reason = models.TextField(_("reason"), blank=True)
    refusal_citation = models.CharField(_("legal provision"), max_length=300, blank=True)

    objects = ConnectionRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("connection request")
        verbose_name_plural = _("connection requests")
        ordering = ["-id"]
        indexes = [
            search_index("connections_request_search"),
            models.Index(fields=["status", "-id"], name="connections_request_state"),
            models.Index(
                fields=["due_at", "-id"], name="connections_request_open_due",
                condition=RECEIVED,
            ),
            models.Index(
                F("paused_at").asc(nulls_first=True), "due_at", "id", name="connections_request_running",
                condition=RECEIVED,
            ),
            models.Index(fields=["-decided_at"], name="connections_request_decided", condition=Q(decided_at__isnull=False)),
        ]  # fmt: skip
        constraints = [
            models.CheckConstraint(
                condition=Q(wanted_to__isnull=True) | Q(wanted_from__isnull=True) | Q(wanted_to__gt=F("wanted_from")),
                name="connections_connectionrequest_period",
            ),
            # A refusal without ground, reason and provision cannot exist (NĐ 194/2025 Điều 16(2), WF-31).
            models.CheckConstraint(
                condition=~Q(status="refused")
                | (Q(refusal_ground__isnull=False) & ~Q(refusal_reason="") & ~Q(refusal_citation="")),
                name="connections_connectionrequest_refusal_reasoned",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_open(self) -> bool:
        """As `open()`: received and not decided."""
        if self.status == RequestStatus.DRAFT:
            return self.channel == Channel.PAPER
        return self.status not in OVER

    def is_late(self, at: datetime.datetime) -> bool:
        """As `late(at)`."""
        return self.is_open and self.paused_at is None and self.due_at is not None and self.due_at < at

    def consumer_ids(self) -> frozenset[int]:
        """The organization that files and the owners of the systems that shall read: the requesting side."""
        owners = self.request_systems.values_list("system__organization_id", flat=True)
        return frozenset({self.consumer_id, *owners})

    def provider_ids(self) -> frozenset[int]:
        """The owners of the services asked for."""
        return frozenset(self.requested_operations.values_list("operation__version__service__provider_id", flat=True))

    def consumer_uuids(self) -> set:
        return set(Organization.objects.filter(pk__in=self.consumer_ids()).values_list("uuid", flat=True))

    def party_uuids(self) -> set:
        """Both sides, as the audit floor keeps them."""
        both = self.consumer_ids() | self.provider_ids()
        return set(Organization.objects.filter(pk__in=both).values_list("uuid", flat=True))

    @property
    def sharing_form(self) -> str:
        """Special as soon as one service is shared specially (NĐ 47/2020 Điều 33-37)."""
        forms = self.requested_operations.values_list("operation__version__service__sharing_form", flat=True)
        return SharingForm.SPECIAL if SharingForm.SPECIAL in set(forms) else SharingForm.DEFAULT


class RequestSystem(models.Model):
    """A system that shall read: the subject of the grants. It may belong to another consumer than the one that files."""

    request = models.ForeignKey(ConnectionRequest, on_delete=models.CASCADE, related_name="request_systems")
    system = models.ForeignKey(InformationSystem, verbose_name=_("system"), on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["request", "system"], name="connections_requestsystem_once")]

    def __str__(self) -> str:
        return str(self.system)


class RequestAudience(models.Model):
    """Which organizations read a request: who files, whose systems shall read, who decides.

    Derived: the database keeps it from those three (triggers of migration `audience`), so that nobody can forget to; it is
    never written here. One table with one index instead of three sub-selects: the newest of a million are found at once.
    """

    request = models.ForeignKey(ConnectionRequest, on_delete=models.CASCADE, related_name="audience")
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+", db_index=False)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["request", "organization"], name="connections_requestaudience_once")]
        indexes = [models.Index(fields=["organization", "-request"], name="connections_audience_newest")]

    def __str__(self) -> str:
        return f"{self.request}: {self.organization}"


class RequestedOperation(models.Model):
    """An operation asked for, with the exact fields (WF-23: name and number of items)."""

    request = models.ForeignKey(ConnectionRequest, on_delete=models.CASCADE, related_name="requested_operations")
    operation = models.ForeignKey(
        Operation, verbose_name=_("operation"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    fields = models.ManyToManyField(Field, verbose_name=_("fields"), related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["request", "operation"], name="connections_requestedoperation_once")]
        # Of the operations of one provider the newest requests first, beside `RequestAudience`, which is in the same order.
        indexes = [models.Index(fields=["operation", "-request"], name="connections_operation_newest")]

    def __str__(self) -> str:
        return str(self.operation)


class RequestSignature(TimedModel):
    """A consumer's signer signed this very content. Another hash is another content: the signature is void then."""

    request = models.ForeignKey(ConnectionRequest, on_delete=models.PROTECT, related_name="signatures")
    organization = models.ForeignKey(Organization, verbose_name=_("organization"), on_delete=models.PROTECT, related_name="+")
    signer = models.ForeignKey(USER, verbose_name=_("signer"), on_delete=models.PROTECT, related_name="+")
    prepared_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+", editable=False)
    content_hash = models.CharField(_("content hash"), max_length=64)
    signed_at = models.DateTimeField(_("signed at"), auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "organization", "signer", "content_hash"], name="connections_requestsignature_once"
            ),
            models.CheckConstraint(condition=~Q(signer=F("prepared_by")), name="connections_requestsignature_four_eyes"),
        ]

    def __str__(self) -> str:
        return f"{self.signer} {self.content_hash[:12]}"


class ProviderDecision(WithHistory, StatefulModel):
    """One provider's part of the decision. A request that names several providers is approved when all have approved."""

    request = models.ForeignKey(ConnectionRequest, on_delete=models.PROTECT, related_name="decisions")
    provider = models.ForeignKey(Organization, verbose_name=_("provider"), on_delete=models.PROTECT, related_name="+")
    status = models.CharField(_("decision"), max_length=10, choices=DecisionStatus, default=DecisionStatus.PENDING)
    requested_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+", editable=False)
    decided_by = models.ForeignKey(USER, verbose_name=_("decided by"), on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(_("decided at"), null=True)
    comment = models.TextField(_("comment"), blank=True)
    handler = models.ForeignKey(
        USER, verbose_name=_("handled by"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    objects = ProviderDecisionQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["request", "provider"], name="connections_providerdecision_once"),
            models.CheckConstraint(
                condition=Q(decided_by__isnull=True) | ~Q(decided_by=F("requested_by")),
                name="connections_providerdecision_four_eyes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request} – {self.provider}: {self.get_status_display()}"

    def last_move(self) -> tuple[str, datetime.datetime | None]:
        """Who decided: the events of a decision are about its request."""
        return str(self.decided_by or ""), self.decided_at


class Remark(TimedModel):
    """What is missing, field by field, when a request is returned."""

    request = models.ForeignKey(ConnectionRequest, on_delete=models.CASCADE, related_name="remarks")
    author = models.ForeignKey(USER, verbose_name=_("author"), on_delete=models.PROTECT, related_name="+")
    field = models.CharField(_("field"), max_length=60)
    text = models.TextField(_("what is missing"))

    class Meta:
        verbose_name = _("remark")
        verbose_name_plural = _("remarks")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.field}: {self.text[:60]}"


class Comment(TimedModel):
    """A word in the thread of a case: shared by both sides, or internal to the author's organization."""

    request = models.ForeignKey(ConnectionRequest, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey(USER, verbose_name=_("author"), on_delete=models.PROTECT, related_name="+")
    organization = models.ForeignKey(Organization, verbose_name=_("organization"), on_delete=models.PROTECT, related_name="+")
    is_internal = models.BooleanField(_("only for the own organization"), default=False)
    text = models.TextField(_("text"))

    objects = CommentQuerySet.as_manager()

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text[:60]


class Attachment(TimedModel):
    """A file of a case: checked by content, kept outside every web root under a name that is only its uuid."""

    request = models.ForeignKey(ConnectionRequest, on_delete=models.PROTECT, related_name="attachments")
    kind = models.CharField(_("kind"), max_length=12, choices=AttachmentKind, default=AttachmentKind.OTHER)
    name = models.CharField(_("file name"), max_length=200)
    media_type = models.CharField(_("type"), max_length=100)
    size = models.PositiveIntegerField(_("size (bytes)"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    uploaded_by = models.ForeignKey(USER, verbose_name=_("uploaded by"), on_delete=models.PROTECT, related_name="+")
    removed_at = models.DateTimeField(_("removed at"), null=True, blank=True)

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("attachment")
        verbose_name_plural = _("attachments")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name
