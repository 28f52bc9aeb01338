"""What the approver reads before deciding: classes, what is new, overlaps, load."""

import datetime
from uuid import uuid4

from django.utils import timezone

from apps.agreements.actions import (
    announce_end_of_version,
    approve_request,
    confirm_acceptance,
    publish_service_version,
    record_acceptance,
    start_join,
    start_renewal,
    suspend_agreement,
    terminate_agreement,
)
from apps.agreements.models import Agreement, Grant
from apps.agreements.preview import Ending, Overlap, preview, preview_of
from apps.connections.actions import draft_request, forward_request, save_draft, sign_request, submit_request
from apps.organizations.choices import Role
from tests.agreements.test_amendment import joined, joiner
from tests.agreements.test_publishing import successor, version_in_use
from tests.factories.agreements import accepted, agreement_in_force, negotiating, recorded
from tests.factories.connections import forwarded, world
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory, leaf_paths, operation_of


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
    assert found.overlaps == (Overlap(agreement.number, w.system.name, w.operation.name, 3, in_test=False, is_suspended=False),)
    assert set(found.operations[0].new_fields) == set(w.fields(5)) - set(w.fields(3))


def test_the_load_is_what_was_agreed_and_what_is_asked_against_capacity(w):
    accepted(w)
    (load,) = preview(forwarded(w, calls_per_second=46), w.provider_officer).loads
    assert (load.capacity, load.agreed, load.asked, load.exceeds) == (50, 5, 46, True)
    (load,) = preview(forwarded(w, calls_per_second=45), w.provider_officer).loads
    assert not load.exceeds
    assert not load.is_lower_bound


def test_what_is_agreed_counts_while_it_is_tested_and_while_it_is_suspended_each_operation_once(w):
    other = operation_of(w.service, "danhSachHoSo")
    scope = {w.operation: w.fields(), other: leaf_paths(other, personal=False)[:2]}
    agreement = agreement_in_force(w, scope=scope, calls_per_second=20)
    request = forwarded(w, scope=scope, calls_per_second=30, calls_per_day=700)

    def load() -> tuple:
        (found,) = preview(request, w.provider_officer).loads
        return found.agreed, found.asked, found.agreed_per_day, found.asked_per_day

    assert load() == (40, 60, 1000, 1400), "in its test period"
    confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    assert agreement.grants.open().count() == 4
    assert load() == (40, 60, 1000, 1400), "in production"
    suspend_agreement(agreement, by=w.operator, kind="force_majeure", violation="Mất điện", plan="Chờ")
    assert load() == (40, 60, 1000, 1400), "suspended"
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="x")
    assert load() == (0, 60, 0, 1400), "over"


def test_the_load_is_what_the_gateway_would_let_pass(w):
    """Each system has its own limits for each operation: what opens is what the preview said."""
    other = operation_of(w.service, "danhSachHoSo")
    systems = [w.system, InformationSystemFactory(organization=w.consumer)]
    scope = {w.operation: w.fields(), other: leaf_paths(other, personal=False)[:2]}
    request = forwarded(w, systems=systems, scope=scope, calls_per_second=7, calls_per_day=90)
    (load,) = preview(request, w.provider_officer).loads
    grants = approve_request(request, by=w.provider_officer).grants.open()
    assert load.asked == sum(grants.values_list("rate_per_second", flat=True)) == 28
    assert load.asked_per_day == sum(grants.values_list("quota_per_day", flat=True)) == 360


def test_a_system_without_limits_on_several_operations_is_one_system(w):
    other = operation_of(w.service, "danhSachHoSo")
    accepted(w, scope={w.operation: w.fields(), other: leaf_paths(other, personal=False)[:2]}, calls_per_second=None)
    (load,) = preview(forwarded(w), w.provider_officer).loads
    assert (load.agreed, load.unlimited, load.agreed_per_day) == (0, 1, 1000)


def test_what_a_later_version_plans_counts_in_place_of_what_runs(w):
    agreement = accepted(w, calls_per_second=20)
    running = agreement.grants.open().get(environment="production")
    planned = Grant.objects.get(pk=running.pk)
    planned.pk, planned.uuid, planned.is_planned, planned.rate_per_second, planned._state.adding = None, uuid4(), True, 30, True
    planned.save()
    (load,) = preview(forwarded(w), w.provider_officer).loads
    assert (load.agreed, load.agreed_per_day) == (30, 500)


