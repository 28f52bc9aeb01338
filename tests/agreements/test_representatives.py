"""Regulations section 8, item 1: who signs for a party, and by what document; what was made before says what it said."""

from __future__ import annotations

import copy

import pytest
from django.db import connection
from django.test import Client

from apps.agreements import documents
from apps.agreements.actions import (
    approve_request,
    leave_agreement,
    propose_content,
    start_change,
    start_join,
)
from apps.agreements.actions.amendment import amended_content
from apps.agreements.differences import differences
from apps.agreements.models import Agreement, AgreementVersion
from apps.connections.actions import forward_request, save_draft, sign_request, submit_request
from apps.core.canonical import content_hash
from apps.disputes.reorganization import merge_organizations
from apps.organizations.actions import change_authority, give_role
from apps.organizations.choices import Role
from apps.organizations.models import Membership
from tests.agreements.test_leaving import Joiner
from tests.factories.accounts import UserFactory
from tests.factories.agreements import accepted, agreement_in_force, negotiating, special_world
from tests.factories.connections import World
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer

DOCUMENT = "36/QĐ-STC ngày 05/01/2026 của Giám đốc Sở"
IN_WORDS = f"theo văn bản ủy quyền/phân công số {DOCUMENT}"


def empowered(w: World, document: str = DOCUMENT, *, side: str = "consumer") -> None:
    """The signer of `side` signs by `document` from now on."""
    signer, organization = getattr(w, f"{side}_signer"), getattr(w, side)
    held = signer.memberships.get(role=Role.SIGNER, organization=organization, ended_at=None)
    change_authority(held, by=w.operator, authority=document)


def newest(agreement: Agreement) -> AgreementVersion:
    return agreement.versions.order_by("-number").first()


def said(version: AgreementVersion, side: str = "consumers") -> list[set[str | None]]:
    """The documents of each party's representatives (the provider has two); None where a row says nothing of it."""
    return [{one.get("authority") for one in row["representatives"]} for row in version.content[side]]


def as_before(version: AgreementVersion) -> AgreementVersion:
    """`version` as it was made before format 4. What is signed is final: the triggers rest for it."""
    content = {**copy.deepcopy(version.content), "format": 3}
    for one in (one for side in ("providers", "consumers") for row in content[side] for one in row["representatives"]):
        del one["authority"]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        AgreementVersion.objects.filter(pk=version.pk).update(content=content, content_hash=content_hash(content))
        cursor.execute("SET LOCAL session_replication_role = origin")
    version.refresh_from_db()
    return version


def page(person, agreement: Agreement, language: str = "vi") -> str:
    client = Client()
    client.force_login(person)
    client.cookies["django_language"] = language
    answer = client.get(f"/portal/agreements/{agreement.uuid}/")
    assert answer.status_code == 200
    return answer.content.decode()


def changed(w: World, agreement: Agreement, **facts) -> AgreementVersion:
    request = save_draft(start_change(agreement, by=w.consumer_officer), by=w.consumer_officer, **facts)
    sign_request(request, by=w.consumer_signer)
    submit_request(request, by=w.consumer_officer)
    approve_request(forward_request(request, by=w.operator), by=w.provider_officer)
    return newest(agreement)


def test_the_content_names_the_document_and_so_do_the_page_and_the_sheet(w):
    empowered(w)
    version = agreement_in_force(w).current_version
    assert version.content["format"] == 4
    assert (said(version, "consumers"), said(version, "providers")) == ([{DOCUMENT}], [{""}])
    sheet = documents.document_html(version)
    signer = w.consumer_signer
    assert f"; đại diện: {signer.full_name}, {signer.position}, {IN_WORDS}</li>" in sheet
    assert sheet.count("theo văn bản ủy quyền") == 1, "who signs by office signs by no document"
    shown = page(w.provider_officer, version.agreement)
    assert f"({signer.full_name}, {signer.position}, {IN_WORDS})" in shown
    assert f"by authorization or assignment No. {DOCUMENT}" in page(w.provider_officer, version.agreement, "en")


def test_a_document_that_is_named_in_words_stands_as_it_was_written(w):
    empowered(w, f"Quyết định số {DOCUMENT}")
    sheet = documents.document_html(agreement_in_force(w).current_version)
    assert f", theo Quyết định số {DOCUMENT}</li>" in sheet


