"""One consumer of several leaves: its access ends and its duties begin, and nothing changes for the others."""

from __future__ import annotations

import datetime

import pytest
from django.test import Client
from django.utils import timezone

from apps.agreements.actions import (
    approve_request,
    complete_duty,
    confirm_acceptance,
    decline_change,
    finish_termination,
    leave_agreement,
    merge_organizations,
    record_acceptance,
    start_change,
    start_join,
    suspend_agreement,
    terminate_agreement,
)
from apps.agreements.actions.in_place import make_current
from apps.agreements.models import Agreement, AgreementVersion, Party, RequestBasis
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request, withdraw_request
from apps.core.canonical import content_hash
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.models import PolicyChange
from apps.notices.models import Notice
from apps.organizations.choices import Role
from tests.factories.agreements import accepted, signed_special
from tests.factories.connections import World, considered
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.fixtures.worlds import remembered

CERTIFICATE = ("Biên bản xóa.pdf", b"%PDF-1.7\nxoa")
REASON = "Hệ thống ngừng dùng"


def decide(request, w: World, asker, signer):
    sign_request(request, by=signer)
    submit_request(request, by=asker)
    forward_request(request, by=w.operator)
    return approve_request(request, by=w.provider_officer)


class Joiner:
    """An agency that joined `agreement`, with its people and its system."""

    def __init__(self, w: World, agreement: Agreement, signer=None):
        self.organization = ReadyOrganizationFactory()
        self.officer = officer(Role.CONSUMER_OFFICER, self.organization)
        if signer is not None:
            signer.memberships.create(organization=self.organization, role=Role.SIGNER)
            signer = type(signer).objects.get(pk=signer.pk)  # whose roles are read anew
        self.signer = signer or officer(Role.SIGNER, self.organization)
        self.system = InformationSystemFactory(organization=self.organization)
        request = start_join(agreement, self.organization, by=self.officer)
        save_draft(request, by=self.officer, systems=[self.system], technician="Lê Văn Nối")
        self.request = decide(considered(request, w), w, self.officer, self.signer)


@pytest.fixture
def agreement(w) -> Agreement:
    return accepted(w)


@remembered
def joined(w: World, agreement: Agreement) -> Joiner:
    made = Joiner(w, agreement)
    agreement.refresh_from_db()
    return made


@pytest.fixture
def other(w, agreement) -> Joiner:
    return joined(w, agreement)


def running(agreement) -> set:
    rows = agreement.grants.exclude(status="ended").select_related("system")
    return {(row.pk, row.system.code, row.environment, row.status, tuple(row.fields)) for row in rows}


@pytest.mark.parametrize("who", ["original", "joined"])
def test_its_access_ends_and_the_others_keep_the_very_rows_they_had(w, agreement, other, who):
    leaver, organization, system = (
        (w.consumer_officer, w.consumer, w.system) if who == "original" else (other.officer, other.organization, other.system)
    )
    before, epoch = running(agreement), current_epoch()
    ended = {row for row in before if row[1] == system.code}
    leave_agreement(agreement, by=leaver, reason=REASON)
    assert running(agreement) == before - ended
    told = set(PolicyChange.objects.filter(epoch__gt=epoch, kind="grant").values_list("ref", flat=True))
    assert told == set(agreement.grants.filter(pk__in=[row[0] for row in ended]).values_list("uuid", flat=True))
    assert agreement.status == "in_force"
    party = Party.objects.get(agreement=agreement, organization=organization)
    assert party.left_at is not None
    assert {(duty.party, duty.kind) for duty in agreement.duties.all()} == {
        (party, "data_deleted"), (party, "configuration_removed"),
    }  # fmt: skip
    event = AuditEvent.objects.about(agreement).get(event="agreement.left")
    assert (event.actor, event.facts["consumer"], event.facts["reason"]) == (leaver, organization.code, REASON)
    recipients = {notice.recipient for notice in Notice.objects.filter(kind="agreement.left")}
    assert recipients == {w.provider_officer, w.operator, w.consumer_officer, other.officer}


def test_the_content_names_it_no_more_and_binds_the_others_as_before(w, agreement, other):
    old = agreement.current_version
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    new = agreement.current_version
    assert (new.number, new.content["supersedes"], new.content["change_note"]) == (old.number + 1, old.content_hash, REASON)
    for part, key in (("consumers", "code"), ("systems", "organization")):
        assert {row[key] for row in new.content[part]} == {other.organization.code}
    assert w.consumer.code not in {row["organization"] for row in new.content["contacts"]}
    assert {row["system"] for row in new.content["security"]["levels"]} == {other.system.code}
    assert new.content["place"]["usage_location"] == [other.system.name]
    assert new.content["scope"] == old.content["scope"]
    signed = {row.party.organization: (row.basis, row.signed_hash) for row in new.signatures.all()}
    before = {row.party.organization: row.signed_hash for row in old.signatures.all()}
    del before[w.consumer]
    assert signed == {organization: ("carried", value) for organization, value in before.items()}


