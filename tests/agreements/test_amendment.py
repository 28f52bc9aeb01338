"""Change, renewal, join: a new request from what runs; the old version stays in force until the new one is."""

import datetime
import uuid
from importlib import import_module

import pytest
import time_machine
from django.apps import apps
from django.db import transaction
from django.utils import timezone

from apps.agreements.actions import (
    agree_content,
    approve_request,
    change_clause,
    confirm_acceptance,
    decline_change,
    end_grant,
    propose_content,
    sign_agreement,
    start_change,
    start_join,
    start_renewal,
    suspend_agreement,
    suspend_grant,
    terminate_agreement,
)
from apps.agreements.actions.amendment import amended_content
from apps.agreements.actions.signing import add_signature
from apps.agreements.choices import AgreementStatus, GrantStatus, SignatureBasis, VersionState
from apps.agreements.differences import differences
from apps.agreements.models import Agreement, Credential, Grant
from apps.audit.models import AuditEvent
from apps.connections.actions import (
    attach_file,
    draft_request,
    enter_paper_request,
    forward_request,
    save_draft,
    sign_request,
    submit_request,
)
from apps.connections.choices import AttachmentKind, RequestKind
from apps.connections.content import request_hash
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.registry.actions import change_service
from apps.registry.choices import Environment
from tests.factories.agreements import accepted, agreement_in_force, negotiating, recorded, signed_special, special_world
from tests.factories.organizations import FocalPointFactory, InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import PurposeFactory


def decide(request, w, by=None, officer_=None, signer=None):
    sign_request(request, by=signer or w.consumer_signer)
    submit_request(request, by=officer_ or w.consumer_officer)
    forward_request(request, by=w.operator)
    return approve_request(request, by=by or w.provider_officer)


def open_fields(agreement, w, environment):
    grants = agreement.grants.filter(environment=environment, system=w.system).exclude(status=GrantStatus.ENDED)
    envelope = {field.path for field in w.operation.fields.all() if field.is_envelope}
    return set(grants.get().fields) - envelope


def test_a_change_starts_prefilled_with_what_runs(w):
    agreement = accepted(w)
    request = start_change(agreement, by=w.consumer_officer)
    assert request.kind == RequestKind.CHANGE
    assert request.basis.agreement == agreement
    (row,) = request.requested_operations.all()
    assert sorted(field.path for field in row.fields.all()) == sorted(w.fields())
    assert [row.system for row in request.request_systems.all()] == [w.system]
    assert (request.calls_per_day, request.purpose, request.technician) == (500, w.purpose, "Nguyễn Văn Kỹ, 0209 111 222")


def test_a_change_keeps_the_terms_that_were_negotiated_until_somebody_writes_others(db):
    w = special_world()
    agreement = negotiating(w)
    propose_content(agreement, by=w.consumer_officer, changes={"other_terms": "Báo cáo quý."}, note="Báo cáo")
    version = agreement.versions.order_by("-number").first()
    agree_content(agreement, by=w.provider_officer, content_hash=version.content_hash)
    for signer in (w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=signer, content_hash=version.content_hash)
    current = agreement.versions.get(state=VersionState.CURRENT)
    request = start_change(agreement, by=w.consumer_officer)
    assert request.note == "Báo cáo quý."
    content = amended_content(request, agreement, current, 3)
    assert (content["other_terms"], content["change_note"]) == ("Báo cáo quý.", "thay đổi")
    save_draft(request, by=w.consumer_officer, change_reason="Thêm việc theo NĐ 1/2026.")
    content = amended_content(request, agreement, current, 3)
    assert (content["other_terms"], content["change_note"]) == ("Báo cáo quý.", "Thêm việc theo NĐ 1/2026.")
    save_draft(request, by=w.consumer_officer, note="Báo cáo tháng.")
    content = amended_content(request, agreement, current, 3)
    assert (content["other_terms"], content["change_note"]) == ("Báo cáo tháng.", "Thêm việc theo NĐ 1/2026.")


NEGOTIATED = {
    "restrictions": {"hours": {"from": "07:00", "to": "19:00"}, "text": "Chỉ tra cứu khi có hồ sơ."},
    "commitments": "Cam kết riêng của hai bên.", "security": {"text": "TLS 1.3."}, "open_to_join": False,
    "storage": {"ground": "Không lưu trữ."}, "disposal": {"deadline": "trong 10 ngày"}, "place": {"exchange_point": "Trục riêng"},
    "term": {"usage_duration": ["Trong ngày"]},
}  # fmt: skip