def test_what_is_signed_says_what_it_said_and_the_next_content_says_what_is_so_then(w):
    empowered(w)
    agreement = accepted(w)
    before = agreement.current_version
    kept, sheet = (before.content, before.content_hash), documents.document_html(before)
    empowered(w, "40/UQ-STC ngày 02/03/2026")
    before.refresh_from_db()
    assert (before.content, before.content_hash) == kept
    assert before.content_hash == content_hash(before.content)
    assert documents.document_html(before) == sheet
    after = changed(w, agreement, calls_per_day=900)
    assert said(after) == [{"40/UQ-STC ngày 02/03/2026"}]


def test_only_who_may_sign_today_stands_there(w):
    former = give_role(UserFactory(), w.consumer, Role.SIGNER, by=w.operator, authority="1/QĐ")
    Membership.objects.filter(pk=former.pk).update(ended_at="2026-01-01T00:00:00Z")
    assert said(agreement_in_force(w).current_version) == [{""}]


# Agreements made before: nothing is said of a document.


def test_an_older_content_reads_as_it_did(w):
    version = as_before(agreement_in_force(w).current_version)
    signer = w.consumer_signer
    assert f"; đại diện: {signer.full_name}, {signer.position}</li>" in documents.document_html(version)
    assert f"({signer.full_name}, {signer.position})" in page(w.provider_officer, version.agreement)


def test_a_change_of_an_older_content_tells_only_what_was_changed(w):
    agreement = accepted(w)
    old = as_before(newest(agreement))
    empowered(w)
    empowered(w, "7/QĐ-C", side="provider")
    new = changed(w, agreement, calls_per_day=900)
    assert (new.content["format"], said(new), said(new, "providers")) == (4, [{DOCUMENT}], [{"", "7/QĐ-C"}])
    assert [(row.before, row.after) for row in differences(old.content, new.content)] == [("500", "900")]


def test_a_proposal_on_an_older_content_leaves_its_parties_as_they_stand(db):
    w = special_world()
    agreement = negotiating(w)
    old = as_before(newest(agreement))
    empowered(w)
    propose_content(agreement, by=w.consumer_officer, changes={"other_terms": "Báo cáo quý."}, note="x")
    new = newest(agreement)
    assert new.number == old.number + 1
    assert [new.content[name] for name in ("format", "consumers", "providers")] == [
        old.content[name] for name in ("format", "consumers", "providers")
    ]
    assert new.content_hash == content_hash(new.content)


def test_who_joins_says_its_own_and_nobody_stands_there_twice(w):
    agreement = accepted(w)
    old = as_before(newest(agreement))
    empowered(w)
    above = ReadyOrganizationFactory()
    w.consumer.parent = above
    w.consumer.save()
    asker = officer(Role.CONSUMER_OFFICER, above)
    give_role(UserFactory(), above, Role.SIGNER, by=w.operator, authority="5/QĐ")
    systems = [InformationSystemFactory(organization=organization) for organization in (above, w.consumer)]
    request = save_draft(start_join(agreement, above, by=asker), by=asker, systems=systems, technician="Lê Văn Nối")
    content = amended_content(request, agreement, old, 2)
    assert [row["code"] for row in content["consumers"]] == [w.consumer.code, above.code]
    assert content["consumers"][0] == old.content["consumers"][0]
    assert [one["authority"] for one in content["consumers"][1]["representatives"]] == ["5/QĐ"]
    assert content["addendum"]["joined"] == [above.code]
    assert [row["code"] for row in content["systems"]] == [w.system.code, *(system.code for system in systems)]
    assert content["format"] == 4


def test_who_leaves_takes_nothing_from_the_others(w):
    agreement = accepted(w)
    one = Joiner(w, agreement)
    agreement.refresh_from_db()
    old = as_before(newest(agreement))
    leave_agreement(agreement, by=one.officer, reason="Hệ thống ngừng dùng")
    new = newest(agreement)
    assert new.content["consumers"] == old.content["consumers"][:1]
    assert (new.content["providers"], new.content["format"]) == (old.content["providers"], 4)


@pytest.mark.parametrize("before", [False, True], ids=["now", "older"])
def test_the_successor_of_a_merge_signs_by_its_own_document(w, before):
    empowered(w, "7/QĐ-C", side="provider")
    agreement = accepted(w)
    if before:
        as_before(newest(agreement))
    into = ReadyOrganizationFactory()
    give_role(UserFactory(), into, Role.SIGNER, by=w.operator, authority=DOCUMENT)
    merge_organizations(w.consumer, into, by=w.operator, instrument="Nghị quyết 202/2025/QH15")
    assert said(newest(agreement)) == [{DOCUMENT}]
    assert said(newest(agreement), "providers") == [{None} if before else {"", "7/QĐ-C"}]
