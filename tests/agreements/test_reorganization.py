"""An agency is merged into another: what runs goes on, under the successor's name, no wider than before."""

import datetime

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from apps.agreements.actions import (
    approve_request,
    complete_duty,
    confirm_acceptance,
    decline_change,
    finish_termination,
    leave_agreement,
    lift_consumer_suspension,
    resume_grant,
    start_change,
    suspend_agreement,
    suspend_consumer,
    suspend_grant,
    terminate_agreement,
)
from apps.agreements.actions.reorganization import unattended
from apps.agreements.choices import GrantStatus, VersionState
from apps.agreements.clock import run_clock
from apps.agreements.models import Agreement, ConsumerSuspension, Duty
from apps.audit.models import AuditEvent
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.core.epoch import current_epoch
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.disputes.reorganization import merge_organizations, plan_merge
from apps.notices.models import Notice
from apps.organizations.choices import OrganizationStatus, Role
from apps.registry.actions import change_service, decide_default_list, end_terms, sign_terms, write_terms
from apps.registry.clock import remind
from apps.registry.forms import ServiceChangeForm
from apps.registry.models import DefaultShareList, UsageRegulation
from apps.registry.terms import terms_hash
from tests.agreements.test_access import with_two_providers
from tests.agreements.test_leaving import CERTIFICATE, REASON, Joiner
from tests.factories.agreements import accepted, agreement_in_force, recorded, signed_special, special_world
from tests.factories.connections import complete_draft, forwarded
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PublishedServiceFactory

LAW = "Nghị quyết 202/2025/QH15"
EARLIER = datetime.date(2026, 1, 5)
WHY = {"violation": "Chuyển tiếp cho bên thứ ba", "plan": "Xác minh", "restore_conditions": "Báo cáo khắc phục"}


def rights(agreement) -> set:
    rows = agreement.grants.exclude(status=GrantStatus.ENDED)
    return {(g.pk, g.environment, g.system_id, g.operation_id, tuple(g.fields), g.quota_per_day, g.valid_to) for g in rows}


@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_agreements_are_carried_over_and_nobodys_access_widens(w, side):
    agreement = accepted(w)
    before, old = rights(agreement), agreement.current_version
    source, into, epoch = getattr(w, side), ReadyOrganizationFactory(), current_epoch()
    assert merge_organizations(source, into, by=w.operator, instrument=LAW).agreements == [agreement]
    source.refresh_from_db()
    assert source.status == OrganizationStatus.CLOSED
    assert rights(agreement) == before
    assert current_epoch() > epoch
    new = agreement.current_version
    assert (new.number, new.content["supersedes"], new.content["change_note"]) == (2, old.content_hash, LAW)
    assert {row["code"] for row in new.content[f"{side}s"]} == {into.code}
    assert repr(source.code) not in str({**new.content, "requests": []})  # quoted: H03.T7 is a part of H03.T76
    assert {s.party.organization for s in new.signatures.all()} == {into, *({w.consumer, w.provider} - {source})}
    assert agreement.present_parties().filter(organization=into, side=side).exists()


def test_an_operator_who_signed_one_of_the_agreements_merges_and_the_signature_holds(w):
    merging = officer(Role.OPERATOR)
    w.consumer_signer.memberships.create(organization=merging.memberships.get().organization, role=Role.OPERATOR)
    agreement = accepted(w)
    signed = agreement.current_version.signatures.get(signer=w.consumer_signer)
    both = type(w.consumer_signer).objects.get(pk=w.consumer_signer.pk)
    merge_organizations(w.provider, ReadyOrganizationFactory(), by=both, instrument=LAW)
    new = agreement.current_version
    kept = new.signatures.get(signer=w.consumer_signer)
    assert (kept.party, kept.signed_hash, kept.drafted_by) == (signed.party, signed.signed_hash, signed.drafted_by)
    assert AuditEvent.objects.get(event="agreement.carried_over").actor == w.consumer_signer


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


