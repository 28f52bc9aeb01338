"""DL-02, FI-23, FI-25 and their like: a worker killed at each named step, and anywhere, leaves no half release and no open run.

A real process does the run and dies by SIGKILL where it is told; then its lease ends (the row is aged, nobody sleeps) and
another worker takes over. What is live before the takeover is the old list or the whole new one, never a mix. The tables of steps
say in which state the run's row is found; two tests hold that no step of the code and no state of an open run is left out.
"""

from __future__ import annotations

import datetime
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from django.db import connection
from django.utils import timezone

from apps.catalogs.models import Entry, Release
from apps.core import outbound
from apps.notices.models import Notice
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.sync.actions import approve_push
from apps.sync.choices import STEPS, RunStatus, Stage
from apps.sync.models import EnterpriseChange, SyncRun
from apps.sync.walk import run_sync
from lgsp.dev.testing import share
from tests.factories.catalogs import published
from tests.factories.organizations import OrganizationFactory, officer
from tests.factories.sync import CatalogSourceFactory, ChangesSourceFactory, PushSourceFactory, at_sandbox
from tests.fixtures.platform import SANDBOX_KEY, SANDBOX_SECRET, _test_database_url
from tests.patience import until
from tests.sandbox.process import sandbox, sandbox_process  # noqa: F401

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def _no_tokens_of_other_tests():
    outbound._TOKENS.__init__()


@pytest.fixture
def worker(sandbox):  # noqa: F811
    """Start a process that does one run; `kill_at` names the step at which it dies."""
    started = []

    def start(run: SyncRun, kill_at: str = "") -> subprocess.Popen:
        env = {**os.environ, "DATABASE_URL": _test_database_url(), "LGSP_KILL_AT": kill_at, "PYTHONWARNINGS": "ignore",
               "LGSP_EGRESS_ALLOW": f"127.0.0.1:{sandbox.port}"}  # fmt: skip
        command = [sys.executable, "-m", "tests.faults.sync_worker", str(run.uuid)]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


def names(source) -> dict[str, str]:
    return dict(Entry.objects.filter(catalog=source.catalog).valid_on(timezone.localdate()).values_list("code", "name"))


def age_lease() -> None:
    SyncRun.objects.filter(status=RunStatus.RUNNING).update(lease_until=timezone.now() - datetime.timedelta(seconds=1))


def dies(process: subprocess.Popen) -> None:
    output, _ = process.communicate(timeout=180)
    assert process.returncode == -signal.SIGKILL, output


RUNNING, QUEUED = RunStatus.RUNNING, RunStatus.QUEUED
CATALOG_STEPS = {
    "sync.claimed": (RUNNING, Stage.WAITING),
    "sync.part_fetched": (RUNNING, Stage.FETCHING),
    "sync.comparing": (RUNNING, Stage.COMPARING),
    "sync.fetched": (RUNNING, Stage.COMPARING),
    "sync.staging": (RUNNING, Stage.STAGING),
    "sync.staged": (RUNNING, Stage.STAGING),
    "sync.deciding": (RUNNING, Stage.PUBLISHING),
    "sync.publishing": (RUNNING, Stage.PUBLISHING),
    "sync.closing": (RUNNING, Stage.PUBLISHING),
    "sync.published": (RunStatus.PUBLISHED, Stage.DONE),
}
"""Step of a catalog's run → the state of its row that a kill there leaves behind."""
HARMFUL_STEPS = ("sync.part_fetched", "sync.fetched", "sync.staging", "sync.staged", "sync.deciding", "sync.closing")
WINDOW_STEPS = {
    "sync.window_fetched:2": (RUNNING, Stage.FETCHING),
    "sync.window_recording:2": (RUNNING, Stage.FETCHING),
    "sync.window_recorded:2": (RUNNING, Stage.FETCHING),
    "sync.window_recorded:3": (RUNNING, Stage.FETCHING),
    "sync.closing": (RUNNING, Stage.FETCHING),
}
COMPARING_STEPS = {"sync.push_compared": (RUNNING, Stage.FETCHING), "sync.closing": (RUNNING, Stage.FETCHING)}
SENDING_STEPS = {
    "sync.push_sending": (RUNNING, Stage.SENDING),
    "sync.push_sent": (RUNNING, Stage.SENDING),
    "sync.push_verifying": (RUNNING, Stage.VERIFYING),
    "sync.closing": (RUNNING, Stage.VERIFYING),
}
FAILING_STEPS = {"sync.failing": (RUNNING, Stage.FETCHING), "sync.postponed": (QUEUED, Stage.WAITING)}


