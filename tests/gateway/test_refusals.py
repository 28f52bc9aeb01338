"""Refusals explain themselves: one cause, one code, in both languages, with a link that leads to what mends it.

The causes go through the real gateway process one after the other in one world; each changes one thing and puts it back.
`docs/refusals.md` is made from the table; `LGSP_WRITE_DOCS=1 pytest <this file>` writes it.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone, translation

from apps.disputes.models import Maintenance
from apps.gateway import actions, problems
from apps.gateway.models import CallRefusal
from apps.gateway.refusals import FAILURES, REFUSALS, TABLE, Refused
from apps.legal import reference
from apps.legal.actions import change_basis
from apps.organizations.choices import Role
from apps.registry.models import Operation, Parameter, ServiceVersion, Upstream
from tests.factories.organizations import officer
from tests.gateway.conftest import Response
from tests.gateway.world import make_grant

PAGE = Path(__file__).resolve().parents[2] / "docs" / "refusals.md"
HEAD = """# Refusals of the gateway

Made from `apps/gateway/refusals.py` by `tests/gateway/test_refusals.py`, which also checks it. Do not edit by hand.

Each answer that is no data is `application/problem+json`: `type`, `title`, `status`, `code`, `clause`, `call_id`, `next_step`,
`request_url` (the page that mends it), and facts that concern the caller alone. Codes never change; texts may, and come in
Vietnamese or English by `Accept-Language` (Vietnamese when it names neither). The same texts are in the portal at `/go/refusal/`.