@pytest.mark.parametrize("begin", [start_change, start_renewal])
def test_what_no_request_can_say_goes_on_as_it_was_negotiated(db, begin):
    w = special_world()
    agreement = negotiating(w)
    level = [{**row, "text": "99,9 %"} for row in agreement.current_version.content["service_level"]]
    propose_content(agreement, by=w.consumer_officer, changes={**NEGOTIATED, "service_level": level}, note="Đã bàn")
    version = agreement.versions.order_by("-number").first()
    agree_content(agreement, by=w.provider_officer, content_hash=version.content_hash)
    for signer in (w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=signer, content_hash=version.content_hash)
    later = {
        "by": officer(Role.LEGAL_OFFICER),
        "text": "Biện pháp mới.",
        "effective_from": timezone.localdate() + datetime.timedelta(days=1),
    }
    change_clause("disposal", **later)
    with time_machine.travel(timezone.now() + datetime.timedelta(days=2), tick=False):
        request = begin(agreement, by=w.consumer_officer)
        save_draft(request, by=w.consumer_officer, calls_per_day=900)
        submit_request(request, by=w.consumer_officer)
        forward_request(request, by=w.operator)
        approve_request(request, by=w.provider_officer)
        draft = agreement.versions.order_by("-number").first()
        said = [str(row.item) for row in differences(version.content, draft.content)]
        assert set(said) - {"Có giá trị đến", "Số lượt gọi mỗi ngày"} == {"Xóa, hủy dữ liệu"}, "a clause is the one of its day"
        assert draft.content["service_level"] == level
        for signer in (w.consumer_signer, w.provider_signer):
            sign_agreement(agreement, by=signer, content_hash=draft.content_hash)
    grant = agreement.grants.exclude(status=GrantStatus.ENDED).get()
    assert (grant.hours_from, grant.hours_to) == (datetime.time(7), datetime.time(19)), (
        "a renewal opens no hour that was closed"
    )


def test_the_reason_of_a_change_is_signed_with_it_and_only_a_change_has_one(w):
    agreement = accepted(w)
    request = start_change(agreement, by=w.consumer_officer)
    before = request_hash(request)
    save_draft(request, by=w.consumer_officer, change_reason="Vì việc mới.")
    assert request_hash(request) != before
    organization, asker, _signer = joiner()
    for other in (draft_request(w.consumer, by=w.consumer_officer), start_join(agreement, organization, by=asker)):
        with pytest.raises(InvalidFact) as refusal:
            save_draft(other, by=other.created_by, change_reason="x")
        assert (refusal.value.code, set(refusal.value.extra["fields"])) == ("not_a_change", {"change_reason"})


def _split():
    import_module("apps.agreements.migrations.0016_reason_apart_from_terms").tell_them_apart(apps, None)


def test_a_reason_that_was_written_over_the_terms_is_told_apart_from_them_in_what_nobody_signed(w):
    agreement = accepted(w)
    requests = [start_change(agreement, by=w.consumer_officer) for _turn in range(2)]
    for request in requests:
        save_draft(request, by=w.consumer_officer, note="Thêm hai mục tin.")
    sign_request(requests[1], by=w.consumer_signer)
    terms, signed, version = agreement.current_version.content["other_terms"], request_hash(requests[1]), requests[0].version
    _split()
    for request in requests:
        request.refresh_from_db()
    assert (requests[0].note, requests[0].change_reason) == (terms, "Thêm hai mục tin.")
    assert requests[0].version == version + 1
    assert (requests[1].note, requests[1].change_reason, request_hash(requests[1])) == ("Thêm hai mục tin.", "", signed)


def test_what_runs_without_an_end_is_not_renewed(w):
    agreement = accepted(w)
    Agreement.objects.filter(pk=agreement.pk).update(valid_to=None)
    agreement.refresh_from_db()
    with pytest.raises(Conflict) as refusal:
        start_renewal(agreement, by=w.consumer_officer)
    assert refusal.value.code == "no_end"
    assert not agreement.bases.filter(request__kind=RequestKind.RENEWAL).exists()
    assert start_change(agreement, by=w.consumer_officer).kind == RequestKind.CHANGE


