from __future__ import annotations

from django.db import models
from tree_queries.query import TreeQuerySet

from apps.core.text import words
from apps.organizations.choices import OrganizationStatus, SystemStatus
from apps.organizations.roles import is_platform_reader, organization_ids


class FoldedSearch(models.QuerySet):
    """Search without tones on the `folded` column."""

    def search(self, text: str):
        rows = self
        for word in words(text):
            rows = rows.filter(folded__contains=word)
        return rows


class OrganizationQuerySet(TreeQuerySet, FoldedSearch):
    def active(self):
        return self.filter(status=OrganizationStatus.ACTIVE)

    def by_code(self, code: str):
        """The organization under either form of identifier (H03.12 or 000.00.12.H03), or None."""
        code = (code or "").strip().upper()
        return self.filter(models.Q(code=code) | models.Q(old_code=code)).first() if code else None

    def visible_to(self, user):
        """The directory of agencies is public inside the platform (NĐ 47/2020 Điều 7): any logged-in member reads it."""
        return self.all() if user.is_authenticated and (organization_ids(user) or user.is_superuser) else self.none()


class InformationSystemQuerySet(FoldedSearch):
    def active(self):
        return self.filter(status=SystemStatus.ACTIVE)

    def visible_to(self, user):
        """A member sees the systems of their own organizations; operator, legal officer and auditor see all."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(organization_id__in=organization_ids(user))


class MembershipQuerySet(models.QuerySet):
    def current(self):
        return self.filter(ended_at__isnull=True)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        return self.filter(organization_id__in=organization_ids(user))


class FocalPointQuerySet(models.QuerySet):
    def current(self):
        return self.filter(ended_at__isnull=True)

    def visible_to(self, user):
        """Published inside the platform (WF-01): every member reads the directory; who was it before, the agency and platform readers."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(models.Q(ended_at__isnull=True) | models.Q(organization_id__in=mine)) if mine else self.none()
