from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import (
    AcceptanceStatus,
    AgreementStatus,
    CredentialStatus,
    DutyKind,
    GrantStatus,
    Side,
    SignatureBasis,
    SuspensionKind,
    TerminationGround,
    VersionState,
)
from apps.agreements.querysets import (
    AcceptanceQuerySet,
    AgreementQuerySet,
    ConsumerSuspensionQuerySet,
    CredentialQuerySet,
    DutyCertificateQuerySet,
    DutyQuerySet,
    GrantQuerySet,
    PlannedSuspensionQuerySet,
    StandardClauseQuerySet,
)
from apps.audit.models import WithHistory
from apps.connections.models import ConnectionRequest
from apps.core.models import StatefulModel, TimedModel
from apps.core.search import SearchLineField, search_index
from apps.legal.announced import OPEN, AnnouncedPeriod
from apps.organizations.models import InformationSystem, Organization
from apps.registry.choices import Environment, SharingForm
from apps.registry.models import Operation, Purpose

USER = settings.AUTH_USER_MODEL


class Agreement(WithHistory, StatefulModel):
    """A data-sharing agreement (NĐ 47/2020 Điều 36-39). Its content lives in versions; this row is its life."""

    number = models.CharField(_("number"), max_length=30, unique=True, editable=False)
    title = models.CharField(_("title"), max_length=300)
    sharing_form = models.CharField(_("sharing form"), max_length=10, choices=SharingForm)
    status = models.CharField(_("status"), max_length=20, choices=AgreementStatus, db_index=True)
    valid_from = models.DateTimeField(_("valid from"), null=True, blank=True)
    valid_to = models.DateTimeField(_("valid until"), null=True, blank=True)
    in_force_at = models.DateTimeField(_("in force since"), null=True, blank=True)
    suspension_kind = models.CharField(_("kind of suspension"), max_length=20, choices=SuspensionKind, blank=True)
    suspended_at = models.DateTimeField(_("suspended at"), null=True, blank=True)
    violation = models.TextField(_("violation"), blank=True)
    handling_plan = models.TextField(_("handling plan"), blank=True)
    restore_conditions = models.TextField(_("what to do to restore"), blank=True)
    termination_ground = models.CharField(_("ground of termination"), max_length=20, choices=TerminationGround, blank=True)
    status_reason = models.TextField(_("reason"), blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    reminded_days = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    # Number, title and parties, for the search: kept by the database (migration `search_line`).
    search_line = SearchLineField()

    objects = AgreementQuerySet.as_manager()

    class Meta:
        verbose_name = _("agreement")
        verbose_name_plural = _("agreements")
        ordering = ["-id"]
        indexes = [
            search_index("agreements_agreement_search"),
            models.Index(fields=["status", "-id"], name="agreements_agreement_state"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_from__isnull=True) | Q(valid_to__gt=F("valid_from")),
                name="agreements_agreement_period",
            ),
            models.CheckConstraint(
                condition=~Q(status="in_force") | (Q(in_force_at__isnull=False) & Q(valid_from__isnull=False)),
                name="agreements_agreement_in_force_since",
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def current_version(self) -> AgreementVersion | None:
        """The content in force, or the newest proposal while there is none."""
        rows = self.versions.order_by("-number")
        return rows.filter(state=VersionState.CURRENT).first() or rows.first()

    def organization_ids(self, side: str | None = None) -> frozenset[int]:
        rows = self.parties.filter(side=side) if side else self.parties.all()
        return frozenset(rows.values_list("organization_id", flat=True))

    def present_parties(self):
        """The parties that are bound today; one whose agency was merged into another stays in the history only."""
        return self.parties.filter(left_at__isnull=True)

    def party_uuids(self) -> set:
        return set(self.parties.values_list("organization__uuid", flat=True))


class Party(models.Model):
    """An organization on one side of an agreement; several on each side (many-to-many from the start)."""

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="parties")
    organization = models.ForeignKey(
        Organization, verbose_name=_("organization"), on_delete=models.PROTECT, related_name="agreement_parties"
    )
    side = models.CharField(_("side"), max_length=10, choices=Side)
    joined_at = models.DateTimeField(_("joined at"), auto_now_add=True)
    left_at = models.DateTimeField(_("left at"), null=True, blank=True)

    class Meta:
        verbose_name = _("party")
        verbose_name_plural = _("parties")
        ordering = ["-side", "id"]
        constraints = [models.UniqueConstraint(fields=["agreement", "organization"], name="agreements_party_one_side")]
        # The newest agreements of one organization are found at once among a million.
        indexes = [models.Index(fields=["organization", "-agreement"], name="agreements_party_newest")]

    def __str__(self) -> str:
        return f"{self.organization} ({self.get_side_display()})"


class AgreementVersion(TimedModel):
    """One immutable content (canonical JSON of the twenty items) and its hash. A change is a new version."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    state = models.CharField(_("state"), max_length=12, choices=VersionState, default=VersionState.DRAFT)
    content = models.JSONField(_("content"))
    content_hash = models.CharField(_("content hash"), max_length=64)
    drafted_by = models.ForeignKey(USER, verbose_name=_("drafted by"), on_delete=models.PROTECT, related_name="+")
    change_note = models.TextField(_("what changed"), blank=True)

    class Meta:
        verbose_name = _("agreement version")
        verbose_name_plural = _("agreement versions")
        ordering = ["agreement_id", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "number"], name="agreements_agreementversion_number"),
            models.UniqueConstraint(
                fields=["agreement"], condition=Q(state="current"), name="agreements_agreementversion_one_current"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agreement} v{self.number}"


class Signature(TimedModel):
    """A party's signature over a version's hash. The signer is never the drafter (four eyes, by constraint)."""

    version = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, related_name="signatures")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="signatures")
    signer = models.ForeignKey(USER, verbose_name=_("signer"), on_delete=models.PROTECT, null=True, related_name="+")
    signer_name = models.CharField(_("signed on paper by"), max_length=200, blank=True)
    drafted_by = models.ForeignKey(USER, on_delete=models.PROTECT, related_name="+", editable=False)
    basis = models.CharField(_("basis"), max_length=20, choices=SignatureBasis)
    signed_hash = models.CharField(_("hash that was signed"), max_length=64)
    signed_at = models.DateTimeField(_("signed at"))

    class Meta:
        verbose_name = _("signature")
        verbose_name_plural = _("signatures")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["version", "party"], name="agreements_signature_once"),
            models.CheckConstraint(condition=~Q(signer=F("drafted_by")), name="agreements_signature_four_eyes"),
            models.CheckConstraint(
                condition=Q(signer__isnull=False) | (Q(basis="paper") & ~Q(signer_name="")),
                name="agreements_signature_has_a_hand",
            ),
            # One person signs a version for one party only: the two sides are never the same hand.
            models.UniqueConstraint(
                fields=["version", "signer"], condition=Q(basis__in=["portal", "pdf"]), name="agreements_signature_one_hand"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.party}: {self.signer or self.signer_name}"


class AgreementDocument(TimedModel):
    """The PDF of a version: the original that everybody signs, and each file that came back signed."""

    version = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, related_name="documents")
    signature = models.OneToOneField(Signature, on_delete=models.PROTECT, null=True, related_name="document")
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    size = models.PositiveIntegerField(_("size (bytes)"))
    certificate = models.CharField(_("certificate of the signer"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["version"], condition=Q(signature__isnull=True), name="agreements_agreementdocument_one_original"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version}.pdf"


class Consent(TimedModel):
    """A party's officer agrees to this very content (special sharing). All parties' consent ends the negotiation."""

    version = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, related_name="consents")
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="+")
    officer = models.ForeignKey(USER, verbose_name=_("agreed by"), on_delete=models.PROTECT, related_name="+")

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["version", "party"], name="agreements_consent_once")]

    def __str__(self) -> str:
        return f"{self.party}: {self.version}"


class Duty(TimedModel):
    """What is to be done before an agreement ends (NĐ 47/2020 Điều 44(2), WF-43): the checklist of a termination."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="duties")
    party = models.ForeignKey(Party, verbose_name=_("whose duty"), on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("duty"), max_length=30, choices=DutyKind)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)
    done_by = models.ForeignKey(USER, verbose_name=_("done by"), on_delete=models.PROTECT, null=True, related_name="+")
    note = models.TextField(_("how it was done"), blank=True)

    objects = DutyQuerySet.as_manager()

    class Meta:
        verbose_name = _("duty")
        verbose_name_plural = _("duties")
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["agreement", "party", "kind"], name="agreements_duty_once")]

    def __str__(self) -> str:
        return f"{self.party}: {self.get_kind_display()}"


