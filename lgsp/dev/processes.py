"""The platform's processes: how each is started, how one knows that it answers, how it is stopped.

Used by the supervisor (`make run`) and by the tests' `running_platform`, so that both run the same thing.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = "127.0.0.1"
HTTP = ("portal", "gateway", "sandbox")
NAMES = ("sandbox", "portal", "gateway", "worker")
"""In the order of starting; they are stopped in the opposite order."""
PORT_VARIABLE = {"portal": "LGSP_PORTAL_PORT", "gateway": "LGSP_GATEWAY_PORT", "sandbox": "LGSP_SANDBOX_PORT"}
DEFAULT_PORT = {"portal": 8000, "gateway": 8001, "sandbox": 8002}
NOT_FOR_THE_SANDBOX = {"DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "LGSP_FIELD_KEYS", "LGSP_PSEUDONYM_KEY"}
"""It plays somebody else's servers: our secrets are none of its business."""
HEALTH = {"portal": "/readyz", "gateway": "/readyz", "sandbox": "/healthz"}

_turns = itertools.count()

Sink = Callable[[str, str], None]
"""Takes a process's name and one line of its output."""


class ProcessFailed(Exception):
    """A process ended or never answered; the message is a sentence with the last lines of its log."""


def free_port() -> int:
    """A port of this host that nobody listens on at this moment, each process from a hundred of its own.

    Below those the system gives away (from 32768 on): such a one may be taken by another before a server that starts slowly binds it.
    """
    while not is_free(port := 10_000 + os.getpid() % 220 * 100 + next(_turns) % 100):
        pass
    return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(url: str, *, timeout: float = 2.0) -> bool:
    """Whether `url` (on this host) answers 200. Proxies of the environment are not asked."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout) as response:
            return response.status == 200
    except (OSError, http.client.HTTPException):
        return False


@dataclass
class Process:
    """One running command in a process group of its own, with its output passed on line by line."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    sink: Sink
    ready: Callable[[], bool]
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=2000))
    popen: subprocess.Popen | None = None

    def start(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, str(ROOT / "lgsp/dev/child.py"), str(os.getpid()), *self.command],
            cwd=ROOT,
            env=dict(self.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._pump = threading.Thread(target=self._pass_on, args=(self.popen.stdout,), daemon=True, name=f"log-{self.name}")
        self._pump.start()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def exit_code(self) -> int | None:
        """None while it runs (or was never started)."""
        return self.popen.poll() if self.popen else None

    def is_running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    def wait_ready(self, deadline: float) -> None:
        """Return when it answers. Raises ProcessFailed when it ends, or at `deadline` (`time.monotonic()`)."""
        while not self.ready():
            if not self.is_running():
                raise ProcessFailed(self.failure(f"ended with exit code {self.exit_code()} before it answered"))
            if time.monotonic() > deadline:
                raise ProcessFailed(self.failure("did not answer in time"))
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)

    def ask_to_stop(self) -> None:
        """SIGTERM to the leader alone: it ends its own children in order (a worker first finishes its task)."""
        if self.is_running():
            self.popen.terminate()

    def stop(self, grace: float = 10.0) -> None:
        """Ask, wait `grace` seconds, then kill the whole group. Harmless when it has ended."""
        if self.popen is None:
            return
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(grace)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the whole group, leftovers of an ended leader included; returns when the leader is gone."""
        self.signal(signal.SIGKILL)
        self.popen.wait()
        self._pump.join(2)

    def log(self) -> str:
        """The last 2,000 lines of its output."""
        return "\n".join(list(self.lines))

    def failure(self, what: str) -> str:
        tail = "\n".join(f"    {line}" for line in list(self.lines)[-15:])
        return f"{self.name} {what}." + (f" Its last lines:\n{tail}" if tail else "")

    def _pass_on(self, stream) -> None:
        for raw in iter(stream.readline, b""):
            line = raw.decode(errors="replace").rstrip()
            if line:
                self.lines.append(line)
                self.sink(self.name, line)


class Platform:
    """Portal, gateway, sandbox and worker on given ports with one environment; start, stop, kill, restart by name.

    `env` is the base environment (`DATABASE_URL`, secrets, `LGSP_VAR` …); addresses of the neighbours, and the one
    egress exception for the sandbox, are added here.
    """

    def __init__(self, env: Mapping[str, str], ports: Mapping[str, int], *, sink: Sink, names: tuple[str, ...] = NAMES) -> None:
        self.ports = dict(ports)
        self.names = names
        self.sink = sink
        self.run_folder = Path(env["LGSP_VAR"]) / "run"
        self.env = {**env, **self._addresses(env)}
        self.processes: dict[str, Process] = {}

    def url(self, name: str) -> str:
        """`http://127.0.0.1:PORT`, without a trailing slash."""
        return f"http://{HOST}:{self.ports[name]}"

    def __getitem__(self, name: str) -> Process:
        return self.processes[name]

    def start(self, *names: str, timeout: float = 120.0, env: Mapping[str, str] | None = None) -> None:
        """Start `names` (all, when none is given) together and wait until each answers. Raises ProcessFailed.

        `env` is added to the environment of these processes only.
        """
        self.run_folder.mkdir(parents=True, exist_ok=True)
        chosen = [name for name in self.names if name in (names or self.names)]
        for name in chosen:
            self.processes[name] = self._process(name, env or {})
            self.processes[name].start()
        deadline = time.monotonic() + timeout
        for name in chosen:
            self.processes[name].wait_ready(deadline)

    def add_worker(self, name: str, *, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> None:
        """Start one more worker, with a schedule of its own, under `name`; afterwards it is like any other process."""
        self.processes[name] = self._process(name, env or {})
        self.processes[name].start()
        self.processes[name].wait_ready(time.monotonic() + timeout)

    def stop(self, *names: str, grace: float = 10.0) -> None:
        """Stop `names` (all, when none is given): all are asked, then each is waited for."""
        chosen = [p for name, p in reversed(self.processes.items()) if not names or name in names]
        for process in chosen:
            process.ask_to_stop()
        deadline = time.monotonic() + grace
        for process in chosen:
            process.stop(max(0.1, deadline - time.monotonic()))

    def kill(self, name: str) -> None:
        """SIGKILL to the process and everything it started."""
        self.processes[name].kill()

    def restart(self, name: str, *, env: Mapping[str, str] | None = None, timeout: float = 120.0) -> None:
        """Stop `name` when it runs and start it anew on the same port."""
        if name in self.processes:
            self.processes[name].stop()
        self.start(name, env=env, timeout=timeout)

    def log(self, name: str) -> str:
        return self.processes[name].log()

    def ended(self) -> Iterator[Process]:
        """Processes that were started and run no more."""
        return (process for process in self.processes.values() if not process.is_running())

    def _addresses(self, env: Mapping[str, str]) -> dict[str, str]:
        return {
            "PYTHONUNBUFFERED": "1",
            "LGSP_SITE_URL": env.get("LGSP_SITE_URL") or self.url("portal"),
            "LGSP_GATEWAY_URL": env.get("LGSP_GATEWAY_URL") or self.url("gateway"),
            "LGSP_SANDBOX_URL": env.get("LGSP_SANDBOX_URL") or self.url("sandbox"),
            "LGSP_EGRESS_ALLOW": env.get("LGSP_EGRESS_ALLOW") or f"{HOST}:{self.ports['sandbox']}",
        }

    def _process(self, name: str, env: Mapping[str, str]) -> Process:
        if name in HTTP:
            health = self.url(name) + HEALTH[name]
            base = {k: v for k, v in self.env.items() if name != "sandbox" or k not in NOT_FOR_THE_SANDBOX}
            return Process(name, self._http_command(name), {**base, **env}, self.sink, lambda: answers(health))
        flag = self.run_folder / f"{name}.ready"
        flag.unlink(missing_ok=True)
        full = {**self.env, **env, "LGSP_READY_FILE": str(flag)}
        return Process(name, self._worker_command(name), full, self.sink, flag.exists)

    def _http_command(self, name: str) -> list[str]:
        port = self.ports[name]
        if name == "portal":
            options = ["--worker-class=gthread", "--threads=8", "--no-control-socket", f"--bind={HOST}:{port}"]
            return [*_python("gunicorn"), "lgsp.wsgi", *options]
        if name == "gateway":
            return [*_python("lgsp.gateway"), f"--host={HOST}", f"--port={port}"]
        return [*_python("uvicorn"), "apps.sandbox.app:app", f"--host={HOST}", f"--port={port}", "--no-access-log"]

    def _worker_command(self, name: str) -> list[str]:
        schedule = self.run_folder / f"beat-schedule-{name}"
        alone = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        return [
            *_python("celery", "-W", "ignore:You're running the worker"),
            "-A",
            "lgsp",
            "worker",
            "-B",
            f"--schedule={schedule}",
            "--concurrency=2",
            f"--hostname={name}@%h",
            *alone,
            "--loglevel=INFO",
        ]


def _python(module: str, *options: str) -> list[str]:
    return [sys.executable, *options, "-m", module]
