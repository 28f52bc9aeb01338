"""The agreement: its parties, versions and signatures, the requests it rests on, and the clauses contents are made with."""

from __future__ import annotations

import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import (
    AgreementStatus,
    Side,
    SignatureBasis,
    SuspensionKind,
    TerminationGround,
    VersionState,
)
from apps.agreements.querysets import (
    AgreementQuerySet,
    AgreementVersionQuerySet,
    PartyQuerySet,
    StandardClauseQuerySet,
)
from apps.audit.models import WithHistory
from apps.connections.models import ConnectionRequest
from apps.core.models import StatefulModel, TimedModel
from apps.core.search import SearchLineField, search_index
from apps.organizations.models import Organization
from apps.registry.choices import SharingForm

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
            # What the clock asks each minute, and the home page: what ends soon.
            models.Index(
                fields=["valid_to"],
                condition=Q(status__in=["in_force", "suspended"], valid_to__isnull=False),
                name="agreements_agreement_ends",
            ),
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
        """The parties of today, on one side or on both: who left, and who is still joining, has no say and hears nothing."""
        rows = self.present_parties().bound()
        rows = rows.filter(side=side) if side else rows
        return frozenset(rows.values_list("organization_id", flat=True))

    def standing_suspensions(self) -> list:
        """What suspends the agreement at once and is not lifted, oldest first; those of single accesses are not among them."""
        return [row for row in self.suspensions.all() if row.grant_id is None and row.lifted_at is None]

    def what_suspends(self) -> list:
        """The same, or else the planned suspension that runs: each row names its `provider` (empty: the operator)."""
        if self.status != AgreementStatus.SUSPENDED:
            return []
        planned = self.planned_suspensions.open().filter(started_at__isnull=False).select_related("provider")
        return self.standing_suspensions() or list(planned)

    def present_parties(self):
        """The parties of today and who is joining; one that left, or was merged into another, stays in the history only."""
        return self.parties.filter(left_at__isnull=True)

    def party_uuids(self) -> set:
        return set(self.present_parties().bound().values_list("organization__uuid", flat=True))


class Party(models.Model):
    """An organization on one side of an agreement; several on each side (many-to-many from the start)."""

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="parties")
    organization = models.ForeignKey(
        Organization, verbose_name=_("organization"), on_delete=models.PROTECT, related_name="agreement_parties"
    )
    side = models.CharField(_("side"), max_length=10, choices=Side)
    joined_at = models.DateTimeField(_("joined at"), auto_now_add=True)
    left_at = models.DateTimeField(_("left at"), null=True, blank=True)
    is_joining = models.BooleanField(
        _("joining"),
        default=False,
        help_text=_("Named by a version that is not in force: it signs it, and is no party before."),
    )

    objects = PartyQuerySet.as_manager()

    class Meta:
        verbose_name = _("party")
        verbose_name_plural = _("parties")
        ordering = ["-side", "id"]
        constraints = [models.UniqueConstraint(fields=["agreement", "organization"], name="agreements_party_one_side")]
        # The newest agreements of one organization are found at once among a million.
        indexes = [
            models.Index(
                fields=["organization", "-agreement"], include=["is_joining", "left_at"], name="agreements_party_newest"
            ),
            # Who is on a side at all is asked of every agency, also of those with a million on the other.
            models.Index(
                fields=["organization", "side", "-agreement"],
                condition=models.Q(left_at__isnull=True),
                name="agreements_party_side",
            ),
            models.Index(fields=["organization"], condition=models.Q(left_at__isnull=False), name="agreements_party_left"),
        ]

    def __str__(self) -> str:
        return f"{self.organization} ({self.get_side_display()})"

    @property
    def left_as_read(self) -> datetime.datetime | None:
        """`left_at` as told to the reader of `visible_to`: one who had left before does not learn who left after it."""
        until = getattr(self, "read_until", None)
        return None if until and self.left_at and self.left_at > until else self.left_at

    @property
    def is_listed(self) -> bool:
        """Whether lists name it among the parties: those of today, for one who has left those there were then, itself among them."""
        return self.left_as_read in (None, getattr(self, "read_until", None))


class AgreementVersion(TimedModel):
    """One immutable content (canonical JSON of the twenty items) and its hash. A change is a new version."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField(_("version"))
    state = models.CharField(_("state"), max_length=12, choices=VersionState, default=VersionState.DRAFT)
    content = models.JSONField(_("content"))
    content_hash = models.CharField(_("content hash"), max_length=64)
    drafted_by = models.ForeignKey(USER, verbose_name=_("drafted by"), on_delete=models.PROTECT, related_name="+")
    change_note = models.TextField(_("what changed"), blank=True)
    begins_at = models.DateTimeField(
        _("begins at"), null=True, blank=True, help_text=_("When it takes the place of what runs.")
    )

    objects = AgreementVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("agreement version")
        verbose_name_plural = _("agreement versions")
        ordering = ["agreement_id", "-number"]
        # What awaits signatures: few, of many.
        indexes = [models.Index(fields=["agreement"], condition=Q(state="draft"), name="agreements_version_draft")]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "number"], name="agreements_agreementversion_number"),
            models.UniqueConstraint(
                fields=["agreement"], condition=Q(state="current"), name="agreements_agreementversion_one_current"
            ),
            models.UniqueConstraint(
                fields=["agreement"], condition=Q(state="scheduled"), name="agreements_agreementversion_one_scheduled"
            ),
            models.CheckConstraint(
                condition=~Q(state="scheduled") | Q(begins_at__isnull=False), name="agreements_agreementversion_scheduled_when"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.agreement} v{self.number}"

    def service_codes(self) -> set[str]:
        return {row["service"] for row in self.content["scope"]}

    def system_codes(self) -> set[str]:
        return {row["code"] for row in self.content["systems"]}


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


class StandardClause(TimedModel):
    """A standard text of an agreement or another official document, with the article it rests on and its dates of use.

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
