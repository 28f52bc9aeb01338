"""The sandbox as a process of its own on an ephemeral port, and a plain client for its admin addresses."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parent.parent.parent
KEY, SECRET = "sandbox-key-of-the-tests", "sandbox-secret-of-the-tests"


class SandboxProcess:
    """`url` is its address; `process.pid` may be killed by a test that starts its own."""

    key, secret = KEY, SECRET

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "uvicorn",
                    "apps.sandbox.app:app",
                    "--fd",
                    str(listener.fileno()),
                    "--log-level",
                    "critical",
                ],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "LGSP_SANDBOX_KEY": KEY, "LGSP_SANDBOX_SECRET": SECRET},
                pass_fds=[listener.fileno()],
            )
        self.url = f"http://127.0.0.1:{self.port}"
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if requests.get(f"{self.url}/healthz", timeout=10).ok:
                    return
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.05)
        raise RuntimeError("the sandbox did not start")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    # --- its admin addresses -------------------------------------------------------------------

    def admin(self, method: str, path: str, content: object = None) -> object:
        answer = requests.request(method, f"{self.url}/sandbox/{path}", json=content, timeout=60)
        assert answer.ok, answer.text
        return answer.json()

    def fault(self, mode: str, path: str = "*", **options: object) -> None:
        """The next calls whose path matches misbehave."""
        self.admin("POST", "faults", {"mode": mode, "path": path, **options})

    def set(self, **switches: object) -> None:
        self.admin("PUT", "switches", switches)

    def received(self, path: str = "") -> list[dict]:
        return self.admin("GET", f"received?path={path}")

    def reset(self) -> None:
        self.admin("POST", "reset")

    # --- a client of the platforms ----------------------------------------------------------------

    def token(self, environment: str = "") -> str:
        answer = requests.post(
            f"{self.url}{environment}/token", data={"grant_type": "client_credentials"}, auth=(KEY, SECRET), timeout=60
        )
        assert answer.ok, answer.text
        return answer.json()["access_token"]

    def get(self, path: str, token: str | None = None, **options) -> requests.Response:
        headers = {"Authorization": f"Bearer {token or self.token()}", **options.pop("headers", {})}
        return requests.get(f"{self.url}{path}", headers=headers, timeout=60, **options)


@pytest.fixture(scope="session")
def sandbox_process() -> Iterator[SandboxProcess]:
    process = SandboxProcess()
    yield process
    process.stop()


@pytest.fixture
def sandbox(sandbox_process: SandboxProcess, settings) -> SandboxProcess:
    """The running sandbox, as if just started; its address and port are on the outbound allow-list."""
    sandbox_process.reset()
    settings.EGRESS_ALLOW = [*settings.EGRESS_ALLOW, f"127.0.0.1:{sandbox_process.port}"]
    return sandbox_process
