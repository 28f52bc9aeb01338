"""Gateway processes for tests: the real server stack, on free ports, against the test database."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from lgsp.dev.processes import free_port

ROOT = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """The address of the database this test uses."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))


class GatewayProcess:
    """One gateway. `url` answers when `start` returned."""

    def __init__(self, dsn: str, *, allow: list[str], module: str = "lgsp.gateway", **env: str) -> None:
        self.port, self.module = free_port(), module
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = {
            **os.environ, "DATABASE_URL": dsn, "LGSP_ENV": "test", "LGSP_EGRESS_ALLOW": ",".join(allow), "LOG_LEVEL": "WARNING", **env,
        }  # fmt: skip
        self.lines: deque[str] = deque(maxlen=500)
        self.popen: subprocess.Popen | None = None

    def start(self, *, wait: bool = True) -> GatewayProcess:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", self.module, "--port", str(self.port)], cwd=ROOT, env=self._env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._pump, daemon=True).start()
        if wait:
            self.wait_ready()
        return self

    def _pump(self) -> None:
        for line in self.popen.stdout:
            self.lines.append(line.rstrip())

    def wait_ready(self, seconds: float = 120.0) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.popen.poll() is None:
            if self.is_ready():
                return
            time.sleep(0.05)
        raise AssertionError("the gateway did not become ready:\n" + "\n".join(self.lines))

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def is_listening(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2):
            return True
        return False

    def signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.popen.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.popen.wait(60)

    def stop(self) -> None:
        if self.popen is not None and self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