`clause` is a row with dates (*Provisions on calls*, `/api/v1/legal-bases`): the legal officer gives the next one and every gateway cites
it from its day. Below are those the platform starts with (`apps/legal/data/bases.csv`).
"""
with (reference.DATA / "bases.csv").open(encoding="utf-8", newline="") as file:
    CITATIONS = {row["code"]: row["citation"] for row in csv.DictReader(file)}
WHERE = {
    "request": "a new request, filled in", "change": "the agreement, to ask for a change", "renewal": "the agreement, to renew it",
    "agreement": "the agreement", "system": "the account of the system", "service": "the service", "services": "the services", "": "",
}  # fmt: skip


def table_of(rows: dict) -> Iterator[str]:
    yield "| code | HTTP | what it says | vi | what to do | clause | link | logged |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows.values():
        with translation.override("vi"):
            vietnamese = str(row.title)
        with translation.override("en"):
            cells = (f"`{row.code}`", str(row.status), str(row.title), vietnamese, str(row.next_step), CITATIONS.get(row.basis, ""), WHERE[row.fix],
                     "row" if row.durable else "counted")  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def page() -> str:
    parts = [HEAD, f"## Before the provider is contacted ({len(REFUSALS)})\n", "\n".join(table_of(REFUSALS)), ""]
    parts += [f"## After the call was let through ({len(FAILURES)})\n", "\n".join(table_of(FAILURES)), ""]
    return "\n".join(parts)


def test_the_table_of_refusals_in_the_docs_is_the_code():
    made = page()
    if os.environ.get("LGSP_WRITE_DOCS"):
        PAGE.write_text(made, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == made


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_every_refusal_has_both_languages_and_a_known_place(row):
    for text in (row.title, row.next_step):
        with translation.override("en"):
            english = str(text)
        with translation.override("vi"):
            assert str(text) != english
    assert row.fix in WHERE
    assert row.basis in {"", *CITATIONS}


@pytest.mark.django_db(transaction=True)
def test_a_refusal_cites_the_provision_of_its_day(call, world):
    """From its day on the next call is told the next provision, on a process that runs; one that is still to come is not cited."""

    def cited():
        return call(**{"X-Purpose-Code": "khac"}).json["clause"]

    legal = officer(Role.LEGAL_OFFICER)
    assert cited() == CITATIONS["purpose"]
    change_basis("purpose", by=legal, citation="Luật 1/2026/QH16, Điều 5", effective_from=timezone.localdate())
    assert cited() == "Luật 1/2026/QH16, Điều 5"
    change_basis("purpose", by=legal, citation="Luật 2/2027/QH16", effective_from=timezone.localdate() + timedelta(days=1))
    assert cited() == "Luật 1/2026/QH16, Điều 5"


@pytest.mark.parametrize(
    ("header", "language"),
    [("", "vi"), ("fr", "vi"), ("en", "en"), ("en-US,en;q=0.9", "en"), ("vi-VN,vi;q=0.9,en;q=0.8", "vi"), ("en;q=0.4, vi;q=0.6", "vi"),
     ("fr, en;q=0.5", "en"), ("en;q=0", "vi"), ("en;q=x, vi;q=0.1", "vi"), ("EN", "en")],
)  # fmt: skip
def test_the_language_is_the_better_liked_one(header, language):
    assert problems.language_of(header) == language


# --- every cause through the process -------------------------------------------------------------


class Causes:
    """What makes a call of this world be refused: code → (context manager, call)."""

    def __init__(self, world, call, provider) -> None:
        self.world, self.call, self.provider = world, call, provider
        self.operation, self.upstream = world.operation, Upstream.objects.get(version=world.version)
        self.search = world.version.operations.get(code="search")
        self.base = f"/gw/{world.service.code}/v1"
        self._make_second_version()

    def _make_second_version(self) -> None:
        """`/needs` has a required parameter, `/updates` would change something."""
        version = ServiceVersion.objects.create(service=self.world.service, major=2, status="draft")
        needs = Operation.objects.create(version=version, code="needs", name="Cần", method="GET", path_template="/needs")
        Parameter.objects.create(operation=needs, name="day", location="query", required=True)
        updates = Operation.objects.create(
            version=version, code="updates", name="Sửa", method="GET", path_template="/updates", kind="update"
        )
        Upstream.objects.create(version=version, environment="production", base_url=self.provider.url + "/api")
        self.world.change(version, "serviceversion", status="published", published_at=timezone.now())
        for operation in (needs, updates):
            _agreement, grant = make_grant(operation, self.world.system, self.world.purpose, fields=[])
            self.world.change(grant, "grant", status="active")

    @contextmanager
    def changed(self, obj, kind: str, **facts):
        before = {name: getattr(obj, name) for name in facts}
        self.world.change(obj, kind, **facts)
        yield
        self.world.change(obj, kind, **before)

    @contextmanager
    def version_changed(self, obj, **facts):
        """A fact of the contract; the version's change is what the policy hears of."""
        before = {name: getattr(obj, name) for name in facts}
        type(obj).objects.filter(pk=obj.pk).update(**facts)
        self.world.change(self.world.version, "serviceversion", status=self.world.version.status)
        yield
        type(obj).objects.filter(pk=obj.pk).update(**before)
        self.world.change(self.world.version, "serviceversion", status=self.world.version.status)

    @contextmanager
    def maintained(self):
        now = timezone.now()
        row = Maintenance.objects.create(
            service=self.world.service, starts_at=now - timedelta(hours=1), ends_at=now + timedelta(hours=1), reason="x",
            announced_by=officer(Role.OPERATOR),
        )  # fmt: skip
        self.world.change(self.world.service, "dataservice", status="active")
        yield
        Maintenance.objects.filter(pk=row.pk).update(cancelled_at=now)
        self.world.change(self.world.service, "dataservice", status="active")

    @contextmanager
    def provider_answers(self, **given):
        self.provider.answer("/api/companies/0999999999", **given)
        yield

    @contextmanager
    def provider_behaves(self, behaviour):
        self.provider.behave("/api/companies/0999999999", behaviour)
        yield

    def plain(self, path: str = "", **given) -> Callable[..., Response]:
        return lambda **headers: self.call(f"{self.base}{path}" if path else None, **given, **headers)

    def post(self, key: str = "", body: bytes = b"{}", **given) -> Callable[..., Response]:
        def send(**headers) -> Response:
            named = {"Idempotency_Key": key or uuid.uuid4().hex, "Content_Type": "application/json", **given}
            return self.call(f"{self.base}/search", method="POST", body=body, **named, **headers)

        return send

    def until(self, code: str) -> Callable[..., Response]:
        """Burst after burst until the code comes (a second of the clock may end within a burst)."""

        def send(**headers) -> Response:
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                with ThreadPoolExecutor(6) as pool:
                    answers = list(pool.map(lambda _n: self.call(**headers), range(6)))
                for answer in answers:
                    if answer.status == 429:
                        return answer
            raise AssertionError(code)

        return send

    def still_running(self, **headers) -> Response:
        begun, go_on = threading.Event(), threading.Event()

        async def wait(seen, writer):
            begun.set()
            while not go_on.is_set():
                await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

        self.provider.behave("/api/search", wait)
        first = threading.Thread(target=self.post("slow"))
        first.start()
        assert begun.wait(20)
        try:
            return self.post("slow")(**headers)
        finally:
            go_on.set()
            first.join(20)

    def already_completed(self, **headers) -> Response:
        self.provider.answer("/api/search", {"Status": "1"})
        assert self.post("done")().status == 200
        return self.post("done")(**headers)

    def reused(self, **headers) -> Response:
        return self.post("done", b'{"other": 1}')(**headers)

    def before_a_search_is_granted(self) -> Iterator[tuple]:
        w, now = self.world, timezone.now()
        hour = timezone.localtime(now)
        yield "credential_missing", None, self.plain(Authorization=None)
        yield "token_invalid", None, self.plain(Authorization="Bearer " + "x" * 43)
        yield "credential_revoked", self.changed(w.credential, "credential", status="revoked"), self.plain()
        yield "credential_expired", self.changed(w.credential, "credential", expires_at=now - timedelta(days=1)), self.plain()
        yield "certificate_mismatch", self.changed(w.credential, "credential", certificate_hash="a" * 64), self.plain()
        yield "system_not_active", self.changed(w.system, "informationsystem", status="suspended"), self.plain()
        yield "consumer_not_active", self.changed(w.consumer, "organization", status="suspended"), self.plain()
        yield "path_ambiguous", None, self.plain("/companies/%30999999999")
        yield "service_unknown", None, lambda **headers: self.call("/gw/khong-co/v1/x", **headers)
        yield "version_retired", self.changed(w.version, "serviceversion", status="retired"), self.plain()
        yield "operation_unknown", None, self.plain("/khac")
        yield "method_not_allowed", None, self.plain(method="DELETE")
        yield "parameter_undeclared", None, self.plain("/companies/0999999999?x=1")
        yield "parameter_repeated", None, self.plain("/companies/0999999999?from_date=1&from_date=2")
        yield "parameter_missing", None, lambda **headers: self.call(f"/gw/{w.service.code}/v2/needs", **headers)
        yield "parameter_invalid", None, self.plain("/companies/abc")
        yield "header_invalid", None, self.plain(X_Purpose_Code="bad code")
        yield "body_invalid", None, self.plain(body=b"{}")
        yield "grant_missing", None, self.post()
        yield "environment_mismatch", self.changed(w.grant, "grant", environment="test"), self.plain()
        yield "grant_suspended", self.changed(w.grant, "grant", status="suspended"), self.plain()
        yield "grant_ended", self.changed(w.grant, "grant", status="ended"), self.plain()
        yield "grant_not_yet_valid", self.changed(w.grant, "grant", valid_from=now + timedelta(days=1)), self.plain()
        yield "grant_expired", self.changed(w.grant, "grant", valid_to=now - timedelta(seconds=1)), self.plain()
        yield "agreement_suspended", self.changed(w.agreement, "agreement", status="suspended"), self.plain()
        yield "agreement_not_in_force", self.changed(w.agreement, "agreement", status="terminated"), self.plain()
        yield "agreement_expired", self.changed(w.agreement, "agreement", status="expired"), self.plain()
        yield "service_not_active", self.changed(w.service, "dataservice", status="suspended"), self.plain()
        yield "service_maintenance", self.maintained(), self.plain()
        yield "provider_not_active", self.changed(w.service.provider, "organization", status="suspended"), self.plain()
        yield "purpose_missing", None, self.plain(X_Purpose_Code=None)
        yield "purpose_not_granted", None, self.plain(X_Purpose_Code="khac")
        closed = {"hours_from": (hour + timedelta(hours=2)).time(), "hours_to": (hour + timedelta(hours=3)).time()}
        yield "outside_hours", self.changed(w.grant, "grant", **closed), self.plain()
        yield "network_not_allowed", self.changed(w.grant, "grant", networks=["10.0.0.0/8"]), self.plain()
        yield "kind_not_open", None, lambda **headers: self.call(f"/gw/{w.service.code}/v2/updates", **headers)
        yield "rate_exceeded", self.changed(w.grant, "grant", rate_per_second=1), self.until("rate_exceeded")
        yield "quota_day_exceeded", self.changed(w.grant, "grant", quota_per_day=1), self.until("quota_day_exceeded")
        yield "quota_month_exceeded", self.changed(w.grant, "grant", quota_per_month=1), self.until("quota_month_exceeded")

    def of_the_platform(self) -> Iterator[tuple]:
        up = self.upstream
        yield "body_too_large", None, self.post(body=b" " * 1_100_000)
        yield "idempotency_key_missing", None, self.post(Idempotency_Key=None)
        yield "still_running", None, self.still_running
        yield "already_completed", None, self.already_completed
        yield "idempotency_key_reused", None, self.reused
        yield "upstream_not_configured", self.version_changed(up, environment="test"), self.plain()
        yield "provider_busy", self.provider_answers(status=503), self.plain()
        yield "provider_refused", self.provider_answers(status=404), self.plain()
        yield "provider_auth_failed", self.provider_answers(status=401), self.plain()
        yield "provider_redirected", self.provider_answers(status=302), self.plain()
        yield "provider_not_json", self.provider_answers(raw=b"<html>"), self.plain()
        yield "provider_protocol_error", self.provider_behaves(_garbage), self.plain()
        yield "provider_too_large", self.version_changed(up, max_response_bytes=10), self.plain()
        yield "provider_failed", self.provider_answers(status=500), self.plain()
        yield "provider_address_refused", self.version_changed(up, base_url="http://127.0.0.1:1/api"), self.plain()
        yield "provider_timeout", self.provider_behaves(_silence), self.plain()

    def last(self) -> Iterator[tuple]:
        actions.revoke_tokens(self.world.credential, by=officer(Role.OPERATOR))
        yield "token_expired", None, self.plain()