class DutyCertificate(TimedModel):
    """The paper that shows how a duty was done: judged and kept as the files of a request are (`connections.files`)."""

    duty = models.OneToOneField(Duty, verbose_name=_("duty"), on_delete=models.PROTECT, related_name="certificate")
    name = models.CharField(_("file name"), max_length=200)
    media_type = models.CharField(_("type"), max_length=100)
    size = models.PositiveIntegerField(_("size (bytes)"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    uploaded_by = models.ForeignKey(USER, verbose_name=_("uploaded by"), on_delete=models.PROTECT, related_name="+")

    objects = DutyCertificateQuerySet.as_manager()

    class Meta:
        verbose_name = _("certificate of a duty")
        verbose_name_plural = _("certificates of duties")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name


class StandardClause(TimedModel):
    """A standard text of an agreement, with the article it rests on and the dates between which it is used.

    The legal officer edits these; a version keeps the text it was made with.
    """

    code = models.CharField(_("code"), max_length=60)
    text = models.TextField(_("text"))
    citation = models.CharField(_("legal basis"), max_length=300, blank=True)
    effective_from = models.DateField(_("effective from"))
    effective_to = models.DateField(_("effective to"), null=True, blank=True)

    objects = StandardClauseQuerySet.as_manager()

    class Meta:
        verbose_name = _("standard clause")
        verbose_name_plural = _("standard clauses")
        ordering = ["code", "-effective_from"]
        constraints = [models.UniqueConstraint(fields=["code", "effective_from"], name="agreements_standardclause_once_a_day")]

    def __str__(self) -> str:
        return self.code


class RequestBasis(models.Model):
    """The request an agreement (or one of its versions) rests on; `version` is empty until the request is approved.

    `starts_from` is the version a change, renewal or join was written against: approving it over another one is refused.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="bases")
    request = models.OneToOneField(ConnectionRequest, on_delete=models.PROTECT, related_name="basis")
    version = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, null=True, related_name="+")
    starts_from = models.ForeignKey(AgreementVersion, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.request} → {self.agreement}"


class PlannedSuspension(AnnouncedPeriod):
    """A suspension announced beforehand (NĐ 47/2020 Điều 43(1)(a), (3)): begins and ends by the clock, shown as a banner."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="planned_suspensions")
    started_at = models.DateTimeField(_("begun at"), null=True, blank=True)

    objects = PlannedSuspensionQuerySet.as_manager()

    class Meta:
        verbose_name = _("planned suspension")
        verbose_name_plural = _("planned suspensions")
        ordering = ["starts_at", "id"]
        constraints = [
            *AnnouncedPeriod.Meta.constraints,
            models.UniqueConstraint(fields=["agreement"], condition=OPEN, name="agreements_plannedsuspension_one_open"),
        ]

    def __str__(self) -> str:
        return f"{self.agreement} {self.starts_at:%d/%m/%Y %H:%M}"


class ConsumerSuspension(TimedModel):
    """One consumer's access stopped for a violation or an unsafe connection (NĐ 47/2020 Điều 43(2), (5), WF-42).

    It holds the grants on the operations of `provider` (of all providers when empty) that the consumer's systems have, and
    those that open under the agreement while it lasts. `notice_due_at` is when the consumer had to know at the latest.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="consumer_suspensions")
    party = models.ForeignKey(Party, verbose_name=_("consumer"), on_delete=models.PROTECT, related_name="suspensions")
    provider = models.ForeignKey(
        Organization, verbose_name=_("provider"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    violation = models.TextField(_("violation"))
    handling_plan = models.TextField(_("handling plan"))
    restore_conditions = models.TextField(_("what to do to restore"))
    determined_at = models.DateTimeField(_("violation determined at"))
    notice_due_at = models.DateTimeField(_("consumer to be told by"))
    suspended_by = models.ForeignKey(USER, verbose_name=_("suspended by"), on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)
    lifted_by = models.ForeignKey(USER, verbose_name=_("lifted by"), on_delete=models.PROTECT, null=True, related_name="+")
    comment = models.TextField(_("comment"), blank=True)

    objects = ConsumerSuspensionQuerySet.as_manager()

    class Meta:
        verbose_name = _("suspension of one consumer")
        verbose_name_plural = _("suspensions of one consumer")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["party", "provider"], condition=Q(lifted_at__isnull=True), nulls_distinct=False,
                name="agreements_consumersuspension_one_open",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True) | Q(lifted_by__isnull=False), name="agreements_consumersuspension_lifted_by"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.agreement}: {self.party.organization}"

    @property
    def was_told_late(self) -> bool:
        return self.created_at > self.notice_due_at


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
                fields=["agreement", "system", "operation", "environment"], condition=~Q(status="ended"),
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