def test_a_wider_change_waits_in_production_for_its_own_test(w):
    agreement = accepted(w)
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, scope={w.operation: w.fields(5)}, change_reason="Thêm hai mục tin.")
    decide(request, w)
    assert open_fields(agreement, w, Environment.TEST) == set(w.fields(5))
    assert open_fields(agreement, w, Environment.PRODUCTION) == set(w.fields(3))
    confirm_acceptance(recorded(w, agreement), by=w.provider_officer)
    assert open_fields(agreement, w, Environment.PRODUCTION) == set(w.fields(5))


def test_a_narrower_change_narrows_production_at_once(w):
    agreement = accepted(w)
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, scope={w.operation: w.fields(1)})
    decide(request, w)
    assert open_fields(agreement, w, Environment.PRODUCTION) == set(w.fields(1))


def test_the_new_version_supersedes_the_old_one_by_its_hash(w):
    agreement = accepted(w)
    old = agreement.current_version
    decide(start_change(agreement, by=w.consumer_officer), w)
    old.refresh_from_db()
    new = agreement.current_version
    assert (old.state, new.state, new.number) == (VersionState.SUPERSEDED, VersionState.CURRENT, 2)
    assert new.content["supersedes"] == old.content_hash
    assert new.signatures.count() == 2


def by_joining(agreement, w):
    joined(agreement, w)


def by_a_change(agreement, w):
    decide(start_change(agreement, by=w.consumer_officer), w)


def by_a_renewal(agreement, w):
    decide(start_renewal(agreement, by=w.consumer_officer), w)


@pytest.mark.parametrize("environment", Environment.values)
@pytest.mark.parametrize("amend", [by_a_change, by_a_renewal, by_joining])
def test_an_access_that_was_suspended_alone_stays_suspended_in_the_next_version(w, amend, environment):
    agreement = accepted(w)
    suspend_grant(agreement.grants.get(environment=environment), by=w.provider_officer, reason="Bất thường")
    amend(agreement, w)
    rows = agreement.grants.exclude(status=GrantStatus.ENDED).filter(system=w.system)
    grant = rows.get(environment=environment)
    assert (grant.status, grant.status_reason, grant.held_by) == (GrantStatus.SUSPENDED, "Bất thường", None)
    assert rows.exclude(environment=environment).get().status == GrantStatus.ACTIVE


@pytest.mark.parametrize("environment", Environment.values)
def test_an_access_that_was_ended_is_not_opened_by_somebody_who_joins(w, environment):
    agreement = accepted(w)
    end_grant(agreement.grants.get(environment=environment), by=w.provider_officer, reason="Không dùng nữa")
    by_joining(agreement, w)
    (left,) = agreement.grants.exclude(status=GrantStatus.ENDED).filter(system=w.system)
    assert left.environment != environment


def test_an_access_that_was_ended_is_not_opened_by_another_consumers_change_but_by_ones_own(w):
    agreement = accepted(w)
    _system, asker, signer = joined(agreement, w)
    mine = agreement.grants.filter(system=w.system).exclude(status=GrantStatus.ENDED)
    end_grant(mine.get(environment=Environment.TEST), by=w.provider_officer, reason="Không dùng nữa")
    decide(start_change(agreement, by=asker), w, officer_=asker, signer=signer)
    assert [grant.environment for grant in mine.all()] == [Environment.PRODUCTION]
    by_a_change(agreement, w)
    assert mine.count() == 2


def test_two_changes_from_the_same_version_do_not_both_pass(w):
    agreement = accepted(w)
    first, second = (start_change(agreement, by=w.consumer_officer) for _turn in range(2))
    decide(first, w)
    with pytest.raises(FactMissing) as refusal:
        decide(second, w)
    assert refusal.value.code == "agreement_changed"


def test_a_renewal_moves_the_term_on_and_widens_nothing(w):
    agreement = accepted(w)
    ends = agreement.valid_to
    request = start_renewal(agreement, by=w.consumer_officer)
    assert request.kind == RequestKind.RENEWAL
    decide(request, w)
    agreement.refresh_from_db()
    assert agreement.valid_to > ends + datetime.timedelta(days=300)
    assert open_fields(agreement, w, Environment.PRODUCTION) == set(w.fields(3))
    assert {g.valid_to for g in agreement.grants.exclude(status=GrantStatus.ENDED)} == {agreement.valid_to}
    assert agreement.in_force_at is not None