def test_every_step_and_every_state_of_an_open_run_is_killed_at():
    tables = (CATALOG_STEPS, WINDOW_STEPS, COMPARING_STEPS, SENDING_STEPS, FAILING_STEPS)
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "apps" / "sync").rglob("*.py")]
    named = {name for text in texts for name in re.findall(r'reach\("([^"]+)"\)', text)}
    assert named == {step.partition(":")[0] for table in tables for step in table}
    left = {state for table in tables for state in table.values()}
    assert left >= {(RUNNING, stage) for stages in STEPS.values() for stage in stages} | {(QUEUED, Stage.WAITING)}


def assert_left(run: SyncRun, state: tuple) -> None:
    run.refresh_from_db()
    assert (run.status, run.stage) == state


@pytest.mark.parametrize("step", CATALOG_STEPS)
def test_a_worker_killed_during_a_catalog_run_leaves_all_old_or_all_new(sandbox, worker, step):  # noqa: F811
    source = CatalogSourceFactory(**at_sandbox(sandbox))
    assert run_sync(SyncRun.objects.create(source=source).uuid) == RunStatus.PUBLISHED
    old = names(source)
    new = {**old, "02": "Tày (Thổ)"}
    sandbox.fault("one_name", "/dmdc/*", times=0)
    run = SyncRun.objects.create(source=source)
    dies(worker(run, step))
    assert_left(run, CATALOG_STEPS[step])
    left = names(source)
    assert left in (old, new), "a mix of two lists is live"
    assert (left == new) is (step == "sync.published")
    age_lease()
    again = run_sync(run.uuid)
    run.refresh_from_db()
    assert names(source) == new
    assert (run.status, again) == (RunStatus.PUBLISHED, None if step == "sync.published" else RunStatus.PUBLISHED)
    assert_closed(source, releases=2)
    print(f"FI-23 step={step} attempts={run.attempt} fence={run.fence} releases=2 mixed=0")


def assert_closed(source, *, releases: int) -> None:
    """No run is open, no release waits, and each list that came is one release."""
    assert not SyncRun.objects.open().exists()
    assert not Release.objects.open().exists()
    assert Release.objects.live().count() == releases
    assert Entry.objects.filter(catalog=source.catalog, code="02").count() == releases


def test_workers_killed_one_after_the_other_at_later_and_earlier_steps_leave_one_release(sandbox, worker):  # noqa: F811
    source = CatalogSourceFactory(**at_sandbox(sandbox))
    run = SyncRun.objects.create(source=source)
    for fence, step in enumerate(("sync.publishing", "sync.part_fetched", "sync.staged"), 1):
        dies(worker(run, step))
        run.refresh_from_db()
        assert (run.status, run.fence, run.attempt) == (RUNNING, fence, fence)
        assert not names(source)
        age_lease()
    assert run_sync(run.uuid) == RunStatus.PUBLISHED
    assert_closed(source, releases=1)


def test_workers_killed_at_random_instants_never_mix_two_lists(sandbox, worker):  # noqa: F811
    """Each round brings another list; up to two workers die on it at instants drawn by the seed, wherever that is."""
    rounds, seed = share(100, small=2), 20261126
    draw = random.Random(seed)  # noqa: S311
    source = CatalogSourceFactory(**at_sandbox(sandbox))
    assert run_sync(SyncRun.objects.create(source=source).uuid) == RunStatus.PUBLISHED
    first = names(source)
    lists = (first, {**first, "02": "Tày (Thổ)"})
    found: dict[str, int] = {}
    for number in range(1, rounds + 1):
        old, new = lists[(number - 1) % 2], lists[number % 2]
        sandbox.reset()
        if number % 2:
            sandbox.fault("one_name", "/dmdc/*", times=0)
        run = SyncRun.objects.create(source=source)
        for _kill in range(draw.randint(1, 2)):
            killed_after(worker(run), draw.uniform(0, 0.5))
            run.refresh_from_db()
            found[f"{run.status}/{run.stage}"] = found.get(f"{run.status}/{run.stage}", 0) + 1
            assert names(source) == (new if run.status == RunStatus.PUBLISHED else old)
            age_lease()
        run_sync(run.uuid)
        run.refresh_from_db()
        assert (run.status, names(source)) == (RunStatus.PUBLISHED, new)
        assert_closed(source, releases=number + 1)
    print(f"FI-23 random seed={seed} rounds={rounds} left={found} mixed=0")


def killed_after(process: subprocess.Popen, seconds: float) -> None:
    """Kill the process that many seconds after it began the run; it may have ended before."""
    assert process.stdout.readline().strip() == "begins"
    time.sleep(seconds)
    process.kill()
    process.communicate(timeout=180)


