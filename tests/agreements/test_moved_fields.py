"""What waits for signatures while its service gets a new version: nothing opens, or is promised, but what the signers read."""

from __future__ import annotations

import datetime

import pytest
from django.test import Client
from django.utils import timezone, translation

from apps.agreements.actions import (
    agree_content,
    approve_request,
    decline_change,
    propose_content,
    publish_service_version,
    reopen_agreement,
    sign_agreement,
    start_change,
)
from apps.agreements.choices import AgreementStatus, VersionState
from apps.agreements.impact import impact
from apps.agreements.models import Agreement
from apps.agreements.preview import preview_of
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.connections.completeness import missing
from apps.core.errors import Conflict
from tests.agreements.test_publishing import successor, without_field
from tests.factories.agreements import accepted, awaiting_signatures, negotiating, signed_special
from tests.factories.connections import complete_draft, world
from tests.factories.organizations import FocalPointFactory

pytestmark = pytest.mark.django_db


def of_class(path: str, name: str):
    def change(data: dict) -> None:
        for operation in data["operations"]:
            for field in operation["fields"]:
                field["personal_data"] = name if field["path"] == path else field["personal_data"]

    return change


CHANGES = {"gone": without_field, "sensitive": lambda path: of_class(path, "sensitive")}


def published_past_the_guard(w, agreement, change) -> None:
    """As where it was published while the content was still negotiated."""
    waits = Agreement.objects.filter(pk=agreement.pk)
    was = waits.values_list("status", flat=True).get()
    waits.update(status=AgreementStatus.NEGOTIATING)
    publish_service_version(successor(w, change), by=w.provider_officer)
    waits.update(status=was)
    agreement.refresh_from_db()


@pytest.fixture(autouse=True)
def in_english():
    with translation.override("en"):
        yield


@pytest.fixture
def w(special):
    FocalPointFactory(organization=special.provider)
    return special


def pending_change(w, **facts):
    agreement = signed_special(w)
    request = save_draft(start_change(agreement, by=w.consumer_officer), by=w.consumer_officer, **facts)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    return agreement


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("what", ["agreement", "change"])
def test_a_minor_that_breaks_what_awaits_signatures_is_not_published_and_names_it(w, what, how):
    field = w.fields(4)[3]
    agreement = (
        awaiting_signatures(w, scope={w.operation: w.fields(4)}) if what == "agreement"
        else pending_change(w, scope={w.operation: w.fields(4)})
    )  # fmt: skip
    draft = successor(w, CHANGES[how](field))
    (row,) = impact(draft).breakages
    assert (row.agreement, row.system, row.awaits_signatures) == (agreement, w.system, True)
    with pytest.raises(Conflict) as refused:
        publish_service_version(draft, by=w.provider_officer)
    (told,) = refused.value.extra["fields"]["agreements"]
    assert (refused.value.code, agreement.number in told, field in told, "awaits signatures" in told) == (
        "breaks_agreements", True, True, True,
    )  # fmt: skip


def test_what_runs_and_what_waits_of_one_agreement_are_one_line(w):
    pending_change(w, scope={w.operation: w.fields(4)})
    (row,) = impact(successor(w, without_field(w.fields()[0]))).breakages
    assert not row.awaits_signatures


def test_a_field_that_was_negotiated_away_or_declined_hinders_no_version(w):
    agreement = negotiating(w, scope={w.operation: w.fields(4)})
    field, first = w.fields(4)[3], agreement.current_version.content["scope"][0]
    narrower = [{**first, "fields": [row for row in first["fields"] if row["path"] != field]}]
    draft = propose_content(agreement, by=w.consumer_officer, changes={"scope": narrower}, note="Không cần mục cuối.")
    agree_content(agreement, by=w.provider_officer, content_hash=draft.content_hash)
    assert agreement.status == AgreementStatus.AWAITING_SIGNATURES
    assert impact(successor(w, without_field(field))).breakages == ()


def test_a_declined_change_hinders_no_version(w):
    agreement = pending_change(w, scope={w.operation: w.fields(4)})
    decline_change(agreement, by=w.provider_officer, reason="Chờ phiên bản mới")
    assert impact(successor(w, without_field(w.fields(4)[3]))).breakages == ()


@pytest.mark.parametrize("how", CHANGES)
def test_what_was_published_while_it_was_negotiated_is_told_who_agrees_and_can_be_left_out(w, how):
    agreement = negotiating(w, scope={w.operation: w.fields(4)})
    field, first = w.fields(4)[3], agreement.current_version
    publish_service_version(successor(w, CHANGES[how](field)), by=w.provider_officer)
    with pytest.raises(Conflict) as refused:
        agree_content(agreement, by=w.consumer_officer, content_hash=first.content_hash)
    assert (refused.value.code, field in refused.value.extra["fields"]["scope"][0]) == ("fields_changed", True)
    row = first.content["scope"][0]
    narrower = [{**row, "fields": [one for one in row["fields"] if one["path"] != field]}]
    draft = propose_content(agreement, by=w.consumer_officer, changes={"scope": narrower}, note="Bỏ mục đã đổi.")
    agree_content(agreement, by=w.provider_officer, content_hash=draft.content_hash)
    for person in (w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=person, content_hash=draft.content_hash)
    assert agreement.status == AgreementStatus.IN_FORCE
    assert {path for grant in agreement.grants.all() for path in grant.fields}.isdisjoint({field})


