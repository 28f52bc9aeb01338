"""Who joins a special agreement: what it reads before it is bound, after it was declined, and that it may ask again (B6)."""

import datetime
import json
from dataclasses import dataclass

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.agreements.actions import (
    announce_suspension,
    approve_request,
    confirm_acceptance,
    decline_change,
    merge_organizations,
    sign_agreement,
    sign_with_pdf,
    start_join,
    suspend_consumer,
)
from apps.agreements.models import (
    AcceptanceRecord,
    Agreement,
    AgreementVersion,
    ConsumerSuspension,
    Duty,
    Party,
    PlannedSuspension,
)
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request, withdraw_request
from apps.core.errors import Conflict, NotPermitted
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from tests.factories.agreements import accepted, recorded, signed_special
from tests.factories.connections import World
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.fixtures.worlds import remembered

pytestmark = pytest.mark.django_db


@dataclass
class Joiner:
    organization: Organization
    officer: User
    signer: User
    system: InformationSystem

    def asks(self, w: World, agreement: Agreement):
        request = start_join(agreement, self.organization, by=self.officer)
        save_draft(request, by=self.officer, systems=[self.system], technician="Lê Văn Nối")
        if agreement.sharing_form == "default":
            sign_request(request, by=self.signer)
        submit_request(request, by=self.officer)
        return forward_request(request, by=w.operator)


def joiner() -> Joiner:
    organization = ReadyOrganizationFactory()
    people = (officer(Role.CONSUMER_OFFICER, organization), officer(Role.SIGNER, organization))
    # Its own name: "… 3" of the first consumer would be found in a "… 36".
    return Joiner(organization, *people, InformationSystemFactory(organization=organization, name="Hệ thống bên tham gia"))


@pytest.fixture
def joining(special):
    """(world, agreement, joiner): approved, signed by nobody; the first consumer has tested, was suspended, and is to pause."""
    return (special, *asked(special))


@remembered
def asked(w: World) -> tuple[Agreement, Joiner]:
    agreement = signed_special(w)
    confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    party = agreement.parties.get(organization=w.consumer)
    suspend_consumer(party, by=w.provider_officer, violation="Bí mật của bên kia", plan="x", restore_conditions="x")
    one = joiner()
    approve_request(one.asks(w, agreement), by=w.provider_officer)
    return agreement, one


def in_a_month() -> dict:
    begins = timezone.now() + datetime.timedelta(days=30)
    return {"starts_at": begins, "ends_at": begins + datetime.timedelta(hours=4)}


def draft_of(agreement) -> AgreementVersion:
    return agreement.versions.order_by("-number").first()


def secrets_of(w: World) -> list[str]:
    """What would tell who else takes data, with which system, how it tested and why it stands still."""
    return [
        w.consumer.name,
        w.system.name,
        w.system.code,
        "10 lượt gọi thử",
        "Bí mật của bên kia",
        w.consumer_officer.full_name,
    ]


