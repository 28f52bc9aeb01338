from __future__ import annotations

from django.db.models import Q
from django_filters import rest_framework as filters

from apps.accounts.models import User
from apps.core.text import words
from apps.organizations.choices import Network, OrganizationKind, OrganizationStatus, Role, SystemKind, SystemStatus
from apps.organizations.models import FocalPoint, InformationSystem, Membership, Organization


class OrganizationFilter(filters.FilterSet):
    q = filters.CharFilter(method="by_text", label="words of the name or identifier, tones not needed", max_length=200)
    code = filters.CharFilter(method="by_code", label="identifier in either form", max_length=35)
    parent = filters.CharFilter(field_name="parent__code", lookup_expr="iexact", label="identifier of the parent")
    kind = filters.ChoiceFilter(choices=OrganizationKind.choices)
    status = filters.ChoiceFilter(choices=OrganizationStatus.choices)
    without_focal_point = filters.BooleanFilter(method="by_missing", label="active agencies that have named none (WF-06)")

    class Meta:
        model = Organization
        fields: list[str] = []

    def by_text(self, rows, _name, value):
        return rows.search(value)

    def by_code(self, rows, _name, value):
        return rows.filter(Q(code=value.upper()) | Q(old_code=value.upper()))

    def by_missing(self, rows, _name, value):
        named = FocalPoint.objects.filter(ended_at__isnull=True).values("organization_id")
        return rows.active().exclude(pk__in=named) if value else rows


class SystemFilter(filters.FilterSet):
    q = filters.CharFilter(method="by_text", label="words of the name or code, tones not needed", max_length=200)
    organization = filters.CharFilter(field_name="organization__code", lookup_expr="iexact", label="identifier of the owner")
    kind = filters.ChoiceFilter(choices=SystemKind.choices)
    status = filters.ChoiceFilter(choices=SystemStatus.choices)
    network = filters.ChoiceFilter(choices=Network.choices)

    class Meta:
        model = InformationSystem
        fields: list[str] = []

    def by_text(self, rows, _name, value):
        return rows.search(value)


class MembershipFilter(filters.FilterSet):
    organization = filters.CharFilter(field_name="organization__code", lookup_expr="iexact")
    user = filters.UUIDFilter(field_name="user__uuid")
    role = filters.ChoiceFilter(choices=Role.choices)
    current = filters.BooleanFilter(field_name="ended_at", lookup_expr="isnull")

    class Meta:
        model = Membership
        fields: list[str] = []


class PersonFilter(filters.FilterSet):
    q = filters.CharFilter(method="by_text", label="words of the name, user name or e-mail", max_length=200)
    organization = filters.CharFilter(method="by_organization", label="identifier of an agency where they hold a role now")
    is_active = filters.BooleanFilter()

    class Meta:
        model = User
        fields: list[str] = []

    def by_text(self, rows, _name, value):
        for word in words(value):
            rows = rows.filter(Q(full_name__icontains=word) | Q(username__icontains=word) | Q(email__icontains=word))
        return rows

    def by_organization(self, rows, _name, value):
        held = Membership.objects.visible_to(self.request.user).current().filter(organization__code__iexact=value)
        return rows.filter(pk__in=held.values("user_id"))
