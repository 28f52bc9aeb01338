from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from tree_queries.fields import TreeNodeForeignKey

from apps.audit.models import WithHistory
from apps.core.models import StatefulModel, TimedModel, VersionedModel
from apps.core.text import clean, fold, sort_key
from apps.organizations.choices import (
    Network,
    OrganizationKind,
    OrganizationStatus,
    Role,
    SystemKind,
    SystemStatus,
)
from apps.organizations.querysets import (
    FocalPointQuerySet,
    InformationSystemQuerySet,
    MembershipQuerySet,
    OrganizationQuerySet,
)

CODE_QD20 = RegexValidator(
    r"^[A-Z][0-9]{2}(\.[A-Z0-9]+)*$",
    _("An identifier of QĐ 20/2020/QĐ-TTg begins with a letter and two digits, groups separated by dots: H03.12."),
)
CODE_OLD = RegexValidator(
    r"^[0-9]{3}\.[0-9]{2}\.[0-9]{2}\.[A-Z][0-9]{2}$", _("The older identifier has the form 000.12.00.H03.")
)
SLUG = RegexValidator(r"^[a-z0-9][a-z0-9-]{1,59}$", _("Small letters, digits and hyphens."))


class Organization(WithHistory, StatefulModel):
    """An agency with its identifier (QĐ 20/2020/QĐ-TTg, Điều 4) and the older form still on the wire (QCVN 102)."""

    name = models.CharField(_("name"), max_length=300)
    short_name = models.CharField(_("short name"), max_length=100, blank=True)
    kind = models.CharField(_("kind"), max_length=20, choices=OrganizationKind, default=OrganizationKind.DEPARTMENT)
    code = models.CharField(_("identifier"), max_length=35, unique=True, validators=[CODE_QD20])
    old_code = models.CharField(_("older identifier"), max_length=20, blank=True, validators=[CODE_OLD])
    parent = TreeNodeForeignKey(
        "self", verbose_name=_("parent organization"), on_delete=models.PROTECT, null=True, blank=True, related_name="children"
    )
    status = models.CharField(_("status"), max_length=20, choices=OrganizationStatus, default=OrganizationStatus.ACTIVE)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=30, blank=True)
    address = models.CharField(_("address"), max_length=300, blank=True)
    folded = models.TextField(editable=False, default="")
    sort_key = models.TextField(editable=False, default="", db_index=True)

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        ordering = ["sort_key", "id"]
        constraints = [
            models.UniqueConstraint(fields=["old_code"], condition=~Q(old_code=""), name="organizations_organization_old_code"),
            models.CheckConstraint(condition=~Q(parent=models.F("id")), name="organizations_organization_not_own_parent"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args, **kwargs):
        self.name = clean(self.name)
        self.folded = fold(f"{self.name} {self.short_name} {self.code} {self.old_code}")
        self.sort_key = sort_key(self.name)
        super().save(*args, **kwargs)

    @property
    def current_focal_points(self) -> list:
        """The focal point named today, as a list of one or none; reads what a list page prefetched."""
        return [row for row in self.focal_points.all() if row.ended_at is None]


class FocalPoint(TimedModel):
    """The officer an agency names for data sharing and publishes (NĐ 47/2020 Điều 7: name, position, function, phone, e-mail)."""

    organization = models.ForeignKey(
        Organization, verbose_name=_("organization"), on_delete=models.PROTECT, related_name="focal_points"
    )
    name = models.CharField(_("full name"), max_length=200)
    position = models.CharField(_("position"), max_length=200)
    function = models.CharField(_("function"), max_length=300, blank=True)
    phone = models.CharField(_("phone"), max_length=30)
    email = models.EmailField(_("e-mail"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = FocalPointQuerySet.as_manager()

    class Meta:
        verbose_name = _("focal point")
        verbose_name_plural = _("focal points")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=Q(ended_at__isnull=True), name="organizations_focalpoint_one_current"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.position})"


class InformationSystem(WithHistory, StatefulModel):
    """A system of an agency: the only subject of a grant. Network and security level per WF-61, SE-03."""

    organization = models.ForeignKey(Organization, verbose_name=_("owner"), on_delete=models.PROTECT, related_name="systems")
    code = models.CharField(_("code"), max_length=60, unique=True, validators=[SLUG])
    name = models.CharField(_("name"), max_length=300)
    kind = models.CharField(_("kind"), max_length=20, choices=SystemKind, default=SystemKind.OTHER)
    network = models.CharField(_("network"), max_length=20, choices=Network, default=Network.TSLCD)
    security_level = models.PositiveSmallIntegerField(
        _("security level"), validators=[MinValueValidator(1), MaxValueValidator(5)], null=True, blank=True
    )
    security_decision = models.CharField(_("decision on the security level"), max_length=100, blank=True)
    security_expires_on = models.DateField(_("security decision expires on"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=20, choices=SystemStatus, default=SystemStatus.ACTIVE)
    folded = models.TextField(editable=False, default="")
    sort_key = models.TextField(editable=False, default="", db_index=True)

    objects = InformationSystemQuerySet.as_manager()

    class Meta:
        verbose_name = _("information system")
        verbose_name_plural = _("information systems")
        ordering = ["sort_key", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(security_level__isnull=True) | Q(security_level__range=(1, 5)),
                name="organizations_informationsystem_level_1_to_5",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args, **kwargs):
        self.name = clean(self.name)
        self.folded = fold(f"{self.name} {self.code}")
        self.sort_key = sort_key(self.name)
        super().save(*args, **kwargs)


class Membership(WithHistory, VersionedModel):
    """A person's role in an organization, from the day it was given until it ended. Never deleted.

    `authority` is by what document a signer signs for the organization (regulations section 8, item 1), by number, date and
    issuer: a deputy or another by an assignment or a letter of authorization. Empty for who signs by office.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.PROTECT, related_name="memberships"
    )
    organization = models.ForeignKey(
        Organization, verbose_name=_("organization"), on_delete=models.PROTECT, related_name="memberships"
    )
    role = models.CharField(_("role"), max_length=20, choices=Role)
    authority = models.CharField(
        _("authorizing document"), max_length=300, blank=True, default="", db_default="",
        help_text=_("Decision or letter that empowers the signer (number, date, issuer); empty for who signs by office."),
    )  # fmt: skip
    version = models.PositiveIntegerField(_("version"), default=1, db_default=1, editable=False)
    """Its default and that of `authority` are the database's too: the release before gives roles while this schema is put under it."""
    given_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("given by"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organization", "role"],
                condition=Q(ended_at__isnull=True),
                name="organizations_membership_once",
            ),
            models.CheckConstraint(
                condition=Q(authority="") | Q(role=Role.SIGNER), name="organizations_membership_authority_of_signer"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} – {self.get_role_display()} – {self.organization}"
