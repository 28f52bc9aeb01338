"""AZ-02, AZ-04, AZ-07: no side door. What can be asked of a list tells a third agency nothing of agency B's rows.

Every list of the API, of the portal and of the admin: each name it reads from the address (it is watched while it answers) with
a word of B's and with a word of nobody's must be answered the same; every choice it offers shows no byte of B's; columns that
are not offered, through relations too, are refused or ignored, and so are orders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib import admin
from django.db import models, transaction
from django.http import QueryDict
from django.urls import URLPattern, URLResolver, get_resolver
from django_filters import BooleanFilter

from apps.accounts.models import User
from apps.agreements.models import Agreement, Credential, Grant, Party
from apps.connections.models import ConnectionRequest
from apps.organizations.models import InformationSystem, Membership, Organization
from tests.access import planted
from tests.access.endpoints import _readable
from tests.access.test_canary import addresses, client_of, unpacked
from tests.factories.registry import DraftVersionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.sweep]
LISTS = re.compile(r"/api/v1/[^{]*|/portal/[^{]*|/admin/[a-z]+/[a-z]+/")
DIRECTORY = ("/api/v1/organizations", "/api/v1/focal-points", "/portal/agencies/", "/admin/organizations/organization/",
             "/admin/organizations/focalpoint/")  # fmt: skip
"""Who is an agency of the province is public to every member: searching it for B finds B."""
OPEN = {("/portal/joinable/", "agreement")}
"""Whoever may ask to join an open agreement finds it by its number, which that page shows."""
AUTOCOMPLETE = "/admin/autocomplete/"
NOT_ASKED = {"page", "page_size", "format", "language", "next", "cursor", "all", "p"}
UUIDS = re.compile(r'(name="uuid" value=")[^"]+')
TOKENS = re.compile(
    r'name="next" value="[^"]*"|name="csrfmiddlewaretoken" value="[^"]+"|"request_id":\s*"[^"]*"|data-request-id="[^"]*"'
)
IDENTIFIER = re.compile("[0-9a-f-]{36}")
OPTION = re.compile(r'<option value="([^"]+)"')
SELECT = re.compile(r'<select[^>]*\bname="([a-z_]+)"[^>]*>(.*?)</select>', re.DOTALL)
ABSENT = "khongcotuyen55zz"
AGENCY, NAME, SYSTEM = "H03.B7Q", "songkimb", "he-thong-b7q"
"""What B is called here: no part of anybody else's code, so that searching for it finds B alone."""


class Asker:
    """One person with one session; what a request writes is rolled back, so that reading twice reads the same."""

    def __init__(self, seeded, actor: str) -> None:
        self.client = client_of(seeded, actor)

    def get(self, address: str, /, **given: str) -> tuple[int, str]:
        with transaction.atomic():
            response = self.client.get(address, given)
            body = b"".join(response.streaming_content) if response.streaming else response.content
            transaction.set_rollback(True)
        head = "\n".join(f"{name}: {response[name]}" for name in ("Location", "Content-Type", "Link") if name in response)
        text = f"{head}\n" + (body + unpacked(body)).decode("utf-8", "replace")
        assert response.status_code < 500, f"{address} {given}: {text[:300]}"
        return response.status_code, UUIDS.sub(r"\1", TOKENS.sub("", text))


@contextmanager
def listening() -> Iterator[set[str]]:
    """The names that are read from an address meanwhile."""
    read: set[str] = set()

    def heard(original):
        return lambda self, name, *more: (read.add(name), original(self, name, *more))[1]

    with pytest.MonkeyPatch.context() as patch:
        for method in ("__getitem__", "getlist", "__contains__"):
            patch.setattr(QueryDict, method, heard(getattr(QueryDict, method)))
        yield read