def with_two_consumers(w):
    """An agreement of two agencies that consume, a parent and its child; each system has test access."""
    second = ReadyOrganizationFactory(parent=w.consumer)
    signer = officer(Role.SIGNER, second)
    request = complete_draft(w, systems=[w.system, InformationSystemFactory(organization=second)])
    sign_request(request, by=w.consumer_signer)
    sign_request(request, by=signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    return approve_request(request, by=w.provider_officer), second


def test_merged_into_a_party_of_the_same_side_both_become_one(w):
    agreement, second = with_two_consumers(w)
    merge_organizations(second, w.consumer, by=w.operator, instrument=LAW)
    content = agreement.current_version.content
    assert [row["code"] for row in content["consumers"]] == [w.consumer.code]
    assert {row["organization"] for row in content["systems"]} == {w.consumer.code}
    assert agreement.current_version.signatures.count() == 2


def test_what_a_provider_suspended_is_the_successors_to_lift_and_stays_held_until_then(w):
    agreement = accepted(w)
    grant = agreement.grants.get(environment="production")
    suspend_grant(grant, by=w.provider_officer, reason="Lỗi kỹ thuật")
    made = suspend_consumer(agreement.parties.get(side="consumer"), by=w.provider_officer, **WHY)
    into = ReadyOrganizationFactory()
    merge_organizations(w.provider, into, by=w.operator, instrument=LAW)
    successor = officer(Role.PROVIDER_OFFICER, into)
    for row in agreement.grants.exclude(status=GrantStatus.ENDED):
        with pytest.raises(Conflict) as refused:
            resume_grant(row, by=successor)
        assert refused.value.code == "consumer_suspended"
    made.refresh_from_db()
    lift_consumer_suspension(made, by=successor)
    open_now = agreement.grants.exclude(status=GrantStatus.ENDED).values_list("environment", "status")
    assert sorted(open_now) == [("production", "suspended"), ("test", "active")]


@pytest.mark.parametrize("suspended", ["source", "into", "both"])
def test_a_suspended_consumer_that_becomes_one_with_another_is_suspended_as_a_whole(w, suspended):
    agreement, second = with_two_consumers(w)
    for name, organization in (("source", second), ("into", w.consumer)):
        if suspended in (name, "both"):
            suspend_consumer(agreement.parties.get(organization=organization), by=w.provider_officer, **WHY)
    epoch = current_epoch()
    merge_organizations(second, w.consumer, by=w.operator, instrument=LAW)
    left = ConsumerSuspension.objects.open().get()
    assert left.party.organization == w.consumer
    assert set(agreement.grants.values_list("status", "held_by")) == {("suspended", left.pk)}
    assert current_epoch() > epoch
    lift_consumer_suspension(left, by=w.provider_officer)
    assert set(agreement.grants.values_list("status", "held_by")) == {("active", None)}


def test_of_two_suspensions_that_become_one_the_violation_and_its_notice_stay(w):
    agreement, record, second = with_two_providers(w)
    confirm_acceptance(record, by=w.operator)
    moment = timezone.now() - datetime.timedelta(days=3)
    suspend_agreement(agreement, by=w.provider_officer, kind="force_majeure", violation="Mất điện", plan="Chờ")
    suspend_agreement(agreement, by=second, kind="violation", violation="Chuyển tiếp", plan="Xác minh", restore_conditions="Báo cáo",
                      determined_at=moment)  # fmt: skip
    merge_organizations(second.memberships.get().organization, w.provider, by=w.operator, instrument=LAW)
    (row,) = agreement.suspensions.standing()
    assert (row.kind, row.determined_at, row.was_told_late) == ("violation", moment, True)
    assert "Mất điện" in row.reason
    assert "Chuyển tiếp" in row.reason


def test_what_is_unfinished_stops_the_merge_by_name(w):
    request = forwarded(w)
    with pytest.raises(Conflict) as refusal:
        merge_organizations(w.consumer, ReadyOrganizationFactory(), by=w.operator, instrument=LAW)
    assert refusal.value.extra["numbers"] == [request.number]
    w.consumer.refresh_from_db()
    assert w.consumer.status == OrganizationStatus.ACTIVE


def test_a_change_that_awaits_signatures_is_not_lost_by_a_merge(db):
    w = special_world()
    agreement = signed_special(w)
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, calls_per_day=900)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    into = ReadyOrganizationFactory()
    assert plan_merge(w.provider, into, by=w.operator).unfinished == [agreement.number]
    with pytest.raises(Conflict, match=agreement.number):
        merge_organizations(w.provider, into, by=w.operator, instrument=LAW)
    decline_change(agreement, by=w.provider_officer, reason="Chờ sắp xếp xong")
    assert merge_organizations(w.provider, into, by=w.operator, instrument=LAW).agreements == [agreement]


