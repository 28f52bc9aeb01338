"""WF-53: the document by which a dispute goes to the body in charge has one rule behind its two doors."""

from __future__ import annotations

import datetime

import pytest
from django.test import Client
from django.urls import reverse

from apps.agreements.documents import PdfUnavailable
from apps.disputes.actions import resolve_dispute, send_document
from apps.disputes.choices import DisputeStatus
from apps.disputes.models import Dispute
from lgsp.dev.testing import has_pango
from tests.disputes.test_disputes import at_level_three, raised
from tests.factories.connections import World, world


@pytest.fixture
def w(db) -> World:
    return world()


def asked(dispute: Dispute, person) -> dict:
    """Door → how it answers `person`."""
    client = Client()
    client.force_login(person)
    doors = {
        "api": f"/api/v1/disputes/{dispute.uuid}/document",
        "page": reverse("portal:dispute-document", args=[dispute.uuid]),
    }
    return {door: client.get(address) for door, address in doors.items()}


def is_given(dispute: Dispute, person) -> bool:
    """Whether both doors give it; that one does and the other does not is no answer."""
    (given,) = {answer.status_code != 404 for answer in asked(dispute, person).values()}
    return given


def people(w: World) -> tuple:
    return w.consumer_officer, w.provider_officer, w.operator, w.stranger


def test_from_level_three_on_the_two_sides_and_the_operator_get_it_at_both_doors(w):
    dispute = raised(w)
    assert [is_given(dispute, person) for person in people(w)] == [False] * 4
    Dispute.objects.filter(pk=dispute.pk).update(status=DisputeStatus.LEVEL_3)
    assert [is_given(dispute, person) for person in people(w)] == [True, True, True, False]


def test_what_was_sent_is_given_also_when_the_dispute_is_settled_since(w):
    dispute = at_level_three(w)
    send_document(dispute, by=w.operator, sent_to="Bộ Tài chính", number="12/UBND", day=datetime.date(2026, 6, 12))
    resolve_dispute(dispute, by=w.consumer_officer, outcome="Đã sửa.")
    assert is_given(dispute, w.consumer_officer)
    never_sent = Dispute.objects.filter(pk=dispute.pk)
    never_sent.update(sent_date=None)
    assert not is_given(dispute, w.consumer_officer)


def test_the_api_gives_a_file_or_says_that_none_can_be_made(w, monkeypatch):
    dispute = at_level_three(w)
    if has_pango():
        answer = asked(dispute, w.operator)["api"]
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
        assert answer["Content-Disposition"] == f'attachment; filename="{dispute.number}.pdf"'
        assert answer.content.startswith(b"%PDF-")

    def no_library(_html):
        raise PdfUnavailable

    monkeypatch.setattr("apps.disputes.documents.pdf_of", no_library)
    found = asked(dispute, w.operator)
    assert (found["api"].status_code, found["api"].json()["code"]) == (503, "pdf_unavailable")
    assert (found["page"].status_code, found["page"]["Content-Type"].partition(";")[0]) == (200, "text/html")
