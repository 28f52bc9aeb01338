"""deploy/haproxy as it stands, run by an unprivileged haproxy: only paths, ports and addresses are put in for the test's own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from lgsp.dev.processes import ROOT, free_port


class HaProxy:
    """`https` is the port the real file's 443 became. `folder/tls` holds the authorities and certificates."""

    def __init__(self, folder: Path, *, gateway_port: int) -> None:
        self.https, self._file = free_port(), folder / "haproxy.cfg"
        tls = folder / "tls"
        (tls / "gateway.pem").write_text((tls / "gateway.crt").read_text() + (tls / "gateway.key").read_text())
        text = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
        changes = {
            "/etc/lgsp/tls/": f"{tls}/", "bind :443": f"bind 127.0.0.1:{self.https}", "127.0.0.1:8001": f"127.0.0.1:{gateway_port}",
            "maxconn 20000": "maxconn 500",
        }  # fmt: skip
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        self._file.write_text(text)

    def check(self) -> subprocess.CompletedProcess:
        return subprocess.run(self._command("-c"), capture_output=True, text=True, check=False)

    def _command(self, *more: str) -> list[str]:
        return [shutil.which("haproxy"), *more, "-f", str(self._file)]

    @contextlib.contextmanager
    def running(self) -> Iterator[HaProxy]:
        process = subprocess.Popen(
            self._command("-db"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._wait(process)
            yield self
        finally:
            process.terminate()
            process.wait(20)

    def _wait(self, process: subprocess.Popen) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.https), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError(f"haproxy does not listen: {self.check().stderr}")