@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_what_was_tested_before_is_confirmed_after_it(w, side):
    agreement = agreement_in_force(w)
    record = recorded(w, agreement)
    merge_organizations(getattr(w, side), ReadyOrganizationFactory(), by=w.operator, instrument=LAW)
    record.refresh_from_db()
    confirm_acceptance(record, by=w.operator)
    assert agreement.grants.filter(environment="production", status=GrantStatus.ACTIVE).exists()


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


@pytest.mark.parametrize(("side", "role"), [("consumer", Role.CONSUMER_OFFICER), ("provider", Role.PROVIDER_OFFICER)])
def test_what_nobody_would_be_reminded_of_is_told_in_the_plan_and_by_the_api(w, side, role):
    accepted(w)
    source, into = getattr(w, side), ReadyOrganizationFactory()
    assert plan_merge(source, into, by=w.operator).missing_roles == [role]
    client = APIClient()
    client.force_login(w.operator)
    answer = client.post(
        "/api/v1/reorganizations", {"source": source.code, "into": into.code, "instrument": LAW}, format="json"
    )
    assert (answer.status_code, answer.json()["missing_roles"]) == (200, [role])
    assert list(unattended(side)) == [into]
    officer(role, into)
    assert not unattended(side).exists()


def plan_by_api(person, **asked):
    client = APIClient()
    client.force_login(person)
    return client.get("/api/v1/reorganizations/plan", asked)


def test_the_plan_by_the_api_is_that_of_the_page_and_writes_nothing(w):
    agreement, into = accepted(w), ReadyOrganizationFactory()
    asked = {"source": w.consumer.code, "into": into.code}
    events, epoch = AuditEvent.objects.count(), current_epoch()
    told = plan_by_api(w.operator, **asked).json()
    plan = plan_merge(w.consumer, into, by=w.operator)
    agency = {"uuid": str(w.consumer.uuid), "code": w.consumer.code, "name": w.consumer.name}
    assert told == {
        "systems": [{"uuid": str(w.system.uuid), "code": w.system.code, "name": w.system.name, "organization": agency}],
        "services": [],
        "agreements": [
            {"uuid": str(agreement.uuid), "number": agreement.number, "title": agreement.title, "status": "in_force"}
        ],
        "regulations": [],
        "default_lists": [],
        "disputes": [],
        "tickets": [],
        "unfinished": plan.unfinished,
        "children": [],
        "missing_roles": plan.missing_roles,
    }
    assert (told["unfinished"], told["missing_roles"]) == ([], ["consumer_officer"])
    assert (AuditEvent.objects.count(), current_epoch(), Agreement.objects.get().current_version.number) == (events, epoch, 1)
    provided = plan_by_api(w.operator, source=w.provider.code, into=into.code).json()
    assert provided["services"] == [{"code": w.service.code, "name": w.service.name}]
    number = forwarded(w).number
    assert plan_by_api(w.operator, **asked).json()["unfinished"] == [number]


def test_the_plan_by_the_api_is_the_operators_and_of_two_active_agencies(w):
    into, closed = ReadyOrganizationFactory(), ReadyOrganizationFactory(status=OrganizationStatus.CLOSED)
    asked = {"source": w.consumer.code, "into": into.code}
    assert plan_by_api(w.provider_officer, **asked).status_code == 403
    for pair, code in (
        ({"source": w.consumer.code}, "invalid"), ({**asked, "into": "KHONG"}, "unknown_organization"),
        ({**asked, "into": w.consumer.code}, "not_mergeable"), ({**asked, "into": closed.code}, "not_mergeable"),
    ):  # fmt: skip
        answer = plan_by_api(w.operator, **pair)
        assert (answer.status_code, answer.json()["code"]) == (400, code), pair