@pytest.mark.parametrize("person", ["provider_officer", "operator", "stranger", "consumer_signer"])
def test_only_the_consumer_begins_a_change_or_renewal(w, person):
    agreement = agreement_in_force(w)
    for begin in (start_change, start_renewal):
        with pytest.raises(NotPermitted):
            begin(agreement, by=getattr(w, person))


def joiner():
    organization = ReadyOrganizationFactory()
    return organization, officer(Role.CONSUMER_OFFICER, organization), officer(Role.SIGNER, organization)


def test_wf_34_an_outsider_joins_and_nothing_changes_for_the_others(w):
    agreement = accepted(w)
    mine = {(g.environment, tuple(g.fields)) for g in agreement.grants.all()}
    before = agreement.current_version.content["contacts"]
    FocalPointFactory(organization=w.provider)
    organization, asker, signer = joiner()
    system = InformationSystemFactory(organization=organization, network="TSLCD cấp II")
    request = start_join(agreement, organization, by=asker)
    assert not request.request_systems.exists()
    save_draft(request, by=asker, systems=[system], technician="Lê Văn Nối")
    decide(request, w, officer_=asker, signer=signer)
    agreement.refresh_from_db()
    assert organization.pk in agreement.organization_ids("consumer")
    content = agreement.current_version.content
    assert [row["code"] for row in content["systems"]] == [w.system.code, system.code]
    assert [row["organization"] for row in content["contacts"] if row not in before] == [organization.code] * 2
    assert content["place"]["usage_location"] == sorted([w.system.name, system.name])
    assert content["place"]["networks"] == sorted({w.system.network, system.network})
    open_rows = agreement.grants.exclude(status=GrantStatus.ENDED)
    assert {(g.environment, tuple(g.fields)) for g in open_rows.filter(system=w.system)} == mine
    assert {g.environment for g in open_rows.filter(system=system)} == {Environment.TEST}
    assert Credential.objects.get(system=system).environment == Environment.TEST
    bases = {s.party.organization_id: s.basis for s in agreement.current_version.signatures.all()}
    assert bases == {
        w.provider.pk: SignatureBasis.STANDING_TERMS, w.consumer.pk: SignatureBasis.OPEN_CLAUSE,
        organization.pk: SignatureBasis.REQUEST,
    }  # fmt: skip


def joined(agreement, w):
    """`agreement` with one more consumer; returns its system, officer and signer."""
    organization, asker, signer = joiner()
    system = InformationSystemFactory(organization=organization)
    request = start_join(agreement, organization, by=asker)
    save_draft(request, by=asker, systems=[system], technician="Lê Văn Nối")
    decide(request, w, officer_=asker, signer=signer)
    agreement.refresh_from_db()
    return system, asker, signer


def running(agreement):
    rows = agreement.grants.exclude(status=GrantStatus.ENDED)
    return {(row.system.code, row.environment, row.status, tuple(row.fields), row.quota_per_day) for row in rows}


def test_one_joins_an_agreement_that_was_signed_on_paper(w):
    facts = {"received_on": timezone.localdate(), "paper_signer": "Trần Thị Ký, Giám đốc", **w.content()}
    request = enter_paper_request(w.consumer, by=w.operator, **facts)
    attach_file(request, by=w.operator, name="cv.pdf", data=b"%PDF-1.7\n%%EOF\n", kind=AttachmentKind.PAPER)
    submit_request(request, by=w.operator)
    forward_request(request, by=officer(Role.OPERATOR))
    agreement = approve_request(request, by=w.provider_officer)
    joined(agreement, w)
    signature = agreement.current_version.signatures.get(party__organization=w.consumer)
    assert (signature.signer, signature.signer_name, signature.basis) == (None, "Trần Thị Ký, Giám đốc", "paper")


def test_what_a_service_says_of_itself_is_not_taken_for_negotiated(db):
    w = special_world()
    agreement = signed_special(w)
    service = w.operation.version.service
    for text in ("99,5 %", "99,9 %"):
        change_service(service, by=w.provider_officer, sla=text)
        request = start_change(agreement, by=w.consumer_officer)
        save_draft(request, by=w.consumer_officer, calls_per_day=len(text) * 100 + int(text[3]))
        submit_request(request, by=w.consumer_officer)
        approve_request(forward_request(request, by=w.operator), by=w.provider_officer)
        draft = agreement.versions.order_by("-number").first()
        assert [row["text"] for row in draft.content["service_level"]] == [text]
        for signer in (w.consumer_signer, w.provider_signer):
            sign_agreement(agreement, by=signer, content_hash=draft.content_hash)
        agreement.refresh_from_db()


