"""Drafts signed when one text was both the further terms and the reason of a change: what `docs/operations.md` says of them."""

from __future__ import annotations

from pathlib import Path

from django.db import connection
from django.test import Client

from apps.agreements.actions import start_change, start_renewal
from apps.connections.actions import save_draft, sign_request
from apps.connections.models import ConnectionRequest
from tests.factories.agreements import agreement_in_force

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def found() -> set[str]:
    """What the statement of the manual finds."""
    statement = MANUAL.read_text().split("```sql", 2)[1].split("```")[0]
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return {number for (number,) in cursor.fetchall()}


def test_they_are_found_and_their_page_shows_what_would_become_of_the_terms(w):
    agreement = agreement_in_force(w, note="Chỉ dùng trong giờ hành chính")
    old = start_renewal(agreement, by=w.consumer_officer)
    plain, told = start_change(agreement, by=w.consumer_officer), start_change(agreement, by=w.consumer_officer)
    save_draft(told, by=w.consumer_officer, change_reason="Thêm trường")
    assert found() == set()
    ConnectionRequest.objects.filter(pk=old.pk).update(note="Hết hạn, xin gia hạn")
    old.refresh_from_db()
    sign_request(old, by=w.consumer_signer)
    assert found() == {old.number}
    assert plain.number not in found()
    client = Client()
    client.force_login(w.consumer_officer)
    page = client.get(f"/portal/requests/{old.uuid}/").content.decode()
    assert "Vấn đề khác" in page
    assert "Chỉ dùng trong giờ hành chính" in page
    assert "Hết hạn, xin gia hạn" in page