# --- what the provider had issued ----------------------------------------------------------------


def merged_provider(w):
    """The successor with its officer and signer, after the merge."""
    into = ReadyOrganizationFactory()
    people = [officer(role, into) for role in (Role.PROVIDER_OFFICER, Role.SIGNER)]
    merge_organizations(w.provider, into, by=w.operator, instrument=LAW)
    for row in (w.service, w.service.usage_regulation):
        row.refresh_from_db()
    return into, *people


NEW = {"number": "9/QĐ-KT", "title": "Quy chế mới", "issued_on": EARLIER, "effective_from": EARLIER, "terms": "Đúng mục đích."}


def test_a_signed_regulation_stays_as_it_was_signed_and_the_successor_keeps_it(w):
    regulation = w.service.usage_regulation
    signed = (regulation.terms_hash, regulation.terms_signed_by, regulation.terms_signed_at)
    into, keeper, _signer = merged_provider(w)
    assert (regulation.organization, regulation.kept_by, w.service.usage_regulation) == (w.provider, into, regulation)
    assert (regulation.terms_hash, regulation.terms_signed_by, regulation.terms_signed_at) == signed
    assert regulation.terms_hash == terms_hash(regulation)
    event = AuditEvent.objects.about(regulation).get(event="usage_regulation.carried_over")
    assert (event.actor, set(event.organizations)) == (w.operator, {w.provider.uuid, into.uuid})
    made = approve_request(forwarded(w), by=keeper)
    standing = made.current_version.signatures.get(party__organization=into)
    assert (standing.signed_hash, standing.signer) == signed[:2], "the terms signed once stand for the successor too"
    with pytest.raises(NotPermitted):
        end_terms(regulation, by=w.stranger, effective_to=timezone.localdate())
    end_terms(regulation, by=keeper, effective_to=timezone.localdate() + datetime.timedelta(days=30))


def test_the_successor_changes_its_services_and_attaches_a_regulation_of_its_own(w):
    kept = w.service.usage_regulation
    into, keeper, signer = merged_provider(w)
    assert change_service(w.service, by=keeper, contact="Số mới", usage_regulation=kept).keys() == {"contact"}
    form = ServiceChangeForm(user=keeper, obj=w.service)
    assert list(form.fields["usage_regulation"].queryset) == [kept]
    own = write_terms(into, by=keeper, **NEW)
    sign_terms(own, by=signer)
    change_service(w.service, by=keeper, usage_regulation=own)
    w.service.refresh_from_db()
    assert (w.service.usage_regulation, own.kept_by, own.keeper) == (own, None, into)


def test_what_nobody_had_signed_is_the_successors_to_sign_and_nobody_elses_to_see(w):
    draft = write_terms(w.provider, by=w.provider_officer, **NEW)
    _into, keeper, signer = merged_provider(w)
    draft.refresh_from_db()
    visible = [fresh for fresh in (keeper, signer, w.operator, w.stranger) if sees_terms(fresh, draft)]
    assert visible == [keeper, signer, w.operator]
    sign_terms(draft, by=signer)
    assert (draft.organization, draft.terms_signed_by, draft.terms_hash) == (w.provider, signer, terms_hash(draft))


def sees_terms(person, regulation) -> bool:
    return UsageRegulation.objects.visible_to(person).filter(pk=regulation.pk).exists()


def decided(organization, by, service, number: str, day: datetime.date) -> DefaultShareList:
    return decide_default_list(organization, by=by, number=number, decided_on=day, services=[service])


def in_force() -> set[str]:
    return set(DefaultShareList.objects.in_force().values_list("number", flat=True))


