from __future__ import annotations

import datetime

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimedModel, VersionedModel
from apps.legal.choices import ONE, Evidence, Unit
from apps.legal.querysets import CalendarExceptionQuerySet, LegalBasisQuerySet, LegalRuleQuerySet, RefusalGroundQuerySet

DECREE_47 = datetime.date(2020, 5, 25)
"""NĐ 47/2020/NĐ-CP came into force."""
GROUND_CODE = RegexValidator(r"^[A-Z][0-9A-Z]{0,9}$", _("A capital letter and digits: R7."))


class BetweenDates(TimedModel):
    """A row of law with its citation, in force from one day up to another (exclusive; None: without an end).

    A change is a new row of the same code: what was decided on the old one keeps it.
    """

    citation = models.CharField(_("legal basis"), max_length=300)
    effective_from = models.DateField(_("effective from"))
    effective_to = models.DateField(_("effective to"), null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ["code", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["code", "effective_from"], name="%(app_label)s_%(class)s_once_a_day"),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gt=F("effective_from")),
                name="%(app_label)s_%(class)s_period",
            ),
        ]


def _one_open() -> models.UniqueConstraint:
    """A code has one row without an end."""
    return models.UniqueConstraint(
        fields=["code"], condition=Q(effective_to__isnull=True), name="%(app_label)s_%(class)s_one_open"
    )


class LegalRule(BetweenDates):
    """A value the law sets (LEG-01): code, value, unit, citation, the dates between which it holds, its evidence."""

    code = models.CharField(_("code"), max_length=60)
    name = models.CharField(_("name"), max_length=300)
    value = models.DecimalField(_("value"), max_digits=10, decimal_places=2)
    unit = models.CharField(_("unit"), max_length=20, choices=Unit)
    evidence = models.CharField(_("evidence"), max_length=4, choices=Evidence)

    objects = LegalRuleQuerySet.as_manager()

    class Meta(BetweenDates.Meta):
        verbose_name = _("legal rule")
        verbose_name_plural = _("legal rules")
        constraints = [
            *BetweenDates.Meta.constraints,
            models.CheckConstraint(condition=Q(value__gte=0), name="legal_legalrule_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.amount}"

    @property
    def amount(self) -> str:
        """The value with its unit, as a sentence says it: 7 working days."""
        if self.value == 1 and self.unit in ONE:
            return str(ONE[self.unit])
        return f"{self.value.normalize():f} {self.get_unit_display()}"


class RefusalGround(BetweenDates):
    """A coded ground on which a request may be refused (WF-31, R1-R6), between the dates in which it may be chosen."""

    code = models.CharField(_("code"), max_length=10, validators=[GROUND_CODE])
    name = models.CharField(_("ground"), max_length=300)
    effective_from = models.DateField(_("effective from"), default=DECREE_47)

    objects = RefusalGroundQuerySet.as_manager()

    class Meta(BetweenDates.Meta):
        verbose_name = _("refusal ground")
        verbose_name_plural = _("refusal grounds")
        constraints = [*BetweenDates.Meta.constraints, _one_open()]

    def __str__(self) -> str:
        return f"{self.code}. {self.name}"


class LegalBasis(BetweenDates):
    """The provision on which the gateway refuses calls for one kind of cause, between the dates in which it is cited.

    The codes are those `gateway.refusals` names.
    """

    code = models.CharField(_("code"), max_length=30)
    name = models.CharField(_("what it is about"), max_length=300)

    objects = LegalBasisQuerySet.as_manager()

    class Meta(BetweenDates.Meta):
        verbose_name = _("provision on calls")
        verbose_name_plural = _("provisions on calls")
        constraints = [*BetweenDates.Meta.constraints, _one_open()]

    def __str__(self) -> str:
        return f"{self.name}: {self.citation}"


class CalendarException(VersionedModel):
    """A day the Government made a working day or a day off, on top of the public-holiday library."""

    day = models.DateField(_("day"), unique=True)
    is_working = models.BooleanField(_("is a working day"))
    reason = models.CharField(_("reason"), max_length=300)
    citation = models.CharField(_("legal basis"), max_length=300)

    objects = CalendarExceptionQuerySet.as_manager()

    class Meta:
        verbose_name = _("calendar exception")
        verbose_name_plural = _("calendar exceptions")
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day:%d/%m/%Y} {self.reason}"
