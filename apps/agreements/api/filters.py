from __future__ import annotations

from django_filters import rest_framework as filters

from apps.agreements.choices import AcceptanceStatus, AgreementStatus, CredentialStatus, GrantStatus
from apps.agreements.models import AcceptanceRecord, Agreement, Credential, Grant, Party
from apps.core.api.moments import MomentFilter
from apps.registry.choices import Environment, SharingForm


class AgreementFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=AgreementStatus.choices, method="in_status")
    sharing_form = filters.ChoiceFilter(choices=SharingForm.choices)
    party = filters.CharFilter(method="with_party", max_length=35, label="code of a party")
    ends_before = MomentFilter(field_name="ends", lookup_expr="lt")
    q = filters.CharFilter(
        method="search",
        max_length=100,
        label="words of number, title and parties, the last may be a beginning; tones not needed",
    )
    ordering = filters.OrderingFilter(fields={"ends": "valid_to", "in_force_at": "in_force_at", "number": "number"})

    class Meta:
        model = Agreement
        fields: list[str] = []

    def with_party(self, rows, _name, code: str):
        # Who takes data under an agreement is not told to one who is only joining it, by no filter either.
        found = Party.objects.visible_to(self.request.user).bound().filter(organization__code=code).values("agreement")
        return rows.known_in_full_to(self.request.user).filter(pk__in=found)

    def in_status(self, rows, _name, statuses: list[str]):
        return rows.in_status(statuses, self.request.user) if statuses else rows

    def search(self, rows, _name, text: str):
        return rows.found_by(self.request.user, text)


class GrantFilter(filters.FilterSet):
    agreement = filters.UUIDFilter(field_name="agreement__uuid")
    system = filters.CharFilter(field_name="system__code", max_length=60)
    service = filters.CharFilter(field_name="operation__version__service__code", max_length=60)
    environment = filters.ChoiceFilter(choices=Environment.choices)
    status = filters.MultipleChoiceFilter(choices=GrantStatus.choices)

    class Meta:
        model = Grant
        fields: list[str] = []


class CredentialFilter(filters.FilterSet):
    system = filters.CharFilter(field_name="system__code", max_length=60)
    environment = filters.ChoiceFilter(choices=Environment.choices)
    status = filters.MultipleChoiceFilter(choices=CredentialStatus.choices)
    expires_before = MomentFilter(field_name="expires_at", lookup_expr="lt")

    class Meta:
        model = Credential
        fields: list[str] = []


class AcceptanceFilter(filters.FilterSet):
    agreement = filters.UUIDFilter(field_name="agreement__uuid")
    system = filters.CharFilter(field_name="system__code", max_length=60)
    status = filters.MultipleChoiceFilter(choices=AcceptanceStatus.choices)

    class Meta:
        model = AcceptanceRecord
        fields: list[str] = []