def test_production_counts_in_place_of_what_is_tested_where_both_are_open(w):
    agreement = accepted(w, calls_per_second=20)
    agreement.grants.filter(environment="test").update(rate_per_second=45, quota_per_day=None)
    (load,) = preview(forwarded(w), w.provider_officer).loads
    assert (load.agreed, load.agreed_per_day, load.unlimited_per_day) == (20, 500, 0)


def test_a_limit_that_nobody_agreed_on_or_asks_for_is_no_zero(w):
    agreement = accepted(w, calls_per_second=None)
    request = forwarded(w, calls_per_second=None)
    (load,) = preview(request, w.provider_officer).loads
    assert (load.agreed, load.unlimited, load.asked, load.exceeds, load.is_lower_bound) == (0, 1, None, False, True)
    assert (load.agreed_per_day, load.unlimited_per_day, load.asked_per_day) == (500, 0, 500)
    agreement.grants.update(quota_per_day=None, rate_per_second=51)
    request.calls_per_day = None
    (load,) = preview(request, w.provider_officer).loads
    assert (load.agreed, load.unlimited, load.exceeds, load.is_lower_bound) == (51, 0, True, True)
    assert (load.agreed_per_day, load.unlimited_per_day, load.asked_per_day) == (0, 1, None)
    (load,) = preview_of(accepted(world(), calls_per_second=None).current_version, w.operator).loads
    assert (load.asked, load.asked_per_day) == (None, 500)


def test_what_is_tested_or_suspended_overlaps_and_its_fields_are_new_all_the_same(w):
    agreement = agreement_in_force(w)
    request = forwarded(w)

    def overlaps() -> list[tuple]:
        found = preview(request, w.provider_officer)
        return [(row.agreement, row.shared_fields, row.in_test, row.is_suspended) for row in found.overlaps]

    assert overlaps() == [(agreement.number, 3, True, False)]
    assert set(preview(request, w.provider_officer).operations[0].new_fields) == set(w.fields())
    confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    assert overlaps() == [(agreement.number, 3, False, False)]
    assert preview(request, w.provider_officer).operations[0].new_fields == ()
    agreement.grants.open().update(status="suspended")
    assert overlaps() == [(agreement.number, 3, False, True)]
    agreement.grants.open().update(status="active")
    suspend_agreement(agreement, by=w.operator, kind="force_majeure", violation="Mất điện", plan="Chờ")
    assert overlaps() == [(agreement.number, 3, False, True)]
    assert set(preview(request, w.provider_officer).operations[0].new_fields) == set(w.fields())


def test_a_version_that_will_be_retired_is_told_with_its_day(w):
    agreement = accepted(w)
    request = forwarded(w)
    assert preview(request, w.provider_officer).endings == ()
    day = timezone.localdate() + datetime.timedelta(days=30)
    announce_end_of_version(w.service.versions.get(), by=w.provider_officer, until=day)
    told = (Ending(w.service.name, "1.0", day),)
    assert preview(request, w.provider_officer).endings == told
    assert preview_of(agreement.current_version, w.consumer_officer).endings == told
    w.service.versions.update(status="retired")
    assert preview_of(agreement.current_version, w.consumer_officer).endings == (), (
        "it is over: nobody is told of a day to come"
    )


def test_a_request_for_a_minor_version_that_was_replaced_is_read_as_of_what_answers_now(w):
    version_in_use(w)
    request = forwarded(w)
    announce_end_of_version(
        w.service.versions.get(), by=w.provider_officer, until=timezone.localdate() + datetime.timedelta(days=30)
    )
    publish_service_version(successor(w), by=w.provider_officer)
    found = preview(request, w.provider_officer)
    assert (found.endings, len(found.overlaps), found.operations[0].new_fields) == ((), 1, ())


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


def test_a_longer_request_and_more_agreements_take_no_more_queries(w, django_assert_num_queries):
    request = forwarded(w)
    accepted(w)
    with django_assert_num_queries(6):
        preview(request, w.provider_officer)
    more = forwarded(w, scope={w.operation: w.fields(9)})
    agreement_in_force(w)
    announce_end_of_version(
        w.service.versions.get(), by=w.provider_officer, until=timezone.localdate() + datetime.timedelta(days=30)
    )
    with django_assert_num_queries(6):
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
