from __future__ import annotations

import datetime

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimedModel, VersionedModel
from apps.legal.choices import Evidence, Unit
from apps.legal.querysets import CalendarExceptionQuerySet, LegalBasisQuerySet, LegalRuleQuerySet, RefusalGroundQuerySet

DECREE_47 = datetime.date(2020, 5, 25)
"""NĐ 47/2020/NĐ-CP came into force."""
GROUND_CODE = RegexValidator(r"^[A-Z][0-9A-Z]{0,9}$", _("A capital letter and digits: R7."))


class LegalRule(TimedModel):
    """A value the law sets (LEG-01): code, value, unit, citation, the dates between which it holds, its evidence."""

    code = models.CharField(_("code"), max_length=60)
    name = models.CharField(_("name"), max_length=300)
    value = models.DecimalField(_("value"), max_digits=10, decimal_places=2)
    unit = models.CharField(_("unit"), max_length=20, choices=Unit)
    citation = models.CharField(_("legal basis"), max_length=300)
    effective_from = models.DateField(_("effective from"))
    effective_to = models.DateField(_("effective to"), null=True, blank=True)
    evidence = models.CharField(_("evidence"), max_length=4, choices=Evidence)

    objects = LegalRuleQuerySet.as_manager()

    class Meta:
        verbose_name = _("legal rule")
        verbose_name_plural = _("legal rules")
        ordering = ["code", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["code", "effective_from"], name="legal_legalrule_once_a_day"),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gt=F("effective_from")), name="legal_legalrule_period"
            ),
            models.CheckConstraint(condition=Q(value__gte=0), name="legal_legalrule_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.value.normalize():f} {self.get_unit_display()}"


class RefusalGround(TimedModel):
    """A coded ground on which a request may be refused (WF-31, R1-R6), between the dates in which it may be chosen.

    A change is a new row of the same code: a refusal keeps the wording it was given on.
    """

    code = models.CharField(_("code"), max_length=10, validators=[GROUND_CODE])
    name = models.CharField(_("ground"), max_length=300)
    citation = models.CharField(_("legal basis"), max_length=300)
    effective_from = models.DateField(_("effective from"), default=DECREE_47)
    effective_to = models.DateField(_("effective to"), null=True, blank=True)

    objects = RefusalGroundQuerySet.as_manager()

    class Meta:
        verbose_name = _("refusal ground")
        verbose_name_plural = _("refusal grounds")
        ordering = ["code", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["code", "effective_from"], name="legal_refusalground_once_a_day"),
            models.UniqueConstraint(
                fields=["code"], condition=Q(effective_to__isnull=True), name="legal_refusalground_one_open"
            ),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gt=F("effective_from")),
                name="legal_refusalground_period",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code}. {self.name}"


class LegalBasis(TimedModel):
    """The provision on which the gateway refuses calls for one kind of cause, between the dates in which it is cited.

    The codes are those `gateway.refusals` names; another provision is a new row of the same code.
    """

    code = models.CharField(_("code"), max_length=30)
    name = models.CharField(_("what it is about"), max_length=300)
    citation = models.CharField(_("legal basis"), max_length=300)
    effective_from = models.DateField(_("effective from"))
    effective_to = models.DateField(_("effective to"), null=True, blank=True)

    objects = LegalBasisQuerySet.as_manager()

    class Meta:
        verbose_name = _("provision on calls")
        verbose_name_plural = _("provisions on calls")
        ordering = ["code", "-effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["code", "effective_from"], name="legal_legalbasis_once_a_day"),
            models.UniqueConstraint(fields=["code"], condition=Q(effective_to__isnull=True), name="legal_legalbasis_one_open"),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True) | Q(effective_to__gt=F("effective_from")), name="legal_legalbasis_period"
            ),
        ]

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
