"""FI-32 to FI-34, SY-03, SY-05 and the wire's own faults: a connection that lies costs a retry, never a wrong list.

`FaultyNgsp` is a real server on loopback; time is not slept for, rows are aged.
"""

from __future__ import annotations

import copy
import datetime
import json
import time

import pytest
from django.utils import timezone

from apps.catalogs.models import Entry, Release
from apps.core import outbound
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.sync import schedule
from apps.sync.actions import approve_push
from apps.sync.choices import RunStatus
from apps.sync.models import EnterpriseChange, Source, SyncRun
from apps.sync.walk import run_sync
from tests.factories.organizations import OrganizationFactory, officer
from tests.factories.sync import CatalogSourceFactory, ChangesSourceFactory, PushSourceFactory, SelfPublishingCatalogFactory
from tests.faults import feeds
from tests.faults.faulty_ngsp import JSON, SUSPENDED, FaultyNgsp, drops, throttled
from tests.servers import RawServer, drips, reply, resets, sends

pytestmark = pytest.mark.django_db
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def allow(settings):
    """Let the platform call a server of the test."""

    def at(server):
        settings.EGRESS_ALLOW = [*settings.EGRESS_ALLOW, f"127.0.0.1:{server.port}"]
        return server

    outbound._TOKENS.__init__()
    return at


@pytest.fixture
def ngsp(allow):
    with FaultyNgsp(feeds.good_rows()) as server:
        yield allow(server)


@pytest.fixture
def operator(db):
    return officer(Role.OPERATOR)


def catalog_source(ngsp, **facts) -> Source:
    catalog = SelfPublishingCatalogFactory(levels=copy.deepcopy(feeds.LEVELS))
    return CatalogSourceFactory(catalog=catalog, settings=copy.deepcopy(feeds.SETTINGS), **{**ngsp.access(), **facts})


def run(source: Source, row: SyncRun | None = None) -> SyncRun:
    """Walk a new run of the source, or `row` again at once."""
    row = row or SyncRun.objects.create(source=source)
    SyncRun.objects.filter(pk=row.pk).update(next_attempt_at=timezone.now() - MINUTE)
    run_sync(row.uuid)
    row.refresh_from_db()
    return row


def live(source: Source) -> set[tuple]:
    return set(Entry.objects.filter(catalog=source.catalog).valid_on(timezone.localdate()).values_list("code", "name"))


# --- the wire ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 20, 90, 500, 5000])
def test_a_reset_after_any_number_of_bytes_is_tried_again(ngsp, after):
    source = catalog_source(ngsp)
    ngsp.plan.append(lambda connection, good: resets(good[:after])(connection, b""))
    first = run(source)
    assert (first.status, first.error_code in ("reset", "truncated")) == (RunStatus.QUEUED, True)
    assert not Release.objects.exists()
    assert run(source, first).status == RunStatus.PUBLISHED
    assert len(live(source)) == 63


@pytest.mark.parametrize(
    "slow",
    [
        lambda connection, good: drips(good[100:], every=0.05, head=good[:100])(connection, b""),
        lambda connection, good: drips(good, every=0.05)(connection, b""),
        lambda connection, good: time.sleep(20),
    ],
    ids=["the body drips", "the head drips", "no answer"],
)
def test_a_slow_drip_ends_at_the_total_deadline_of_the_source(ngsp, slow):
    """Each byte comes well within any read time-out; only the deadline over the whole call ends it."""
    source = catalog_source(ngsp)
    source.settings["adapter"] = {"total_seconds": 1}
    source.save()
    ngsp.plan.append(slow)
    first = run(source)
    assert (first.status, first.error_code) == (RunStatus.QUEUED, "timed_out")
    del source.settings["adapter"]
    source.save()
    assert run(source, first).status == RunStatus.PUBLISHED


def test_a_platform_that_is_not_there_may_come_back(ngsp, allow):
    source = catalog_source(ngsp)
    ngsp.__exit__()
    row = run(source)
    assert (row.status, row.error_code) == (RunStatus.QUEUED, "connect_failed")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (reply("200 OK", feeds.HTML, "Content-Type: text/html"), RunStatus.QUEUED),
        (reply("500 Error", b"{}"), RunStatus.QUEUED),
        (reply("429 Busy", b"{}", "Retry-After: 900"), RunStatus.QUEUED),
        (reply("200 OK", b'{"access_token": 5}'), RunStatus.QUEUED),
        (reply("200 OK", b'{"access_token": "a\\r\\nX-Evil: 1"}'), RunStatus.QUEUED),
        (reply("401 No", b'{"error": "invalid_client"}'), RunStatus.FAILED),
    ],
    ids=["a portal's page", "500", "429", "no text", "a header in the token", "refused"],
)
def test_a_token_endpoint_that_lies_gives_no_call_without_a_token(ngsp, allow, answer, status):
    with allow(RawServer(sends(answer))) as broken:
        source = catalog_source(ngsp, token_url=f"{broken.url}/token")
        row = run(source)
    assert (row.status, bool(row.error_text)) == (status, True)
    assert ngsp.calls == []
    if b"Retry-After" in answer:
        assert row.next_attempt_at > timezone.now() + 10 * MINUTE


