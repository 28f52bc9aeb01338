"""UP-05: markup in every text people or systems may write; rendered on every page, it is text and never an element."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.test import Client

from tests.access import planted
from tests.access.test_canary import addresses

pytestmark = pytest.mark.sweep

PAYLOAD = "<zq9 a=1>\"'onzq9=1 x='"
"""An element, and for where a text stands inside an attribute, an attribute."""
MUST_CARRY = {
    "accounts.User.full_name", "agreements.Agreement.title", "catalogs.Catalog.description", "connections.Attachment.name",
    "connections.Comment.text", "connections.ConnectionRequest.purpose_text", "connections.ConnectionRequest.title",
    "disputes.Dispute.description", "disputes.Ticket.text", "organizations.FocalPoint.name", "organizations.InformationSystem.name",
    "organizations.Organization.name", "registry.DataService.description", "registry.DataService.name", "registry.Purpose.name",
}  # fmt: skip


class Elements(HTMLParser):
    """What a browser would make of the payload."""

    def __init__(self) -> None:
        super().__init__()
        self.injected: list[str] = []
        self.words = 0

    def handle_starttag(self, tag, attrs):
        names = [name for name, _value in attrs if "zq9" in name]
        if "zq9" in tag or names:
            self.injected.append(f"<{tag} {names}> in line {self.getpos()[0]}")

    def handle_data(self, data):
        self.words += data.count("<zq9")


@pytest.mark.parametrize("actor", ["consumer", "operator"])
def test_up_05_markup_in_texts_is_never_an_element(db, actor):
    world, carried = planted.build_with_markup(PAYLOAD)
    assert carried >= MUST_CARRY, MUST_CARRY - carried
    client = Client()
    client.force_login(world.people[actor], backend="django.contrib.auth.backends.ModelBackend")
    injected, shown = [], 0
    for address in addresses(world).values():
        response = client.get(address)
        if not response.get("Content-Type", "").startswith("text/html"):
            continue
        page = Elements()
        page.feed(response.content.decode())
        injected += [f"{address}: {what}" for what in page.injected]
        shown += page.words > 0
    assert injected == []
    assert shown >= 20, "too few pages showed the texts at all"
    print(f"UP-05: {actor}: {len(carried)} kinds of text carry markup, {shown} pages show it, 0 elements")
