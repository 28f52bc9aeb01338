"""The crosswalk: which code of another table says the same as a code of this one, or something near it.

A line is recorded and corrected by releases of the table it leads from, as entries and successions are.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.catalogs.choices import Relation
from apps.catalogs.querysets import SuccessionQuerySet


class Line(models.Model):
    """What a line says. `other_code` is empty where it says that nothing corresponds."""

    level = models.CharField(_("level"), max_length=30, db_collation="C")
    code = models.CharField(_("code"), max_length=60, db_collation="C")
    other_level = models.CharField(_("level in the other table"), max_length=30, blank=True, db_collation="C")
    other_code = models.CharField(_("code in the other table"), max_length=60, blank=True, db_collation="C")
    relation = models.CharField(_("relation"), max_length=10, choices=Relation)
    valid_to = models.DateField(_("valid to (not included)"), null=True, blank=True)
    legal_basis = models.CharField(_("legal basis or source"), max_length=300, blank=True)
    note = models.TextField(_("note"), blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.code} {self.relation} {self.other_code or '∅'}"

    @property
    def relation_label(self) -> object:
        return dict(Relation.choices).get(self.relation, self.relation)


class Correspondence(Line):
    """A published line, with its valid time and its record time."""

    catalog = models.ForeignKey(
        "catalogs.Catalog", on_delete=models.PROTECT, related_name="correspondences", db_constraint=False, db_index=False
    )
    other = models.ForeignKey(
        "catalogs.Catalog", verbose_name=_("the other table"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    valid_from = models.DateField(_("valid from"))
    recorded_in = models.PositiveIntegerField(_("recorded in release"))
    superseded_in = models.PositiveIntegerField(_("corrected in release"), null=True, blank=True)

    objects = SuccessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("line of a crosswalk")
        verbose_name_plural = _("lines of crosswalks")
        ordering = ["level", "code", "other_level", "other_code", "valid_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["catalog", "other", "level", "code", "other_level", "other_code", "valid_from"],
                condition=Q(superseded_in__isnull=True),
                name="catalogs_correspondence_once",
            ),
            models.CheckConstraint(
                condition=Q(relation=Relation.NONE, other_code="") | (~Q(relation=Relation.NONE) & ~Q(other_code="")),
                name="catalogs_correspondence_none_has_no_code",
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")), name="catalogs_correspondence_ends_later"
            ),
            models.CheckConstraint(condition=~Q(other=F("catalog")), name="catalogs_correspondence_other_table"),
        ]
        indexes = [
            models.Index(fields=["other", "catalog", "other_level", "other_code"], name="catalogs_correspondence_back"),
        ]


class StagedCorrespondence(Line):
    """A line as it arrived with a release. `valid_from` is empty where it says none: the effective day of the release."""

    release = models.ForeignKey("catalogs.Release", on_delete=models.CASCADE, related_name="staged_correspondences")
    other = models.ForeignKey("catalogs.Catalog", on_delete=models.PROTECT, related_name="+", db_index=False)
    row_no = models.PositiveIntegerField(_("row"))
    valid_from = models.DateField(_("valid from"), null=True)
    problems = ArrayField(models.CharField(max_length=30), verbose_name=_("problems"), default=list)

    class Meta:
        verbose_name = _("staged line of a crosswalk")
        verbose_name_plural = _("staged lines of crosswalks")
        ordering = ["row_no"]