def test_who_had_tested_before_another_joined_does_not_test_again(w):
    agreement = agreement_in_force(w)
    record = recorded(w, agreement)
    joined(agreement, w)
    record.refresh_from_db()
    confirm_acceptance(record, by=w.provider_officer)
    assert open_fields(agreement, w, Environment.PRODUCTION) == set(w.fields(3))


def test_a_change_begins_with_ones_own_technician_and_not_with_who_joined_last(w):
    agreement = accepted(w)
    _system, asker, _signer = joined(agreement, w)
    found = [start_change(agreement, by=person).technician for person in (w.consumer_officer, asker)]
    assert found == ["Nguyễn Văn Kỹ, 0209 111 222", "Lê Văn Nối"]


@pytest.mark.parametrize("drafter", ["first consumer", "joiner"])
@pytest.mark.parametrize("begin", [start_change, start_renewal])
def test_a_change_by_one_consumer_keeps_what_runs_for_the_other(w, drafter, begin):
    agreement = accepted(w)
    system, asker, signer = joined(agreement, w)
    before, ends = running(agreement), agreement.valid_to
    people = {} if drafter == "first consumer" else {"officer_": asker, "signer": signer}
    own = w.system if drafter == "first consumer" else system
    request = begin(agreement, by=people.get("officer_", w.consumer_officer))
    assert [row.system for row in request.request_systems.all()] == [own]
    save_draft(request, by=people.get("officer_", w.consumer_officer), technician="Trần Văn Mới")
    decide(request, w, **people)
    agreement.refresh_from_db()
    assert running(agreement) == before
    assert agreement.valid_to >= ends
    content = agreement.current_version.content
    assert {row["code"] for row in content["systems"]} == {w.system.code, system.code}
    assert {row["code"] for row in content["consumers"]} == {w.consumer.code, system.organization.code}
    assert {row["system"] for row in content["security"]["levels"]} == {w.system.code, system.code}
    assert {w.consumer.code, system.organization.code} <= {row["organization"] for row in content["contacts"]}
    assert agreement.current_version.signatures.count() == 3


@pytest.mark.parametrize("part", ["scope", "calls_per_day", "wanted_to", "wanted_from"])
def test_one_consumer_changes_nothing_for_another_that_has_not_signed(w, part):
    agreement = accepted(w)
    joined(agreement, w)
    before, today = running(agreement), datetime.date.today()
    other = {
        "scope": {w.operation: w.fields(5)}, "calls_per_day": 10, "wanted_to": today + datetime.timedelta(days=30),
        "wanted_from": today + datetime.timedelta(days=60),
    }  # fmt: skip
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, **{part: other[part]})
    with pytest.raises(FactMissing) as refusal, transaction.atomic():
        decide(request, w)
    assert (refusal.value.code, set(refusal.value.extra["fields"])) == ("others_concerned", {part})
    assert running(agreement) == before


def test_a_parent_drops_no_system_of_its_child_without_the_child(w):
    child = ReadyOrganizationFactory(parent=w.consumer)
    theirs = InformationSystemFactory(organization=child)
    request = draft_request(w.consumer, by=w.consumer_officer, **w.content(systems=[w.system, theirs]))
    sign_request(request, by=officer(Role.SIGNER, child))
    agreement = decide(request, w)
    before = running(agreement)
    request = start_change(agreement, by=w.consumer_officer)
    assert {row.system for row in request.request_systems.all()} == {w.system, theirs}
    save_draft(request, by=w.consumer_officer, systems=[w.system])
    decide(request, w)
    assert running(agreement) == before
    assert theirs.code in {code for code, *_rest in running(agreement)}


