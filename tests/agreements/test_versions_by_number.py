"""The API gives the document and the differences of any version, to whom the page gives them."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.agreements.actions import approve_request, decline_change, start_change
from apps.agreements.models import Agreement
from apps.connections.actions import forward_request, save_draft, submit_request
from tests.factories.agreements import signed_special
from tests.factories.connections import World

PEOPLE = ("consumer_officer", "provider_signer", "operator")


def asked_for_a_change(w: World, agreement: Agreement, calls: int) -> None:
    request = save_draft(start_change(agreement, by=w.consumer_officer), by=w.consumer_officer, calls_per_day=calls)
    submit_request(request, by=w.consumer_officer)
    approve_request(forward_request(request, by=w.operator), by=w.provider_officer)
    agreement.refresh_from_db()


@pytest.fixture
def agreement(special) -> Agreement:
    """Version 1 is in force, version 2 was declined, version 3 awaits signatures; both were written against the first."""
    made = signed_special(special)
    asked_for_a_change(special, made, 900)
    decline_change(made, by=special.provider_officer, reason="Không thống nhất.")
    asked_for_a_change(special, made, 700)
    return made


def client_of(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.mark.parametrize("who", PEOPLE)
def test_the_differences_of_a_version_are_those_of_its_page(special, agreement, who):
    client = client_of(getattr(special, who))

    def changed(**asked) -> list[tuple[str, str]]:
        rows = client.get(f"/api/v1/agreements/{agreement.uuid}/differences", asked).json()
        if asked:
            shown = client.get(f"/portal/agreements/{agreement.uuid}/", asked).context["differences"]
            assert [(row["before"], row["after"]) for row in rows] == [(row.before, row.after) for row in shown]
        return [(row["before"], row["after"]) for row in rows]

    assert (changed(version=1), changed(version=2)) == ([], [("500", "900")])
    assert changed(version=3) == [("500", "700")], "what was declined is not what it was written against"
    assert changed() == changed(version=3)


@pytest.mark.parametrize("number", [1, 2, 3, None])
def test_the_document_is_that_of_the_version_asked_for(special, agreement, pango, number):
    client, asked = client_of(special.provider_signer), {"version": number} if number else {}
    given = client.get(f"/api/v1/agreements/{agreement.uuid}/document", asked)
    assert given["Content-Disposition"] == f'attachment; filename="{agreement.number}-v{number or 3}.pdf"'
    assert given.content == client.get(f"/portal/agreements/{agreement.uuid}/document.pdf", asked).content


@pytest.mark.parametrize("number", ["4", "x", "-1", "9999999"])
@pytest.mark.parametrize("part", ["api/v1/agreements/{uuid}/document", "api/v1/agreements/{uuid}/differences",
                                  "portal/agreements/{uuid}/document.pdf", "portal/agreements/{uuid}/print/"])  # fmt: skip
def test_a_version_that_is_not_there_is_not_found(special, agreement, part, number):
    address = "/" + part.format(uuid=agreement.uuid)
    assert client_of(special.consumer_officer).get(address, {"version": number}).status_code == 404