async def _silence(seen, writer):
    await asyncio.sleep(3)  # longer than the deadline of the world's upstream


async def _garbage(seen, writer):
    writer.write(b"NOT HTTP\r\n\r\n")


@pytest.mark.django_db(transaction=True)
def test_more_than_forty_causes_have_a_code_each_and_a_link_that_works(call, world, provider):
    """GW refusals: one cause one code, clause, next step, link; Vietnamese and English; nothing about others."""
    person = Client()
    person.force_login(officer(Role.CONSUMER_OFFICER, world.consumer), backend="django.contrib.auth.backends.ModelBackend")
    causes = Causes(world, call, provider)
    seen: dict[str, dict] = {}

    def run(rows) -> None:
        for code, change, send in rows:
            language = "en" if len(seen) % 2 else "vi"
            if change is None:
                answer = send(Accept_Language=language)
            else:
                with change:
                    answer = send(Accept_Language=language)
            seen[code] = checked(answer, code, language)
            provider.answer("/api/companies/0999999999", {"Status": "1"})
            if code.startswith("provider_"):
                assert call().status == 200  # what was mended works at once, and nobody's failures add up

    def checked(answer: Response, code: str, language: str) -> dict:
        body, row = answer.json, TABLE[code]
        assert (answer.code, answer.headers["content-type"]) == (code, "application/problem+json"), body
        assert answer.status == body["status"] == (404 if code == "provider_refused" else row.status)
        with translation.override(language):
            assert (body["title"], body["next_step"]) == (str(row.title), str(row.next_step))
        assert body.get("clause", "") == CITATIONS.get(row.basis, "")
        assert answer.headers["content-language"] == language
        assert body["call_id"] == answer.call_id
        for stranger in (world.service.provider.name, world.agreement.title, "SELECT", "Traceback"):
            assert stranger not in answer.body.decode()
        _assert_leads(person, body["type"], "/go/refusal/")
        if row.fix:
            body["place"] = _assert_leads(person, body["request_url"], f"/go/{row.fix}/")
        return body

    run(causes.before_a_search_is_granted())
    _agreement, grant = make_grant(causes.search, world.system, world.purpose, fields=[])
    world.change(grant, "grant", status="active")
    run(causes.of_the_platform())
    run(causes.last())

    assert len(seen) >= 40
    places = {code: body["place"] for code, body in seen.items() if "place" in body}
    assert places["grant_missing"].path == "/portal/requests/new/"
    assert f"operation={causes.search.code}" in places["grant_missing"].query
    assert places["network_not_allowed"].path == f"/portal/agreements/{world.agreement.uuid}/"
    assert places["agreement_suspended"].path == f"/portal/agreements/{world.agreement.uuid}/"
    assert places["purpose_missing"].path == f"/portal/agreements/{world.agreement.uuid}/"
    assert places["credential_revoked"].path == f"/portal/accounts/{world.credential.uuid}/"
    assert places["system_not_active"].path == f"/portal/accounts/{world.credential.uuid}/"
    assert places["provider_refused"].path == f"/portal/services/{world.service.code}/"
    refused = CallRefusal.objects.get(code="outside_hours")
    assert (refused.operation, refused.grant) == (world.operation, world.grant)