@pytest.mark.parametrize("part", ["scope", "calls_per_day", "source_networks", "purpose", "wanted_to"])
def test_a_join_opens_nothing_but_what_the_joiner_signed(w, part):
    agreement = accepted(w)
    organization, asker, signer = joiner()
    other = {
        "scope": {w.operation: w.fields(1)}, "calls_per_day": 10, "source_networks": ["10.1.2.3"], "purpose": PurposeFactory(),
        "wanted_to": agreement.valid_to.date() - datetime.timedelta(days=30),
    }  # fmt: skip
    request = start_join(agreement, organization, by=asker)
    systems = [InformationSystemFactory(organization=organization)]
    save_draft(request, by=asker, systems=systems, technician="Lê Văn Nối", **{part: other[part]})
    with pytest.raises(FactMissing) as refusal, transaction.atomic():
        decide(request, w, officer_=asker, signer=signer)
    assert (refusal.value.code, set(refusal.value.extra["fields"])) == ("join_differs", {part})
    assert organization.pk not in agreement.organization_ids()
    assert not Grant.objects.filter(system__in=systems).exists()


@pytest.mark.parametrize("begin", [start_change, start_renewal])
def test_cc_05_a_beginning_that_is_repeated_finds_its_draft_as_it_is_by_now(w, begin):
    agreement, key = accepted(w), uuid.uuid4()
    request = begin(agreement, by=w.consumer_officer, uuid=key)
    save_draft(request, by=w.consumer_officer, calls_per_day=7)
    terminate_agreement(agreement, by=w.operator, ground="authority", reason="Yêu cầu")
    again = begin(agreement, by=w.consumer_officer, uuid=key)
    assert (again, again.calls_per_day) == (request, 7)


def test_cc_05_a_key_belongs_to_one_act_on_one_agreement(w):
    first, second, key = accepted(w), agreement_in_force(w), uuid.uuid4()
    start_change(first, by=w.consumer_officer, uuid=key)
    facts = {"received_on": timezone.localdate(), "paper_signer": "x"}
    for act in (
        lambda: start_change(second, by=w.consumer_officer, uuid=key),
        lambda: start_renewal(first, by=w.consumer_officer, uuid=key),
        lambda: draft_request(w.consumer, by=w.consumer_officer, uuid=key),
        lambda: enter_paper_request(w.consumer, by=w.operator, uuid=key, **facts),
    ):
        with pytest.raises(Conflict) as refusal:
            act()
        assert refusal.value.code == "idempotency_key_reused"


def test_a_party_does_not_join_again(w):
    with pytest.raises(InvalidFact):
        start_join(agreement_in_force(w), w.consumer, by=w.consumer_officer)


@pytest.mark.parametrize("whose", ["outsider", "party"])
def test_nobody_joins_in_another_agencys_name_nor_learns_who_is_a_party(w, whose):
    organization = w.consumer if whose == "party" else joiner()[0]
    with pytest.raises(NotPermitted) as refusal:
        start_join(agreement_in_force(w), organization, by=w.stranger)
    assert refusal.value.code == "not_permitted"


def test_a_special_agreement_changes_only_with_every_signature(special):
    w = special
    agreement = signed_special(w)
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, calls_per_day=900)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    assert agreement.current_version.number == 1
    draft = agreement.versions.order_by("-number").first()
    assert (draft.number, draft.state) == (2, VersionState.DRAFT)
    sign_agreement(agreement, by=w.consumer_signer, content_hash=draft.content_hash)
    assert agreement.current_version.number == 1
    sign_agreement(agreement, by=w.provider_signer, content_hash=draft.content_hash)
    assert agreement.current_version.number == 2
    assert agreement.grants.exclude(status=GrantStatus.ENDED).get().quota_per_day == 900


@pytest.fixture
def special_joining(special):
    """A special agreement, who asks to join it and who signs for it; the change that names it awaits signatures."""
    agreement = signed_special(special)
    organization, asker, signer = joiner()
    request = start_join(agreement, organization, by=asker)
    save_draft(request, by=asker, systems=[InformationSystemFactory(organization=organization)], technician="Lê Văn Nối")
    submit_request(request, by=asker)
    forward_request(request, by=special.operator)
    approve_request(request, by=special.provider_officer)
    return agreement, asker, signer


