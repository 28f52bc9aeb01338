"""Business registration: missed windows are caught up, none twice, and no company record is kept."""

from __future__ import annotations

import datetime
import json
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.catalogs.staging import parse_date
from apps.core import outbound
from apps.core.errors import InvalidFact
from apps.core.outbound import PermanentError
from apps.organizations.choices import Role
from apps.sync.choices import RunStatus
from apps.sync.models import EnterpriseChange, SyncRun
from apps.sync.plans import ChangesPlan, changes_plan
from apps.sync.walk import run_sync
from apps.sync.windows import lately, record_changes, windows
from tests.factories.organizations import officer
from tests.factories.sync import ChangesSourceFactory, at_sandbox
from tests.faults.faulty_ngsp import JSON, FaultyNgsp
from tests.servers import reply

D = datetime.date
TODAY = D(2026, 11, 20)


@pytest.mark.parametrize(
    ("watermark", "expected"),
    [
        (None, [(D(2026, 11, 2), D(2026, 11, 6)), (D(2026, 11, 7), D(2026, 11, 11)), (D(2026, 11, 12), D(2026, 11, 16)), (D(2026, 11, 17), TODAY)]),
        (D(2026, 11, 16), [(D(2026, 11, 17), TODAY)]),
        (D(2026, 11, 19), [(TODAY, TODAY)]),
        (TODAY, []),
        (D(2026, 10, 1), [(D(2026, 11, 2), D(2026, 11, 6)), (D(2026, 11, 7), D(2026, 11, 11)), (D(2026, 11, 12), D(2026, 11, 16)), (D(2026, 11, 17), TODAY)]),
    ],
)  # fmt: skip
def test_windows_cover_every_missed_day_once_and_are_never_longer_than_five(watermark, expected):
    found = list(windows(ChangesPlan(D(2026, 11, 2)), watermark, TODAY))
    assert found == expected
    assert all((last - first).days < 5 for first, last in found)


@pytest.mark.parametrize(
    "given",
    [{}, {"start": "2026-02-30"}, {"start": "2026-01-01", "window_days": 6}, {"start": "2026-01-01", "page_size": 0}],
)
def test_settings_that_could_never_work_are_refused(given):
    with pytest.raises(InvalidFact):
        changes_plan(given)


@pytest.fixture
def source(sandbox, transactional_db):
    outbound._TOKENS.__init__()
    sandbox.set(today=TODAY.isoformat())
    return ChangesSourceFactory(settings={"start": "2026-11-02", "page_size": 7}, **at_sandbox(sandbox))


@pytest.fixture(autouse=True)
def _twentieth_of_november():
    with time_machine.travel(datetime.datetime(2026, 11, 20, 9, 0, tzinfo=datetime.timezone(datetime.timedelta(hours=7)))):
        yield


def numbers(sandbox, first: str, last: str) -> set[str]:
    answer = sandbox.get("/apiCSDLDKDN/1.0/danhSachHoSo", params={"from_date": first, "to_date": last, "limit": 200}).json()
    return {row["IN_JOURNAL_NO"] for row in answer["Data"]}


def all_numbers(sandbox) -> set[str]:
    spans = [
        ("02/11/2026", "06/11/2026"),
        ("07/11/2026", "11/11/2026"),
        ("12/11/2026", "16/11/2026"),
        ("17/11/2026", "20/11/2026"),
    ]
    return set().union(*(numbers(sandbox, *span) for span in spans))


def test_a_run_records_every_dossier_once_and_moves_the_watermark_to_yesterday(source, sandbox, run_now):
    run = run_now(source)
    assert run.status == RunStatus.PUBLISHED
    recorded = list(EnterpriseChange.objects.values_list("journal_no", flat=True))
    assert len(recorded) == len(set(recorded)) == run.counts["recorded"]
    assert set(recorded) == all_numbers(sandbox)
    source.refresh_from_db()
    assert source.watermark == D(2026, 11, 19)


def test_no_company_record_is_kept(source, run_now):
    run_now(source)
    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text FROM sync_enterprisechange c UNION ALL SELECT r::text FROM sync_syncrun r")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert "MẪU" not in stored
    assert "0990000" in stored


def test_the_same_day_again_is_unchanged(source, run_now):
    run_now(source)
    before = EnterpriseChange.objects.count()
    assert run_now(source).status == RunStatus.UNCHANGED
    assert EnterpriseChange.objects.count() == before


def test_days_missed_while_the_platform_was_off_are_caught_up(source, sandbox, run_now):
    run_now(source)
    sandbox.set(today="2026-12-04")
    with time_machine.travel(datetime.datetime(2026, 12, 4, 3, 0, tzinfo=datetime.timezone.utc)):
        run = run_now(source)
    assert run.counts["windows"] == 4  # 20-24 November, 25-29 November, 30 November to 4 December; once more: 15-19 November
    missed = numbers(sandbox, "23/11/2026", "27/11/2026") | numbers(sandbox, "30/11/2026", "04/12/2026")
    assert missed <= set(EnterpriseChange.objects.values_list("journal_no", flat=True))
    source.refresh_from_db()
    assert source.watermark == D(2026, 12, 3)


def test_a_window_that_fails_leaves_those_before_it_recorded_and_is_read_again(source, sandbox, run_now):
    sandbox.fault("503", "/apiCSDLDKDN/*", after=6)
    run = run_now(source)
    assert run.status == RunStatus.QUEUED
    source.refresh_from_db()
    done = source.watermark
    assert done is not None
    assert done < D(2026, 11, 19)
    SyncRun.objects.update(next_attempt_at=datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc))
    assert run_sync(run.uuid) == RunStatus.PUBLISHED
    recorded = list(EnterpriseChange.objects.values_list("journal_no", flat=True))
    assert len(recorded) == len(set(recorded))
    assert set(recorded) == all_numbers(sandbox)


