"""The links of the gateway's refusals lead somewhere."""

import pytest
from django.urls import reverse

from apps.gateway.refusals import TABLE
from tests.factories.connections import world


@pytest.mark.parametrize("fix", sorted({row.fix for row in TABLE.values() if row.fix} | {"refusal"}))
def test_every_cure_a_refusal_names_has_a_page(db, client, fix):
    parties = world()
    client.force_login(parties.consumer_officer, backend="django.contrib.auth.backends.ModelBackend")
    answer = client.get(f"/go/{fix}/?service={parties.service.code}", follow=True)
    assert answer.status_code == 200, fix


def test_a_hostile_link_stays_in_the_portal(db, client):
    parties = world()
    client.force_login(parties.consumer_officer, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/go/service/?service=//evil.example")["Location"] == reverse("portal:services")
    assert client.get("/go/nowhere/").status_code == 404
