from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.db import models
from django.db.models import Exists, Min, OuterRef, Q

from apps.core.text import words
from apps.organizations.choices import Role
from apps.organizations.roles import is_platform_reader, organization_ids
from apps.registry.choices import FeedbackStatus, PersonalDataClass, ServiceStatus, VersionStatus

LIVE = (VersionStatus.PUBLISHED, VersionStatus.DEPRECATED)


class DataServiceQuerySet(models.QuerySet):
    def live(self):
        """Services with a published version that may be asked for today."""
        return self.filter(status=ServiceStatus.ACTIVE, versions__status__in=LIVE).distinct()

    def visible_to(self, user):
        """Published services are open to every member (NĐ 47/2020 Điều 25); drafts only to their provider and the operator."""
        mine = organization_ids(user)
        if is_platform_reader(user):
            return self.all()
        if not mine:
            return self.none()
        return self.filter(
            Q(provider_id__in=organization_ids(user, Role.PROVIDER_OFFICER, Role.SIGNER))
            | Q(pk__in=self.model.objects.filter(versions__status__in=LIVE).values("pk"))
        )

    def with_personal_data(self, level: str):
        """Services whose live answers hold personal data of the class `level`; "none": no personal data at all."""
        personal = apps.get_model("registry", "Field").objects.filter(
            operation__version__service=OuterRef("pk"), operation__version__status__in=LIVE
        )
        if level == PersonalDataClass.NONE:
            return self.filter(~Exists(personal.exclude(personal_data=PersonalDataClass.NONE)))
        return self.filter(Exists(personal.filter(personal_data=level)))

    def editable_by(self, user):
        return self.filter(provider_id__in=organization_ids(user, Role.PROVIDER_OFFICER))

    def smallest_quota(self) -> int | None:
        """The default number of calls a day that each of these services bears; None where none of them states one."""
        return self.aggregate(least=Min("daily_quota"))["least"]

    def search(self, text: str):
        """Services in which, or in whose provider's names, each word of `text` stands; tones and case aside."""
        rows = self
        for word in words(text):
            rows = rows.filter(Q(folded__contains=word) | Q(provider__folded__contains=word))
        return rows


class ServiceVersionQuerySet(models.QuerySet):
    def live(self):
        return self.filter(status__in=LIVE)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        if not organization_ids(user):
            return self.none()
        mine = organization_ids(user, Role.PROVIDER_OFFICER, Role.SIGNER)
        return self.filter(Q(status__in=LIVE) | Q(service__provider_id__in=mine))


class OperationQuerySet(models.QuerySet):
    def live(self):
        return self.filter(version__status__in=LIVE, version__service__status=ServiceStatus.ACTIVE)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        if not organization_ids(user):
            return self.none()
        mine = organization_ids(user, Role.PROVIDER_OFFICER, Role.SIGNER)
        return self.filter(Q(version__status__in=LIVE) | Q(version__service__provider_id__in=mine))


class UpstreamQuerySet(models.QuerySet):
    def served(self):
        """Addresses the gateway may call today: of live versions of active services."""
        return self.filter(version__status__in=LIVE, version__service__status=ServiceStatus.ACTIVE)

    def due(self, moment):
        """Those whose next probe is due."""
        return self.served().filter(Q(next_probe_at__isnull=True) | Q(next_probe_at__lte=moment))

    def visible_to(self, user):
        """Where a provider answers is the provider's and the platform readers' to know; consumers call the gateway."""
        if is_platform_reader(user):
            return self.all()
        return self.filter(version__service__provider_id__in=organization_ids(user, Role.PROVIDER_OFFICER, Role.SIGNER))


class KeptQuerySet(models.QuerySet):
    def kept_by_any(self, organizations: Iterable[int]):
        """What these agencies answer for: what they issued themselves, and what came to them by a merge."""
        return self.filter(_kept_by_any(organizations))


def _kept_by_any(organizations: Iterable[int]) -> Q:
    ids = list(organizations)
    return Q(kept_by__in=ids) | Q(kept_by__isnull=True, organization__in=ids)


class DefaultShareListQuerySet(KeptQuerySet):
    def in_force(self):
        """The newest list of each provider; of one that was merged away until its successor decided on its own."""
        newest = self.order_by("organization_id", "-decided_on", "-id").distinct("organization_id")
        own = self.model.objects.filter(organization=OuterRef("kept_by"), decided_on__gte=OuterRef("kept_from"))
        return self.filter(~Exists(own), pk__in=newest.values("pk")).order_by("organization_id")

    def visible_to(self, user):
        """Published to every member (NĐ 47/2020 Điều 34)."""
        return self.all() if organization_ids(user) else self.none()


class FeedbackQuerySet(models.QuerySet):
    def open(self):
        return self.filter(status=FeedbackStatus.OPEN)

    def visible_to(self, user):
        """What is said on a service's page is for whoever may see the service."""
        services = apps.get_model("registry", "DataService").objects.visible_to(user)
        return self.filter(service__in=services.values("pk"))


class PurposeQuerySet(models.QuerySet):
    def visible_to(self, user):
        """The coded purposes are public to members."""
        return self.all() if organization_ids(user) else self.none()


class UsageRegulationQuerySet(KeptQuerySet):
    def visible_to(self, user):
        """A published regulation is public to members; an unsigned one only to the agency that keeps it."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(_kept_by_any(mine) | Q(terms_signed_at__isnull=False)) if mine else self.none()