@pytest.fixture(scope="module")
def seeded(django_db_setup, django_db_blocker):
    """One world for all questions: no test leaves a row, and all of it is rolled back at the end."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield _seeded()
        transaction.set_rollback(True)


def _seeded() -> planted.Planted:
    seeded = planted.build()
    request = ConnectionRequest.objects.get(uuid=seeded.world.objects["requests"])
    Organization.objects.filter(pk=request.consumer_id).update(code=AGENCY, name=NAME, folded=f"{NAME} {AGENCY}".lower())
    for row in (request, Agreement.objects.get(uuid=seeded.world.objects["agreements"])):  # a search finds beginnings of words
        type(row).objects.filter(pk=row.pk).update(title=f"{planted.MARK} của một cơ quan")
    systems = InformationSystem.objects.filter(organization=request.consumer_id)
    assert systems.update(code=SYSTEM, folded=f"{planted.KNOWN} {SYSTEM}") == 1
    seeded.world.objects |= dict.fromkeys(("organizations", "organization", "agencies"), AGENCY)
    return seeded


@pytest.fixture(scope="module")
def asker(seeded) -> Asker:
    return Asker(seeded, "stranger")


@pytest.fixture(scope="module")
def lists(seeded, asker) -> dict[str, set[str]]:
    """Address → names it reads, of every list the third agency gets an answer from."""
    found = {}
    for route, address in addresses(seeded.own).items():
        if LISTS.fullmatch(route) and not route.endswith("/add/"):
            with listening() as read:
                status, _text = asker.get(address)
            if status == 200:
                found[address] = {name for name in read if isinstance(name, str) and name[0] != "_"} - NOT_ASKED
    return found


def models_of_lists() -> dict[str, type[models.Model]]:
    """Route → the model whose rows it lists: of the API's views and of the admin's lists."""
    found = {
        route: view.cls.queryset.model
        for route, view in _views()
        if getattr(getattr(view, "cls", None), "queryset", None) is not None
    }
    return found | {f"/admin/{model._meta.app_label}/{model._meta.model_name}/": model for model in admin.site._registry}


def _views(patterns=None, prefix: str = "/") -> Iterator[tuple[str, object]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + _readable(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield route, pattern.callback


# --- words ---------------------------------------------------------------------------------------


def words(seeded) -> dict[str, str]:
    """What somebody could guess or have overheard of B, one of each kind."""
    request = ConnectionRequest.objects.get(uuid=seeded.world.objects["requests"])
    agreement = Agreement.objects.get(uuid=seeded.world.objects["agreements"])
    person = User.objects.get(pk=seeded.world.people["consumer"].pk)
    return {
        "text": planted.KNOWN, "agency": AGENCY, "name": NAME, "system": SYSTEM, "number": request.number,
        "agreement": agreement.number, "agreement uuid": str(agreement.uuid), "request uuid": str(request.uuid),
        "call": seeded.world.objects["calls"], "person": person.username, "person uuid": str(person.uuid),
        "account": Credential.objects.filter(system__code=SYSTEM).first().client_id,
    }  # fmt: skip


KINDS = {
    "q": ("text", "agency", "name", "number", "agreement", "system", "account"), "call_id": ("call",), "before": ("call",),
    "agreement": ("agreement", "agreement uuid"), "agreement__uuid": ("agreement uuid",), "request": ("number", "request uuid"),
    "number": ("number", "agreement"), "system": ("system",), "account": ("account",), "client_id": ("account",),
    "user": ("person uuid",), "actor": ("person",), "object_ref": ("agreement uuid", "request uuid"),
    **dict.fromkeys(("consumer", "provider", "organization", "party", "parent", "code"), ("agency",)),
}  # fmt: skip
"""Which words are asked by a name; all others ask the marked text."""


def nobodys(word: str) -> str:
    """A word of the same shape that nothing carries."""
    return re.sub("[0-9a-z]", "9", word, flags=re.IGNORECASE) if word[-1].isdigit() or IDENTIFIER.fullmatch(word) else ABSENT


def same(asker: Asker, address: str, name: str, word: str, **more: str) -> str:
    """How the answers for a word of B's and for a word of nobody's differ; empty when only the word itself does."""
    other = nobodys(word)
    there, nowhere = (blank(asker.get(address, **more, **{name: asked}), word, other) for asked in (word, other))
    if planted.SECRET in there:
        return f"{address}?{name}={word} shows {planted.SECRET}"
    return "" if there == nowhere else f"{address}?{name}={word}: {apart(there, nowhere)}"


def blank(answer: tuple[int, str], *words: str) -> str:
    text = f"{answer[0]}\n{answer[1]}"
    for word in words:
        text = re.sub(re.escape(word), "WORD", text, flags=re.IGNORECASE)
    return text


def apart(one: str, other: str) -> str:
    return str(sorted({line.strip() for line in one.splitlines()} ^ {line.strip() for line in other.splitlines()})[:4])[:600]


def test_az_02_az_04_a_word_of_another_s_is_answered_like_a_word_of_nobody_s(seeded, asker, lists):
    known, asked, wrong = words(seeded), 0, []
    for address, names in lists.items():
        for name in sorted({*names, "q"}):
            for kind in KINDS.get(name, ("text",)) if name in names else ("text",):
                public = kind in ("agency", "name") and address.startswith(DIRECTORY)
                if not public and (address, kind) not in OPEN:
                    asked += 1
                    wrong.append(same(asker, address, name, known[kind]))
    assert [line for line in wrong if line] == []
    assert asked > 150
    print(f"AZ-02, AZ-04: {asked} questions to {len(lists)} lists, each answered as for a word of nobody")


def test_az_02_the_same_words_find_b_s_rows_for_b(seeded):
    """The other half of the proof: each word is one that does find something."""
    known, b = words(seeded), Asker(seeded, "consumer")
    for address, name, kind in (
        ("/api/v1/requests", "q", "number"), ("/api/v1/requests", "consumer", "agency"), ("/api/v1/systems", "q", "system"),
        ("/api/v1/agreements", "q", "text"), ("/api/v1/agreements", "party", "agency"), ("/api/v1/calls", "call_id", "call"),
        ("/api/v1/grants", "agreement", "agreement uuid"), ("/api/v1/memberships", "user", "person uuid"),
        ("/portal/agreements/", "q", "name"), ("/portal/accounts/", "q", "account"),
    ):  # fmt: skip
        assert same(b, address, name, known[kind]), f"{address}?{name}={kind}"


# --- choices -------------------------------------------------------------------------------------


def test_az_07_no_choice_of_a_filter_widens_what_is_seen(asker, lists):
    """Every choice and every yes or no that a list offers: fewer rows, never one of B's."""
    asked, wrong = 0, []
    for route, view in _views():
        filterset = getattr(getattr(view, "cls", None), "filterset_class", None)
        for name, one in getattr(filterset, "base_filters", {}).items() if route in lists else ():
            choices = (
                ["true", "false"]
                if isinstance(one, BooleanFilter)
                else [value for value, _label in one.extra.get("choices", ())]
            )
            for choice in choices if isinstance(choices, list) else ():
                asked += 1
                if planted.SECRET in asker.get(route, **{name: str(choice)})[1]:
                    wrong.append(f"{route}?{name}={choice}")
    for address, names in lists.items():
        for name, options in SELECT.findall(asker.get(address)[1]) if names and address.startswith("/portal/") else ():
            for choice in OPTION.findall(options) if name in names else ():
                asked += 1
                if planted.SECRET in asker.get(address, **{name: choice})[1]:
                    wrong.append(f"{address}?{name}={choice}")
    assert wrong == []
    assert asked > 100


