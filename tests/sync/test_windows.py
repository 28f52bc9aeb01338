"""Business registration: missed windows are caught up, none twice, and no company record is kept."""

from __future__ import annotations

import datetime

import pytest
import time_machine
from django.db import connection

from apps.core import outbound
from apps.core.errors import InvalidFact
from apps.sync.choices import RunStatus
from apps.sync.models import EnterpriseChange, SyncRun
from apps.sync.plans import ChangesPlan, changes_plan
from apps.sync.walk import run_sync
from apps.sync.windows import windows
from tests.factories.sync import ChangesSourceFactory, at_sandbox

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
    assert run.counts["windows"] == 3  # 20-24 November, 25-29 November, 30 November to 4 December
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
