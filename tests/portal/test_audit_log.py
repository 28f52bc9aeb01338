"""The audit log as a page: auditors find who did what to a case in words, refusals included; nobody else opens it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from apps.audit import actions as audit
from apps.audit.models import AuditEvent
from apps.organizations.choices import Role
from tests.factories.organizations import OrganizationFactory, officer

pytestmark = pytest.mark.django_db


def test_au_01_an_auditor_finds_what_happened_in_words(client):
    operator = officer(Role.OPERATOR)
    agency = OrganizationFactory()
    audit.record("dispute.escalated", agency, by=operator, outcome=AuditEvent.Outcome.REFUSED, reason="Quá hạn")
    event = AuditEvent.objects.order_by("-id").first()
    client.force_login(officer(Role.AUDITOR))
    page = client.get(reverse("admin:audit_auditevent_changelist"), {"q": "dispute.escalated"}).content.decode()
    assert "Đã chuyển lên cấp trên" in page
    assert "bị từ chối" in page
    assert "Quá hạn" in client.get(reverse("admin:audit_auditevent_change", args=[event.uuid])).content.decode()
    assert "/admin/audit/auditevent/" in client.get(reverse("home")).content.decode(), "a line of the menu"


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.LEGAL_OFFICER, Role.SIGNER])
def test_nobody_else_opens_it(client, role):
    client.force_login(officer(role))
    assert client.get(reverse("admin:audit_auditevent_changelist")).status_code == 403