def test_the_list_in_force_is_the_successors_to_review_until_it_decides_its_own(w):
    into = ReadyOrganizationFactory()
    keeper = officer(Role.PROVIDER_OFFICER, into)
    own = PublishedServiceFactory(provider=into, usage_regulation__organization=into)
    decided(w.provider, w.provider_officer, w.service, "cũ", timezone.localdate() - datetime.timedelta(days=300))
    carried = decided(w.provider, w.provider_officer, w.service, "chuyển", timezone.localdate() - datetime.timedelta(days=200))
    decided(into, keeper, own, "của mình", timezone.localdate() - datetime.timedelta(days=100))
    merge_organizations(w.provider, into, by=w.operator, instrument=LAW)
    carried.refresh_from_db()
    assert (carried.organization, carried.kept_by, carried.kept_from) == (w.provider, into, timezone.localdate())
    assert DefaultShareList.objects.get(number="cũ").kept_by is None, "replaced before: history"
    assert AuditEvent.objects.about(carried).filter(event="default_list.carried_over", actor=w.operator).exists()
    assert in_force() == {"chuyển", "của mình"}
    remind()
    assert Notice.objects.filter(kind="default_list.late", key__contains=str(carried.uuid), recipient=keeper).exists()
    w.service.refresh_from_db()
    decide_default_list(into, by=keeper, number="chung", decided_on=timezone.localdate(), services=[own, w.service])
    assert in_force() == {"chung"}


def test_the_plan_names_regulations_lists_and_open_agencies_under_it(w):
    row = decided(w.provider, w.provider_officer, w.service, "12/QĐ", timezone.localdate())
    child = ReadyOrganizationFactory(parent=w.provider)
    ReadyOrganizationFactory(parent=w.provider, status=OrganizationStatus.CLOSED)
    into = ReadyOrganizationFactory()
    plan = plan_merge(w.provider, into, by=w.operator)
    assert (plan.regulations, plan.default_lists) == ([w.service.usage_regulation], [row])
    assert (plan.unfinished, plan.children, plan.is_hindered) == ([], [child], True)
    told = plan_by_api(w.operator, source=w.provider.code, into=into.code).json()
    assert [one["code"] for one in told["children"]] == [child.code]
    assert told["default_lists"] == [{"uuid": str(row.uuid), "number": "12/QĐ", "decided_on": timezone.localdate().isoformat()}]
    assert [one["number"] for one in told["regulations"]] == [w.service.usage_regulation.number]
    with pytest.raises(Conflict) as refusal:
        merge_organizations(w.provider, into, by=w.operator, instrument=LAW)
    assert refusal.value.code == "has_children"
    w.service.refresh_from_db()
    w.service.usage_regulation.refresh_from_db()
    row.refresh_from_db()
    assert (w.service.provider, w.service.usage_regulation.kept_by, row.kept_by) == (w.provider, None, None)
    assert not AuditEvent.objects.filter(event__endswith=".carried_over").exists()


def test_a_list_that_a_later_decision_replaced_does_not_come_back_by_another_merge(w):
    middle, last = ReadyOrganizationFactory(), ReadyOrganizationFactory()
    keeper = officer(Role.PROVIDER_OFFICER, middle)
    decided(w.provider, w.provider_officer, w.service, "đầu", timezone.localdate() - datetime.timedelta(days=10))
    merge_organizations(w.provider, middle, by=w.operator, instrument=LAW)
    w.service.refresh_from_db()
    decided(middle, keeper, w.service, "giữa", timezone.localdate())
    merge_organizations(middle, last, by=w.operator, instrument=LAW)
    assert in_force() == {"giữa"}
    kept = UsageRegulation.objects.get(pk=w.service.usage_regulation_id)
    assert (kept.organization, kept.kept_by) == (w.provider, last)


def test_what_was_only_drafted_is_withdrawn_with_its_agency_and_holds_nobody_back(w):
    agreement = accepted(w)
    other = Joiner(w, agreement)
    drafts = [start_change(agreement, by=w.consumer_officer), complete_draft(w), start_change(agreement, by=other.officer)]
    into = ReadyOrganizationFactory()
    successor = officer(Role.CONSUMER_OFFICER, into)
    merge_organizations(w.consumer, into, by=w.operator, instrument=LAW)
    for draft in drafts:
        draft.refresh_from_db()
    assert [draft.status for draft in drafts] == ["withdrawn", "withdrawn", "draft"]
    event = AuditEvent.objects.filter(event="request.orphaned").first()
    assert (event.actor, event.facts["consumer"]) == (w.operator, w.consumer.code)
    assert Notice.objects.filter(kind="request.orphaned", recipient=successor).count() == 2
    agreement.refresh_from_db()
    leave_agreement(agreement, by=successor, reason="Không còn dùng")
    assert agreement.parties.get(organization=into).left_at is not None