@pytest.mark.parametrize("how", CHANGES)
def test_nobody_signs_what_the_service_is_no_more(w, how):
    agreement = awaiting_signatures(w, scope={w.operation: w.fields(4)})
    field, draft = w.fields(4)[3], agreement.current_version
    sign_agreement(agreement, by=w.consumer_signer, content_hash=draft.content_hash)
    assert preview_of(draft, w.provider_signer).moved == ()
    published_past_the_guard(w, agreement, CHANGES[how](field))
    (moved,) = preview_of(draft, w.provider_signer).moved
    assert (moved.path, moved.before, moved.after) == (field, "none", "" if how == "gone" else "sensitive")
    with pytest.raises(Conflict) as refused:
        sign_agreement(agreement, by=w.provider_signer, content_hash=draft.content_hash)
    assert refused.value.code == "fields_changed"
    assert ("Negotiate it again" in str(refused.value.detail), field in str(refused.value.detail)) == (True, True)
    agreement.refresh_from_db()
    assert (agreement.status, draft.signatures.count(), agreement.grants.exists()) == ("awaiting_signatures", 1, False)
    assert reopen_agreement(agreement, by=w.consumer_officer, reason="Dịch vụ đã đổi").status == "negotiating"


def test_a_lower_class_or_a_field_of_another_operation_hinders_no_signature(w):
    personal = next(f.path for f in w.operation.fields.all() if f.is_leaf and f.personal_data == "basic")
    agreement = awaiting_signatures(w, scope={w.operation: [*w.fields(), personal]})
    published_past_the_guard(w, agreement, of_class(personal, "none"))
    draft = agreement.current_version
    for person in (w.consumer_signer, w.provider_signer):
        sign_agreement(agreement, by=person, content_hash=draft.content_hash)
    assert agreement.status == AgreementStatus.IN_FORCE


def test_a_change_whose_field_changed_is_declined_and_begun_anew(w):
    agreement = pending_change(w, scope={w.operation: w.fields(4)})
    draft = agreement.versions.get(state=VersionState.DRAFT)
    published_past_the_guard(w, agreement, without_field(w.fields(4)[3]))
    with pytest.raises(Conflict) as refused:
        sign_agreement(agreement, by=w.provider_signer, content_hash=draft.content_hash)
    assert (refused.value.code, "begin it anew" in str(refused.value.detail)) == ("fields_changed", True)
    decline_change(agreement, by=w.provider_officer, reason="Dịch vụ đã đổi")
    assert start_change(agreement, by=w.consumer_officer).kind == "change"


def test_the_page_and_the_api_show_it_before_the_signature(w):
    agreement = awaiting_signatures(w, scope={w.operation: w.fields(4)})
    field = w.fields(4)[3]
    published_past_the_guard(w, agreement, of_class(field, "sensitive"))
    client, version = Client(), agreement.current_version
    client.force_login(w.provider_signer)
    told = client.get(f"/api/v1/agreements/{agreement.uuid}/preview").json()
    assert [(row["path"], row["before"], row["after"]) for row in told["moved"]] == [(field, "none", "sensitive")]
    page = client.get(f"/portal/agreements/{agreement.uuid}/preview/?version={version.number}")
    assert field in page.content.decode()
    assert page.context["about"].moved


def test_a_request_whose_field_is_of_a_higher_class_by_now_says_so(w):
    request = complete_draft(w)
    publish_service_version(successor(w, of_class(w.fields()[0], "sensitive")), by=w.provider_officer)
    assert any(name == "scope" and w.fields()[0] in text for name, text in missing(request, signatures=False))


def test_a_change_by_default_sharing_waits_for_its_first_day_with_its_access_and_is_guarded_by_that(db):
    w = world()
    FocalPointFactory(organization=w.provider)
    agreement = accepted(w)
    wanted = {"scope": {w.operation: w.fields(4)}, "wanted_from": timezone.localdate() + datetime.timedelta(days=10)}
    request = save_draft(start_change(agreement, by=w.consumer_officer), by=w.consumer_officer, **wanted)
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    forward_request(request, by=w.operator)
    approve_request(request, by=w.provider_officer)
    assert not agreement.versions.filter(state=VersionState.DRAFT).exists()
    assert agreement.versions.filter(state=VersionState.SCHEDULED).exists()
    (row,) = impact(successor(w, without_field(w.fields(4)[3]))).breakages
    assert (row.agreement, row.awaits_signatures) == (agreement, False)


def test_an_operation_that_is_gone_beside_one_that_stays_is_promised_to_nobody(w):
    other = w.operation.version.operations.exclude(pk=w.operation.pk).first()
    paths = [field.path for field in other.fields.all() if field.is_leaf and field.personal_data == "none"][:1]
    agreement = awaiting_signatures(w, scope={w.operation: w.fields(), other: paths})

    def without_operation(data: dict) -> None:
        data["operations"] = [row for row in data["operations"] if row["code"] != other.code]
        data["samples"] = [row for row in data["samples"] if row["operation"] != other.code]

    assert [row.awaits_signatures for row in impact(successor(w, without_operation)).breakages] == [True]
    w.service.versions.filter(status="draft").delete()
    published_past_the_guard(w, agreement, without_operation)
    draft = agreement.current_version
    with pytest.raises(Conflict) as refused:
        sign_agreement(agreement, by=w.provider_signer, content_hash=draft.content_hash)
    assert refused.value.code == "fields_changed"
    assert [(row.operation, row.path, row.after) for row in preview_of(draft, w.provider_signer).moved] == [
        (other.name, paths[0], "")
    ]