MEANWHILE = {
    RunStatus.HELD: lambda old: {**old, **{str(n): f"Nhóm {n}" for n in range(60, 80)}},
    RunStatus.UNCHANGED: lambda old: {**old, "02": "Tày (Thổ)"},
    RunStatus.PUBLISHED: lambda old: {**old, "60": "Nhóm 60"},
}
"""How the run that finds its list again must end → what an officer published while the judged list waited."""


@pytest.mark.parametrize("end", MEANWHILE)
def test_a_list_judged_before_an_officer_published_is_judged_again(sandbox, worker, end):  # noqa: F811
    """The worker dies with its list judged harmless; what is live changes; the next worker must not go by the old judgement."""
    source = CatalogSourceFactory(**at_sandbox(sandbox))
    assert run_sync(SyncRun.objects.create(source=source).uuid) == RunStatus.PUBLISHED
    old, kept = names(source), dict(Entry.objects.filter(catalog=source.catalog).values_list("code", "attributes"))
    sandbox.fault("one_name", "/dmdc/*", times=0)
    run = SyncRun.objects.create(source=source)
    dies(worker(run, "sync.deciding"))
    listed = [{"code": code, "name": name, "attributes": kept.get(code, {})} for code, name in MEANWHILE[end](old).items()]
    published(source.catalog, listed, by=officer(Role.OPERATOR), effective_on=timezone.localdate())
    live = names(source)
    age_lease()
    assert run_sync(run.uuid) == end
    run.refresh_from_db()
    assert (run.error_code, run.release.status) == ("", end)
    assert names(source) == ({**old, "02": "Tày (Thổ)"} if end == RunStatus.PUBLISHED else live)
    assert run_sync(SyncRun.objects.create(source=source).uuid) == (end if end == RunStatus.HELD else RunStatus.UNCHANGED)


@pytest.mark.parametrize("step", HARMFUL_STEPS)
def test_a_worker_killed_over_a_harmful_list_leaves_it_held_and_the_live_one_alone(sandbox, worker, operator_told, step):  # noqa: F811
    source = CatalogSourceFactory(**at_sandbox(sandbox))
    run_sync(SyncRun.objects.create(source=source).uuid)
    old = names(source)
    sandbox.fault("shrunk", "/dmdc/*", times=0)
    run = SyncRun.objects.create(source=source)
    dies(worker(run, step))
    assert_left(run, CATALOG_STEPS[step])
    assert names(source) == old
    age_lease()
    assert run_sync(run.uuid) == RunStatus.HELD
    assert names(source) == old
    assert Release.objects.open().get().status == "held"
    assert operator_told() == 1


@pytest.mark.parametrize(("step", "mode"), [("sync.failing", "not_a_list"), ("sync.postponed", "503")])
def test_a_worker_killed_while_its_failure_is_written_leaves_a_row_that_goes_on(sandbox, worker, step, mode):  # noqa: F811
    source = CatalogSourceFactory(**at_sandbox(sandbox))
    run = SyncRun.objects.create(source=source)
    sandbox.fault(mode, "/dmdc/*", times=1)
    dies(worker(run, step))
    assert_left(run, FAILING_STEPS[step])
    age_lease()
    SyncRun.objects.update(next_attempt_at=timezone.now())
    assert run_sync(run.uuid) == RunStatus.PUBLISHED
    assert_closed(source, releases=1)


@pytest.fixture
def operator_told():
    person = officer(Role.OPERATOR)
    return lambda: Notice.objects.filter(recipient=person, kind="sync_held").count()


@pytest.mark.parametrize("step", WINDOW_STEPS)
def test_a_worker_killed_between_windows_misses_no_day_and_records_none_twice(sandbox, worker, step):  # noqa: F811
    start = timezone.localdate() - datetime.timedelta(days=17)
    source = ChangesSourceFactory(settings={"start": start.isoformat()}, **at_sandbox(sandbox))
    whole = ChangesSourceFactory(settings={"start": start.isoformat()}, **at_sandbox(sandbox))
    run_sync(SyncRun.objects.create(source=whole).uuid)
    expected = sorted(EnterpriseChange.objects.filter(source=whole).values_list("journal_no", flat=True))
    run = SyncRun.objects.create(source=source)
    dies(worker(run, step))
    assert_left(run, WINDOW_STEPS[step])
    age_lease()
    assert run_sync(run.uuid) == (RunStatus.UNCHANGED if step == "sync.closing" else RunStatus.PUBLISHED)
    recorded = sorted(EnterpriseChange.objects.filter(source=source).values_list("journal_no", flat=True))
    assert recorded == expected
    source.refresh_from_db()
    assert source.watermark == timezone.localdate() - datetime.timedelta(days=1)