# --- columns that are not offered ----------------------------------------------------------------


def columns(model: type[models.Model]) -> list[str]:
    """Every column of a model and of the models it points to, as a filter would name it."""
    own = model._meta.concrete_fields
    near = [
        f"{field.name}__{other.name}"
        for field in own
        if field.is_relation
        for other in field.related_model._meta.concrete_fields
    ]
    return [*[field.name for field in own], *near]


def hidden_questions(model: type[models.Model] | None, names: set[str]) -> Iterator[dict[str, str]]:
    """Filters and orders by columns nobody offers; all the filters at once, because what is ignored is ignored together."""
    paths = [
        path
        for path in [*(columns(model) if model else ()), "consumer__secret", "credential__secret_hash"]
        if path not in names
    ]
    yield {f"{path}__startswith": ABSENT for path in paths}
    yield dict.fromkeys(paths, ABSENT)
    yield {f"{path}__isnull": "1" for path in paths} | {f"{path}__in": ABSENT for path in paths}
    for order in (paths[0], f"-{paths[len(paths) // 2]}", "-consumer__secret"):
        yield {"ordering": order, "order": order, "sort": order}


def test_az_07_filters_and_orders_by_columns_that_are_not_offered_change_nothing(asker, lists):
    """A filter through a relation would read a column by whether a row is found, an order by where the row stands."""
    known, asked, with_rows, wrong = models_of_lists(), 0, 0, []
    for address, names in lists.items():
        if address.startswith("/admin/") or not (names or address in known):
            continue  # told column by column below; or it reads nothing from its address
        plain = asker.get(address)
        with_rows += '"uuid"' in plain[1] or "<td" in plain[1]
        for question in hidden_questions(known.get(address), names):
            asked += 1
            status, text = asker.get(address, **question)
            refused = status == 400 and "ordering" in question
            if not refused and blank((status, text), *question.values()) != blank(plain, *question.values()):
                wrong.append(f"{address}?{next(iter(question.items()))}: {status} {apart(plain[1], text)}")
    assert wrong == []
    assert asked > 200
    assert with_rows > 15, "the lists hold nothing that could be hidden"


