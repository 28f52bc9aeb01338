"""Who reads a request is kept by the database itself: it follows the filer, the systems and the deciding providers."""

from __future__ import annotations

from apps.agreements.actions import merge_organizations
from apps.connections.models import ConnectionRequest, RequestAudience
from tests.factories.agreements import agreement_in_force
from tests.factories.connections import change, complete_draft, forwarded
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory


def readers(request) -> set:
    return set(RequestAudience.objects.filter(request=request).values_list("organization", flat=True))


def test_a_draft_is_its_filers_and_its_systems_owners(w):
    other = ReadyOrganizationFactory(parent=w.consumer)
    request = complete_draft(w)
    assert readers(request) == {w.consumer.pk}
    change(request, w, systems=[w.system, InformationSystemFactory(organization=other)])
    assert readers(request) == {w.consumer.pk, other.pk}
    change(request, w, systems=[w.system])
    assert readers(request) == {w.consumer.pk}, "who no longer takes part no longer reads"


def test_a_provider_reads_from_the_forwarding_on(w):
    request = forwarded(w)
    assert readers(request) == {w.consumer.pk, w.provider.pk}
    assert ConnectionRequest.objects.visible_to(w.provider_officer).get() == request
    assert not ConnectionRequest.objects.visible_to(w.stranger).exists()


def test_when_a_system_changes_hands_the_new_owner_reads_and_the_rest_stays(w):
    agreement_in_force(w)
    request = ConnectionRequest.objects.get()
    successor = ReadyOrganizationFactory()
    merge_organizations(w.consumer, successor, by=w.operator, instrument="Nghị quyết 12/NQ-HĐND")
    assert readers(request) == {w.consumer.pk, w.provider.pk, successor.pk}


def test_the_audience_is_what_the_three_relations_say(w):
    """The table against the definition, whatever happened before."""
    for request in (complete_draft(w), forwarded(w)):
        said = request.consumer_ids() | set(request.decisions.values_list("provider", flat=True))
        assert readers(request) == said