@pytest.mark.parametrize("stage", ["nobody has signed", "it has signed", "it was declined"])
def test_who_joins_a_special_agreement_has_no_say_before_all_have_signed(special, special_joining, stage):
    agreement, asker, signer = special_joining
    if stage != "nobody has signed":
        sign_agreement(agreement, by=signer, content_hash=agreement.versions.order_by("-number").first().content_hash)
    if stage == "it was declined":
        decline_change(agreement, by=special.consumer_officer, reason="Không đồng ý")
    for step in (
        lambda: terminate_agreement(agreement, by=asker, ground="consumer", reason="Không còn nhu cầu"),
        lambda: start_change(agreement, by=asker),
        lambda: start_renewal(agreement, by=asker),
    ):
        with pytest.raises(NotPermitted):
            step()


def test_who_joined_a_special_agreement_has_a_partys_say_when_all_have_signed(special, special_joining):
    agreement, asker, signer = special_joining
    draft = agreement.versions.order_by("-number").first()
    for person in (signer, special.consumer_signer, special.provider_signer):
        sign_agreement(agreement, by=person, content_hash=draft.content_hash)
    assert start_change(agreement, by=asker).consumer == asker.memberships.get().organization
    terminate_agreement(agreement, by=asker, ground="authority", reason="Theo yêu cầu của cơ quan có thẩm quyền")
    agreement.refresh_from_db()
    assert agreement.status == AgreementStatus.ENDING


def test_a_joiner_of_a_special_agreement_opens_its_own_access_and_not_what_ended(special):
    w = special
    agreement = signed_special(w)
    end_grant(agreement.grants.get(), by=w.provider_officer, reason="Không dùng nữa")
    organization, asker, signer = joiner()
    system = InformationSystemFactory(organization=organization)
    request = start_join(agreement, organization, by=asker)
    save_draft(request, by=asker, systems=[system], technician="Lê Văn Nối")
    submit_request(request, by=asker)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    draft = agreement.versions.get(state=VersionState.DRAFT)
    for person in (w.consumer_signer, w.provider_signer, signer):
        sign_agreement(agreement, by=person, content_hash=draft.content_hash)
    assert agreement.current_version == draft
    assert [grant.system for grant in agreement.grants.exclude(status=GrantStatus.ENDED)] == [system]


def test_while_a_special_change_waits_for_signatures_another_is_not_approved(special):
    w = special
    agreement = signed_special(w)
    requests = [start_change(agreement, by=w.consumer_officer) for _turn in range(2)]
    for request in requests:
        submit_request(request, by=w.consumer_officer)
        forward_request(request, by=w.operator)
    approve_request(requests[0], by=w.provider_officer)
    with pytest.raises(FactMissing) as refusal:
        approve_request(requests[1], by=w.provider_officer)
    assert refusal.value.code == "change_pending"


def pending_change(w, **facts):
    agreement = signed_special(w)
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, **facts)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    return agreement, agreement.versions.get(number=2)