def test_az_07_the_admin_filters_by_nothing_but_its_own_filters(rf):
    """Django lets whoever reads a list filter it by any column of the model: a hash of a password, letter by letter."""
    request, asked = rf.get("/admin/"), 0
    for model, page in admin.site._registry.items():
        offered = {entry[0] if isinstance(entry, tuple) else entry for entry in page.list_filter}
        for path in columns(model):
            for lookup in (path, f"{path}__startswith", f"{path}__gt", f"{path}__isnull"):
                asked += 1
                if path not in offered or lookup not in (path, f"{path}__isnull"):
                    assert not page.lookup_allowed(lookup, "x", request), f"{model.__name__}: {lookup}"
    assert asked > 500


def test_az_07_a_password_or_a_text_that_is_not_shown_cannot_be_read_by_filtering(seeded):
    operator = Asker(seeded, "operator")
    for address, filters, columns in (
        ("/admin/accounts/user/", ("is_active__exact",), ("password__startswith", "password__gte", "memberships__role")),
        ("/admin/notices/outboxmessage/", ("sent_at__isempty",), ("payload__icontains", "key__startswith")),
        ("/admin/sync/syncrun/", ("source__id__exact", "status__exact"), ("source__secret", "source__name__startswith")),
    ):
        assert [operator.get(address, **{name: "1"})[0] for name in filters] == [200] * len(filters)
        assert [operator.get(address, **{name: "p"})[0] for name in columns] == [400] * len(columns)


def test_az_02_no_select_box_names_an_agency_for_a_service_it_only_prepares(asker):
    preparing = DraftVersionFactory().service.provider
    Organization.objects.filter(pk=preparing.pk).update(name="Cơ quan đang soạn b7q")
    shown = {address: asker.get(address)[1] for address in ("/portal/requests/", "/portal/services/")}
    assert all('name="provider"' in text for text in shown.values())
    assert [address for address, text in shown.items() if "soạn b7q" in text] == []


def test_az_07_the_look_up_behind_select_boxes_finds_nothing_of_another(seeded, asker):
    """Django's own address answers for every foreign key of every model, registered or not."""
    known, answered = words(seeded), 0
    for model in (Agreement, Credential, ConnectionRequest, InformationSystem, Grant, Party, Membership):
        for field in (field for field in model._meta.fields if field.is_relation):
            source = {"app_label": model._meta.app_label, "model_name": model._meta.model_name, "field_name": field.name}
            status, text = asker.get(AUTOCOMPLETE, **source, term="")
            assert planted.SECRET not in text, source
            answered += status == 200
            if status == 200 and field.related_model is not Organization:
                assert [same(asker, AUTOCOMPLETE, "term", known[kind], **source) for kind in KINDS["q"]] == [""] * len(
                    KINDS["q"]
                )
    assert answered >= 3
