"""Catalogs, their releases, and the entries and successions that releases record.

`Entry` and `Succession` hold changes, not copies of whole lists: a release that changes 11 rows writes 11 rows. Their
record time is the release's `number`; composite foreign keys (migration 0002) tie it to a release of the same catalog,
and triggers refuse every change but closing and superseding once.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from apps.audit.models import WithHistory
from apps.catalogs.choices import (
    LIVE_STATUSES,
    OPEN_STATUSES,
    EffectiveRule,
    HoldReason,
    ReleaseStatus,
    Scope,
    Share,
    SuccessionKind,
)
from apps.catalogs.crosswalk_models import Correspondence, StagedCorrespondence
from apps.catalogs.querysets import CatalogQuerySet, EntryQuerySet, ReleaseQuerySet, SnapshotQuerySet, SuccessionQuerySet
from apps.catalogs.webhook_models import Webhook
from apps.core.models import StatefulModel, TimedModel
from apps.core.text import clean, fold, sort_key

SLUG = RegexValidator(r"^[a-z0-9][a-z0-9-]{1,59}$", _("Small letters, digits and hyphens."))


__all__ = [
    "SLUG", "Catalog", "Correspondence", "Entry", "Release", "Snapshot", "StagedCorrespondence", "StagedEntry", "StagedSuccession",
    "Succession", "Webhook",
]  # fmt: skip


class Catalog(TimedModel):
    """A code list issued by an authority for common use (NĐ 47/2020 Điều 3 khoản 7), with the instrument that issued it.

    `levels` is a list of `{"code", "name", "pattern", "parents": [level codes]}`, uppermost first: the code pattern
    (a regular expression on the whole code) and which levels a parent may be of, nearest first.
    """

    code = models.CharField(_("code"), max_length=60, unique=True, validators=[SLUG])
    name = models.CharField(_("name"), max_length=300)
    description = models.TextField(_("description"), blank=True)
    issuing_body = models.CharField(_("issuing body"), max_length=300, blank=True)
    instrument = models.CharField(_("instrument"), max_length=300, blank=True)
    instrument_number = models.CharField(_("number of the instrument"), max_length=100, blank=True)
    instrument_date = models.DateField(_("date of the instrument"), null=True, blank=True)
    effective_from = models.DateField(_("effective from"), null=True, blank=True)
    effective_to = models.DateField(_("effective to"), null=True, blank=True)
    scheme = models.CharField(
        _("scheme"), max_length=200, blank=True, help_text=_("Codes clash between schemes: it travels with them.")
    )
    levels = models.JSONField(_("levels"), default=list)
    is_public = models.BooleanField(_("open to everybody"), default=True, help_text=_("Otherwise an account is needed."))
    is_sample = models.BooleanField(_("sample data"), default=False)
    publishes_itself = models.BooleanField(_("harmless releases publish themselves"), default=False)
    effective_rule = models.CharField(
        _("proposed effective day"), max_length=20, choices=EffectiveRule, default=EffectiveRule.TODAY
    )
    brake_closed_percent = models.DecimalField(_("brake: codes ended, percent"), max_digits=5, decimal_places=2, default=2)
    brake_short_percent = models.DecimalField(
        _("brake: shortest list, percent of the live one"), max_digits=5, decimal_places=2, default=80
    )
    brake_grown_percent = models.PositiveIntegerField(_("brake: longest list, percent of the live one"), default=300)
    brake_citation = models.CharField(_("ground of the brake"), max_length=300, blank=True)
    current = models.ForeignKey(
        "Release",
        verbose_name=_("current release"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
    )
    preferred = models.ForeignKey(
        "self",
        verbose_name=_("preferred table"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="others",
        editable=False,
        help_text=_("The table that tells the same things and is to be used instead (TT 13/2017 Điều 15 khoản 1 điểm b)."),
    )
    preference_basis = models.CharField(_("ground of the preference"), max_length=300, blank=True, editable=False)
    writes = models.BigIntegerField(default=0, editable=False, help_text="Raised by the overlap guard: serializes writers.")
    folded = models.TextField(editable=False, default="")
    sort_key = models.TextField(editable=False, default="", db_collation="C")

    objects = CatalogQuerySet.as_manager()

    class Meta:
        verbose_name = _("shared catalog")
        verbose_name_plural = _("shared catalogs")
        ordering = ["sort_key", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(brake_closed_percent__range=(0, 100), brake_short_percent__range=(0, 100)),
                name="catalogs_catalog_brake_is_a_percentage",
            ),
            models.CheckConstraint(condition=Q(brake_grown_percent__gte=100), name="catalogs_catalog_brake_lets_grow"),
            models.CheckConstraint(condition=~Q(preferred=F("id")), name="catalogs_catalog_prefers_another"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args, **kwargs):
        self.name = clean(self.name)
        self.folded = fold(f"{self.name} {self.code}")
        self.sort_key = sort_key(self.name)
        super().save(*args, **kwargs)

    @cached_property
    def same_tables(self) -> list[Catalog]:
        """The tables that tell the same things, this one among them, the preferred one first; empty where there is one only."""
        first = self.preferred or self
        others = sorted(first.others.all(), key=lambda other: (other.sort_key, other.pk))
        return [first, *others] if others else []

    @property
    def level_codes(self) -> list[str]:
        return [level["code"] for level in self.levels]

    def level_name(self, code: str) -> str:
        return next((level.get("name") or code for level in self.levels if level["code"] == code), code)


class Release(WithHistory, StatefulModel):
    """One delivery of a catalog: staged, judged, published. `number` orders published releases in record time."""

    catalog = models.ForeignKey(Catalog, verbose_name=_("catalog"), on_delete=models.PROTECT, related_name="releases")
    number = models.PositiveIntegerField(_("number"), null=True, editable=False)
    status = models.CharField(_("status"), max_length=20, choices=ReleaseStatus, default=ReleaseStatus.STAGED)
    source = models.CharField(_("source"), max_length=100)
    scope = models.CharField(_("scope"), max_length=10, choices=Scope, default=Scope.FULL)
    levels = ArrayField(models.CharField(max_length=30), verbose_name=_("levels"), default=list, blank=True)
    effective_on = models.DateField(_("effective day"))
    instrument = models.CharField(_("instrument"), max_length=300, blank=True)
    instrument_date = models.DateField(_("date of the instrument"), null=True, blank=True)
    note = models.TextField(_("note"), blank=True)
    rows = models.PositiveIntegerField(_("rows"), default=0)
    expected_rows = models.PositiveIntegerField(_("rows announced by the source"), null=True, blank=True)
    counts = models.JSONField(_("counts"), default=dict)
    hold_reasons = ArrayField(models.CharField(max_length=30, choices=HoldReason), verbose_name=_("reasons"), default=list)
    accepted = ArrayField(models.CharField(max_length=30, choices=HoldReason), verbose_name=_("reasons accepted"), default=list)
    decision_note = models.TextField(_("reason of the decision"), blank=True)
    content_digest = models.CharField(max_length=64, blank=True, editable=False)
    judged_on = models.ForeignKey(
        "self", verbose_name=_("judged against"), on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    judged_at = models.DateTimeField(_("judged at"), null=True, editable=False)
    staged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("staged by"), on_delete=models.PROTECT, related_name="+", editable=False
    )
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("published by"),
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        editable=False,
    )
    published_at = models.DateTimeField(_("published at"), null=True, editable=False)
    inverse_of = models.OneToOneField(
        "self", verbose_name=_("undoes"), on_delete=models.PROTECT, null=True, related_name="undone_by", editable=False
    )

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        verbose_name = _("catalog release")
        verbose_name_plural = _("catalog releases")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["catalog", "number"], name="catalogs_release_number"),
            models.UniqueConstraint(
                fields=["catalog", "source"], condition=Q(status__in=OPEN_STATUSES), name="catalogs_release_one_open_per_source"
            ),
            models.CheckConstraint(
                condition=(
                    Q(status__in=LIVE_STATUSES, number__isnull=False, published_at__isnull=False, published_by__isnull=False)
                    | (~Q(status__in=LIVE_STATUSES) & Q(number__isnull=True, published_at__isnull=True))
                ),
                name="catalogs_release_number_means_published",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.catalog.code} {self.number or '–'} ({self.source_kind})"

    @property
    def source_kind(self) -> str:
        """What everybody may know of the source: behind the colon stands whose list it is, or which feed."""
        return self.source.partition(":")[0]


class Entry(models.Model):
    """A code's meaning over a stretch of valid time. `valid_to` is the first day on which it no longer holds.

    As known in release n: recorded_in ≤ n, superseded_in is empty or > n, and the end counts only if closed_in ≤ n.
    """

    catalog = models.ForeignKey(Catalog, on_delete=models.PROTECT, related_name="entries", db_constraint=False, db_index=False)
    level = models.CharField(_("level"), max_length=30, db_collation="C")
    code = models.CharField(_("code"), max_length=60, db_collation="C")
    valid_from = models.DateField(_("valid from"))
    valid_to = models.DateField(_("valid to (not included)"), null=True, blank=True)
    recorded_in = models.PositiveIntegerField(_("recorded in release"))
    closed_in = models.PositiveIntegerField(_("end recorded in release"), null=True, blank=True)
    superseded_in = models.PositiveIntegerField(_("corrected in release"), null=True, blank=True)
    name = models.CharField(_("name"), max_length=500)
    full_name = models.CharField(_("full name"), max_length=500)
    parent_level = models.CharField(_("level of the parent"), max_length=30, blank=True, db_collation="C")
    parent_code = models.CharField(_("parent"), max_length=60, blank=True, db_collation="C")
    attributes = models.JSONField(_("attributes"), default=dict)
    folded = models.TextField(editable=False, default="", db_collation="C")
    sort_key = models.TextField(editable=False, default="", db_collation="C")

    objects = EntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("catalog entry")
        verbose_name_plural = _("catalog entries")
        ordering = ["level", "code", "valid_from", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["catalog", "level", "code", "valid_from", "recorded_in"], name="catalogs_entry_recorded_once"
            ),
            models.CheckConstraint(
                condition=Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")), name="catalogs_entry_ends_later"
            ),
            models.CheckConstraint(
                condition=Q(closed_in__isnull=True) | Q(valid_to__isnull=False), name="catalogs_entry_closed_has_end"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.full_name}"


class Succession(models.Model):
    """What became of an old unit on a day: one row a pair. `new_code` is empty where it ended without heir."""

    catalog = models.ForeignKey(
        Catalog, on_delete=models.PROTECT, related_name="successions", db_constraint=False, db_index=False
    )
    old_level = models.CharField(_("level of the old unit"), max_length=30, db_collation="C")
    old_code = models.CharField(_("old code"), max_length=60, db_collation="C")
    new_level = models.CharField(_("level of the new unit"), max_length=30, blank=True, db_collation="C")
    new_code = models.CharField(_("new code"), max_length=60, blank=True, db_collation="C")
    kind = models.CharField(_("kind"), max_length=10, choices=SuccessionKind)
    effective_on = models.DateField(_("effective day"))
    legal_basis = models.CharField(_("legal instrument"), max_length=300, blank=True)
    area_share = models.CharField(_("share of the area"), max_length=4, choices=Share)
    population_share = models.CharField(_("share of the population"), max_length=4, choices=Share)
    note = models.TextField(_("note"), blank=True)
    recorded_in = models.PositiveIntegerField(_("recorded in release"))
    superseded_in = models.PositiveIntegerField(_("corrected in release"), null=True, blank=True)

    objects = SuccessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("succession")
        verbose_name_plural = _("successions")
        ordering = ["effective_on", "old_level", "old_code", "new_level", "new_code"]
        constraints = [
            models.UniqueConstraint(
                fields=["catalog", "old_level", "old_code", "effective_on", "new_level", "new_code"],
                condition=Q(superseded_in__isnull=True),
                name="catalogs_succession_pair_once",
            ),
            models.CheckConstraint(
                condition=Q(kind=SuccessionKind.ENDED, new_code="") | (~Q(kind=SuccessionKind.ENDED) & ~Q(new_code="")),
                name="catalogs_succession_ended_has_no_heir",
            ),
        ]
        indexes = [
            models.Index(fields=["catalog", "new_level", "new_code", "effective_on"], name="catalogs_succession_new"),
        ]

    def __str__(self) -> str:
        return f"{self.old_code} → {self.new_code or '∅'} ({self.effective_on:%d/%m/%Y})"


class StagedEntry(models.Model):
    """A row as it arrived, apart from what is live. `problems` are the codes of why it is refused."""

    release = models.ForeignKey(
        Release, on_delete=models.CASCADE, related_name="staged_entries", db_constraint=False, db_index=False
    )
    row_no = models.PositiveIntegerField(_("row"))
    level = models.CharField(_("level"), max_length=30, db_collation="C")
    code = models.CharField(_("code"), max_length=60, db_collation="C")
    name = models.CharField(_("name"), max_length=500)
    full_name = models.CharField(_("full name"), max_length=500)
    parent_level = models.CharField(_("level of the parent"), max_length=30, blank=True, db_collation="C")
    parent_code = models.CharField(_("parent"), max_length=60, blank=True, db_collation="C")
    valid_from = models.DateField(_("valid from"), null=True)
    valid_to = models.DateField(_("valid to (not included)"), null=True)
    closes = models.BooleanField(_("ends the code"), default=False)
    attributes = models.JSONField(_("attributes"), default=dict)
    folded = models.TextField(default="", db_collation="C")
    sort_key = models.TextField(default="", db_collation="C")
    problems = ArrayField(models.CharField(max_length=30), verbose_name=_("problems"), default=list)
    reused = models.BooleanField(_("code re-used with another meaning"), default=False)

    class Meta:
        verbose_name = _("staged row")
        verbose_name_plural = _("staged rows")
        ordering = ["row_no"]
        # The rows of a release lie together; a tree over one value for 100,000 rows cost a fifth of writing them.
        indexes = [BrinIndex(fields=["release"], name="catalogs_staged_release", autosummarize=True, pages_per_range=32)]

    def __str__(self) -> str:
        return f"{self.row_no}: {self.code} {self.full_name}"


class StagedSuccession(models.Model):
    """A line of lineage as it arrived with a release."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="staged_successions")
    row_no = models.PositiveIntegerField()
    old_level = models.CharField(max_length=30, db_collation="C")
    old_code = models.CharField(max_length=60, db_collation="C")
    new_level = models.CharField(max_length=30, blank=True, db_collation="C")
    new_code = models.CharField(max_length=60, blank=True, db_collation="C")
    kind = models.CharField(max_length=10, choices=SuccessionKind)
    effective_on = models.DateField(null=True)
    legal_basis = models.CharField(max_length=300, blank=True)
    area_share = models.CharField(max_length=4, choices=Share)
    population_share = models.CharField(max_length=4, choices=Share)
    note = models.TextField(blank=True)
    problems = ArrayField(models.CharField(max_length=30), default=list)

    class Meta:
        ordering = ["row_no"]

    def __str__(self) -> str:
        return f"{self.row_no}: {self.old_code} → {self.new_code}"


class Snapshot(models.Model):
    """The entries of one level over a stretch of days, as JSON lines rendered when the release was published.

    Lists, pages and items are cut from these bytes by `render.py`, for the portal and for the fast reader alike.
    """

    catalog = models.ForeignKey(Catalog, on_delete=models.PROTECT, related_name="snapshots")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="snapshots")
    level = models.CharField(max_length=30, db_collation="C")
    day_from = models.DateField()
    day_to = models.DateField(null=True)
    items = models.PositiveIntegerField()
    codes = ArrayField(models.CharField(max_length=60, db_collation="C"))
    body = models.BinaryField()

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["release", "level", "day_from"], name="catalogs_snapshot_once"),
        ]

    def __str__(self) -> str:
        return f"{self.release} {self.level} {self.day_from}"
