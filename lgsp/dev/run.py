"""The supervisor behind `make run`: one PostgreSQL, the processes, and an end for all of them.

Ctrl-C or SIGTERM stops everything (asked first, killed after a grace, PostgreSQL last). When a process dies, the others
are stopped and the reason is said. `DATABASE_URL` and `CELERY_BROKER_URL` switch to real servers; LGSP_PORTAL_PORT,
LGSP_GATEWAY_PORT and LGSP_SANDBOX_PORT choose other ports.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path

from lgsp.dev import secrets
from lgsp.dev.postgres import Cluster, PostgresUnavailable
from lgsp.dev.processes import DEFAULT_PORT, HOST, PORT_VARIABLE, ROOT, Platform, Process, ProcessFailed, is_free

GRACE = 10.0
START = 180.0
_output = threading.Lock()


class CannotStart(Exception):
    """Its message is the sentence for the person at the keyboard."""


class StopRequested(BaseException):
    """Ctrl-C or SIGTERM."""


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _request_stop)
    supervisor = Supervisor()
    try:
        supervisor.run()
    except StopRequested:
        say("stopping …")
        return 0
    except (CannotStart, PostgresUnavailable, ProcessFailed) as problem:
        say(str(problem))
        return 1
    finally:
        supervisor.stop()
    return 0


class Supervisor:
    """Starts everything in `run()`, which returns only by an exception; `stop()` undoes whatever was started."""

    def __init__(self) -> None:
        self.var = Path(os.environ.get("LGSP_VAR", ROOT / "var")).resolve()
        self.cluster: Cluster | None = None
        self.platform: Platform | None = None
        self.setup: Process | None = None
        self.address = self.var / "run" / "database.url"
        self.summary = self.var / "run" / "summary.txt"
        self._lock = None
        self._holds_address = False

    def run(self) -> None:
        """Start everything, say `ready`, watch. Raises CannotStart, PostgresUnavailable, ProcessFailed, StopRequested."""
        if os.environ.get("LGSP_ENV", "development") != "development":
            raise CannotStart("`make run` is the demonstration; docs/operations.md tells how production is started.")
        self._only_one()
        ports = self._ports()
        env = self._environment()
        self.platform = Platform(env, ports, sink=print_line)
        self._set_up(self.platform.env)
        self.platform.start(timeout=START)
        self._tell()
        while True:
            for process in self.platform.ended():
                raise ProcessFailed(process.failure(f"ended with exit code {process.exit_code()}; everything is stopped"))
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop what runs, PostgreSQL last. A second Ctrl-C means: at once."""
        grace = [GRACE]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self._hurry(grace))
        if self.setup is not None:
            self.setup.stop(2)
        if self.platform is not None:
            self.platform.stop(grace=grace[0])
        if self._holds_address:
            self.address.unlink(missing_ok=True)
        if self.cluster is not None:
            self.cluster.stop()
        if self._lock is not None and self.platform is not None:
            say("stopped.")

    def _hurry(self, grace: list[float]) -> None:
        grace[0] = 0
        if self.platform is not None:
            for process in self.platform.processes.values():
                process.signal(signal.SIGKILL)

    def _only_one(self) -> None:
        """Hold the lock of this folder. Raises CannotStart when another supervisor holds it."""
        folder = self.var / "run"
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CannotStart(f"the platform already runs from this folder (process {lock.read().strip() or '?'}).") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _ports(self) -> dict[str, int]:
        """The port of each HTTP process. Raises CannotStart when one is no port or is taken."""
        ports = {}
        for name, variable in PORT_VARIABLE.items():
            text = os.environ.get(variable, str(DEFAULT_PORT[name]))
            if not text.isdecimal() or not 0 < int(text) < 65536:
                raise CannotStart(f"{variable} must be a port number, not {text!r}.")
            ports[name] = int(text)
            if not is_free(ports[name]):
                raise CannotStart(f"port {text} on {HOST} is in use; {variable} chooses another one for the {name}.")
        if len(set(ports.values())) < len(ports):
            raise CannotStart(f"{', '.join(PORT_VARIABLE.values())} must be three different ports.")
        return ports

    def _environment(self) -> dict[str, str]:
        own = secrets.load_or_make(self.var / "secrets.env")
        env = {**own, **os.environ, "LGSP_ENV": "development", "LGSP_VAR": str(self.var)}
        env["DJANGO_SETTINGS_MODULE"] = "lgsp.settings"
        # The national feed as it is today; the sandbox alone would begin with the day of the reform.
        env.setdefault("LGSP_SANDBOX_AS_OF", "2026-04-30")
        env.setdefault("LGSP_DOCUMENT_PLACE", "Bắc Kạn")
        if not env.get("DATABASE_URL"):
            self.cluster = Cluster(self.var / "postgres")
            env["DATABASE_URL"] = self.cluster.start()
        # So that `manage.py` finds the database while the platform runs (lgsp/env.py).
        self.address.touch(mode=0o600)
        self.address.write_text(env["DATABASE_URL"])
        self._holds_address = True
        return env

    def _set_up(self, env: dict[str, str]) -> None:
        """Migrate and load the demonstration. Raises CannotStart with what it said."""
        say("preparing the database …")
        command = [sys.executable, "-m", "lgsp.dev.setup", str(self.summary)]
        self.setup = Process("setup", command, env, print_line, lambda: True)
        self.setup.start()
        if self.setup.popen.wait() != 0:
            raise CannotStart("the database could not be prepared; the lines above say why.")
        self.setup = None

    def _tell(self) -> None:
        """Say `ready`, the addresses, the demonstration accounts and the line to paste."""
        addresses = "\n".join(f"  {name:<8} {self.platform.url(name)}" for name in PORT_VARIABLE)
        with _output:
            print(f"\nready\n{addresses}\n\n{self.summary.read_text(encoding='utf-8')}", flush=True)
        self.summary.unlink()


def say(sentence: str) -> None:
    with _output, contextlib.suppress(OSError):
        print(f"lgsp: {sentence}", flush=True)


def print_line(name: str, line: str) -> None:
    """One line of a process, marked with its name."""
    with _output, contextlib.suppress(OSError):
        print(f"{name:<8}| {line}", flush=True)


def _request_stop(_number: int, _frame) -> None:
    raise StopRequested


if __name__ == "__main__":
    sys.exit(main())