@pytest.mark.parametrize("step", COMPARING_STEPS)
def test_a_worker_killed_while_it_compares_is_held_with_the_difference_and_sends_nothing(sandbox, worker, step):  # noqa: F811
    Organization.objects.update(code="H03.00")
    OrganizationFactory(code="H03.12")
    run = SyncRun.objects.create(source=PushSourceFactory(**at_sandbox(sandbox)))
    dies(worker(run, step))
    assert_left(run, COMPARING_STEPS[step])
    age_lease()
    assert run_sync(run.uuid) == RunStatus.HELD
    run.refresh_from_db()
    assert [row["MaDinhDanhCap2"] for row in run.report["add"]] == ["H03.12"]
    assert not [e for e in sandbox.received("/dmdc/") if e["method"] == "POST"]


@pytest.mark.parametrize("step", SENDING_STEPS)
def test_a_worker_killed_around_a_push_sends_the_rows_once(sandbox, worker, step):  # noqa: F811
    operator = officer(Role.OPERATOR)
    Organization.objects.update(code="H03.00")
    OrganizationFactory(code="H03.12")
    source = PushSourceFactory(**at_sandbox(sandbox))
    held = SyncRun.objects.create(source=source)
    assert run_sync(held.uuid) == RunStatus.HELD
    held.refresh_from_db()
    sending = approve_push(held, by=operator)
    dies(worker(sending, step))
    assert_left(sending, SENDING_STEPS[step])
    age_lease()
    assert run_sync(sending.uuid) == RunStatus.PUBLISHED
    posts = [e for e in sandbox.received("/dmdc/1.0/Category/qlvanbandieuhanhcap2") if e["method"] == "POST"]
    assert len(posts) == 1
    rows = sandbox.get("/dmdc/1.0/Category/qlvanbandieuhanhcap2").json()
    assert sorted(row["MaDinhDanhCap2"] for row in rows) == ["H03.00", "H03.12"]


def test_a_worker_that_slept_wakes_up_without_a_right_to_write(sandbox, worker):  # noqa: F811
    """SIGSTOP, the lease ends, another worker publishes; SIGCONT: the sleeper's list is older and must go nowhere."""
    source = CatalogSourceFactory(**at_sandbox(sandbox))
    run = SyncRun.objects.create(source=source)
    sandbox.fault("drip", "/dmdc/*", seconds=0.002)
    sleeper = worker(run)
    _until(lambda: sandbox.received("/dmdc/"))
    os.kill(sleeper.pid, signal.SIGSTOP)
    age_lease()
    assert run_sync(run.uuid) == RunStatus.PUBLISHED
    run.refresh_from_db()
    before = (run.status, run.fence, run.version, run.finished_at, Release.objects.count(), names(source))
    os.kill(sleeper.pid, signal.SIGCONT)
    output, _ = sleeper.communicate(timeout=180)
    assert output.strip().splitlines()[-1] == "None"
    run.refresh_from_db()
    assert (run.status, run.fence, run.version, run.finished_at, Release.objects.count(), names(source)) == before


def _until(condition) -> None:
    until(condition, lambda: list(SyncRun.objects.values()))


def test_a_kill_point_is_refused_outside_tests():
    env = {**os.environ, "LGSP_ENV": "development", "LGSP_KILL_AT": "sync.claimed"}
    started = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=180
    )
    assert started.returncode != 0
    assert "LGSP_KILL_AT" in started.stderr


@pytest.mark.processes("sandbox", "worker")
def test_a_killed_celery_worker_is_replaced_and_the_run_goes_on(running_platform):
    """The whole way: schedule, broker, worker; the worker's group is killed in mid-run and started anew."""

    class Platform:
        url, key, secret = running_platform.url("sandbox"), SANDBOX_KEY, SANDBOX_SECRET

    source = CatalogSourceFactory(next_run_at=timezone.now(), **at_sandbox(Platform))
    admin = running_platform.url("sandbox") + "/sandbox/"
    requests.post(admin + "reset", timeout=60)
    requests.post(admin + "faults", json={"mode": "drip", "path": "/dmdc/*", "seconds": 0.05}, timeout=60)
    _until(lambda: requests.get(admin + "received?path=/dmdc/", timeout=60).json())  # dripping since now
    running_platform.kill("worker")
    age_lease()
    running_platform.restart("worker")
    _until(lambda: SyncRun.objects.filter(status=RunStatus.PUBLISHED).exists())
    run = SyncRun.objects.get(source=source)
    assert (run.attempt, len(names(source))) == (2, 54)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sync_workerheartbeat")
        assert cursor.fetchone()[0] == 1
