"""The links of the gateway's refusals lead somewhere."""

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.gateway.refusals import TABLE
from apps.legal.actions import change_basis
from apps.organizations.choices import Role
from tests.factories.connections import world
from tests.factories.organizations import officer


@pytest.mark.parametrize("fix", sorted({row.fix for row in TABLE.values() if row.fix} | {"refusal"}))
def test_every_cure_a_refusal_names_has_a_page(db, client, fix):
    parties = world()
    client.force_login(parties.consumer_officer, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get(f"/go/{fix}/?service={parties.service.code}", follow=True)
    assert answer.status_code == 200, fix


def test_the_page_of_codes_cites_the_provisions_of_today(db, client):
    client.force_login(officer(Role.AUDITOR), backend="django.contrib.auth.backends.ModelBackend")

    def page():
        return client.get("/go/refusal/?code=purpose_missing").content.decode()

    assert page().count("Luật 91/2025/QH15") == 3, "the one asked for, and two lines of the list"
    change_basis("purpose", by=officer(Role.LEGAL_OFFICER), citation="Luật 1/2026/QH16", effective_from=timezone.localdate())
    assert (page().count("Luật 91/2025/QH15"), page().count("Luật 1/2026/QH16")) == (0, 3)


def test_a_hostile_link_stays_in_the_portal(db, client):
    parties = world()
    client.force_login(parties.consumer_officer, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/go/service/?service=//evil.example")["Location"] == reverse("portal:services")
    assert client.get("/go/nowhere/").status_code == 404
