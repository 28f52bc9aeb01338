"""`running_platform` starts the real processes, stops them, and hides nothing."""

from __future__ import annotations

import os
import signal
import time

import pytest
import requests

from lgsp.dev.processes import Process, ProcessFailed, answers, free_port
from tests.patience import until


@pytest.mark.processes("portal")
def test_the_portal_answers_and_reads_the_test_database(running_platform):
    response = requests.get(running_platform.url("portal") + "/readyz", timeout=60)
    assert (response.status_code, response.json()["ready"]) == (200, True)


@pytest.mark.worker
@pytest.mark.processes("worker")
def test_the_worker_answers_and_is_gone_after_a_kill_with_all_it_started(running_platform):
    group = running_platform["worker"].pid
    running_platform.kill("worker")
    until(lambda: not _group_exists(group), "some of the group live on")
    running_platform.restart("worker")
    assert running_platform["worker"].is_running()


def _group_exists(group: int) -> bool:
    """Whether a process that is not a zombie is left in the group."""
    import psutil

    for process in psutil.process_iter(["pid", "status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                return True
        except ProcessLookupError:
            continue
    return False


def test_a_process_that_ends_early_says_why():
    process = Process("broken", ["/bin/sh", "-c", "echo no luck; exit 3"], os.environ, lambda *_: None, lambda: False)
    process.start()
    with pytest.raises(ProcessFailed, match=r"broken ended with exit code 3(?s:.*)no luck"):
        process.wait_ready(time.monotonic() + 60)


def test_a_stubborn_process_is_killed_with_its_children():
    stubborn = "trap '' TERM; (trap '' TERM; echo deaf; sleep 600) & echo deaf; sleep 600"
    said: list[str] = []
    process = Process("stubborn", ["/bin/sh", "-c", stubborn], os.environ, lambda _name, line: said.append(line), lambda: True)
    process.start()
    until(lambda: said == ["deaf", "deaf"], said)
    process.stop(grace=0.3)
    assert process.exit_code() == -signal.SIGKILL
    until(lambda: not _group_exists(process.pid), "some of the group live on")


def test_nothing_answers_where_nobody_listens():
    assert not answers(f"http://127.0.0.1:{free_port()}/healthz")
