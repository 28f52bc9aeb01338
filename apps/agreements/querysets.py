from __future__ import annotations

from django.db import models
from django.db.models import Exists, OuterRef, Q

from apps.agreements.choices import AgreementStatus, GrantStatus, Side, VersionState
from apps.core.search import SearchLine
from apps.legal.announced import AnnouncedQuerySet
from apps.organizations.roles import is_platform_reader, organization_ids


class AgreementQuerySet(SearchLine):
    def in_force(self):
        return self.filter(status=AgreementStatus.IN_FORCE)

    def open_to_join(self):
        """In force, and its content says that others may ask to join (NĐ 47/2020 Điều 36(4))."""
        versions = self.model._meta.get_field("versions").related_model.objects
        current = versions.filter(state=VersionState.CURRENT, content__open_to_join=True)
        return self.in_force().filter(pk__in=current.values("agreement_id"))

    def visible_to(self, user):
        """The parties, the operator, the legal officer and the auditor (NĐ 47/2020 Điều 36(5), AG-03).

        Also who is joining, of which `reading` says what it reads; one whose joining was declined sees nothing any more.
        """
        return self._with_party(user, Q(is_joining=False) | Q(left_at__isnull=True))

    def read_in_full_by(self, user):
        """Of those, the ones whose parties, systems and history are this person's to read: all but what it is only joining."""
        return self._with_party(user, Q(is_joining=False))

    def _with_party(self, user, bound: Q):
        if is_platform_reader(user):
            return self.all()
        # A semi-join, which the database walks from the newest row on; a join would need DISTINCT over the whole table.
        parties = self.model._meta.get_field("parties").related_model.objects
        return self.filter(Exists(parties.filter(bound, agreement=OuterRef("pk"), organization_id__in=organization_ids(user))))

    def due_to_expire(self, at):
        return self.filter(status__in=(AgreementStatus.IN_FORCE, AgreementStatus.SUSPENDED), valid_to__lte=at)


class PartyQuerySet(models.QuerySet):
    def bound(self):
        """Who has a party's say: not who is still joining, nor whose joining was declined."""
        return self.filter(is_joining=False)

    def visible_to(self, user):
        """Whoever reads the agreement in full; one who joins sees its providers and itself."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        full = Exists(self.model.objects.bound().filter(agreement=OuterRef("agreement"), organization_id__in=mine))
        joins = self.model.objects.filter(agreement=OuterRef("agreement"), organization_id__in=mine, left_at__isnull=True)
        return self.filter(full | Q(Q(side=Side.PROVIDER) | Q(organization_id__in=mine), Exists(joins)))


class AgreementVersionQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Whoever reads the agreement in full; one who joins sees the version it is to sign (with `reading.read`)."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        parties = self.model._meta.get_field("agreement").related_model._meta.get_field("parties").related_model.objects
        rows = parties.filter(agreement=OuterRef("agreement"), organization_id__in=mine)
        named = Q()
        for code in (
            rows.model._meta.get_field("organization").related_model.objects.filter(pk__in=mine).values_list("code", flat=True)
        ):
            named |= Q(content__addendum__joined__contains=code)
        to_sign = Q(named, Exists(rows.filter(left_at__isnull=True)), state=VersionState.DRAFT) if named else Q(pk__in=[])
        return self.filter(Exists(rows.bound()) | to_sign)


class StandardClauseQuerySet(models.QuerySet):
    def texts_on(self, day) -> dict[str, str]:
        """Code → text of every clause in use on `day`; the newest wins."""
        rows = self.filter(effective_from__lte=day).filter(Q(effective_to__isnull=True) | Q(effective_to__gt=day))
        return dict(rows.order_by("effective_from").values_list("code", "text"))


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
        parties = self.model.objects.filter(
            agreement__parties__organization_id__in=mine, agreement__parties__is_joining=False
        ).values("pk")
        return self.filter(pk__in=parties)


class DutyQuerySet(models.QuerySet):
    def visible_to(self, user):
        """The parties of the agreement and the platform's readers."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(
            agreement__in=self.model.objects.filter(
                agreement__parties__organization_id__in=mine, agreement__parties__is_joining=False
            ).values("agreement")
        )


class DutyCertificateQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Whoever sees the duty."""
        duties = self.model._meta.get_field("duty").related_model.objects.visible_to(user)
        return self.filter(duty__in=duties.values("pk"))


class PlannedSuspensionQuerySet(AnnouncedQuerySet):
    def running(self, now):
        """Begun by now and not over, whether or not the clock has come by."""
        return self.open().filter(starts_at__lte=now, ends_at__gt=now)

    def visible_to(self, user):
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(
            pk__in=self.model.objects.filter(
                agreement__parties__organization_id__in=mine, agreement__parties__is_joining=False
            ).values("pk")
        )


class SuspensionQuerySet(models.QuerySet):
    def standing(self):
        return self.filter(lifted_at__isnull=True)


class ConsumerSuspensionQuerySet(models.QuerySet):
    def open(self):
        return self.filter(lifted_at__isnull=True)

    def holding(self, agreement, organization_id: int, provider_id: int):
        """The open suspension that holds grants of `organization_id` on operations of `provider_id` under `agreement`."""
        rows = self.open().filter(agreement=agreement, party__organization_id=organization_id)
        return rows.filter(Q(provider__isnull=True) | Q(provider_id=provider_id))

    def visible_to(self, user):
        """The parties of the agreement and the platform's readers."""
        if is_platform_reader(user):
            return self.all()
        mine = organization_ids(user)
        return self.filter(
            pk__in=self.model.objects.filter(
                agreement__parties__organization_id__in=mine, agreement__parties__is_joining=False
            ).values("pk")
        )