def test_a_draft_that_was_left_behind_by_a_former_merge_is_withdrawn_by_the_clock(w):
    draft = complete_draft(w)
    assert run_clock()["fallen"] == 0
    type(w.consumer).objects.filter(pk=w.consumer.pk).update(status=OrganizationStatus.CLOSED)
    assert run_clock()["fallen"] == 1
    draft.refresh_from_db()
    assert draft.status == "withdrawn"


def left(w, agreement):
    """An agreement that goes on for another consumer, of which `w.consumer` owes nothing any more."""
    other = Joiner(w, agreement)
    agreement.refresh_from_db()
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    for duty in agreement.duties.all():
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=CERTIFICATE)
    return other


def test_what_one_has_left_and_owes_nothing_of_does_not_hinder_its_merge_into_the_provider(w):
    agreement = accepted(w)
    other = left(w, agreement)
    assert plan_merge(w.consumer, w.provider, by=w.operator).unfinished == []
    assert merge_organizations(w.consumer, w.provider, by=w.operator, instrument=LAW).agreements == []
    assert agreement.organization_ids() == {w.provider.pk, other.organization.pk}


def test_what_others_end_does_not_hinder_the_merge_of_who_has_left_it(w):
    agreement = accepted(w)
    left(w, agreement)
    agreement.refresh_from_db()
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="Theo yêu cầu")
    assert plan_merge(w.consumer, ReadyOrganizationFactory(), by=w.operator).unfinished == []
    assert plan_merge(w.provider, ReadyOrganizationFactory(), by=w.operator).unfinished == [agreement.number]


def test_a_provider_is_not_merged_into_who_consumed_from_it_once(w):
    agreement = accepted(w)
    left(w, agreement)
    with pytest.raises(Conflict) as refusal:
        merge_organizations(w.provider, w.consumer, by=w.operator, instrument=LAW)
    assert refusal.value.extra["numbers"] == [agreement.number]


@pytest.mark.parametrize("did", [True, False])
def test_who_left_and_came_back_by_a_merge_leaves_again_with_duties_of_its_own(w, did):
    agreement = accepted(w)
    third, other = Joiner(w, agreement), Joiner(w, agreement)
    agreement.refresh_from_db()
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    for duty in agreement.duties.all() if did else ():
        complete_duty(duty, by=w.consumer_officer, note="Đã xóa.", file=CERTIFICATE)
    merge_organizations(other.organization, w.consumer, by=w.operator, instrument=LAW)
    assert w.consumer.pk in agreement.organization_ids("consumer")
    agreement.refresh_from_db()
    leave_agreement(agreement, by=w.consumer_officer, reason=REASON)
    rows = agreement.duties.filter(party__organization=w.consumer)
    assert sorted(rows.values_list("kind", "is_past")) == sorted(
        (kind, past) for kind in ("data_deleted", "configuration_removed") for past in ((True, False) if did else (False,))
    )
    assert Duty.objects.owed().filter(party__organization=w.consumer).count() == 2
    assert agreement.organization_ids("consumer") == {third.organization.pk}


def test_the_end_asks_who_came_back_by_a_merge_for_its_duties_anew(w):
    agreement = accepted(w)
    other = left(w, agreement)
    merge_organizations(other.organization, w.consumer, by=w.operator, instrument=LAW)
    agreement.refresh_from_db()
    terminate_agreement(agreement, by=w.consumer_officer, ground="consumer", reason=REASON)
    assert Duty.objects.owed().filter(party__organization=w.consumer, kind="data_deleted").count() == 1
    with pytest.raises(FactMissing) as refused:
        finish_termination(agreement, by=w.provider_officer)
    assert refused.value.code == "duties_open"