def test_whose_officer_signed_for_one_that_stays_leaves_and_the_signature_holds(w, agreement):
    other = Joiner(w, agreement, signer=w.consumer_officer)
    agreement.refresh_from_db()
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    kept = agreement.current_version.signatures.get(party__organization=other.organization)
    assert (kept.signer, kept.drafted_by) == (w.consumer_officer, other.officer)
    assert AuditEvent.objects.get(event="agreement.left").actor == w.consumer_officer


def test_the_others_tests_and_changes_hold(w, agreement, other):
    record = record_acceptance(agreement, other.system, by=other.officer, tested_on=timezone.localdate(), summary="Đạt")
    change = start_change(agreement, by=other.officer)
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    record.refresh_from_db()
    confirm_acceptance(record, by=w.provider_officer)
    assert agreement.grants.filter(system=other.system, environment="production", status="active").exists()
    decide(change, w, other.officer, other.signer)
    assert agreement.current_version.number == 4
    assert not agreement.grants.exclude(status="ended").filter(system=w.system).exists()


def test_its_duties_are_done_while_the_agreement_goes_on_and_the_end_asks_no_more_of_it(w, agreement, other):
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    for duty in agreement.duties.all():
        with pytest.raises(NotPermitted):
            complete_duty(duty, by=other.officer, note="x", file=CERTIFICATE)
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=CERTIFICATE)
    agreement.refresh_from_db()
    terminate_agreement(agreement, by=other.officer, ground="consumer", reason="Không cần nữa")
    assert {duty.party.organization for duty in agreement.duties.filter(done_at=None)} == {other.organization, w.provider}
    for duty in agreement.duties.filter(done_at=None):
        by = other.officer if duty.party.side == "consumer" else w.provider_officer
        complete_duty(duty, by=by, note="Xong.", file=CERTIFICATE)
    finish_termination(agreement, by=w.provider_officer)
    assert agreement.status == "terminated"


def test_who_has_left_has_no_say_and_hears_nothing(w, agreement, other):
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    for step in (
        lambda: terminate_agreement(agreement, by=w.consumer_officer, ground="authority", reason="x"),
        lambda: start_change(agreement, by=w.consumer_officer),
        lambda: leave_agreement(agreement, by=w.consumer_officer, reason="x"),
    ):
        with pytest.raises(NotPermitted):
            step()
    with pytest.raises(InvalidFact) as refused:
        start_join(agreement, w.consumer, by=w.consumer_officer)
    assert refused.value.code == "has_left"
    suspend_agreement(agreement, by=w.operator, kind="force_majeure", violation="Mất điện", plan="Chờ")
    assert not Notice.objects.filter(kind="agreement.suspended", recipient=w.consumer_officer).exists()
    assert Notice.objects.filter(kind="agreement.suspended", recipient=other.officer).exists()
    event = AuditEvent.objects.about(agreement).get(event="agreement.suspended")
    assert w.consumer.uuid not in event.organizations


def test_one_consumer_does_not_end_for_all_what_it_needs_no_more(w, agreement, other):
    for ground in ("consumer", "purpose_gone"):
        with pytest.raises(NotPermitted) as refused:
            terminate_agreement(agreement, by=w.consumer_officer, ground=ground, reason=REASON)
        assert refused.value.code == "others_concerned"
    agreement.refresh_from_db()
    assert agreement.status == "in_force"
    terminate_agreement(agreement, by=w.provider_officer, ground="purpose_gone", reason=REASON)
    assert agreement.status == "ending"


def test_the_last_consumer_does_not_leave_but_terminates(w, agreement):
    with pytest.raises(Conflict) as refused:
        leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    assert refused.value.code == "last_consumer"
    terminate_agreement(agreement, by=w.consumer_officer, ground="consumer", reason=REASON)
    assert agreement.status == "ending"


@pytest.mark.parametrize("person", ["provider_officer", "operator", "stranger", "consumer_signer"])
def test_only_a_consumers_officer_leaves(w, agreement, other, person):
    with pytest.raises(NotPermitted):
        leave_agreement(agreement, by=getattr(w, person), reason=REASON)
    with pytest.raises(FactMissing):
        leave_agreement(agreement, by=w.consumer_officer, reason=" ")


def test_who_acts_for_several_says_which_leaves(w, agreement, other):
    both = officer(Role.CONSUMER_OFFICER, w.consumer)
    both.memberships.create(organization=other.organization, role=Role.CONSUMER_OFFICER)
    with pytest.raises(InvalidFact) as refused:
        leave_agreement(agreement, by=both, reason=REASON)
    assert refused.value.code == "several_consumers"
    leave_agreement(agreement, by=both, reason=REASON, consumer=other.organization.code)
    assert agreement.parties.get(organization=other.organization).left_at