def browser(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


READ = ("", "/versions", "/differences", "/preview")


@pytest.mark.parametrize("who", ["officer", "signer"])
def test_before_it_is_in_force_the_api_tells_the_joiner_its_own_part(joining, who):
    w, agreement, one = joining
    client = browser(getattr(one, who))
    for part in READ:
        answer = client.get(f"/api/v1/agreements/{agreement.uuid}{part}")
        assert answer.status_code == 200, part
        text = json.dumps(answer.json(), ensure_ascii=False)
        assert [word for word in secrets_of(w) if word in text] == [], part
    listed = client.get("/api/v1/agreements").json()["results"]
    assert [row["number"] for row in listed] == [agreement.number]
    assert {party["organization"]["code"] for party in listed[0]["parties"]} == {w.provider.code, one.organization.code}
    told = client.get(f"/api/v1/agreements/{agreement.uuid}").json()
    content = told["current_version"]["content"]
    assert content["addendum"]["joined"] == [one.organization.code]
    assert [row["code"] for row in content["systems"]] == [one.system.code]
    assert content["scope"] == draft_of(agreement).content["scope"]
    assert told["current_version"]["content_hash"] == draft_of(agreement).content_hash
    assert told["grants"] == told["acceptances"] == told["duties"] == []
    assert [row["number"] for row in client.get(f"/api/v1/agreements/{agreement.uuid}/versions").json()] == [2]
    assert [row["after"] for row in client.get(f"/api/v1/agreements/{agreement.uuid}/differences").json()] == [
        one.organization.name, one.system.name,
    ]  # fmt: skip


@pytest.mark.parametrize("who", ["officer", "signer"])
def test_before_it_is_in_force_the_page_tells_the_joiner_its_own_part(joining, who):
    w, agreement, one = joining
    client = browser(getattr(one, who))
    for address in (
        f"/portal/agreements/{agreement.uuid}/",
        f"/portal/agreements/{agreement.uuid}/preview/",
        "/portal/agreements/",
    ):
        page = client.get(address)
        assert page.status_code == 200
        text = page.content.decode()
        assert [word for word in secrets_of(w) if word in text] == [], address
    page = client.get(f"/portal/agreements/{agreement.uuid}/")
    assert page.context["shown"].number == 2
    assert one.system.name in page.content.decode()
    assert bool(page.context["sign_form"]) == (who == "signer")
    assert page.context["file_form"] is None
    assert client.get(f"/portal/agreements/{agreement.uuid}/?version=1").status_code == 404
    assert client.get(f"/api/v1/agreements/{agreement.uuid}/differences?version=1").status_code == 404
    for number in ("", "?version=1", "?version=2"):
        for address in ("document.pdf", "print/"):
            assert client.get(f"/portal/agreements/{agreement.uuid}/{address}{number}").status_code == 403
        told = client.get(f"/api/v1/agreements/{agreement.uuid}/document{number}").json()
        assert told["code"] == "joiner_signs_in_portal", number


def test_no_list_no_search_and_no_filter_tells_the_joiner_of_the_others(joining):
    w, agreement, one = joining
    planned = announce_suspension(agreement, by=w.provider_officer, reason="Nâng cấp", **in_a_month())
    for rows in (AcceptanceRecord, Duty, ConsumerSuspension, PlannedSuspension):
        assert not rows.objects.visible_to(one.officer).exists(), rows
        assert rows.objects.visible_to(w.provider_officer).exists() or rows is Duty
    assert planned.agreement == agreement
    assert set(Party.objects.visible_to(one.officer).values_list("organization", flat=True)) == {
        w.provider.pk,
        one.organization.pk,
    }
    assert Party.objects.visible_to(w.consumer_officer).count() == 3
    client = browser(one.officer)
    for address in (f"/api/v1/agreements?q={w.consumer.name}", f"/api/v1/agreements?party={w.consumer.code}"):
        assert client.get(address).json()["results"] == []
        assert browser(w.provider_officer).get(address).json()["results"]
    assert len(client.get("/portal/agreements/", {"q": w.consumer.name}).context["page"].object_list) == 0
    told = Notice.objects.filter(recipient=one.officer).values_list("kind", flat=True)
    assert set(told) == {"request.forwarded", "request.approved", "agreement.amendment"}
    events = AuditEvent.objects.about(agreement).filter(event__in=("consumer.suspended", "suspension.announced"))
    assert events.count() == 2
    assert all(one.organization.uuid not in event.organizations for event in events)


def test_the_joiner_signs_in_the_portal_and_not_the_document_of_all(joining):
    _w, agreement, one = joining
    with pytest.raises(NotPermitted) as refusal:
        sign_with_pdf(agreement, by=one.signer, data=b"%PDF-1.7")
    assert refusal.value.code == "joiner_signs_in_portal"
    sign_agreement(agreement, by=one.signer, content_hash=draft_of(agreement).content_hash)
    assert draft_of(agreement).signatures.get().party.organization == one.organization


def test_when_all_have_signed_the_joiner_reads_as_every_party_does(joining):
    w, agreement, one = joining
    for person in (one.signer, w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=person, content_hash=draft_of(agreement).content_hash)
    told = browser(one.officer).get(f"/api/v1/agreements/{agreement.uuid}").json()
    assert {row["code"] for row in told["current_version"]["content"]["consumers"]} == {w.consumer.code, one.organization.code}
    assert len(told["parties"]) == 3
    assert told["acceptances"]
    assert browser(one.officer).get(f"/portal/agreements/{agreement.uuid}/").context["reads_all"]


@pytest.mark.parametrize("signed", [True, False])
def test_after_a_declined_joining_it_reads_its_request_alone_and_may_ask_again(joining, signed):
    w, agreement, one = joining
    request = agreement.bases.get(request__kind="join").request
    if signed:
        sign_agreement(agreement, by=one.signer, content_hash=draft_of(agreement).content_hash)
    decline_change(agreement, by=w.consumer_officer, reason="Không đồng ý")
    assert Notice.objects.filter(recipient=one.officer, kind="agreement.change_declined").exists()
    for person in (one.officer, one.signer):
        client = browser(person)
        assert not Agreement.objects.visible_to(person).exists()
        assert not AgreementVersion.objects.visible_to(person).filter(agreement=agreement).exists()
        for address in (f"/api/v1/agreements/{agreement.uuid}", f"/portal/agreements/{agreement.uuid}/"):
            assert client.get(address).status_code == 404
        assert client.get(f"/api/v1/requests/{request.uuid}").status_code == 200
        page = client.get(f"/portal/requests/{request.uuid}/")
        assert page.status_code == 200
        assert [word for word in secrets_of(w) if word in page.content.decode()] == []
    assert agreement.number in browser(one.officer).get("/portal/joinable/").content.decode()
    again = one.asks(w, agreement)
    assert approve_request(again, by=w.provider_officer) == agreement
    assert agreement.number not in browser(one.officer).get("/portal/joinable/").content.decode()
    for person in (one.signer, w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=person, content_hash=draft_of(agreement).content_hash)
    assert one.organization.pk in agreement.organization_ids("consumer")
    assert agreement.parties.filter(organization=one.organization).count() == 1


def test_after_a_withdrawn_request_it_reads_that_alone_and_may_ask_again(special):
    w, one = special, joiner()
    agreement = signed_special(w)
    request = withdraw_request(one.asks(w, agreement), by=one.officer)
    assert not Agreement.objects.visible_to(one.officer).exists()
    assert browser(one.officer).get(f"/api/v1/requests/{request.uuid}").status_code == 200
    assert approve_request(one.asks(w, agreement), by=w.provider_officer) == agreement


def test_default_sharing_a_joiner_is_a_party_at_the_approval(w):
    agreement, one = accepted(w), joiner()
    request = one.asks(w, agreement)
    assert not Agreement.objects.visible_to(one.officer).exists()
    approve_request(request, by=w.provider_officer)
    assert Agreement.objects.read_in_full_by(one.officer).get() == agreement


@pytest.mark.parametrize("which", ["source", "into"])
def test_agencies_are_not_merged_over_a_joining_that_waits(joining, which):
    w, agreement, one = joining
    other = ReadyOrganizationFactory()
    source, into = (one.organization, other) if which == "source" else (other, one.organization)
    with pytest.raises(Conflict) as refusal:
        merge_organizations(source, into, by=w.operator, instrument="Nghị quyết 1")
    assert refusal.value.extra["numbers"] == [agreement.number]


def test_a_declined_joining_makes_nobodys_successor_a_party(joining):
    w, agreement, one = joining
    sign_agreement(agreement, by=one.signer, content_hash=draft_of(agreement).content_hash)
    decline_change(agreement, by=w.consumer_officer, reason="Không đồng ý")
    into = ReadyOrganizationFactory()
    assert merge_organizations(one.organization, into, by=w.operator, instrument="Nghị quyết 1") == []
    assert not agreement.parties.filter(organization=into).exists()
