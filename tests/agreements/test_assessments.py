"""AG-20: what each consumer assessed before it takes sensitive data stands in the agreement, its own and nobody else's."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import pytest
from django.db import connection
from django.test import Client
from django.utils import translation

from apps.accounts.models import User
from apps.agreements import documents
from apps.agreements.actions import approve_request, leave_agreement, start_change, start_join, start_renewal
from apps.agreements.assessments import TEXT, known, stated
from apps.agreements.content import FORMAT
from apps.agreements.differences import differences
from apps.agreements.models import Agreement, AgreementVersion
from apps.connections import files
from apps.connections.actions import attach_file, forward_request, remove_file, save_draft, sign_request, submit_request
from apps.connections.choices import AttachmentKind
from apps.connections.completeness import missing
from apps.connections.models import Attachment, ConnectionRequest
from apps.core.canonical import content_hash
from apps.core.errors import FactMissing
from apps.disputes.reorganization import merge_organizations
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from tests.agreements.pdf_text import text_of
from tests.factories.agreements import signed_special
from tests.factories.connections import World, complete_draft, world
from tests.factories.organizations import InformationSystemFactory, ReadyOrganizationFactory, officer
from tests.factories.registry import BUSINESS_REGISTRATION

PATH = "Data.MainInformation.NAME"
FILE, OTHER_FILE = b"%PDF-1.7\nho so danh gia\n%%EOF\n", b"%PDF-1.7\nho so khac\n%%EOF\n"
SHA = files.digest(FILE)
REASON = "Miễn theo Điều 22, văn bản 12/STP"


def sensitive_world(**service) -> World:
    contract = copy.deepcopy(BUSINESS_REGISTRATION)
    for row in (row for operation in contract["operations"] for row in operation["fields"] if row["path"] == PATH):
        row["personal_data"] = "sensitive"
    return world(version__contract=contract, **service)


@pytest.fixture
def w(db) -> World:
    return sensitive_world()


def assessed(request: ConnectionRequest, by, data: bytes = FILE, name: str = "danh-gia.pdf") -> ConnectionRequest:
    attach_file(request, by=by, name=name, data=data, kind=AttachmentKind.ASSESSMENT)
    return request


def decided(request: ConnectionRequest, w: World, by=None, signer=None) -> Agreement:
    sign_request(request, by=signer or w.consumer_signer)
    submit_request(request, by=by or w.consumer_officer)
    forward_request(request, by=w.operator)
    return approve_request(request, by=w.provider_officer)


def draft(w: World, **said) -> ConnectionRequest:
    return complete_draft(w, scope={w.operation: [PATH]}, **said)


def with_file(w: World) -> Agreement:
    return decided(assessed(draft(w), w.consumer_officer), w)


def with_reason(w: World, reason: str = REASON) -> Agreement:
    return decided(draft(w, exemption_reason=reason), w)


def newest(agreement: Agreement) -> AgreementVersion:
    return agreement.versions.order_by("-number").first()


def rows(agreement: Agreement) -> dict[str, tuple[str, list[str]]]:
    """Agency → what it says, and the names of its files."""
    found = newest(agreement).content["personal_data"]["assessments"]
    return {row["organization"]: (row["exemption"], [file["name"] for file in row["files"]]) for row in found}


@dataclass
class Joiner:
    organization: Organization
    officer: User
    signer: User
    system: InformationSystem

    def joins(self, w: World, agreement: Agreement, data: bytes = OTHER_FILE, **said) -> ConnectionRequest:
        request = start_join(agreement, self.organization, by=self.officer)
        save_draft(request, by=self.officer, systems=[self.system], technician="Lê Văn Nối", **said)
        if data:
            assessed(request, self.officer, data, "cua-ben-tham-gia.pdf")
        decided(request, w, self.officer, self.signer)
        return request


@pytest.fixture
def one(db) -> Joiner:
    organization = ReadyOrganizationFactory(name="Sở Tham gia")
    people = (officer(Role.CONSUMER_OFFICER, organization), officer(Role.SIGNER, organization))
    return Joiner(organization, *people, InformationSystemFactory(organization=organization))


def as_before(version: AgreementVersion) -> AgreementVersion:
    """`version` as it was made before format 3: one text, no file. What is signed is final: the triggers rest for it."""
    content = copy.deepcopy(version.content)
    text = next((row["exemption"] for row in content["personal_data"].pop("assessments") if row["exemption"]), "")
    content["personal_data"][TEXT], content["format"] = text, 2
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        AgreementVersion.objects.filter(pk=version.pk).update(content=content, content_hash=content_hash(content))
        cursor.execute("SET LOCAL session_replication_role = origin")
    version.refresh_from_db()
    return version


def page(person, agreement: Agreement, language: str = "vi", **query) -> str:
    client = Client()
    client.force_login(person)
    client.cookies["django_language"] = language
    answer = client.get(f"/portal/agreements/{agreement.uuid}/", query)
    assert answer.status_code == 200
    return answer.content.decode()


def told(old: AgreementVersion, new: AgreementVersion) -> list[tuple[str, str, str]]:
    with translation.override("en"):
        found = differences(old.content, new.content)
        return [(row.kind, row.before, row.after) for row in found if str(row.item) == "Assessment or exemption"]


def test_a_file_is_enough_and_stands_in_the_agreement(w):
    request = assessed(draft(w), w.consumer_officer)
    assert missing(request, signatures=False) == []
    version = decided(request, w).current_version
    assert version.content["format"] == FORMAT
    assert version.content["personal_data"] == {
        "sensitive_fields": [PATH],
        "assessments": [{"organization": w.consumer.code, "exemption": "", "files": [{"name": "danh-gia.pdf", "sha256": SHA}]}],
    }
    shown = documents.document_html(version)
    assert f"của {w.consumer.name}: theo hồ sơ kèm yêu cầu." in shown
    assert SHA in shown
    assert version.content_hash == content_hash(version.content)


def test_neither_file_nor_reason_is_a_gap_that_is_named(w):
    request = draft(w)
    assert [field for field, _text in missing(request, signatures=False)] == ["exemption_reason"]
    assessed(request, w.consumer_officer)
    remove_file(request.attachments.get(), by=w.consumer_officer)
    assert [field for field, _text in missing(request, signatures=False)] == ["exemption_reason"]
    with pytest.raises(FactMissing):
        sign_request(request, by=w.consumer_signer)


def test_a_file_of_another_kind_assesses_nothing(w):
    request = draft(w)
    attach_file(request, by=w.consumer_officer, name="khac.pdf", data=FILE, kind=AttachmentKind.OTHER)
    assert [field for field, _text in missing(request, signatures=False)] == ["exemption_reason"]


@pytest.mark.parametrize(("language", "words"), [("vi", "Hồ sơ đánh giá tác động"), ("en", "Impact assessment on file")])
def test_the_page_and_the_differences_name_the_file(w, language, words):
    agreement = with_file(w)
    assert f"{w.consumer.name}: {words}: danh-gia.pdf (SHA-256 {SHA[:16]}…)" in page(w.provider_officer, agreement, language)
    first = agreement.current_version
    request = start_change(agreement, by=w.consumer_officer)
    save_draft(request, by=w.consumer_officer, exemption_reason=REASON)
    decided(request, w)
    with translation.override(language):
        (row,) = differences(first.content, newest(agreement).content)
    assert words in row.before
    assert row.after.startswith(f"{w.consumer.name}: {REASON}")
    assert words in row.after


def test_the_pdf_names_the_file_by_its_hash(w, pango):
    version = with_file(w).current_version
    _document, data = documents.original(version)
    text = text_of(data)
    assert SHA in text
    assert "danh-gia.pdf" in text
    assert version.content_hash in text
    assert "THỎA THUẬN" in text, "the reader knows Vietnamese letters"


def test_the_signer_hears_of_a_renewal_that_is_complete_with_its_file(w):
    request = start_renewal(with_file(w), by=w.consumer_officer)
    assert Notice.objects.get(kind="request.ready", key__contains=str(request.uuid)).recipient == w.consumer_signer


def test_who_joins_brings_its_own_and_the_first_ones_stays(w, one):
    agreement = with_file(w)
    first = agreement.current_version
    one.joins(w, agreement, exemption_reason="Đánh giá của bên tham gia")
    assert rows(agreement) == {
        w.consumer.code: ("", ["danh-gia.pdf"]),
        one.organization.code: ("Đánh giá của bên tham gia", ["cua-ben-tham-gia.pdf"]),
    }
    ((kind, _before, after),) = told(first, newest(agreement))
    assert (kind, after.splitlines()[0]) == ("added", "Sở Tham gia: Đánh giá của bên tham gia")
    shown = documents.document_html(newest(agreement))
    assert SHA in shown
    assert files.digest(OTHER_FILE) in shown


def test_who_joins_begins_with_nothing_and_must_say_its_own(w, one):
    agreement = with_file(w)
    request = start_join(agreement, one.organization, by=one.officer)
    save_draft(request, by=one.officer, systems=[one.system], technician="Lê Văn Nối")
    assert not request.attachments.exists()
    assert [field for field, _text in missing(request, signatures=False)] == ["exemption_reason"]


@pytest.mark.parametrize("who", ["first", "joined"])
def test_a_change_by_one_replaces_its_own_and_keeps_the_others(w, one, who):
    agreement = with_file(w)
    one.joins(w, agreement, data=b"", exemption_reason="Của bên tham gia")
    by, signer = (w.consumer_officer, w.consumer_signer) if who == "first" else (one.officer, one.signer)
    request = start_change(agreement, by=by)
    assert request.exemption_reason == ("" if who == "first" else "Của bên tham gia")
    save_draft(request, by=by, exemption_reason="Đánh giá mới")
    decided(request, w, by, signer)
    expected = {
        "first": {w.consumer.code: ("Đánh giá mới", ["danh-gia.pdf"]), one.organization.code: ("Của bên tham gia", [])},
        "joined": {w.consumer.code: ("", ["danh-gia.pdf"]), one.organization.code: ("Đánh giá mới", [])},
    }
    assert rows(agreement) == expected[who]


def test_a_change_begins_with_the_files_that_run(w):
    agreement = with_file(w)
    request = start_change(agreement, by=w.consumer_officer)
    (copied,) = request.attachments.present()
    assert (copied.name, copied.kind, copied.sha256, files.read(copied)) == ("danh-gia.pdf", "assessment", SHA, FILE)
    assert missing(request, signatures=False) == []
    decided(request, w)
    assert rows(agreement) == {w.consumer.code: ("", ["danh-gia.pdf"])}
    again = start_change(agreement, by=w.consumer_officer)
    assert [row.sha256 for row in again.attachments.present()] == [SHA], "once, however many requests have handed it in"


def test_a_draft_begun_twice_has_the_files_once(w):
    agreement = with_file(w)
    key = "5f0c7e2e-0c4e-4c53-9e57-2f6f4b1f9d11"
    for _time in range(2):
        request = start_change(agreement, by=w.consumer_officer, uuid=key)
    assert request.attachments.count() == 1


def test_a_file_that_the_store_has_lost_is_asked_for_again(w):
    agreement = with_file(w)
    lost = Attachment.objects.get()
    Attachment.objects.filter(pk=lost.pk).update(uuid="00000000-0000-4000-8000-000000000000")
    request = start_change(agreement, by=w.consumer_officer)
    assert not request.attachments.exists()
    assert [field for field, _text in missing(request, signatures=False)] == ["exemption_reason"]


def test_who_leaves_takes_its_own_along(w, one):
    agreement = with_file(w)
    one.joins(w, agreement)
    leave_agreement(agreement, by=w.consumer_officer, reason="Không còn dùng")
    assert rows(agreement) == {one.organization.code: ("", ["cua-ben-tham-gia.pdf"])}


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_a_successor_takes_over_what_was_said(w, one, where):
    agreement = with_reason(w)
    if where == "inside":
        one.joins(w, agreement)
    into = one.organization if where == "inside" else ReadyOrganizationFactory()
    merge_organizations(w.consumer, into, by=w.operator, instrument="Nghị quyết 202/2025/QH15")
    assert rows(agreement) == {into.code: (REASON, ["cua-ben-tham-gia.pdf"] if where == "inside" else [])}


def test_who_is_joining_reads_only_its_own(db, one):
    w = sensitive_world(sharing_form="special")
    agreement = signed_special(w, scope={w.operation: [PATH]}, exemption_reason=REASON)
    joins = start_join(agreement, one.organization, by=one.officer)
    save_draft(joins, by=one.officer, systems=[one.system], technician="Lê Văn Nối", exemption_reason="Của bên tham gia")
    submit_request(joins, by=one.officer)
    approve_request(forward_request(joins, by=w.operator), by=w.provider_officer)
    shown = page(one.officer, agreement)
    assert "Của bên tham gia" in shown
    assert REASON not in shown


# Agreements made before: one text, no file.


def test_an_older_content_reads_as_it_did(w):
    agreement = with_reason(w)
    sheet = documents.document_html(agreement.current_version)
    version = as_before(agreement.current_version)
    assert version.content_hash == content_hash(version.content)
    assert stated(version.content) == [{"organization": w.consumer.code, "exemption": REASON, "files": []}]
    assert f"{w.consumer.name}: {REASON}" in page(w.provider_officer, agreement)
    old = documents.document_html(version)
    assert f"<p>Đánh giá tác động xử lý dữ liệu cá nhân hoặc lý do miễn: {REASON}</p>" in old
    assert f"lý do miễn của {w.consumer.name}: {REASON}" in sheet
    request = start_change(agreement, by=w.consumer_officer)
    assert request.exemption_reason == REASON


def test_a_change_of_an_older_content_says_only_what_changed(w):
    agreement = with_reason(w)
    old = as_before(agreement.current_version)
    request = start_change(agreement, by=w.consumer_officer)
    decided(save_draft(request, by=w.consumer_officer, calls_per_day=900), w)
    assert newest(agreement).content["format"] == FORMAT
    assert rows(agreement) == {w.consumer.code: (REASON, [])}
    assert told(old, newest(agreement)) == []


@pytest.mark.parametrize("by", ["first", "joined"])
def test_what_a_joiner_of_an_older_content_said_is_read_from_its_request(w, one, by):
    agreement = with_reason(w)
    one.joins(w, agreement)
    old = as_before(newest(agreement))
    assert stated(old.content) == [{"organization": "", "exemption": REASON, "files": []}]
    assert REASON in page(w.provider_officer, agreement)
    assert set(known(old.content)) == {w.consumer.code, one.organization.code}
    people = (w.consumer_officer, w.consumer_signer) if by == "first" else (one.officer, one.signer)
    request = start_change(agreement, by=people[0])
    assert request.exemption_reason == (REASON if by == "first" else "")
    decided(request, w, *people)
    assert rows(agreement) == {w.consumer.code: (REASON, []), one.organization.code: ("", ["cua-ben-tham-gia.pdf"])}
    assert [(kind, after.splitlines()[0][:11]) for kind, _before, after in told(old, newest(agreement))] == [
        ("added", "Sở Tham gia")
    ]


def test_what_an_agency_said_that_has_left_is_not_put_into_anothers_mouth(w, one):
    """An older content kept the one text when its author left: who stays has filed its own, a file, and no such reason."""
    agreement = with_reason(w)
    one.joins(w, agreement)
    content = copy.deepcopy(newest(agreement).content)
    content["consumers"] = [row for row in content["consumers"] if row["code"] == one.organization.code]
    content["personal_data"] = {"sensitive_fields": content["personal_data"]["sensitive_fields"], TEXT: REASON}
    assert [row["exemption"] for row in known(content).values()] == [""]


@pytest.mark.parametrize(("joiner", "code"), [("H03.0", "H03.Z"), ("H03.ZZ", "H03.A")])
def test_an_older_content_is_joined_left_and_handed_over(w, one, joiner, code):
    """Whose code comes first does not say whose the one text is."""
    one.organization.code = joiner
    one.organization.save()
    agreement = with_reason(w)
    old = as_before(agreement.current_version)
    one.joins(w, agreement)
    assert rows(agreement) == {w.consumer.code: (REASON, []), one.organization.code: ("", ["cua-ben-tham-gia.pdf"])}
    assert [kind for kind, _before, _after in told(old, newest(agreement))] == ["added"]
    as_before(newest(agreement))
    into = ReadyOrganizationFactory(code=code)
    merge_organizations(w.consumer, into, by=w.operator, instrument="Nghị quyết 202/2025/QH15")
    assert rows(agreement)[into.code] == (REASON, [])
    as_before(newest(agreement))
    leave_agreement(agreement, by=one.officer, reason="Không còn dùng")
    assert rows(agreement) == {into.code: (REASON, [])}


@pytest.mark.parametrize("language", ["vi", "en"])
def test_who_asks_to_join_an_older_content_does_not_read_what_the_others_handed_in(w, one, language):
    agreement = with_file(w)
    as_before(agreement.current_version)
    request = start_join(agreement, one.organization, by=one.officer)
    save_draft(request, by=one.officer, systems=[one.system], technician="Lê Văn Nối", exemption_reason="Của bên tham gia")
    client = Client()
    client.force_login(one.officer)
    client.cookies["django_language"] = language
    shown = client.get(f"/portal/requests/{request.uuid}/").content.decode()
    assert f"{one.organization.name}: Của bên tham gia" in shown
    assert "danh-gia.pdf" not in shown
    assert w.consumer.name not in shown