# --- FI-32: tokens ----------------------------------------------------------------------------------


def two_parts(ngsp) -> Source:
    """A source of two lists: the roots and what lies below them."""
    source = catalog_source(ngsp)
    part = source.settings["parts"][0]
    levels = [{**feeds.LEVELS[0], "code": "root", "parents": [], "pattern": "R[0-9]"}, *copy.deepcopy(feeds.LEVELS)]
    source.catalog.levels = levels
    source.catalog.save()
    source.settings["parts"] = [{**part, "category": "goc", "level": "root"}, part]
    source.save()
    return source


def test_fi_32_a_token_revoked_between_two_lists_is_renewed_once_and_the_run_goes_on(ngsp):
    source = two_parts(ngsp)
    roots = json.dumps([{**feeds.good_rows()[0], "Ma": "R1", "Ten": "Gốc"}]).encode()

    def then_revoke(connection, good):
        ngsp.tokens.clear()
        connection.sendall(reply("200 OK", roots, JSON))

    ngsp.plan.append(then_revoke)
    row = run(source)
    assert (row.status, row.attempt, ngsp.given) == (RunStatus.PUBLISHED, 1, 2)
    assert len(live(source)) == 64
    assert [address for verb, address in ngsp.calls].count("/token") == 2


def test_fi_32_tokens_refused_at_once_stop_the_run_without_a_storm(ngsp, operator):
    """401 whatever token is shown: two calls, two tokens, an end, one person told. No lock-out by our own retries."""
    source = catalog_source(ngsp)
    ngsp.always = reply("401 Unauthorized", b'{"fault":{"code":900901,"message":"Invalid Credentials"}}', JSON)
    row = run(source)
    assert (row.status, row.error_code, row.attempt) == (RunStatus.FAILED, "wso2_900901", 1)
    assert (ngsp.given, ngsp.asked("/dmdc/")) == (2, 2)
    assert Notice.objects.filter(recipient=operator, kind="sync_failed").count() == 1


# --- FI-33: six hours of 429 and 503 ------------------------------------------------------------------


@pytest.mark.parametrize("fault", [throttled(120), SUSPENDED], ids=["429", "503"])
def test_fi_33_six_hours_of_refusals_cost_a_budget_of_calls_and_raise_the_alarm(ngsp, operator, settings, fault):
    """The clock is the rows': every wait is taken out of them. Nobody is called more often than the budget allows."""
    source = catalog_source(ngsp, interval_minutes=60)
    assert run(source).status == RunStatus.PUBLISHED
    before = live(source)
    ngsp.always, first_call = fault, len(ngsp.calls)
    hours = waits = 0.0
    row = None
    while hours < 6 * 3600:
        _age(60 * MINUTE if row is None or row.finished_at else datetime.timedelta(seconds=waits))
        for uuid in schedule.tick():
            run_sync(uuid)
        row = SyncRun.objects.order_by("-id").first()
        row.refresh_from_db()
        waits = (row.next_attempt_at - timezone.now()).total_seconds() + 1 if row.status == RunStatus.QUEUED else 3600
        assert waits >= (120 if b"Retry-After" in fault else settings.SYNC_BACKOFF_SECONDS * 0.7)
        hours += waits
    calls = len(ngsp.calls) - first_call
    assert calls <= 6 * settings.SYNC_ATTEMPTS
    assert live(source) == before
    source.refresh_from_db()
    assert source.alarmed_at is not None
    assert Notice.objects.filter(recipient=operator, kind="sync_stale").count() == 1
    ngsp.always = None
    open_run = SyncRun.objects.open().first()
    assert run(source, open_run).status == RunStatus.UNCHANGED
    source.refresh_from_db()
    assert source.alarmed_at is None
    print(f"FI-33 calls={calls} runs={SyncRun.objects.count()} alarm=1 live=unchanged")


def _age(length: datetime.timedelta) -> None:
    """Let `length` pass: everything that was, or is due, lies that much earlier."""
    for source in Source.objects.all():
        Source.objects.filter(pk=source.pk).update(
            next_run_at=source.next_run_at - length, last_success_at=source.last_success_at - length
        )
    for row in SyncRun.objects.open():
        SyncRun.objects.filter(pk=row.pk).update(next_attempt_at=row.next_attempt_at - length)


# --- FI-34, SY-05: outgoing ---------------------------------------------------------------------------


