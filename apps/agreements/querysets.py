from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.agreements.choices import AgreementStatus, GrantStatus
from apps.organizations.roles import is_platform_reader, organization_ids


class AgreementQuerySet(models.QuerySet):
    def in_force(self):
        return self.filter(status=AgreementStatus.IN_FORCE)

    def visible_to(self, user):
        """The parties, the operator, the legal officer and the auditor (NĐ 47/2020 Điều 36(5), AG-03)."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(parties__organization_id__in=mine).distinct() if mine else self.none()


class GrantQuerySet(models.QuerySet):
    def open(self):
        return self.exclude(status=GrantStatus.ENDED)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(Q(system__organization_id__in=mine) | Q(operation__version__service__provider_id__in=mine))


class CredentialQuerySet(models.QuerySet):
    def visible_to(self, user):
        """The system's own organization; platform readers see that it exists, never the secret (there is none to see)."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(system__organization_id__in=organization_ids(user))


class AcceptanceQuerySet(models.QuerySet):
    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(agreement__parties__organization_id__in=mine).distinct() if mine else self.none()
