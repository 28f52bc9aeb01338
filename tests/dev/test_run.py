"""`make run` as a person meets it: the supervisor as a process, on other ports and in a folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lgsp.dev.processes import PORT_VARIABLE, ROOT, answers, free_port, is_free

pytestmark = pytest.mark.embedded


class Run:
    """`python -m lgsp.dev.run` with its output."""

    def __init__(self, var: Path, ports: dict[str, int], **env: str) -> None:
        self.ports = ports
        self.log = var / f"out-{time.monotonic_ns()}.log"
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith("LGSP_") and k not in ("DATABASE_URL", "CELERY_BROKER_URL")
        }
        named = {PORT_VARIABLE[name]: str(port) for name, port in ports.items()}
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lgsp.dev.run"],
                cwd=ROOT,
                env={**clean, **named, "LGSP_VAR": str(var), **env},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, line: str, seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while line not in self.text().splitlines():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(180)


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    """Not below pytest's own folder: each pytest that starts closes that to others, and the server's user is another."""
    with tempfile.TemporaryDirectory(prefix="lgsp-run-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def running(var) -> Iterator[Run]:
    run = Run(var, {name: free_port() for name in PORT_VARIABLE})
    try:
        run.wait_for("ready")
        yield run
    finally:
        if run.process.poll() is None:
            run.stop()


def test_ready_means_that_every_process_answers(running):
    for port in running.ports.values():
        assert f"http://127.0.0.1:{port}" in running.text()
        assert answers(f"http://127.0.0.1:{port}/healthz")


def test_the_secrets_are_readable_by_their_owner_only(running, var):
    assert (var / "secrets.env").stat().st_mode & 0o777 == 0o600
    assert (var / "run" / "database.url").stat().st_mode & 0o777 == 0o600
    assert (var / "broker" / "messages").stat().st_mode & 0o777 == 0o700


def test_the_sandbox_is_told_none_of_our_secrets(running):
    import psutil

    supervisor = psutil.Process(running.process.pid)
    sandbox = next(p for p in supervisor.children(recursive=True) if "apps.sandbox.app:app" in " ".join(p.cmdline()))
    assert not {"SECRET_KEY", "LGSP_FIELD_KEYS", "LGSP_PSEUDONYM_KEY", "DATABASE_URL"} & set(sandbox.environ())


def test_a_second_start_in_the_same_folder_says_who_runs(running, var):
    second = Run(var, running.ports)
    assert second.process.wait(120) == 1
    assert second.text() == f"lgsp: the platform already runs from this folder (process {running.process.pid}).\n"


def test_a_port_in_use_is_one_sentence(running, tmp_path):
    other = Run(tmp_path, running.ports)
    assert other.process.wait(120) == 1
    assert other.text().count("\n") == 1
    assert f"port {running.ports['portal']}" in other.text()
    assert "LGSP_PORTAL_PORT" in other.text()


def test_a_port_that_is_no_number_is_one_sentence(tmp_path):
    other = Run(tmp_path, {}, LGSP_GATEWAY_PORT="eight")
    assert other.process.wait(120) == 1
    assert other.text().startswith("lgsp: ")
    assert "LGSP_GATEWAY_PORT must be a port number, not 'eight'." in other.text() or "in use" in other.text()


def test_make_run_is_not_for_production(tmp_path):
    other = Run(tmp_path, {}, LGSP_ENV="production")
    assert other.process.wait(120) == 1
    assert "docs/operations.md" in other.text()


def test_ctrl_c_stops_everything(running, var):
    """Last of those that share a platform: it stops it."""
    assert running.stop(signal.SIGINT) == 0
    assert running.text().rstrip().endswith("lgsp: stopped.")
    assert "Traceback" not in running.text()
    assert all(is_free(port) for port in running.ports.values())
    assert not (var / "postgres" / "postmaster.pid").exists()


def test_a_second_start_works_and_the_death_of_a_process_ends_the_others_with_a_reason(var):
    run = Run(var, {name: free_port() for name in PORT_VARIABLE})
    run.wait_for("ready")
    _kill_listener(run.process.pid, run.ports["sandbox"])
    assert run.process.wait(180) == 1
    assert "lgsp: sandbox ended with exit code -9; everything is stopped." in run.text()
    assert all(is_free(port) for port in run.ports.values())


def test_sigterm_while_it_starts_stops_everything(var):
    run = Run(var, {name: free_port() for name in PORT_VARIABLE})
    run.wait_for("lgsp: preparing the database …")
    assert run.stop(signal.SIGTERM) == 0
    assert "Traceback" not in run.text()
    assert not (var / "postgres" / "postmaster.pid").exists()


def _kill_listener(supervisor: int, port: int) -> None:
    import psutil

    for process in psutil.Process(supervisor).children(recursive=True):
        if any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in process.net_connections("tcp4")):
            process.kill()
            return
    raise AssertionError(f"nobody listens on {port}")


def test_a_port_somebody_else_holds_is_seen():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not is_free(listener.getsockname()[1])
