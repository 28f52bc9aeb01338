"""How long a step that an agreement waits for may take: one clock a step, with the rule it began under."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.agreements.choices import StepKind
from apps.agreements.models.access import AcceptanceRecord
from apps.agreements.models.agreement import Agreement
from apps.agreements.step_querysets import StepClockQuerySet
from apps.audit.models import WithHistory
from apps.core.models import TimedModel
from apps.legal.models import LegalRule
from apps.organizations.models import InformationSystem

NOT_OVER = Q(over_at__isnull=True)


class StepClock(WithHistory, TimedModel):
    """The time for one step: to agree on the content, to sign, to test a `system`, to confirm its test `record`.

    Whether the step still waits is told by the agreement itself (`waiting`), so no verb that ends one can forget its clock.
    `over_at` is when a clock was put aside: another of its kind began, or the sweep saw that nothing waits any more. A test's
    may be extended, and says when (`actions.extension`); who did it the audit log knows.
    """

    agreement = models.ForeignKey(Agreement, on_delete=models.PROTECT, related_name="clocks")
    step = models.CharField(_("step"), max_length=12, choices=StepKind)
    system = models.ForeignKey(
        InformationSystem, verbose_name=_("system"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    record = models.ForeignKey(
        AcceptanceRecord, verbose_name=_("acceptance record"), on_delete=models.PROTECT, null=True, related_name="clocks"
    )
    begun_at = models.DateTimeField(_("begun at"))
    half_at = models.DateTimeField(_("half of the time"))
    due_at = models.DateTimeField(_("due"))
    deadline_rule = models.ForeignKey(LegalRule, on_delete=models.PROTECT, related_name="+")
    # Stands still while the agreement is suspended: nobody can take the step then.
    paused_at = models.DateTimeField(_("clock paused"), null=True)
    extended_at = models.DateTimeField(_("extended at"), null=True)
    reminded_at = models.DateTimeField(null=True)
    escalated_at = models.DateTimeField(null=True)
    over_at = models.DateTimeField(null=True)

    objects = StepClockQuerySet.as_manager()

    class Meta:
        verbose_name = _("clock of a step")
        verbose_name_plural = _("clocks of steps")
        ordering = ["due_at", "id"]
        indexes = [models.Index(fields=["half_at"], condition=NOT_OVER, name="agreements_stepclock_running")]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "step", "system", "record"], condition=NOT_OVER, nulls_distinct=False,
                name="agreements_stepclock_one_running",
            ),
            models.CheckConstraint(
                condition=Q(step__in=["negotiate", "sign"], system__isnull=True, record__isnull=True)
                | Q(step="test", system__isnull=False, record__isnull=True)
                | Q(step="confirm", system__isnull=False, record__isnull=False),
                name="agreements_stepclock_whose",
            ),
            models.CheckConstraint(
                condition=Q(half_at__gte=F("begun_at"), due_at__gte=F("half_at")), name="agreements_stepclock_order"
            ),
            models.CheckConstraint(
                condition=Q(extended_at__isnull=True) | Q(step="test", extended_at__gte=F("begun_at")),
                name="agreements_stepclock_extended_test",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.agreement}: {self.get_step_display()}"

    @property
    def is_late(self) -> bool:
        return self.paused_at is None and self.due_at < timezone.now()
