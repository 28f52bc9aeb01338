"""The register of legal rules as a page: a value with its unit, no empty decimals, the days between which it holds."""

from __future__ import annotations

import pytest

from apps.organizations.choices import Role
from tests.factories.organizations import officer


@pytest.mark.django_db
def test_a_rule_reads_as_a_sentence(client):
    client.force_login(officer(Role.LEGAL_OFFICER))
    text = client.get("/admin/legal/legalrule/?q=agreement.negotiate").content.decode()
    assert "10 ngày làm việc" in text
    assert "10,00" not in text
    assert "25/05/2020 –" in text
