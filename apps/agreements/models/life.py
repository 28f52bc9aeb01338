"""What happens to an agreement in force: suspensions, and the duties before it ends."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import AgreementStatus, DutyKind, GrantStatus, SuspensionKind
from apps.agreements.models.agreement import Agreement, Party
from apps.agreements.querysets import (
    ConsumerSuspensionQuerySet,
    DutyCertificateQuerySet,
    DutyQuerySet,
    PlannedSuspensionQuerySet,
    SuspensionQuerySet,
)
from apps.core.models import TimedModel
from apps.legal.announced import OPEN, AnnouncedPeriod
from apps.organizations.models import Organization

USER = settings.AUTH_USER_MODEL


class PlannedSuspension(AnnouncedPeriod):
    """A suspension announced beforehand (NĐ 47/2020 Điều 43(1)(a), (3)): begins and ends by the clock, shown as a banner."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="planned_suspensions")
    started_at = models.DateTimeField(_("begun at"), null=True, blank=True)
    # In whose name it was announced; empty: the operator's.
    provider = models.ForeignKey(
        Organization, verbose_name=_("provider"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

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


class Suspension(TimedModel):
    """Who suspended an agreement, or one access under it (`grant`), at once, and why (NĐ 47/2020 Điều 43).

    Several may stand side by side, one of each provider and one of the operator (`provider` empty); what they suspend is
    open again when none stands. `since` goes with a reason that is carried to the access of the next version. Of a violation
    of the agreement `notice_due_at` is when the parties had to know at the latest (Điều 43(5), WF-42).
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="suspensions")
    grant = models.ForeignKey("agreements.Grant", on_delete=models.PROTECT, null=True, blank=True, related_name="suspensions")
    provider = models.ForeignKey(
        Organization, verbose_name=_("provider"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(_("kind of suspension"), max_length=20, choices=SuspensionKind, blank=True)
    reason = models.TextField(_("reason"))
    handling_plan = models.TextField(_("handling plan"), blank=True)
    restore_conditions = models.TextField(_("what to do to restore"), blank=True)
    since = models.DateTimeField(_("suspended at"))
    determined_at = models.DateTimeField(_("violation determined at"), null=True, blank=True)
    notice_due_at = models.DateTimeField(_("parties to be told by"), null=True, blank=True)
    suspended_by = models.ForeignKey(USER, verbose_name=_("suspended by"), on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(_("lifted at"), null=True, blank=True)
    lifted_by = models.ForeignKey(USER, verbose_name=_("lifted by"), on_delete=models.PROTECT, null=True, related_name="+")
    comment = models.TextField(_("comment"), blank=True)

    objects = SuspensionQuerySet.as_manager()

    class Meta:
        verbose_name = _("suspension")
        verbose_name_plural = _("suspensions")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "grant", "provider"], condition=Q(lifted_at__isnull=True), nulls_distinct=False,
                name="agreements_suspension_one_standing",
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True) | Q(lifted_by__isnull=False), name="agreements_suspension_lifted_by"
            ),
            models.CheckConstraint(
                condition=Q(determined_at__isnull=True, notice_due_at__isnull=True)
                | Q(determined_at__isnull=False, notice_due_at__isnull=False),
                name="agreements_suspension_notice",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.agreement}: {self.reason}"

    @property
    def was_told_late(self) -> bool:
        return self.notice_due_at is not None and self.since > self.notice_due_at


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

    def leaves_nothing_closed(self) -> bool:
        """Once it is lifted: whether all it reached runs, suspended neither alone, nor by another, nor with the agreement."""
        grants = self.agreement.grants.open().filter(system__organization=self.party.organization_id)
        if self.provider_id:
            grants = grants.filter(operation__version__service__provider=self.provider_id)
        states = set(grants.values_list("status", flat=True))
        return self.agreement.status == AgreementStatus.IN_FORCE and states == {GrantStatus.ACTIVE}


class Duty(TimedModel):
    """What is to be done before an agreement ends (NĐ 47/2020 Điều 44(2), WF-43): the checklist of a termination."""

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="duties")
    party = models.ForeignKey(Party, verbose_name=_("whose duty"), on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(_("duty"), max_length=30, choices=DutyKind)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)
    done_by = models.ForeignKey(USER, verbose_name=_("done by"), on_delete=models.PROTECT, null=True, related_name="+")
    note = models.TextField(_("how it was done"), blank=True)
    # Of one that had left, and was bound again by a merge: the next end asks for it anew.
    is_past = models.BooleanField(_("done before the party came back"), default=False)

    objects = DutyQuerySet.as_manager()

    class Meta:
        verbose_name = _("duty")
        verbose_name_plural = _("duties")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "party", "kind"], condition=Q(is_past=False), name="agreements_duty_once"
            ),
            models.CheckConstraint(condition=Q(is_past=False) | Q(done_at__isnull=False), name="agreements_duty_past_is_done"),
        ]

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
