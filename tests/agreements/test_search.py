"""Agreements are found by words of number, title and parties, the last one begun, tones and case aside."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client

from apps.agreements.models import Agreement
from tests.factories.agreements import agreement_in_force
from tests.factories.organizations import ReadyOrganizationFactory


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("du lieu dat dai", True), ("ĐẤT ĐAI", True), ("dat da", True), ("ai", False), ("so khai thac", True), ("sở cung cấp", True),
        ("h77.01", True), ("khac", False), ("", True), ("%_\\' & !", True),
    ],
)  # fmt: skip
def test_an_agreement_is_found_by_its_title_and_parties(w, asked, found):
    for row, name, code in ((w.consumer, "Sở Khai thác", "H77.01"), (w.provider, "Sở Cung cấp", "H77.02")):
        row.name, row.code = name, code
        row.save()
    agreement_in_force(w, title="Dữ liệu Đất đai")
    assert Agreement.objects.search(asked).exists() is found


def test_an_agreement_is_found_by_its_number(w):
    one, _other = agreement_in_force(w), agreement_in_force(w)
    assert Agreement.objects.search(one.number).get() == one


def test_a_renamed_party_is_found_by_its_new_name_and_a_new_one_by_its_own(w):
    agreement = agreement_in_force(w)
    old, w.consumer.name = w.consumer.name, "Sở Một"
    w.consumer.save()
    assert Agreement.objects.search("so mot").exists()
    assert not Agreement.objects.search(old).exists()
    joined = ReadyOrganizationFactory(name="Sở Vừa vào")
    agreement.parties.create(organization=joined, side="consumer")
    assert Agreement.objects.search("so vua vao").get() == agreement


def test_nobody_writes_the_line_by_hand(w):
    agreement = agreement_in_force(w)
    agreement.refresh_from_db()
    kept, agreement.search_line = agreement.search_line, "'khac'"
    agreement.save()
    agreement.refresh_from_db()
    assert agreement.search_line == kept != ""


def test_the_search_is_answered_by_its_index(w, monkeypatch):
    monkeypatch.setattr("apps.core.search.RARE", -1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "agreements_agreement_search" in Agreement.objects.search("dat dai").order_by().explain()


def test_portal_and_api_find_the_same_and_only_what_one_may_see(w):
    agreement = agreement_in_force(w, title="Dữ liệu Đất đai")
    answers = []
    for person in (w.consumer_officer, w.stranger):
        client = Client()
        client.force_login(person)
        page = client.get("/portal/agreements/", {"q": "dat dai"}).content.decode()
        rows = client.get("/api/v1/agreements", {"q": "Đất ĐAI"}).json()["results"]
        answers.append((agreement.number in page, [row["number"] for row in rows]))
    assert answers == [(True, [agreement.number]), (False, [])]
