from __future__ import annotations

from django.db.models import Q
from django_filters import rest_framework as filters

from apps.registry.choices import PersonalDataClass, Protocol, ServiceStatus, SharingForm, VersionStatus
from apps.registry.models import DataService, DefaultShareList, ServiceVersion, UsageRegulation


class ServiceFilter(filters.FilterSet):
    q = filters.CharFilter(method="by_text", label="words of name, code or description, tones not needed", max_length=200)
    provider = filters.CharFilter(field_name="provider__code", lookup_expr="iexact", label="identifier of the provider")
    sharing_form = filters.ChoiceFilter(choices=SharingForm.choices)
    protocol = filters.ChoiceFilter(choices=Protocol.choices)
    status = filters.ChoiceFilter(choices=ServiceStatus.choices)
    is_master_data = filters.BooleanFilter()
    personal_data = filters.ChoiceFilter(
        choices=PersonalDataClass.choices, method="by_personal_data",
        label="holds personal data of this class; none: no personal data at all",
    )  # fmt: skip
    live = filters.BooleanFilter(method="by_live", label="may be asked for today")

    class Meta:
        model = DataService
        fields: list[str] = []

    def by_text(self, rows, _name, value):
        return rows.search(value)

    def by_personal_data(self, rows, _name, value):
        return rows.with_personal_data(value)

    def by_live(self, rows, _name, value):
        return rows.filter(pk__in=rows.model.objects.live().values("pk")) if value else rows


class VersionFilter(filters.FilterSet):
    service = filters.CharFilter(field_name="service__code")
    status = filters.ChoiceFilter(choices=VersionStatus.choices)

    class Meta:
        model = ServiceVersion
        fields: list[str] = []


class KeptFilter(filters.FilterSet):
    def by_keeper(self, rows, _name, value):
        return rows.filter(Q(kept_by__code__iexact=value) | Q(kept_by=None, organization__code__iexact=value))


class RegulationFilter(KeptFilter):
    organization = filters.CharFilter(method="by_keeper", label="the agency that answers for it: the issuer or its successor")
    signed = filters.BooleanFilter(field_name="terms_signed_at", lookup_expr="isnull", exclude=True)

    class Meta:
        model = UsageRegulation
        fields: list[str] = []


class DefaultListFilter(KeptFilter):
    organization = filters.CharFilter(method="by_keeper", label="the agency that answers for it: the issuer or its successor")
    in_force = filters.BooleanFilter(method="by_force", label="the newest list of each provider")

    class Meta:
        model = DefaultShareList
        fields: list[str] = []

    def by_force(self, rows, _name, value):
        return rows.filter(pk__in=DefaultShareList.objects.in_force().values("pk")) if value else rows
