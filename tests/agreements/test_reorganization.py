"""An agency is merged into another: what runs goes on, under the successor's name, no wider than before."""

import pytest

from apps.agreements.actions import merge_organizations, start_change
from apps.agreements.choices import GrantStatus, VersionState
from apps.agreements.models import Agreement
from apps.audit.models import AuditEvent
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.organizations.choices import OrganizationStatus, Role
from tests.factories.agreements import accepted, agreement_in_force, special_world
from tests.factories.connections import forwarded
from tests.factories.organizations import ReadyOrganizationFactory, officer

LAW = "Nghị quyết 202/2025/QH15"


def rights(agreement) -> set:
    rows = agreement.grants.exclude(status=GrantStatus.ENDED)
    return {(g.pk, g.environment, g.system_id, g.operation_id, tuple(g.fields), g.quota_per_day, g.valid_to) for g in rows}


@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_agreements_are_carried_over_and_nobodys_access_widens(w, side):
    agreement = accepted(w)
    before, old = rights(agreement), agreement.current_version
    source, into, epoch = getattr(w, side), ReadyOrganizationFactory(), current_epoch()
    assert merge_organizations(source, into, by=w.operator, instrument=LAW) == [agreement]
    source.refresh_from_db()
    assert source.status == OrganizationStatus.CLOSED
    assert rights(agreement) == before
    assert current_epoch() > epoch
    new = agreement.current_version
    assert (new.number, new.content["supersedes"], new.content["change_note"]) == (2, old.content_hash, LAW)
    assert {row["code"] for row in new.content[f"{side}s"]} == {into.code}
    assert source.code not in str({**new.content, "requests": []})
    assert {s.party.organization for s in new.signatures.all()} == {into, *({w.consumer, w.provider} - {source})}
    assert agreement.present_parties().filter(organization=into, side=side).exists()


def test_the_history_stays_under_the_old_name(w):
    agreement = accepted(w)
    old = agreement.current_version
    merge_organizations(w.consumer, ReadyOrganizationFactory(), by=w.operator, instrument=LAW)
    old.refresh_from_db()
    assert old.state == VersionState.SUPERSEDED
    assert old.content["consumers"][0]["code"] == w.consumer.code
    assert old.signatures.filter(party__organization=w.consumer).exists()
    assert AuditEvent.objects.filter(event="organization.merged", organizations__contains=[w.consumer.uuid]).exists()


def test_the_people_of_the_old_agency_have_no_role_until_they_get_one_anew(w):
    agreement = accepted(w)
    into = ReadyOrganizationFactory()
    merge_organizations(w.consumer, into, by=w.operator, instrument=LAW)
    for person in (w.consumer_officer, w.consumer_signer):
        fresh = type(person).objects.get(pk=person.pk)
        assert not Agreement.objects.visible_to(fresh).exists()
    successor = officer(Role.CONSUMER_OFFICER, into)
    assert agreement in Agreement.objects.visible_to(successor)
    assert start_change(agreement, by=successor).consumer == into


def test_merged_into_a_party_of_the_same_side_both_become_one(w):
    second = ReadyOrganizationFactory(parent=w.consumer)
    from tests.factories.organizations import InformationSystemFactory

    signer = officer(Role.SIGNER, second)
    from apps.agreements.actions import approve_request
    from apps.connections.actions import forward_request, sign_request, submit_request
    from tests.factories.connections import complete_draft

    request = complete_draft(w, systems=[w.system, InformationSystemFactory(organization=second)])
    sign_request(request, by=w.consumer_signer)
    sign_request(request, by=signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    agreement = approve_request(request, by=w.provider_officer)
    merge_organizations(second, w.consumer, by=w.operator, instrument=LAW)
    content = agreement.current_version.content
    assert [row["code"] for row in content["consumers"]] == [w.consumer.code]
    assert {row["organization"] for row in content["systems"]} == {w.consumer.code}
    assert agreement.current_version.signatures.count() == 2


def test_what_is_unfinished_stops_the_merge_by_name(w):
    request = forwarded(w)
    with pytest.raises(Conflict) as refusal:
        merge_organizations(w.consumer, ReadyOrganizationFactory(), by=w.operator, instrument=LAW)
    assert refusal.value.extra["numbers"] == [request.number]
    w.consumer.refresh_from_db()
    assert w.consumer.status == OrganizationStatus.ACTIVE


def test_two_sides_of_one_agreement_are_not_merged(w):
    agreement = agreement_in_force(w)
    with pytest.raises(Conflict) as refusal:
        merge_organizations(w.consumer, w.provider, by=w.operator, instrument=LAW)
    assert refusal.value.extra["numbers"] == [agreement.number]


def test_only_the_operator_merges_with_an_instrument_and_two_agencies(w):
    into = ReadyOrganizationFactory()
    for person in (w.consumer_officer, w.provider_officer, w.stranger):
        with pytest.raises(NotPermitted):
            merge_organizations(w.consumer, into, by=person, instrument=LAW)
    with pytest.raises(FactMissing):
        merge_organizations(w.consumer, into, by=w.operator, instrument=" ")
    with pytest.raises(InvalidFact):
        merge_organizations(w.consumer, w.consumer, by=w.operator, instrument=LAW)


def test_a_special_agreement_under_negotiation_stops_it_too(db):
    w = special_world()
    from tests.factories.agreements import negotiating

    agreement = negotiating(w)
    with pytest.raises(Conflict) as refusal:
        merge_organizations(w.consumer, ReadyOrganizationFactory(), by=w.operator, instrument=LAW)
    assert refusal.value.extra["numbers"] == [agreement.number]