def _assert_leads(person: Client, url: str, begins: str):
    parts = urlsplit(url)
    assert parts.path == begins, url
    answer = person.get(f"{parts.path}?{parts.query}", follow=True)
    assert answer.status_code == 200, (url, answer.redirect_chain)
    return urlsplit(answer.redirect_chain[-1][0]) if answer.redirect_chain else parts


@pytest.mark.django_db
def test_the_link_of_a_refusal_starts_the_request_that_mends_it(client):
    from apps.connections.models import ConnectionRequest
    from tests.factories.connections import world as parties

    w = parties()
    client.force_login(w.consumer_officer, backend="django.contrib.auth.backends.ModelBackend")
    about = {"service": w.service.code, "operation": w.operation.code, "system": w.system.code, "purpose": w.purpose.code}
    url = urlsplit(problems.link("request", about))
    form = client.get(f"{url.path}?{url.query}", follow=True)
    assert form.context["form"].initial["systems"] == [w.system]
    sent = {"consumer": w.consumer.pk, "systems": [w.system.pk], "uuid": str(uuid.uuid4()), "go": "next"}
    sent |= {name: form.context[f"{name}_code"] for name in ("service", "operation", "purpose")}
    step = client.post(form.request["PATH_INFO"], sent, follow=True)
    draft = ConnectionRequest.objects.get()
    assert (draft.purpose, draft.systems.get()) == (w.purpose, w.system)
    assert step.context["services"][0][0] == w.service
    assert step.context["wanted_operation"] == w.operation.code


@pytest.mark.django_db
def test_a_link_is_no_use_to_a_stranger():
    from tests.factories.agreements import agreement_in_force
    from tests.factories.connections import world as parties

    w = parties()
    agreement = agreement_in_force(w)
    client = Client()
    client.force_login(w.stranger, backend="django.contrib.auth.backends.ModelBackend")
    for fix in ("agreement", "change", "renewal"):
        url = urlsplit(problems.link(fix, {"agreement": agreement.number, "system": w.system.code, "service": w.service.code}))
        answer = client.get(f"{url.path}?{url.query}", follow=True)
        assert agreement.number not in answer.content.decode().replace(url.query, "")
    answer = client.get(f"/go/request/?system={w.system.code}&service={w.service.code}", follow=True)
    assert answer.redirect_chain[-1][0] == f"/portal/services/{w.service.code}/"


def test_a_refusal_never_carries_more_than_its_facts():
    body = json.loads(problems.build(TABLE["grant_missing"], "vi", "x", Refused("grant_missing").facts, {}, "Điều 35"))
    assert set(body) == {"type", "title", "status", "code", "clause", "call_id", "next_step", "request_url"}