def test_a_refused_question_is_permanent(source, sandbox, run_now):
    source.settings = {"start": "2026-11-02", "page_size": 900}  # more than the platform gives
    source.save()
    run = run_now(source)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "refused")


# --- dossiers that cannot be recorded --------------------------------------------------------------


def dossier(number, code: object = "0990000001", **facts) -> dict:
    return {"IN_JOURNAL_NO": number, "ENTERPRISE_GDT_CODE": code, "RECEIPT_DATE": "20/11/2026", "DOCUMENT_TYPE": "NEW", **facts}


@pytest.fixture
def lists(settings, transactional_db):
    """A platform whose lists hold the dossiers of `lists.tell(…)`, and a source of it that begins today."""
    outbound._TOKENS.__init__()
    with FaultyNgsp() as server:
        settings.EGRESS_ALLOW = [*settings.EGRESS_ALLOW, f"127.0.0.1:{server.port}"]

        def tell(*rows: dict, on: str = "20/11/2026") -> None:
            """`rows` are listed in the windows with the day `on`, nothing in others."""

            def answer(connection, _good: bytes) -> None:
                asked = dict(parse_qsl(urlsplit(server.calls[-1][1]).query))
                first, day, last = (parse_date(text) for text in (asked["from_date"], on, asked["to_date"]))
                given = rows if first <= day <= last else ()
                body = {"Status": "1", "DataCount": len(given), "Data": given}
                connection.sendall(reply("200 OK", json.dumps(body).encode(), JSON))

            server.always = answer

        server.tell = tell
        server.source = ChangesSourceFactory(settings={"start": TODAY.isoformat()}, **server.access())
        yield server


def recorded_numbers() -> list[str]:
    return list(EnterpriseChange.objects.order_by("id").values_list("journal_no", flat=True))


BAD = {
    "no_code": dossier("B", None),
    "no_number": dossier(None),
    "no_day": dossier("B", RECEIPT_DATE=None),
    "unreadable": dossier("B\x00"),
    "twice": dossier("A" * 60),
}


@pytest.mark.parametrize("reason", BAD)
def test_one_dossier_that_cannot_be_recorded_does_not_stop_the_feed(lists, run_now, reason):
    lists.tell(dossier("A" * 60), *([dossier("A" * 61)] if reason == "twice" else [BAD[reason]]), dossier("C"))
    run = run_now(lists.source)
    assert (run.status, run.error_code, run.counts["recorded"], run.counts["refused"]) == (RunStatus.PUBLISHED, "", 2, 1)
    assert recorded_numbers() == ["A" * 60, "C"]
    (left_out,) = run.report["refused"]
    assert left_out["reason"] == ("unreadable" if reason == "twice" else reason)
    client = Client()
    client.force_login(officer(Role.OPERATOR), backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("admin:sync_syncrun_change", args=[run.uuid])).content.decode()
    assert 'id="sync-refused"' in page
    assert client.get(f"/api/v1/sync/runs/{run.uuid}").json()["report"]["refused"] == [left_out]


def test_two_dossiers_without_a_number_are_no_list_that_moved(lists, run_now):
    lists.tell(dossier(None), dossier(None), dossier("C"))
    assert (run_now(lists.source).counts["refused"], recorded_numbers()) == (2, ["C"])


def test_a_number_given_twice_is_recorded_once(lists):
    new, refused = record_changes(lists.source, [dossier(7), dossier("7", "0990000002")])
    assert (new, refused) == (1, [("7", "twice")])


@pytest.mark.parametrize(
    "rows",
    [
        [{"IN_JOURNAL_NO": "1", "MA_DN": "0990000001", "RECEIPT_DATE": "20/11/2026"}],
        [dossier(n, RECEIPT_DATE="20.11.26") for n in range(5)],
    ],
    ids=["another column", "another form of date"],
)
def test_a_list_of_another_shape_fails_instead_of_passing_by_unrecorded(lists, rows):
    with pytest.raises(PermanentError) as refusal:
        record_changes(lists.source, rows)
    assert refusal.value.code == "wrong_shape"


def test_the_last_complete_days_are_read_once_more():
    plan = ChangesPlan(D(2026, 11, 2))
    assert lately(plan, None) == []
    assert lately(plan, D(2026, 11, 3)) == [(D(2026, 11, 2), D(2026, 11, 3))]
    assert lately(plan, D(2026, 11, 19)) == [(D(2026, 11, 15), D(2026, 11, 19))]


def test_a_dossier_that_gets_its_code_days_later_is_told_then_and_one_that_changes_is_told_again(lists, run_now):
    lists.tell(dossier("A"), dossier("B", None), dossier("C"))
    run_now(lists.source)
    with time_machine.travel(datetime.datetime(2026, 11, 24, 3, 0, tzinfo=datetime.timezone.utc)):
        run_now(lists.source)
        before = list(EnterpriseChange.objects.values_list("id", flat=True))
        lists.tell(dossier("A"), dossier("B", "0990000009"), dossier("C", "0990000003"))
        lists.source.refresh_from_db()
        run = run_now(lists.source)
    assert (run.counts["recorded"], recorded_numbers()) == (2, ["A", "B", "C"])
    told = EnterpriseChange.objects.filter(id__gt=max(before)).order_by("id").values_list("journal_no", "enterprise_code")
    assert list(told) == [("B", "0990000009"), ("C", "0990000003")], "after what every reader has"
    lists.source.refresh_from_db()
    assert lists.source.watermark == D(2026, 11, 23)
