"""The verbs of a request, one by one."""

import copy
import datetime
import uuid

import pytest
import time_machine
from django.db import IntegrityError, InternalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.agreements.actions import approve_request
from apps.audit.models import AuditEvent
from apps.connections.actions import (
    draft_request,
    forward_request,
    lapse_request,
    refuse_request,
    return_request,
    save_draft,
    sign_request,
    submit_request,
    withdraw_request,
)
from apps.connections.choices import RequestStatus, SharingMethod
from apps.connections.completeness import missing
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest, RequestSignature
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted, StaleVersion, TransitionNotAllowed
from apps.legal.models import RefusalGround
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.registry.choices import SharingForm
from tests.factories.connections import complete_draft, forwarded, returned, signed_draft, submitted, world
from tests.factories.organizations import InformationSystemFactory, MembershipFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import BUSINESS_REGISTRATION, PublishedServiceFactory, UsageRegulationFactory, operation_of


def gaps(request, **options) -> set[str]:
    return {field for field, _text in missing(request, **options)}


# --- drafting -----------------------------------------------------------------------------------


def test_a_draft_holds_what_was_given_and_has_a_number(w):
    request = complete_draft(w)
    assert request.status == RequestStatus.DRAFT
    assert request.number.startswith("YC-")
    assert [row.system for row in request.request_systems.all()] == [w.system]
    (row,) = request.requested_operations.all()
    assert sorted(field.path for field in row.fields.all()) == sorted(w.fields())
    event = AuditEvent.objects.about(request).get(event="request.drafted")
    assert (event.actor, event.organizations) == (w.consumer_officer, [w.consumer.uuid])


@pytest.mark.parametrize("person", ["consumer_signer", "provider_officer", "operator", "stranger"])
def test_only_the_consumer_officer_drafts(w, person):
    with pytest.raises(NotPermitted):
        draft_request(w.consumer, by=getattr(w, person))
    assert not ConnectionRequest.objects.exists()


def test_cc_05_the_same_key_twice_is_one_draft(w):
    key = uuid.uuid4()
    first = draft_request(w.consumer, by=w.consumer_officer, uuid=key, **w.content())
    again = draft_request(w.consumer, by=w.consumer_officer, uuid=key, **w.content(title="Khác"))
    assert again == first
    assert ConnectionRequest.objects.count() == 1
    assert again.title == first.title


def test_cc_05_another_persons_key_is_a_conflict(w):
    key = uuid.uuid4()
    draft_request(w.consumer, by=w.consumer_officer, uuid=key)
    with pytest.raises(Conflict) as refusal:
        draft_request(w.consumer, by=officer(Role.CONSUMER_OFFICER, w.consumer), uuid=key)
    assert refusal.value.code == "idempotency_key_reused"


def test_a_field_outside_the_service_is_refused_and_nothing_is_written(w):
    request = complete_draft(w)
    with pytest.raises(InvalidFact) as refusal:
        save_draft(request, by=w.consumer_officer, scope={w.operation: ["Data.Secret"]})
    assert refusal.value.code == "field_outside_service"
    (row,) = request.requested_operations.all()
    assert sorted(field.path for field in row.fields.all()) == sorted(w.fields())


def test_a_field_object_of_another_operation_is_refused_even_with_the_same_path(w):
    other = operation_of(PublishedServiceFactory())
    request = complete_draft(w)
    with pytest.raises(InvalidFact):
        save_draft(request, by=w.consumer_officer, scope={w.operation: list(other.fields.all()[:1])})


def test_a_group_is_not_a_field_to_ask_for(w):
    group = next(field for field in w.operation.fields.all() if not field.is_leaf)
    with pytest.raises(InvalidFact) as refusal:
        complete_draft(w, scope={w.operation: [group.path]})
    assert refusal.value.code == "field_is_a_group"


def test_another_agencys_system_and_an_unknown_one_are_refused_alike(w):
    foreign = InformationSystemFactory()
    with pytest.raises(InvalidFact) as refusal:
        complete_draft(w, systems=[foreign])
    assert refusal.value.code == "unknown_system"


