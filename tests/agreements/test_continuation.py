"""What is begun on an agreement keeps who shares and how: nobody is bound by what it has not signed (NĐ 47/2020 Điều 36, 38)."""

from __future__ import annotations

import pytest

from apps.agreements.actions import approve_request, start_change, start_join, start_renewal
from apps.agreements.continuation import nameable
from apps.agreements.models import Agreement, Party
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.connections.choices import RequestStatus
from apps.connections.completeness import missing
from apps.connections.models import ConnectionRequest
from apps.core.errors import FactMissing
from apps.organizations.choices import Role
from apps.registry.actions import change_service
from apps.registry.choices import SharingForm
from apps.registry.models import DataService
from tests.factories.agreements import accepted, signed_special
from tests.factories.connections import World, considered, forwarded
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory, operation_of


def begun(w: World, agreement: Agreement, verb=start_change, **changes) -> ConnectionRequest:
    request = verb(agreement, by=w.consumer_officer)
    return save_draft(request, by=w.consumer_officer, change_reason="Thêm thủ tục mới.", **changes)


def decided(w: World, request: ConnectionRequest) -> Agreement:
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    return approve_request(request, by=w.provider_officer)


def gaps(request: ConnectionRequest) -> list[str]:
    return [text for field, text in missing(request, signatures=False) if field == "scope"]


def of_two_providers(w: World) -> tuple[Agreement, DataService]:
    service = PublishedServiceFactory()
    request = forwarded(w, scope={w.operation: w.fields(), operation_of(service): w.fields()})
    approve_request(request, by=w.provider_officer)
    return approve_request(request, by=officer(Role.PROVIDER_OFFICER, service.provider)), service


@pytest.mark.parametrize("verb", [start_change, start_renewal])
def test_another_providers_service_is_for_a_new_request(w, verb):
    agreement = accepted(w)
    other = PublishedServiceFactory()
    request = begun(w, agreement, verb, scope={w.operation: w.fields(), operation_of(other): w.fields()})
    (told,) = gaps(request)
    assert w.provider.name in told
    with pytest.raises(FactMissing) as caught:
        sign_request(request, by=w.consumer_signer)
    assert "scope" in caught.value.extra["fields"]
    assert other not in nameable(request, DataService.objects.all())
    save_draft(request, by=w.consumer_officer, scope={w.operation: w.fields()})
    assert decided(w, request) == agreement
    assert set(agreement.parties.values_list("organization", flat=True)) == {w.consumer.pk, w.provider.pk}


def test_a_further_service_of_the_same_provider_can_be_added(w):
    agreement = accepted(w)
    further = PublishedServiceFactory(provider=w.provider)
    request = begun(w, agreement, scope={w.operation: w.fields(), operation_of(further): w.fields()})
    assert further in nameable(request, DataService.objects.all())
    assert decided(w, request) == agreement
    assert agreement.versions.get(number=2).service_codes() == {w.service.code, further.code}


def test_what_one_provider_shares_is_not_given_up_by_a_change(w):
    agreement, other = of_two_providers(w)
    request = begun(w, agreement, scope={w.operation: w.fields()})
    (told,) = gaps(request)
    assert other.provider.name in told
    save_draft(request, by=w.consumer_officer, scope={w.operation: w.fields()[:1], operation_of(other): w.fields()[:1]})
    assert not gaps(request)


def test_what_is_shared_specially_does_not_come_in_by_standing_terms(w):
    agreement = accepted(w)
    special = PublishedServiceFactory(provider=w.provider, sharing_form=SharingForm.SPECIAL)
    request = begun(w, agreement, scope={w.operation: w.fields(), operation_of(special): w.fields()}, special_reason="Theo lô.")
    request = considered(request, w)
    assert len(gaps(request)) == 1
    assert special not in nameable(request, DataService.objects.all())
    with pytest.raises(FactMissing) as caught:
        submit_request(request, by=w.consumer_officer)
    assert "scope" in caught.value.extra["fields"]
    assert not AuditEvent.objects.filter(event="request.submitted", object_ref=str(request.uuid)).exists()


def test_a_service_that_became_special_meanwhile_stops_what_was_begun_under_standing_terms(w):
    agreement = accepted(w)
    request = begun(w, agreement)
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    change_service(w.service, by=w.provider_officer, sharing_form=SharingForm.SPECIAL)
    with pytest.raises(FactMissing) as caught:
        approve_request(request, by=w.provider_officer)
    assert caught.value.code == "request_incomplete"
    request.refresh_from_db()
    assert (request.status, agreement.versions.count()) == (RequestStatus.AWAITING_PROVIDER, 1)


def test_nobody_joins_by_standing_terms_what_became_special(w):
    agreement = accepted(w)
    change_service(w.service, by=w.provider_officer, sharing_form=SharingForm.SPECIAL)
    consumer = ReadyOrganizationFactory()
    one, system = officer(Role.CONSUMER_OFFICER, consumer), InformationSystemFactory(organization=consumer)
    request = start_join(agreement, consumer, by=one)
    save_draft(request, by=one, systems=[system], technician="Lê Văn An, 0209 3810 222")
    assert len(gaps(request)) == 1
    assert not Party.objects.filter(organization=consumer).exists()


def test_a_special_agreement_stays_one_when_its_service_became_default(special):
    agreement = signed_special(special)
    change_service(special.service, by=special.provider_officer, sharing_form=SharingForm.DEFAULT)
    request = begun(special, agreement)
    assert not gaps(request)
    assert decided(special, request) == agreement
    assert agreement.versions.get(number=2).signatures.count() == 0, "every party signs it"


def test_a_new_request_may_name_any(w):
    request = forwarded(w)
    assert set(nameable(request, DataService.objects.all())) == set(DataService.objects.all())