def test_its_own_open_requests_are_withdrawn_first(w, agreement, other):
    change = start_change(agreement, by=w.consumer_officer)
    with pytest.raises(Conflict) as refused:
        leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    assert (refused.value.code, change.number in str(refused.value.detail)) == ("unfinished", True)
    withdraw_request(change, by=w.consumer_officer)
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)


def test_not_while_a_change_awaits_signatures_and_who_would_join_is_no_other(special):
    agreement = signed_special(special)
    Joiner(special, agreement)
    agreement.refresh_from_db()
    with pytest.raises(Conflict) as refused:
        leave_agreement(agreement, by=special.consumer_officer, reason=REASON)
    assert refused.value.code == "last_consumer"


def test_not_while_a_change_waits_for_its_first_day_and_who_left_does_not_begin_with_it(w, agreement, other):
    current = agreement.current_version
    day = timezone.localdate() + datetime.timedelta(days=20)
    content = current.content | {
        "version": current.number + 1, "term": current.content["term"] | {"valid_from": day.isoformat()},
    }  # fmt: skip
    later = AgreementVersion.objects.create(
        agreement=agreement, number=current.number + 1, content=content, content_hash=content_hash(content),
        drafted_by=w.consumer_officer,
    )  # fmt: skip
    begun = start_change(agreement, by=w.consumer_officer)
    RequestBasis.objects.filter(request=begun).update(version=later)
    make_current(agreement, later, by=w.operator)
    assert later.state == "scheduled"
    with pytest.raises(Conflict) as refusal:
        leave_agreement(agreement, by=other.officer, reason=REASON)
    assert refusal.value.code == "change_pending"
    decline_change(agreement, by=other.officer, reason=REASON)
    leave_agreement(agreement, by=other.officer, reason=REASON)
    assert {row[1] for row in running(agreement)} == {w.system.code}


def test_while_it_is_suspended_one_leaves_and_it_stays_suspended(w, agreement, other):
    suspend_agreement(agreement, by=w.operator, kind="force_majeure", violation="Mất điện", plan="Chờ")
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    agreement.refresh_from_db()
    assert agreement.status == "suspended"


def test_what_one_has_left_is_not_its_successors_and_its_duties_are_done_before_a_merge(w, agreement, other):
    into = ReadyOrganizationFactory()
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    with pytest.raises(Conflict) as refused:
        merge_organizations(w.consumer, into, by=w.operator, instrument="Nghị quyết 202/2025/QH15")
    assert (refused.value.code, agreement.number in str(refused.value.detail)) == ("unfinished", True)
    for duty in agreement.duties.all():
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=CERTIFICATE)
    assert merge_organizations(w.consumer, into, by=w.operator, instrument="Nghị quyết 202/2025/QH15") == []
    assert not agreement.parties.filter(organization=into).exists()


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_api_shows_what_leaving_would_do_and_does_it(w, agreement, other):
    url, client = f"/api/v1/agreements/{agreement.uuid}", signed_in(w.consumer_officer)
    plan = client.get(f"{url}/leaving").json()
    assert (plan["consumer"]["code"], plan["remaining"]) == (w.consumer.code, [other.organization.code])
    assert {row["system"]["code"] for row in plan["grants"]} == {w.system.code}
    assert (plan["duties"], plan["unfinished"], plan["change_pending"]) == (
        ["data_deleted", "configuration_removed"], [], False,
    )  # fmt: skip
    assert "leave" in [step["verb"] for step in client.get(url).json()["available_actions"]]
    answer = client.post(f"{url}/leave", {"reason": REASON, "version": agreement.version}, content_type="application/json")
    assert answer.status_code == 200, answer.content
    (gone,) = [party for party in answer.json()["parties"] if party["left_at"]]
    assert gone["organization"]["code"] == w.consumer.code
    assert client.get(f"{url}/leaving").status_code == 403
    assert signed_in(other.officer).get(f"{url}/leaving").json()["code"] == "last_consumer"


def test_the_page_shows_it_and_takes_the_step(w, agreement, other):
    page, client = f"/portal/agreements/{agreement.uuid}/", signed_in(w.consumer_officer)
    shown = client.get(page).content.decode()
    assert f"{page}do/leave/" in shown
    assert other.organization.name in shown
    assert f"{page}do/leave/" not in signed_in(w.provider_officer).get(page).content.decode()
    answer = client.post(f"{page}do/leave/", {"reason": REASON, "version": agreement.version})
    assert answer.status_code == 302
    assert agreement.parties.get(organization=w.consumer).left_at
    after = client.get(page).content.decode()
    assert f"{page}do/" not in after, "nothing is left to be done but the duties"
    assert "/portal/duties/" in after
