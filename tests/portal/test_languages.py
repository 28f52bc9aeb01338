"""Both languages are complete: no English left over in Vietnamese, no Vietnamese in English but people's data.

What stands in the database is a person's own words and is cut out first; so are codes, which are the same in every
language. What remains of a Vietnamese page must have no English word outside the list below.
"""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser

import polib
import pytest
from django.conf import settings
from django.urls import reverse

from apps.agreements.models import Credential
from apps.disputes.actions import open_ticket, raise_dispute
from apps.organizations.choices import Role
from apps.registry.actions import add_version, give_feedback
from tests.factories import agreements, connections
from tests.factories.organizations import officer

pytestmark = pytest.mark.sweep

NAMES = {
    "lgsp", "english", "rest", "json", "soap", "xml", "ngsp", "api", "curl", "get", "post", "test", "internet", "oauth", "tslcd", "csv",
    "xlsx", "sha", "openapi", "wsdl", "yaml", "mib", "bytes", "purpose", "code", "id", "ms", "uuid", "url", "http", "https", "utf", "client", "credentials", "ip", "qr", "pdf", "cp", "kb", "mb",
}  # fmt: skip
"""Names, abbreviations and wire words that Vietnamese keeps."""
ENGLISH = re.compile(r"\b[a-z]{3,}\b")
VIETNAMESE_LETTER = re.compile(r"[ăâđêôơưàảãáạằẳẵắặầẩẫấậèẻẽéẹềểễếệìỉĩíịòỏõóọồổỗốộờởỡớợùủũúụừửữứựỳỷỹýỵ]", re.IGNORECASE)


@cache
def syllables() -> frozenset[str]:
    """Vietnamese syllables that have no mark, as our own catalog uses them (`chia`, `vai`, `sung`)."""
    entries = polib.pofile(str(settings.BASE_DIR / "locale/vi/LC_MESSAGES/django.po"))
    texts = " ".join(text for entry in entries for text in (entry.msgstr, *entry.msgstr_plural.values()))
    return frozenset(word for word in re.findall(r"[^\W\d_]+", texts.lower()) if word.isascii())


class Words(HTMLParser):
    """The words a reader or a screen reader meets: text, titles, labels, placeholders; not scripts, not code."""

    SILENT = {"script", "style", "code", "pre", "title"}

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._deaf = 0

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in self.SILENT or (tag == "span" and given.get("aria-hidden") == "true") or self._deaf and tag == "span":
            self._deaf += 1
        if not self._deaf and given.get("lang") is None:
            self.found += [
                given[name] for name in ("aria-label", "placeholder", "title", "alt", "data-label") if given.get(name)
            ]

    def handle_endtag(self, tag):
        if self._deaf and (tag in self.SILENT or tag == "span"):
            self._deaf -= 1

    def handle_data(self, data):
        if not self._deaf:
            self.found.append(data)


def words(page: str) -> str:
    parser = Words()
    parser.feed(page)
    return "\n".join(text.strip() for text in parser.found if text.strip())


def without_data(text: str, data: list[str]) -> str:
    """The page's own words: whatever people typed, and whatever looks like a code, an address or a number, is cut out."""
    for known in sorted(
        {line.strip() for entry in data for line in str(entry).splitlines() if line.strip()}, key=len, reverse=True
    ):
        text = text.replace(known, " ")
    text = re.sub(r"\S*[0-9@/_.\\]\S*", " ", text)
    # A decree is cited by its Vietnamese name in every language.
    return re.sub(r"\b(NĐ|QĐ|Điều|khoản)\b", " ", text)


@pytest.fixture
def pages(world):
    """Every page of the portal with something on it, by name: (who, address)."""
    draft, asked, waiting = connections.complete_draft(world), connections.submitted(world), connections.forwarded(world)
    returned, refused = connections.returned(world), connections.refused(world)
    agreement = agreements.accepted(world)
    special = agreements.special_world()
    negotiating, unsigned = agreements.negotiating(special), agreements.awaiting_signatures(special)
    facts = {"category": "data", "title": "Sai tên", "description": "Sai dấu."}
    obstacle = raise_dispute(agreement, by=world.consumer_officer, **facts)
    question = open_ticket(
        agreement, by=world.consumer_officer, kind="wrong_data", asked_of=world.provider, text="Sai địa chỉ."
    )
    account = Credential.objects.filter(system=world.system).first()
    consumer, provider, operator = world.consumer_officer, world.provider_officer, world.operator

    def request(row):
        return reverse("portal:request", args=[row.uuid])

    def step(key):
        return reverse("portal:request-edit", args=[draft.uuid, key])

    def pact(row):
        return reverse("portal:agreement", args=[row.uuid])

    return {
        "home consumer": (consumer, reverse("home")),
        "home signer": (world.consumer_signer, reverse("home")),
        "home provider": (provider, reverse("home")),
        "home operator": (operator, reverse("home")),
        "home auditor": (officer(Role.AUDITOR), reverse("home")),
        "requests": (operator, reverse("portal:requests")),
        "draft": (consumer, request(draft)),
        "draft signer": (world.consumer_signer, request(draft)),
        "checking": (operator, request(asked)),
        "awaiting": (provider, request(waiting)),
        "returned": (consumer, request(returned)),
        "refused": (consumer, request(refused)),
        "new": (consumer, reverse("portal:request-new")),
        **{f"step {key}": (consumer, step(key)) for key in ("who", "data", "why", "check")},
        "agreements": (operator, reverse("portal:agreements")),
        "in force": (provider, pact(agreement)),
        "in force consumer": (consumer, pact(agreement)),
        "negotiating": (special.consumer_officer, pact(negotiating)),
        "awaiting signatures": (special.provider_signer, pact(unsigned)),
        "account": (consumer, reverse("portal:credential", args=[account.uuid])),
        "terms": (provider, reverse("portal:terms", args=[world.service.usage_regulation.uuid])),
        "services": (consumer, reverse("portal:services")),
        "service": (consumer, reverse("portal:service", args=[world.service.code])),
        "service provider": (provider, reverse("portal:service", args=[world.service.code])),
        "service document": (consumer, reverse("portal:service-document", args=[world.service.code])),
        "try": (consumer, reverse("portal:service-try", args=[world.service.code])),
        **of_the_registry(world),
        "gateway": (operator, reverse("portal:gateway")),
        "notices": (provider, reverse("portal:notices")),
        "disputes": (operator, reverse("portal:disputes")),
        "dispute": (provider, reverse("portal:dispute", args=[obstacle.uuid])),
        "dispute raised": (consumer, reverse("portal:dispute", args=[obstacle.uuid])),
        "dispute new": (consumer, reverse("portal:dispute-new") + f"?agreement={agreement.uuid}"),
        "tickets": (provider, reverse("portal:tickets")),
        "ticket": (provider, reverse("portal:ticket", args=[question.uuid])),
        "ticket new": (consumer, reverse("portal:ticket-new", args=["wrong_data"])),
        "explanation new": (provider, reverse("portal:ticket-new", args=["explanation"])),
        "calculator": (consumer, reverse("portal:calculator") + "?received=06/03/2026+10:00&days=1&rule=connection.decide"),
        "password": (consumer, reverse("account_change_password")),
        "login": (None, reverse("account_login")),
        "reset": (None, reverse("account_reset_password")),
        "not found": (None, "/khong-co/"),
    }