def test_the_systems_of_an_agency_below_may_be_named(w):
    commune = ReadyOrganizationFactory(parent=w.consumer)
    system = InformationSystemFactory(organization=commune)
    request = complete_draft(w, systems=[w.system, system])
    assert request.consumer_ids() == {w.consumer.pk, commune.pk}


def test_a_network_is_kept_in_one_notation_and_a_wrong_one_refused(w):
    assert complete_draft(w, source_networks=["10.1.2.3", "10.2.0.0/16"]).source_networks == ["10.1.2.3/32", "10.2.0.0/16"]
    with pytest.raises(InvalidFact):
        complete_draft(w, source_networks=["10.1.2.300"])


def test_a_period_that_ends_before_it_begins_is_refused(w):
    day = timezone.localdate()
    with pytest.raises(InvalidFact):
        complete_draft(w, wanted_from=day + datetime.timedelta(days=9), wanted_to=day + datetime.timedelta(days=8))


@pytest.mark.parametrize("name", ["wanted_from", "wanted_to"])
def test_the_last_day_of_all_is_not_how_one_says_without_an_end(w, name):
    """31/12/9999 has no day after it: the request was submitted and could never be approved."""
    for day in (datetime.date(9999, 12, 31), timezone.localdate() + datetime.timedelta(days=366 * 101)):
        with pytest.raises(InvalidFact) as refusal:
            complete_draft(w, **{"wanted_to": None, name: day})
        assert list(refusal.value.extra["fields"]) == [name]
    assert complete_draft(w, wanted_to=timezone.localdate() + datetime.timedelta(days=365 * 50)).pk


def test_cc_03_a_stale_page_overwrites_nothing(w):
    request = complete_draft(w)
    seen = request.version
    save_draft(request, by=w.consumer_officer, version=seen, title="Bản mới")
    with pytest.raises(StaleVersion) as refusal:
        save_draft(request, by=w.consumer_officer, version=seen, title="Bản cũ")
    assert refusal.value.extra["by"] == str(w.consumer_officer)
    request.refresh_from_db()
    assert request.title == "Bản mới"


def test_cc_03_an_object_read_before_another_save_is_stale_too(w):
    request = complete_draft(w)
    other = ConnectionRequest.objects.get(pk=request.pk)
    save_draft(request, by=w.consumer_officer, title="Người thứ nhất")
    with pytest.raises(StaleVersion) as refusal:
        save_draft(other, by=w.consumer_officer, title="Người thứ hai")
    assert refusal.value.extra["by"] == str(w.consumer_officer)


def test_a_submitted_request_is_not_written_any_more(w):
    request = submitted(w)
    with pytest.raises(TransitionNotAllowed):
        save_draft(request, by=w.consumer_officer, title="Muộn rồi")


@pytest.mark.parametrize("person", ["consumer_signer", "provider_officer", "operator", "stranger"])
def test_only_the_consumer_officer_writes(w, person):
    with pytest.raises(NotPermitted):
        save_draft(complete_draft(w), by=getattr(w, person), title="Sửa")


# --- signing ------------------------------------------------------------------------------------


def test_the_signer_signs_this_very_content(w):
    request = complete_draft(w)
    (signature,) = sign_request(request, by=w.consumer_signer)
    assert signature.content_hash == request_hash(request)
    assert AuditEvent.objects.about(request).filter(event="request.signed", actor=w.consumer_signer).exists()