@pytest.fixture
def push(ngsp, operator):
    ngsp.category = []
    Organization.objects.update(code="H03.00")
    for code in ("H03", "H03.12", "H03.13"):
        OrganizationFactory(code=code)
    return PushSourceFactory(**ngsp.access())


def keys(ngsp) -> list[str]:
    return sorted(row["MaDinhDanhCap2"] for row in ngsp.category)


OURS = ["H03", "H03.00", "H03.12", "H03.13"]


@pytest.mark.parametrize(
    "lost",
    [
        drops,
        lambda connection, good: connection.sendall(good[:40]),
        lambda connection, good: connection.sendall(reply("502 Bad", b"")),
    ],
    ids=["the connection drops", "half an answer", "a proxy's 502"],
)
def test_fi_34_rows_that_were_stored_before_the_answer_was_lost_are_sent_once(push, ngsp, operator, lost):
    sending = approve_push(run(push), by=operator)
    ngsp.plan.extend([None, lost])
    assert run(push, sending).status == RunStatus.QUEUED
    assert keys(ngsp) == OURS
    assert run(push, sending).status == RunStatus.PUBLISHED
    assert keys(ngsp) == OURS
    assert ngsp.asked("/dmdc/", "POST") == 1
    print("FI-34 posts=1 duplicates=0")


def test_what_was_stored_in_part_is_shown_to_a_person_before_the_rest_is_sent(push, ngsp, operator):
    """The other side kept one row of four: what is left is another difference than the approved one."""
    sending = approve_push(run(push), by=operator)

    def keeps_one(connection, good):
        del ngsp.category[1:]
        drops(connection, good)

    ngsp.plan.extend([None, keeps_one])
    assert run(push, sending).status == RunStatus.QUEUED
    again = run(push, sending)
    assert (again.status, again.report["counts"]["add"]) == (RunStatus.HELD, 3)
    assert ngsp.asked("/dmdc/", "POST") == 1


def test_a_refused_row_is_told_in_their_words_and_nothing_is_tried_again(push, ngsp, operator):
    sending = approve_push(run(push), by=operator)
    refusal = {"MSG": 'Data not insert: Record 1: MaDinhDanhCap2 "H03" is duplicate', "Count": 0}
    ngsp.plan.extend([None, reply("200 OK", json.dumps(refusal).encode(), JSON)])
    row = run(push, sending)
    assert (row.status, row.error_code) == (RunStatus.FAILED, "not_stored")
    assert 'Record 1: MaDinhDanhCap2 "H03" is duplicate' in row.error_text


# --- SY-03: pages that move while they are read ----------------------------------------------------------


class Province(RawServer):
    """The other envelope, `{code, status, correlationId, response}`, with its pages as the test wants them."""

    def __init__(self, page) -> None:
        super().__init__(self._reply)
        self.page, self.good = page, True

    def _reply(self, connection, head: bytes) -> None:
        query = dict(pair.split("=") for pair in head.split(b" ")[1].decode().partition("?")[2].split("&"))
        number, size = int(query["page"]), int(query["size"])
        rows = feeds.good_rows()
        response = {"total": len(rows), "page": number, "items": rows[(number - 1) * size : number * size]}
        if not self.good:
            response = self.page(rows, number, size, response)
        content = {"code": "200", "status": "SUCCESS", "correlationId": "x", "response": response}
        connection.sendall(reply("200 OK", json.dumps(content).encode(), JSON))


PAGES = {
    "the same page twice": lambda rows, n, size, r: {**r, "items": rows[:size] if n == 2 else r["items"]},
    "the same page for ever": lambda rows, n, size, r: {**r, "items": rows[:size]},
    "a page is missing": lambda rows, n, size, r: {**r, "items": [] if n == 2 else r["items"]},
    "the last page is short": lambda rows, n, size, r: {**r, "items": r["items"][:-1] if n == 4 else r["items"]},
    "the total grows": lambda rows, n, size, r: {**r, "total": r["total"] + n},
    "the total shrinks": lambda rows, n, size, r: {**r, "total": r["total"] - n},
    "one item slips to the next page": lambda rows, n, size, r: {
        **r,
        "items": rows[(n - 1) * size - (n > 1) : n * size - (n > 1)],
    },
    "one item is lost between two pages": lambda rows, n, size, r: {
        **r,
        "items": rows[(n - 1) * size + (n > 1) : n * size + (n > 1)],
    },
    "more than was announced": lambda rows, n, size, r: {**r, "total": 10},
}


@pytest.mark.parametrize("fault", PAGES)
def test_sy_03_pages_that_do_not_fit_are_never_published(allow, fault):
    with allow(Province(PAGES[fault])) as province:
        source = catalog_source(
            FaultyNgsp(), adapter="envelope", base_url=province.url, auth_kind="none", token_url="", secret=""
        )
        source.settings["adapter"] = {"page_size": 20}
        source.save()
        assert run(source).status == RunStatus.PUBLISHED
        before = live(source)
        province.good = False
        row = run(source)
        assert (row.status, row.error_code) in ((RunStatus.QUEUED, "inconsistent_pages"), (RunStatus.HELD, ""))
        assert live(source) == before
        province.good = True
        assert run(source, row if row.status == RunStatus.QUEUED else None).status == RunStatus.UNCHANGED


