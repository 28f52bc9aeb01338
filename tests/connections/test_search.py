"""Requests are found by words of number, title, agencies and services, the last one begun, tones and case aside."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.connections.models import ConnectionRequest
from apps.core.text import word_line
from tests.factories.connections import change, complete_draft, forwarded, signed_draft
from tests.factories.registry import PublishedServiceFactory, operation_of

TITLE = "Tra cứu Đất đai, phục vụ thủ tục"


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "Đồng Nai",
        "ĐỒNG NAI",
        "Tuye\u0302\u0301n  đường\u00a0Nguyễn-Huệ (Q.1)",
        "ưỡng ƯỠNG ỗ Ỵ",
        "YC-2026-000012",
        "H03.12/a_b",
        "  ",
        "½ € Ω",
    ],
)
def test_the_database_folds_as_python_does(text):
    with connection.cursor() as cursor:
        cursor.execute("SELECT core_word_line(%s)", [text])
        assert cursor.fetchone()[0] == word_line(text).strip()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("tra cuu dat dai", True), ("ĐẤT ĐAI", True), ("đất đai tra cứu", True), ("dat da", True), ("thu tuc khac", False), ("ai", False),
        ("so khai thac", True), ("sở cung cấp", True), ("h77.01", True), ("danh muc xe", True), ("xe-may", True),
        ("", True), ("%_\\", True), ("' & ! | dat:* ( <->", True), ("dat'dai", True), ("\x00dat", True),
        ("dat dai phuc vu thu tuc tra cuu dat khongco", True), ("khongco dat dai", False),
    ],
)  # fmt: skip
def test_a_request_is_found_by_its_title_agencies_and_services(w, asked, found):
    named(w)
    complete_draft(w, title=TITLE)
    assert ConnectionRequest.objects.search(asked).exists() is found


def named(w) -> None:
    for row, name, code in ((w.consumer, "Sở Khai thác", "H77.01"), (w.provider, "Sở Cung cấp", "H77.02")):
        row.name, row.code = name, code
        row.save()
    w.service.name, w.service.code = "Danh mục xe", "xe-may"
    w.service.save()


def test_a_request_is_found_by_its_number_and_by_the_beginning_of_it(w):
    request = complete_draft(w)
    complete_draft(w)
    assert ConnectionRequest.objects.search(request.number).get() == request
    assert ConnectionRequest.objects.search(request.number.lower()[:-1]).count() == 2


def test_rare_and_common_words_find_alike(w, monkeypatch):
    requests = [complete_draft(w, title=f"{TITLE} {turn}") for turn in range(3)]
    for rare, common in ((3, 4), (2, 4), (3, 3)):
        monkeypatch.setattr("apps.core.search.RARE", rare)
        monkeypatch.setattr("apps.core.search.COMMON", common)
        assert list(ConnectionRequest.objects.search("dat dai").order_by("pk")) == requests
        assert not ConnectionRequest.objects.filter(pk=0).search("dat dai").exists()


def test_what_is_renamed_is_found_by_its_new_name_only(w):
    forwarded(w)
    named(w)
    for old, new in (("khai thac", "Sở Một"), ("cung cap", "Sở Hai"), ("danh muc xe", "Dịch vụ ba")):
        assert ConnectionRequest.objects.search(old).exists()
        row = {"Sở Một": w.consumer, "Sở Hai": w.provider, "Dịch vụ ba": w.service}[new]
        row.name = new
        row.save()
        assert ConnectionRequest.objects.search(new).exists()
        assert not ConnectionRequest.objects.search(old).exists()


def test_a_service_no_longer_asked_for_is_not_found(w):
    request, other = complete_draft(w), PublishedServiceFactory(name="Giấy phép lái xe")
    change(request, w, scope={operation_of(other): w.fields()}, title="Khác")
    assert ConnectionRequest.objects.search("giay phep lai xe khac").exists()
    change(request, w, scope={w.operation: w.fields()})
    assert not ConnectionRequest.objects.search("giay phep lai xe").exists()
    request.requested_operations.all().delete()
    assert not ConnectionRequest.objects.search(w.service.name).exists()


def test_nobody_writes_the_line_by_hand(w):
    request = signed_draft(w, title=TITLE)
    request.refresh_from_db()
    kept = request.search_line
    assert "'dat'" in kept
    request.search_line = "'khac'"
    request.save()
    ConnectionRequest.objects.update(search_line="'khac'")
    request.refresh_from_db()
    assert request.search_line == kept


def test_the_search_is_answered_by_its_index(w, monkeypatch):
    monkeypatch.setattr("apps.core.search.RARE", -1)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "connections_request_search" in ConnectionRequest.objects.search("dat dai").order_by().explain()


def test_words_that_many_of_the_newest_have_do_not_ask_the_index(w, monkeypatch):
    """It would read all that have them, to show twenty-five."""
    for _turn in range(3):
        complete_draft(w, title=TITLE)
    other = complete_draft(w, title="Khác")
    monkeypatch.setattr("apps.core.search.COMMON", 2)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert "connections_request_search" not in ConnectionRequest.objects.search("dat dai").order_by().explain()
    assert "connections_request_search" in _asked_of_the_index(other)
    monkeypatch.setattr("apps.core.search.NEWEST", 1)  # of which it is not one
    assert "connections_request_search" in _asked_of_the_index(other, "dat dai")


def _asked_of_the_index(other: ConnectionRequest, text: str = "khac") -> str:
    with CaptureQueriesContext(connection) as seen:
        ConnectionRequest.objects.search(text)
    rare = seen.captured_queries[-1]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {rare}")
        return str(cursor.fetchall())


def test_portal_and_api_find_the_same_and_only_what_one_may_see(w):
    request = complete_draft(w, title=TITLE)
    answers = []
    for person in (w.consumer_officer, w.stranger):
        client = Client()
        client.force_login(person)
        page = client.get("/portal/requests/", {"q": "dat dai"}).content.decode()
        rows = client.get("/api/v1/requests", {"q": "Đất ĐAI"}).json()["results"]
        answers.append((request.number in page, [row["number"] for row in rows]))
    assert answers == [(True, [request.number]), (False, [])]