def test_signing_twice_is_one_signature(w):
    request = complete_draft(w)
    sign_request(request, by=w.consumer_signer)
    sign_request(request, by=w.consumer_signer)
    assert request.signatures.count() == 1


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Tên khác"}, {"calls_per_day": 501}, {"purpose_text": "Mục đích khác"}, {"source_networks": ["10.0.0.0/8"]},
        {"wanted_to": datetime.date(2030, 1, 1)}, {"note": "thêm"}, {"procedures": ["1.000001"]}, {"legal_basis": "Khác"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_any_later_change_voids_the_signature(w, change):
    request = signed_draft(w)
    assert "signatures" not in gaps(request)
    save_draft(request, by=w.consumer_officer, **change)
    assert "signatures" in gaps(request)


def test_one_field_more_voids_the_signature(w):
    request = signed_draft(w)
    save_draft(request, by=w.consumer_officer, scope={w.operation: w.fields(4)})
    assert "signatures" in gaps(request)


def test_back_to_the_signed_content_the_signature_holds_again(w):
    request = signed_draft(w)
    save_draft(request, by=w.consumer_officer, title="Khác")
    save_draft(request, by=w.consumer_officer, title=w.content()["title"])
    assert "signatures" not in gaps(request)


def test_the_signer_who_wrote_in_the_request_does_not_sign_it(w):
    w.consumer_signer.memberships.create(organization=w.consumer, role=Role.CONSUMER_OFFICER)
    request = complete_draft(w)
    save_draft(request, by=w.consumer_signer, title="Tự sửa")
    with pytest.raises(NotPermitted) as refusal:
        sign_request(request, by=w.consumer_signer)
    assert refusal.value.code == "four_eyes"


def test_a_signer_who_writes_after_signing_is_no_second_pair_of_eyes(w):
    request = signed_draft(w)
    w.consumer_signer.memberships.create(organization=w.consumer, role=Role.CONSUMER_OFFICER)
    w.consumer_signer.__dict__.pop("_roles", None)
    save_draft(request, by=w.consumer_signer, title=request.title)
    assert "signatures" in gaps(request)


def test_cc_04_the_database_refuses_a_signature_of_the_preparer(w):
    request = complete_draft(w)
    with pytest.raises(IntegrityError), transaction.atomic():
        RequestSignature.objects.create(
            request=request, organization=w.consumer, signer=w.consumer_officer, prepared_by=w.consumer_officer,
            content_hash=request_hash(request),
        )  # fmt: skip


def test_the_database_refuses_to_change_or_drop_a_signature(w):
    request = signed_draft(w)
    with pytest.raises((InternalError, Exception), match="append-only"), transaction.atomic():
        request.signatures.update(content_hash="0" * 64)
    with pytest.raises((InternalError, Exception), match="append-only"), transaction.atomic():
        request.signatures.all().delete()


def test_a_page_read_before_a_change_is_not_signed(w):
    request = complete_draft(w)
    seen = request_hash(request)
    save_draft(request, by=w.consumer_officer, title="Khác")
    with pytest.raises(StaleVersion):
        sign_request(request, by=w.consumer_signer, content_hash=seen)


def test_what_was_withdrawn_while_the_signer_waited_is_not_signed(w):
    """The signer's process read the draft, and got its lock when the withdrawal had it no more."""
    request = complete_draft(w)
    read_before = ConnectionRequest.objects.get(pk=request.pk)
    withdraw_request(request, by=w.consumer_officer)
    with pytest.raises(TransitionNotAllowed) as late:
        sign_request(read_before, by=w.consumer_signer, content_hash=request_hash(request))
    assert (late.value.code, late.value.extra["state"]) == ("transition_not_allowed", RequestStatus.WITHDRAWN)
    assert late.value.extra["by"] == str(w.consumer_officer)
    assert not request.signatures.exists()
    assert not AuditEvent.objects.about(request).filter(event="request.signed").exists()


def test_who_refuses_holds_the_request_before_looking_at_its_parts(w):
    """An approval that commits between two looks would leave none to refuse, and the loser was told of the role."""
    request, ground = forwarded(w), RefusalGround.objects.get(code="R3")
    with CaptureQueriesContext(connection) as asked:
        refuse_request(request, by=w.provider_officer, ground=ground, reason="x", citation="Điều 52")
    texts = [row["sql"] for row in asked]
    held = next(number for number, text in enumerate(texts) if text.endswith("FOR NO KEY UPDATE"))
    assert held < next(number for number, text in enumerate(texts) if 'FROM "connections_providerdecision"' in text)


@pytest.mark.parametrize("step", [submit_request, withdraw_request])
def test_who_writes_too_late_reads_what_became_of_the_request(w, step):
    request = signed_draft(w)
    step(request, by=w.consumer_officer)
    with pytest.raises(TransitionNotAllowed) as late:
        save_draft(request, by=w.consumer_officer, title="Khác")
    assert f"“{request.get_status_display()}”" in str(late.value)
    assert late.value.extra["state"] == request.status
    assert late.value.extra["by"] == str(w.consumer_officer)


@pytest.mark.parametrize("person", ["consumer_officer", "provider_signer", "operator", "stranger"])
def test_only_the_consumers_signer_signs(w, person):
    with pytest.raises(NotPermitted):
        sign_request(complete_draft(w), by=getattr(w, person))


def test_an_incomplete_request_is_not_signed(w):
    with pytest.raises(FactMissing):
        sign_request(complete_draft(w, legal_basis=""), by=w.consumer_signer)


# --- what must be there -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purpose": None}, "purpose"), ({"purpose_text": " "}, "purpose_text"), ({"solution": ""}, "solution"),
        ({"legal_basis": ""}, "legal_basis"), ({"technician": ""}, "technician"), ({"calls_per_day": None}, "calls_per_day"),
        ({"systems": []}, "systems"), ({"scope": {}}, "scope"), ({"method": SharingMethod.SYNC}, "method"),
        ({"method": SharingMethod.PACKAGE}, "method"), ({"wanted_to": datetime.date(2026, 1, 1)}, "wanted_to"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_missing_is_said_by_field(w, change, field):
    request = complete_draft(w, **change)
    assert gaps(request, signatures=False) == {field}
    with pytest.raises(FactMissing) as refusal:
        submit_request(request, by=w.consumer_officer)
    assert field in refusal.value.extra["fields"]
    request.refresh_from_db()
    assert request.status == RequestStatus.DRAFT


def test_a_complete_request_lacks_only_the_signature(w):
    assert gaps(complete_draft(w)) == {"signatures"}


def test_wf_01_an_agency_without_a_focal_point_does_not_file(w):
    w.consumer.focal_points.update(ended_at=timezone.now())
    assert gaps(complete_draft(w), signatures=False) == {"consumer"}


@pytest.mark.parametrize(
    "facts",
    [{"security_level": None}, {"security_decision": ""}, {"security_expires_on": datetime.date(2020, 1, 1)}, {"status": "suspended"}],
    ids=str,
)  # fmt: skip
def test_wf_61_a_system_without_a_valid_security_level_does_not_connect(w, facts):
    request = complete_draft(w)
    type(w.system).objects.filter(pk=w.system.pk).update(**facts)
    assert gaps(request, signatures=False) == {"systems"}


def test_ag_20_sensitive_fields_need_an_assessment_or_a_reason(db):
    contract = copy.deepcopy(BUSINESS_REGISTRATION)
    path = world().fields(1)[0]
    for row in (row for operation in contract["operations"] for row in operation["fields"] if row["path"] == path):
        row["personal_data"] = "sensitive"
    w = world(version__contract=contract)
    request = complete_draft(w, scope={w.operation: [path]})
    assert gaps(request, signatures=False) == {"exemption_reason"}
    save_draft(request, by=w.consumer_officer, exemption_reason="Hồ sơ đánh giá tác động 01/2026")
    assert gaps(request, signatures=False) == set()


def test_a_service_that_was_suspended_cannot_be_asked_for(w):
    request = complete_draft(w)
    type(w.service).objects.filter(pk=w.service.pk).update(status="suspended")
    assert gaps(request, signatures=False) == {"scope"}


def test_ag_04_without_a_regulation_in_effect_nothing_is_shared(w):
    request = complete_draft(w)
    type(w.service).objects.filter(pk=w.service.pk).update(usage_regulation=None)
    assert gaps(request, signatures=False) == {"scope"}


def test_default_sharing_needs_the_providers_signed_terms(w):
    request = complete_draft(w)
    unsigned = UsageRegulationFactory(organization=w.provider)
    type(w.service).objects.filter(pk=w.service.pk).update(usage_regulation=unsigned)
    assert gaps(request, signatures=False) == {"scope"}


def test_wf_33_special_sharing_says_why_default_does_not_do(db):
    w = world(sharing_form=SharingForm.SPECIAL)
    request = complete_draft(w)
    assert gaps(request) == {"special_reason"}


def test_an_agency_does_not_ask_itself(w):
    own = InformationSystemFactory(organization=w.provider)
    asker = officer(Role.CONSUMER_OFFICER, w.provider)
    content = w.content(systems=[own])
    request = draft_request(w.provider, by=asker, **content)
    assert "systems" in gaps(request, signatures=False)


def test_every_requesting_organization_signs(w):
    commune = ReadyOrganizationFactory(parent=w.consumer)
    request = complete_draft(w, systems=[w.system, InformationSystemFactory(organization=commune)])
    sign_request(request, by=w.consumer_signer)
    assert gaps(request) == {"signatures"}
    sign_request(request, by=officer(Role.SIGNER, commune))
    assert gaps(request) == set()


# --- submitting, returning, forwarding ----------------------------------------------------------


@time_machine.travel("2026-02-13T10:00:00+07:00", tick=False)
def test_the_clock_starts_at_receipt_and_skips_tet(w):
    request = submitted(w)
    assert request.received_at == timezone.now()
    assert timezone.localdate(request.due_at) == datetime.date(2026, 2, 24)
    assert request.deadline_rule.code == "connection.decide"


def test_submitting_is_recorded_for_both_sides_and_told_to_the_operator(w, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        request = submitted(w)
    event = AuditEvent.objects.about(request).get(event="request.submitted")
    assert set(event.organizations) == {w.consumer.uuid, w.provider.uuid}
    assert Notice.objects.filter(recipient=w.operator, kind="request.submitted").count() == 1
    assert callbacks, "the outbox is woken only after the commit"


@pytest.mark.parametrize("person", ["consumer_signer", "provider_officer", "operator", "stranger"])
def test_only_the_consumer_officer_submits(w, person):
    request = signed_draft(w)
    with pytest.raises(NotPermitted):
        submit_request(request, by=getattr(w, person))


def test_a_late_failure_leaves_nothing_behind(w, monkeypatch):
    request = signed_draft(w)
    monkeypatch.setattr("apps.connections.actions.request.tell_operators", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        submit_request(request, by=w.consumer_officer)
    request.refresh_from_db()
    assert request.status == RequestStatus.DRAFT
    assert request.due_at is None
    assert not AuditEvent.objects.filter(event="request.submitted").exists()


def test_returning_says_what_is_missing_and_stops_the_clock(w):
    request = returned(w)
    assert request.status == RequestStatus.RETURNED
    assert request.paused_at is not None
    assert request.lapses_at > timezone.now()
    assert [(row.field, row.author) for row in request.remarks.all()] == [("purpose_text", w.operator)]
    assert Notice.objects.filter(recipient=w.consumer_officer, kind="request.returned").exists()


@pytest.mark.parametrize("remarks", [[], [("purpose_text", "  ")]])
def test_returning_without_a_word_is_refused(w, remarks):
    with pytest.raises(FactMissing):
        return_request(submitted(w), by=w.operator, remarks=remarks)


def test_a_remark_is_about_a_part_of_the_request(w):
    with pytest.raises(InvalidFact):
        return_request(submitted(w), by=w.operator, remarks=[("status", "?")])


def test_the_provider_returns_only_what_lies_with_it(w):
    remarks = [("note", "?")]
    with pytest.raises(NotPermitted):
        return_request(submitted(w), by=w.provider_officer, remarks=remarks)
    assert return_request(forwarded(w), by=w.provider_officer, remarks=remarks).status == RequestStatus.RETURNED


def test_the_clock_goes_on_where_it_stood(w):
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        request = submitted(w)  # Monday, due Wednesday
    with time_machine.travel("2026-06-01T15:00:00+07:00", tick=False):
        return_request(request, by=w.operator, remarks=[("note", "Thiếu số công văn.")])
    with time_machine.travel("2026-06-04T09:00:00+07:00", tick=False):
        save_draft(request, by=w.consumer_officer, note="Công văn 12")
        sign_request(request, by=w.consumer_signer)
        submit_request(request, by=w.consumer_officer)
    assert request.paused_at is None
    assert request.lapses_at is None
    assert timezone.localdate(request.due_at) == datetime.date(2026, 6, 8)


def test_the_clock_goes_on_to_a_working_day_and_reminds_before_its_end(w):
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        request = submitted(w)  # Monday: half on Tuesday, due on Wednesday
    with time_machine.travel("2026-06-03T09:00:00+07:00", tick=False):
        return_request(request, by=w.operator, remarks=[("note", "Thiếu số công văn.")])
    with time_machine.travel("2026-06-06T09:00:00+07:00", tick=False):  # a Saturday
        submit_request(request, by=w.consumer_officer)
    assert timezone.localdate(request.due_at) == datetime.date(2026, 6, 8)
    assert request.half_at < request.due_at


def test_a_return_nobody_answers_withdraws_itself_after_five_working_days(w):
    with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
        request = returned(w)
    with time_machine.travel("2026-06-05T09:00:00+07:00", tick=False), pytest.raises(FactMissing):
        lapse_request(request, by=w.operator)
    with time_machine.travel("2026-06-09T00:00:01+07:00", tick=False):
        lapse_request(request, by=w.operator)
    assert request.status == RequestStatus.WITHDRAWN
    assert AuditEvent.objects.about(request).filter(event="request.lapsed").exists()


def test_forwarding_asks_every_provider_once(w):
    request = forwarded(w)
    assert [(row.provider, row.status) for row in request.decisions.all()] == [(w.provider, "pending")]
    assert Notice.objects.filter(recipient=w.provider_officer, kind="request.forwarded").count() == 1


def test_forwarding_looks_again_at_what_must_be_there(w):
    request = submitted(w)
    type(w.system).objects.filter(pk=w.system.pk).update(status="suspended")
    with pytest.raises(FactMissing):
        forward_request(request, by=w.operator)


@pytest.mark.parametrize("person", ["consumer_officer", "consumer_signer", "provider_officer", "stranger"])
def test_only_the_operator_forwards(w, person):
    with pytest.raises(NotPermitted):
        forward_request(submitted(w), by=getattr(w, person))


# --- refusing, withdrawing ----------------------------------------------------------------------


def refusal(**changes) -> dict:
    ground = RefusalGround.objects.get(code="R3")
    return {"ground": ground, "reason": "Không thuộc chức năng.", "citation": "Điều 52(1)(a)", **changes}


def test_wf_31_a_refusal_has_ground_reason_and_provision_and_the_operator_hears_of_it(w):
    request = refuse_request(forwarded(w), by=w.provider_officer, **refusal())
    assert request.status == RequestStatus.REFUSED
    decision = request.decisions.get()
    assert (decision.status, decision.decided_by) == ("refused", w.provider_officer)
    told = set(Notice.objects.filter(kind="request.refused").values_list("recipient", flat=True))
    assert told == {w.consumer_officer.pk, w.operator.pk}


@pytest.mark.parametrize("change", [{"ground": None}, {"reason": " "}, {"citation": ""}], ids=str)
def test_wf_31_a_refusal_without_one_of_the_three_is_refused(w, change):
    request = forwarded(w)
    with pytest.raises(FactMissing):
        refuse_request(request, by=w.provider_officer, **refusal(**change))
    request.refresh_from_db()
    assert request.status == RequestStatus.AWAITING_PROVIDER


def test_wf_31_the_database_knows_no_refusal_without_a_reason(w):
    with pytest.raises(IntegrityError), transaction.atomic():
        ConnectionRequest.objects.filter(pk=forwarded(w).pk).update(status="refused")


@pytest.mark.parametrize("person", ["consumer_officer", "consumer_signer", "provider_signer", "operator", "stranger"])
def test_only_the_provider_officer_refuses(w, person):
    with pytest.raises(NotPermitted):
        refuse_request(forwarded(w), by=getattr(w, person), **refusal())


def test_a_superuser_cannot_decide_for_a_provider(w):
    w.operator.is_superuser = True
    with pytest.raises(NotPermitted):
        refuse_request(forwarded(w), by=w.operator, **refusal())


def test_withdrawing_ends_the_case_and_tells_the_provider(w):
    request = withdraw_request(forwarded(w), by=w.consumer_officer)
    assert request.status == RequestStatus.WITHDRAWN
    assert Notice.objects.filter(recipient=w.provider_officer, kind="request.withdrawn").exists()


def test_a_case_that_leaves_a_providers_desk_is_told_to_its_officers(w):
    """Returned by the operator, then withdrawn or lapsed while it was away: nobody looks for it or waits for it."""
    colleague = officer(Role.PROVIDER_OFFICER, w.provider)
    for last in (withdraw_request, None):
        with time_machine.travel("2026-06-01T09:00:00+07:00", tick=False):
            request = forwarded(w)
            return_request(request, by=w.operator, remarks=[("note", "Thiếu số công văn.")])
        if last:
            last(request, by=w.consumer_officer)
        else:
            with time_machine.travel("2026-06-09T09:00:00+07:00", tick=False):
                lapse_request(request, by=w.operator)
        told = Notice.objects.filter(recipient=w.provider_officer, key__contains=str(request.uuid)).order_by("id")
        kinds = [kind.removeprefix("request.") for kind in told.values_list("kind", flat=True)]
        assert kinds == ["forwarded", "returned", "withdrawn" if last else "lapsed"]
    refuse_request(forwarded(w), by=w.provider_officer, **refusal())
    assert list(
        Notice.objects.filter(kind="request.refused", recipient__in=[w.provider_officer, colleague]).values_list(
            "recipient", flat=True
        )
    ) == [colleague.pk]


def test_a_case_that_never_lay_with_a_provider_is_told_to_who_checked_it(w):
    withdraw_request(submitted(w), by=w.consumer_officer)
    assert not Notice.objects.filter(recipient=w.provider_officer).exists()
    assert Notice.objects.filter(recipient=w.operator, kind="request.withdrawn").count() == 1
    withdraw_request(complete_draft(w), by=w.consumer_officer)
    assert Notice.objects.filter(recipient=w.operator, kind="request.withdrawn").count() == 1, "a draft lay with nobody"


def test_a_colleague_signs_what_was_signed_by_one_who_has_written_in_it_since(w):
    """The content came back to what was signed; that signature is no second pair of eyes any more, and must not stand in the way."""
    draft = signed_draft(w)
    MembershipFactory(user=w.consumer_signer, organization=w.consumer, role=Role.CONSUMER_OFFICER)
    author = User.objects.get(pk=w.consumer_signer.pk)
    note = draft.note
    for text in ("Viết lại.", note):
        save_draft(ConnectionRequest.objects.get(pk=draft.pk), by=author, note=text)
    colleague = officer(Role.SIGNER, w.consumer)
    draft.refresh_from_db()
    with pytest.raises(FactMissing):
        submit_request(draft, by=w.consumer_officer)
    (signature,) = sign_request(draft, by=colleague)
    assert signature.signer == colleague
    assert sign_request(draft, by=colleague) == [signature]
    assert submit_request(draft, by=w.consumer_officer).status == RequestStatus.CHECKING
    agreement = approve_request(forward_request(draft, by=w.operator), by=w.provider_officer)
    assert agreement.current_version.signatures.get(party__organization=w.consumer).signer == colleague


def test_who_comes_second_is_told_who_was_first(w):
    request = forwarded(w)
    other = ConnectionRequest.objects.get(pk=request.pk)
    withdraw_request(request, by=w.consumer_officer)
    with pytest.raises(TransitionNotAllowed) as late:
        refuse_request(other, by=w.provider_officer, **refusal())
    assert late.value.extra["by"] == str(w.consumer_officer)
    assert late.value.extra["state"] == RequestStatus.WITHDRAWN