def of_the_registry(world) -> dict:
    """A provider's pages, with a draft that would break an agreement, and the directory."""
    draft = add_version(world.service, by=world.provider_officer)
    draft.operations.get(code=world.operation.code).fields.get(path=world.fields()[0]).delete()
    give_feedback(world.service, by=world.consumer_officer, text="Hỏi")
    provider, operator = world.provider_officer, world.operator

    def step(name):
        return reverse("portal:version-step", args=[draft.uuid, name])

    return {
        "offers": (provider, reverse("portal:offers")),
        "offer new": (provider, reverse("portal:offer-new")),
        "offer": (provider, reverse("portal:offer", args=[world.service.code])),
        "offer change": (provider, reverse("portal:offer-step", args=[world.service.code, "change"])),
        "draft version": (provider, reverse("portal:version", args=[draft.uuid])),
        "live version": (provider, reverse("portal:version", args=[world.operation.version.uuid])),
        **{f"version {name}": (provider, step(name)) for name in ("document", "operation", "examples", "address", "discard")},
        "regulations": (provider, reverse("portal:regulations")),
        "regulation new": (provider, reverse("portal:regulation-new")),
        "default lists": (operator, reverse("portal:default-lists")),
        "default list new": (provider, reverse("portal:default-list-new")),
        "agencies": (operator, reverse("portal:agencies")),
        "agency own": (world.consumer_officer, reverse("portal:agency", args=[world.consumer.code])),
        "agency other": (world.stranger, reverse("portal:agency", args=[world.provider.code])),
        "agency operator": (operator, reverse("portal:agency", args=[world.consumer.code])),
        "agency import": (operator, reverse("portal:agency-import")),
        "system new": (world.consumer_officer, reverse("portal:system-new", args=[world.consumer.code])),
    }


def typed_by_people() -> list[str]:
    """Every text of the database's rows that a page may show."""
    from django.apps import apps as registry
    from django.db.models import CharField, JSONField, TextField

    found: list[str] = []
    for model in registry.get_models():
        if model._meta.app_label not in (
            "organizations",
            "registry",
            "connections",
            "agreements",
            "accounts",
            "legal",
            "disputes",
        ):
            continue
        fields = [f for f in model._meta.concrete_fields if isinstance(f, CharField | TextField | JSONField) and not f.choices]
        plain = [f.name for f in fields if f.name not in ("folded", "sort_key", "password", "secret_hash", "secret")]
        for row in model._base_manager.values_list(*plain) if plain else []:
            for value in row:
                found += leaves(value)
    return found


def leaves(value) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in leaves(item)]
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    return [value] if isinstance(value, str) and len(value) > 1 else []


def test_vietnamese_pages_have_no_english_left(pages, as_person, client):
    data = typed_by_people()
    left = {}
    for name, (user, url) in pages.items():
        browser = as_person(user) if user else client
        text = without_data(words(browser.get(url).content.decode()), data)
        strange = {word for line in text.splitlines() for word in english_in(line)}
        if strange:
            left[name] = sorted(strange)
    assert not left, "\n".join(f"{name}: {found}" for name, found in left.items())


def english_in(line: str) -> set[str]:
    found = {word for word in re.findall(r"[^\W\d_]+", line.lower()) if ENGLISH.fullmatch(word)}
    return found - NAMES - syllables()


def test_english_pages_have_no_vietnamese_left(pages, as_person, client):
    data = typed_by_people()
    client.cookies["django_language"] = "en"
    left = {}
    for name, (user, url) in pages.items():
        browser = as_person(user, lang="en") if user else client
        text = without_data(words(browser.get(url).content.decode()), data)
        strange = {line.strip() for line in text.splitlines() if VIETNAMESE_LETTER.search(line)} - {"Tiếng Việt"}
        if strange:
            left[name] = sorted(strange)
    assert not left, "\n".join(f"{name}: {found}" for name, found in left.items())
