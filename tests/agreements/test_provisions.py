"""Official documents name the provisions of their day: they come from clauses with dates, and what was given out reads the same."""

from __future__ import annotations

import datetime
import uuid

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone, translation

from apps.agreements import documents
from apps.agreements.actions import change_clause, leave_agreement, start_change
from apps.agreements.differences import differences
from apps.agreements.models import Agreement, StandardClause
from apps.connections.actions import save_draft
from apps.core.canonical import content_hash
from apps.disputes.actions import raise_dispute
from apps.disputes.documents import document_html
from apps.disputes.models import Dispute
from apps.organizations.choices import Role
from tests.agreements.test_leaving import decide, joined
from tests.factories.agreements import accepted, agreement_in_force, awaiting_signatures
from tests.factories.organizations import officer

FIRST = "khoản 4 Điều 36 Nghị định số 47/2020/NĐ-CP"
NEXT = "khoản 2 Điều 9 Nghị định số 8/2027/NĐ-CP"
OPEN = "Cơ quan khác có thể đề nghị tham gia thỏa thuận này theo"


def replace(code: str = "joining", text: str = NEXT, since: datetime.date | None = None) -> StandardClause:
    legal = officer(Role.LEGAL_OFFICER)
    return change_clause(code, by=legal, text=text, citation=text, effective_from=since or timezone.localdate())


# --- agreements -----------------------------------------------------------------------------------


def test_a_content_says_by_which_provision_others_join_and_its_document_repeats_it(w):
    before = agreement_in_force(w).current_version
    assert before.content["joining"] == FIRST
    sheet = documents.document_html(before)
    assert f"{OPEN} {FIRST}." in sheet
    replace()
    assert documents.document_html(before) == sheet, "what was made before reads the same"
    after = agreement_in_force(w).current_version
    assert after.content["joining"] == NEXT
    assert f"{OPEN} {NEXT}." in documents.document_html(after)
    assert FIRST not in documents.document_html(after)


def test_what_is_given_out_to_be_signed_stays_byte_for_byte(special, pango):
    version = awaiting_signatures(special).current_version
    signed = version.content_hash
    _document, given_out = documents.original(version)
    replace()
    version.refresh_from_db()
    assert (version.content_hash, content_hash(version.content)) == (signed, signed)
    assert documents.newest(version)[1] == given_out


@pytest.mark.parametrize("since", [None, datetime.date(2021, 1, 1)], ids=["today", "for a day long past"])
@pytest.mark.parametrize("addendum", [False, True])
def test_a_content_made_before_contents_said_it_reads_as_it_did(w, since, addendum):
    version = agreement_in_force(w).current_version
    del version.content["joining"]
    if addendum:
        version.content["addendum"] = {"number": 1, "joined": [w.consumer.code]}
    sheet = documents.document_html(version)
    assert f"{OPEN} {FIRST}." in sheet
    assert (f"theo {FIRST}, với đầy đủ quyền và nghĩa vụ" in sheet) is addendum
    replace(since=since)
    assert documents.document_html(version) == sheet


def test_who_joins_does_so_by_the_provision_of_that_day_and_the_terms_stay(w):
    agreement = accepted(w)
    replace()
    joined(w, agreement)
    version = Agreement.objects.get(pk=agreement.pk).current_version
    assert (version.content["joining"], version.content["addendum"]["joining"]) == (FIRST, NEXT)
    sheet = documents.document_html(version)
    assert f"theo {NEXT}, với đầy đủ quyền và nghĩa vụ" in sheet
    assert f"{OPEN} {FIRST}." in sheet


def test_who_leaves_takes_the_addendum_along_and_no_term(w):
    agreement = accepted(w)
    joined(w, agreement)
    replace()
    leave_agreement(agreement, by=w.consumer_officer, reason="Ngừng dùng")
    content = Agreement.objects.get(pk=agreement.pk).current_version.content
    assert ("addendum" in content, content["joining"]) == (False, FIRST)


def test_who_reads_a_change_is_told_that_the_provision_is_another(w):
    agreement = accepted(w)
    old = agreement.current_version.content
    replace()
    request = start_change(agreement, by=w.consumer_officer)
    decide(save_draft(request, by=w.consumer_officer, calls_per_day=900), w, w.consumer_officer, w.consumer_signer)
    new = Agreement.objects.get(pk=agreement.pk).current_version.content

    def told(was: dict) -> list[tuple[str, str]]:
        with translation.override("en"):
            return [(row.before, row.after) for row in differences(was, new) if str(row.item) == "Joining by others"]

    assert told(old) == [(FIRST, NEXT)]
    assert told(new) == []
    assert told({name: value for name, value in old.items() if name != "joining"}) == [], "it was not said before"


def test_the_page_shows_it_where_others_may_join(w, client):
    agreement = accepted(w)
    client.force_login(w.provider_officer)
    assert FIRST in client.get(reverse("portal:agreement", args=[agreement.uuid])).content.decode()


# --- disputes -------------------------------------------------------------------------------------


@pytest.fixture
def dispute(w) -> Dispute:
    made = raise_dispute(
        agreement_in_force(w), by=w.consumer_officer, category="data", title="Sai tên", description="x", uuid=uuid.uuid4()
    )
    Dispute.objects.filter(pk=made.pk).update(status="level_3")
    return Dispute.objects.get(pk=made.pk)


PROVISIONS = "Điều 47, 48, 49 và 50 Nghị định số 47/2020/NĐ-CP"
OTHERS = "Điều 12 Nghị định số 8/2027/NĐ-CP"


def test_the_document_of_a_dispute_rests_on_what_is_in_force_until_it_is_sent(dispute):
    assert f"Căn cứ {PROVISIONS} về quản lý" in document_html(dispute)
    replace("dispute_document", OTHERS, timezone.localdate() + datetime.timedelta(days=1))
    assert PROVISIONS in document_html(dispute)
    with time_machine.travel(timezone.now() + datetime.timedelta(days=1)):
        text = document_html(dispute)
    assert f"Căn cứ {OTHERS}; vướng mắc số {dispute.number}" in text
    assert PROVISIONS not in text


@pytest.mark.parametrize("since", [0, 30], ids=["from today", "for the day it was sent too"])
def test_one_that_was_sent_keeps_the_provisions_of_its_day(dispute, since):
    dispute.sent_date, dispute.sent_number, dispute.sent_to = timezone.localdate() - datetime.timedelta(days=20), "1", "Bộ"
    sent = document_html(dispute)
    replace("dispute_document", OTHERS, timezone.localdate() - datetime.timedelta(days=since))
    assert document_html(dispute) == sent
    assert PROVISIONS in sent