def dossier(number: int) -> dict:
    return {"IN_JOURNAL_NO": f"HS{number:03d}", "ENTERPRISE_GDT_CODE": f"099{number:07d}", "RECEIPT_DATE": "01/11/2026"}


DOSSIERS = {
    "the same page for ever": lambda n: ([dossier(1), dossier(2)], 6),
    "the count moves": lambda n: ([dossier(n * 2), dossier(n * 2 + 1)], 6 + n),
    "one dossier twice": lambda n: ([dossier(n), dossier(n)], 6),
    "less than was counted": lambda n: ([dossier(1), dossier(2)] if n == 0 else [], 6),
    "more than was counted": lambda n: ([dossier(n * 2), dossier(n * 2 + 1)], 3),
}


@pytest.mark.parametrize("fault", DOSSIERS)
def test_sy_03_a_window_that_moves_while_it_is_read_is_read_again(allow, fault):
    asked = []

    def answer(connection, head):
        rows, count = DOSSIERS[fault](len(asked))
        asked.append(head)
        content = {"Status": "1", "Message": "success", "DataCount": count, "Data": rows}
        connection.sendall(reply("200 OK", json.dumps(content).encode(), JSON))

    with allow(RawServer(answer)) as server:
        today = timezone.localdate().isoformat()
        source = ChangesSourceFactory(settings={"start": today, "page_size": 2}, base_url=server.url)
        row = run(source)
    assert (row.status, row.error_code) == (RunStatus.QUEUED, "inconsistent_pages")
    assert not EnterpriseChange.objects.exists()
    assert len(asked) <= 4


def endless_dossiers(n: int) -> dict:
    return {"Status": "1", "DataCount": 49, "Data": [dossier(n * 2), dossier(n * 2 + 1)]}


def endless_items(n: int) -> dict:
    rows = [{"Ma": f"{n:04d}", "Ten": f"Xã {n}", "Note": "x" * 200}]
    return {"code": "200", "status": "OK", "response": {"total": 49, "page": n, "items": rows}}


def announced(page, total: int):
    """The same pages, with a count that no list has."""

    def told(n: int) -> dict:
        content = page(n)
        if "response" in content:
            content["response"]["total"] = total
        else:
            content["DataCount"] = total
        return content

    return told


@pytest.mark.parametrize("adapter", ["ngsp", "envelope"])
@pytest.mark.parametrize(
    ("cap", "total", "pages"),
    [({"MOST_ROWS": 60}, 10**12, 1), ({"MOST_BYTES": 4000}, 10**12, 40)],
    ids=["more announced than the cap", "more bytes than the cap"],
)
def test_pages_without_end_are_given_up_at_the_cap(allow, monkeypatch, adapter, cap, total, pages):
    """Fresh rows on every page, and always more to come: the run ends at once and needs a person, the memory does not fill."""
    for name, value in cap.items():
        monkeypatch.setattr(f"apps.sync.clients.base.{name}", value)
    if "MOST_BYTES" in cap:
        monkeypatch.setattr("apps.sync.clients.base.MOST_ROWS", 10**13)
    page = announced(endless_dossiers if adapter == "ngsp" else endless_items, total)
    asked = []

    def answer(connection, head):
        asked.append(head)
        connection.sendall(reply("200 OK", json.dumps(page(len(asked))).encode(), JSON))

    with allow(RawServer(answer)) as server:
        if adapter == "ngsp":
            source = ChangesSourceFactory(
                settings={"start": timezone.localdate().isoformat(), "page_size": 2}, base_url=server.url
            )
        else:
            source = catalog_source(
                FaultyNgsp(), adapter="envelope", base_url=server.url, auth_kind="none", token_url="", secret=""
            )
        row = run(source)
    assert (row.status, row.error_code) == (RunStatus.FAILED, "too_large")
    assert 1 <= len(asked) <= pages
    assert not EnterpriseChange.objects.exists()
    assert not Release.objects.exists()


def test_the_rows_of_all_lists_of_a_run_count_together(ngsp, monkeypatch):
    monkeypatch.setattr("apps.sync.clients.base.MOST_ROWS", 100)
    source = catalog_source(ngsp)
    assert run(source).status == RunStatus.PUBLISHED
    source.settings["parts"] *= 2
    source.save()
    row = run(source)
    assert (row.status, row.error_code, len(ngsp.calls)) == (RunStatus.FAILED, "too_large", 4)
    assert len(live(source)) == 63
