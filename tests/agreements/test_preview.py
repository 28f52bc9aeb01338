"""What the approver reads before deciding: classes, what is new, overlaps, load."""

from django.utils import timezone

from apps.agreements.actions import (
    approve_request,
    confirm_acceptance,
    publish_service_version,
    record_acceptance,
    start_join,
    start_renewal,
)
from apps.agreements.models import Agreement
from apps.agreements.preview import preview, preview_of
from apps.connections.actions import draft_request, forward_request, save_draft, sign_request, submit_request
from apps.organizations.choices import Role
from tests.agreements.test_amendment import joined, joiner
from tests.agreements.test_publishing import successor, version_in_use
from tests.factories.agreements import accepted, negotiating
from tests.factories.connections import forwarded
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory, operation_of


def test_a_first_request_opens_everything_it_asks_for(w):
    personal = next(f for f in w.operation.fields.all() if f.is_leaf and f.personal_data == "basic")
    found = preview(forwarded(w, scope={w.operation: [*w.fields(), personal.path]}), w.provider_officer)
    (row,) = found.operations
    assert row.classes == {"none": 3, "basic": 1}
    assert set(row.new_fields) == {*w.fields(), personal.path}
    assert found.overlaps == ()


def test_what_the_system_reads_already_is_an_overlap_and_not_new(w):
    agreement = accepted(w)
    found = preview(forwarded(w, scope={w.operation: w.fields(5)}), w.provider_officer)
    assert [(row.agreement, row.shared_fields) for row in found.overlaps] == [(agreement.number, 3)]
    assert set(found.operations[0].new_fields) == set(w.fields(5)) - set(w.fields(3))


def test_the_load_is_what_was_agreed_and_what_is_asked_against_capacity(w):
    accepted(w)
    (load,) = preview(forwarded(w, calls_per_second=46), w.provider_officer).loads
    assert (load.capacity, load.agreed, load.asked, load.exceeds) == (50, 5, 46, True)
    (load,) = preview(forwarded(w, calls_per_second=45), w.provider_officer).loads
    assert not load.exceeds


def test_before_signing_a_version_is_read_like_a_request(special):
    agreement = negotiating(special, calls_per_second=60)
    found = preview_of(agreement.current_version, special.provider_signer)
    assert found.operations[0].classes == {"none": 3}
    assert set(found.operations[0].new_fields) == set(special.fields())
    assert found.exceeds
    assert not found.opens_sensitive


def test_a_version_in_force_is_not_counted_against_itself(w):
    agreement = accepted(w)
    found = preview_of(agreement.current_version, w.provider_officer)
    assert found.overlaps == ()
    assert found.operations[0].new_fields == ()
    assert (found.loads[0].agreed, found.loads[0].asked) == (0, 5)


def test_a_minor_version_that_took_the_place_of_the_agreed_one_opens_nothing_new(w):
    version_in_use(w)
    agreement = Agreement.objects.get()
    publish_service_version(successor(w), by=w.provider_officer)
    found = preview_of(agreement.current_version, w.provider_officer)
    assert found.operations[0].new_fields == (), "the access goes on under the version that replaced the agreed one"


def test_a_longer_request_takes_no_more_queries(w, django_assert_num_queries):
    request = forwarded(w)
    accepted(w)
    with django_assert_num_queries(5):
        preview(request, w.provider_officer)
    more = forwarded(w, scope={w.operation: w.fields(9)})
    with django_assert_num_queries(5):
        preview(more, w.provider_officer)


def test_the_load_counts_who_stays_under_the_agreement_beside_who_asks(w):
    agreement = accepted(w, calls_per_second=20)
    organization, asker, _signer = joiner()
    request = start_join(agreement, organization, by=asker)
    save_draft(request, by=asker, systems=[InformationSystemFactory(organization=organization)])
    (load,) = preview(request, w.provider_officer).loads
    assert (load.agreed, load.asked) == (20, 20), "who joins comes beside what runs"
    joined(agreement, w)
    (load,) = preview(start_renewal(agreement, by=w.consumer_officer), w.provider_officer).loads
    assert (load.agreed, load.asked) == (0, 40), "the renewed content is for both consumers"


def test_the_load_of_a_service_is_for_its_provider_and_the_platform(w):
    agreement = accepted(w)
    for person, seen in ((w.provider_signer, 1), (w.operator, 1), (w.consumer_officer, 0), (w.consumer_signer, 0)):
        assert len(preview_of(agreement.current_version, person).loads) == seen, person


def test_one_provider_of_several_reads_the_load_of_its_own_service_alone(w):
    service = PublishedServiceFactory()
    request = forwarded(w, scope={w.operation: w.fields(), operation_of(service): w.fields()})
    assert [load.service for load in preview(request, w.provider_officer).loads] == [w.service.name]
    assert len(preview(request, w.operator).loads) == 2


def test_a_consumer_learns_of_no_agreement_that_is_not_its_own(w):
    """Two consumers under one agreement; the second one's system reads the same operation under an agreement of its own."""
    other = ReadyOrganizationFactory()
    system = InformationSystemFactory(organization=other)
    both = draft_request(w.consumer, by=with_role(w.consumer_officer, other), **w.content(systems=[w.system, system]))
    for signer in (w.consumer_signer, officer(Role.SIGNER, other)):
        sign_request(both, by=signer)
    agreement = approve_request(
        forward_request(submit_request(both, by=w.consumer_officer), by=w.operator), by=w.provider_officer
    )
    asker = officer(Role.CONSUMER_OFFICER, other)
    own = draft_request(other, by=asker, **w.content(systems=[system]))
    sign_request(own, by=officer(Role.SIGNER, other))
    second = approve_request(forward_request(submit_request(own, by=asker), by=w.operator), by=w.provider_officer)
    record = record_acceptance(second, system, by=asker, tested_on=timezone.localdate(), summary="x")
    confirm_acceptance(record, by=w.provider_officer)
    told = {person: preview_of(agreement.current_version, person) for person in (w.provider_officer, asker, w.consumer_signer)}
    assert [row.agreement for row in told[w.provider_officer].overlaps] == [second.number]
    assert [row.agreement for row in told[asker].overlaps] == [second.number]
    assert told[w.consumer_signer].overlaps == ()
    assert set(told[w.consumer_signer].operations[0].new_fields) == set(w.fields())


def with_role(user, organization):
    user.memberships.create(organization=organization, role=Role.CONSUMER_OFFICER)
    return user
