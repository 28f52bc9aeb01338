"""deploy/nginx as it stands, run by an unprivileged nginx: only paths, ports and addresses are put in for the test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from lgsp.dev.processes import ROOT, free_port

FILES = ROOT / "deploy" / "nginx"
AROUND = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log warn; {user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    include {folder}/nginx/lgsp.conf;
}}
"""


class Nginx:
    """`https` and `http` are the ports the real file's 443 and 80 became."""

    def __init__(self, folder: Path, *, gateway_port: int, portal_port: int = 9) -> None:
        self.folder, self.https, self.http = folder, free_port(), free_port()
        (folder / "nginx").mkdir()
        changes = {
            "/etc/lgsp/tls/": f"{folder}/tls/", "/etc/lgsp/nginx/": f"{folder}/nginx/", "listen 443": f"listen 127.0.0.1:{self.https}",
            "listen 80": f"listen 127.0.0.1:{self.http}", "127.0.0.1:8001": f"127.0.0.1:{gateway_port}",
            "127.0.0.1:8000": f"127.0.0.1:{portal_port}",
        }  # fmt: skip
        for file in FILES.glob("*.conf"):
            text = file.read_text()
            for old, new in changes.items():
                text = text.replace(old, new)
            (folder / "nginx" / file.name).write_text(text)
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))

    def command(self, *more: str) -> list[str]:
        return [shutil.which("nginx"), "-e", "stderr", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *more]

    def check(self) -> subprocess.CompletedProcess:
        return subprocess.run(self.command("-t"), capture_output=True, text=True, check=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[Nginx]:
        process = subprocess.Popen(
            self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._wait()
            yield self
        finally:
            process.terminate()
            process.wait(20)

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.https), timeout=1):
                return
            time.sleep(0.05)
        raise AssertionError(f"nginx does not listen: {(self.folder / 'error.log').read_text()}")