@pytest.mark.parametrize("person", ["consumer_officer", "provider_officer"])
def test_a_special_change_nobody_signs_is_declined_and_another_may_begin(special, person):
    w = special
    agreement, draft = pending_change(w, calls_per_day=900)
    sign_agreement(agreement, by=w.consumer_signer, content_hash=draft.content_hash)
    with pytest.raises(NotPermitted):
        decline_change(agreement, by=w.stranger, reason="Không cần nữa.")
    decline_change(agreement, by=getattr(w, person), reason="Không cần nữa.")
    assert (agreement.status, agreement.current_version.number) == ("in_force", 1)
    with pytest.raises(TransitionNotAllowed):
        sign_agreement(agreement, by=w.provider_signer, content_hash=draft.content_hash)
    with pytest.raises(FactMissing) as refusal:
        decline_change(agreement, by=getattr(w, person), reason="Không cần nữa.")
    assert refusal.value.code == "no_change_pending"
    request = start_change(agreement, by=w.consumer_officer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    assert agreement.versions.get(number=3).state == VersionState.DRAFT


def test_declining_a_change_says_why_and_is_recorded_told_and_seen_by_who_decides_after_it(special):
    w = special
    agreement, draft = pending_change(w, calls_per_day=900)
    with pytest.raises(FactMissing) as refusal:
        decline_change(agreement, by=w.provider_officer, reason="  ")
    assert set(refusal.value.extra["fields"]) == {"reason"}
    seen = agreement.version
    with pytest.raises(StaleVersion):
        decline_change(agreement, by=w.provider_officer, reason="Không", version=seen + 1)
    decline_change(agreement, by=w.provider_officer, reason=" Không cần nữa. ", version=seen)
    event = AuditEvent.objects.about(agreement).get(event="agreement.change_declined")
    assert (event.actor, event.facts["version"], event.facts["reason"]) == (w.provider_officer, draft.number, "Không cần nữa.")
    assert {w.consumer.uuid, w.provider.uuid} <= set(event.organizations)
    told = Notice.objects.filter(kind="agreement.change_declined").values_list("recipient", flat=True)
    assert set(told) == {w.consumer_officer.pk, w.provider_officer.pk}
    draft.refresh_from_db()
    assert draft.state == VersionState.SUPERSEDED
    with pytest.raises(StaleVersion):
        suspend_agreement(agreement, by=w.provider_officer, kind="force_majeure", violation="x", plan="x", version=seen)


def test_a_change_is_declined_while_the_agreement_is_suspended_and_not_after_its_end(special):
    w = special
    agreement, _draft = pending_change(w, calls_per_day=900)
    terminated, _other = pending_change(w, calls_per_day=901)
    suspend_agreement(agreement, by=w.provider_officer, kind="force_majeure", violation="x", plan="x")
    decline_change(agreement, by=w.provider_officer, reason="Không cần nữa.")
    assert not agreement.versions.filter(state=VersionState.DRAFT).exists()
    terminate_agreement(terminated, by=w.operator, ground="authority", reason="Yêu cầu")
    with pytest.raises(FactMissing) as refusal:
        decline_change(terminated, by=w.provider_officer, reason="Không cần nữa.")
    assert refusal.value.code == "no_change_pending"


def test_the_first_content_under_negotiation_is_declined_as_an_agreement_and_not_as_a_change(special):
    agreement = negotiating(special)
    with pytest.raises(FactMissing) as refusal:
        decline_change(agreement, by=special.provider_officer, reason="Không cần nữa.")
    assert refusal.value.code == "no_change_pending"


@pytest.mark.parametrize("signed", [True, False])
def test_who_would_have_joined_by_a_declined_change_is_no_party(special, signed):
    w = special
    agreement, draft = pending_change(w, calls_per_day=900)
    organization = ReadyOrganizationFactory()
    joiner = agreement.parties.create(organization=organization, side="consumer")
    content = {**draft.content, "consumers": [*draft.content["consumers"], {"code": organization.code}]}
    joining = agreement.versions.create(number=3, content=content, content_hash="f" * 64, drafted_by=w.provider_officer)
    if signed:
        add_signature(joining, joiner, by=officer(Role.SIGNER, organization), basis="portal")
    decline_change(agreement, by=w.provider_officer, reason="Không thống nhất.")
    assert not agreement.present_parties().filter(organization=organization).exists()
    assert agreement.present_parties().count() == 2
    assert not agreement.versions.filter(state=VersionState.DRAFT).exists()


def test_the_last_signature_under_a_change_whose_days_are_over_says_so(special):
    w = special
    end = timezone.localdate() + datetime.timedelta(days=40)
    agreement, draft = pending_change(w, wanted_to=end)
    sign_agreement(agreement, by=w.consumer_signer, content_hash=draft.content_hash)
    with time_machine.travel(timezone.now() + datetime.timedelta(days=42), tick=False), pytest.raises(FactMissing) as refusal:
        sign_agreement(agreement, by=w.provider_signer, content_hash=draft.content_hash)
    assert refusal.value.code == "period_over"
    assert agreement.current_version.number == 1


def test_nothing_begins_from_an_agreement_that_ended(w):
    agreement = agreement_in_force(w)
    with time_machine.travel(agreement.valid_to + datetime.timedelta(days=1), tick=False):
        from apps.agreements.actions import expire_agreements

        expire_agreements(by=w.operator)
    agreement.refresh_from_db()
    with pytest.raises(FactMissing):
        start_change(agreement, by=w.consumer_officer)


def test_a_change_to_other_fields_altogether_leaves_no_access_in_production(w):
    """What all of it is new is tested first: an access without a field would only be a door to nothing."""
    agreement = accepted(w)
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, scope={w.operation: w.fields(6)[3:]})
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    approve_request(forward_request(request, by=w.operator), by=w.provider_officer)
    (grant,) = agreement.grants.exclude(status="ended")
    assert grant.environment == "test"
    assert set(w.fields(6)[3:]) <= set(grant.fields)
