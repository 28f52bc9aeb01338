"""The processes of the bench: PostgreSQL, provider, nginx proxy, gateway, DRF baseline. Each counts its own CPU."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from benchmarks.gateway.fixtures import answers
from lgsp.dev.postgres import Cluster

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Database:
    url: str
    pid: int


@dataclass
class Target:
    """An HTTP server under test. `pids` are the roots of the process trees that serve it, PostgreSQL's among them."""

    name: str
    port: int
    pids: list[int]
    _gone: dict[int, float] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        """User and system seconds of all its processes so far, ended children included."""
        total = 0.0
        for pid in self.pids:
            root = psutil.Process(pid)
            for process in [root, *root.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    times = process.cpu_times()
                    total += times.user + times.system
            times = root.cpu_times()
            total += times.children_user + times.children_system
        return total

    def rss(self) -> int:
        return psutil.Process(self.pids[0]).memory_info().rss


@contextlib.contextmanager
def running(command: list[str], env: dict | None = None) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def database(folder: Path) -> Iterator[Database]:
    """A PostgreSQL of the bench's own: embedded, durable, settings of its release."""
    cluster = Cluster(folder / "postgres", durable=True)
    url = cluster.start()
    pid = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
    try:
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment(url), check=True)
        yield Database(url, pid)
    finally:
        cluster.stop()


def environment(url: str, **more: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": url, "LGSP_ENV": "development", "LOG_LEVEL": "ERROR", **more}


def django_ready(dsn: str, provider: Target) -> None:
    """Set Django up in this process, for what is measured without a server."""
    os.environ.update(environment(dsn, DJANGO_SETTINGS_MODULE="lgsp.settings", LGSP_EGRESS_ALLOW=f"127.0.0.1:{provider.port}"))
    import django

    django.setup()


def build_world(database: Database, base_url: str, folder: Path, grants: int = 0) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gateway.world", base_url, str(grants)], cwd=ROOT, env=environment(database.url), check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    pairs = json.loads(done.stdout.splitlines()[-1])
    (folder / "pairs.txt").write_text("".join(f"{p['token']} {p['service']}\n" for p in pairs))
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return pairs


_NGINX = """
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log stderr error; {user}
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; default_type application/json; sendfile on; tcp_nopush on;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5; open_file_cache max=100;
    {http}
}}
"""
_PROVIDER = """
    server {{ listen 127.0.0.1:{port} backlog=4096;
        location ~ /small/ {{ root {folder}/answers; try_files /small.json =404; }}
        location ~ /large/ {{ root {folder}/answers; try_files /large.json =404; }}
    }}
"""
_PROXY = """
    upstream provider {{ server 127.0.0.1:{provider}; keepalive 256; keepalive_requests 1000000000; }}
    server {{ listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffers 16 16k; }}
    }}
"""


@contextlib.contextmanager
def _nginx(folder: Path, name: str, http_part: str, port: int) -> Iterator[Target]:
    config = folder / f"{name}.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(_NGINX.format(folder=folder, name=name, http=http_part, user=user))
    with running(["nginx", "-e", "stderr", "-p", str(folder), "-c", str(config)]) as process:
        target = Target(name, port, [process.pid])
        _wait(target, "/small/1")
        yield target


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[Target]:
    (folder / "answers").mkdir(exist_ok=True)
    for name, body in zip(("small", "large"), answers(), strict=True):
        (folder / "answers" / f"{name}.json").write_bytes(body)
    port = free_port()
    with _nginx(folder, "provider", _PROVIDER.format(port=port, folder=folder), port) as target:
        yield target


@contextlib.contextmanager
def proxy(folder: Path, provider: Target) -> Iterator[Target]:
    port = free_port()
    with _nginx(folder, "nginx", _PROXY.format(port=port, provider=provider.port), port) as target:
        yield target


@contextlib.contextmanager
def gateway(database: Database, provider: Target, allow: Sequence[int] = ()) -> Iterator[Target]:
    """One process as shipped; `allow` names further ports of this host it may call."""
    port = free_port()
    env = environment(database.url, LGSP_EGRESS_ALLOW=",".join(f"127.0.0.1:{number}" for number in (provider.port, *allow)))
    with running([sys.executable, "-m", "lgsp.gateway", "--port", str(port)], env) as process:
        target = Target("gateway", port, [process.pid, database.pid])
        _wait(target, "/readyz")
        yield target


@contextlib.contextmanager
def baseline(database: Database, provider: Target, pairs: list[dict]) -> Iterator[Target]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        # The rows its quota statement updates; the product makes them as it goes.
        connection.execute(
            "INSERT INTO gateway_quotause SELECT id, now(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM agreements_grant ON CONFLICT DO NOTHING"
        )
    port = free_port()
    env = environment(
        database.url, BENCH_PROVIDER=provider.url + "/api", DJANGO_SETTINGS_MODULE="benchmarks.gateway.baseline_settings"
    )
    command = [sys.executable, "-m", "gunicorn", "benchmarks.gateway.baseline:application", f"--bind=127.0.0.1:{port}", "--workers=2",
               "--threads=8", "--worker-class=gthread", "--keep-alive=75", "--log-level=warning"]  # fmt: skip
    with running(command, env) as process:
        target = Target("drf", port, [process.pid, database.pid])
        _wait(target, "/gw/x/v1/small/1", status=401)
        yield target


def _wait(target: Target, path: str, status: int = 200) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if get(target, path)[0] == status:
                return
        time.sleep(0.1)
    raise SystemExit(f"{target.name} did not answer")


def get(target: Target, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def check(target: Target, pairs: list[dict], *, plain: bool) -> None:
    """Refuse to time a target that does not do its work."""
    granted = {f"field_{number:02d}" for number in range(8)}
    pair, purpose = pairs[0], {"X_Purpose_Code": "bench"}
    known = {"Authorization": f"Bearer {pair['token']}", **purpose}
    for operation in ("small", "large"):
        status, body = get(target, f"/gw/{pair['service']}/v1/{operation}/100001", **known)
        content = json.loads(body)
        row = content["items"][40] if operation == "large" else content
        if status != 200 or (set(row) != granted and not plain):
            raise SystemExit(f"{target.name} answers {status} {sorted(row)}")
    if plain:
        return
    others = {p["service"] for p in pairs if p["token"] == pair["token"]}
    foreign = next(f"bench-{n}" for n in range(40) if f"bench-{n}" not in others and not _has(target, pair, f"bench-{n}"))
    wanted = (
        (401, pair["service"], purpose), (401, pair["service"], {"Authorization": "Bearer " + "x" * 43, **purpose}), (403, foreign, known),
    )  # fmt: skip
    for status, service, headers in wanted:
        got, _body = get(target, f"/gw/{service}/v1/small/100001", **headers)
        if got != status:
            raise SystemExit(f"{target.name} answers {got} where {status} is due")


def _has(target: Target, pair: dict, service: str) -> bool:
    status, _body = get(
        target, f"/gw/{service}/v1/small/100001", Authorization=f"Bearer {pair['token']}", X_Purpose_Code="bench"
    )
    return status == 200


def counts(database: Database) -> dict[str, int]:
    with psycopg.connect(database.url) as connection:

        def ask(sql):
            return connection.execute(sql).fetchone()[0]

        return {
            "intents": ask("SELECT count(*) FROM call_intent"),
            "outcomes": ask(
                "SELECT count(*) FROM call_outcome o WHERE EXISTS (SELECT FROM call_intent i WHERE i.call_id = o.call_id)"
            ),
            "unknown": ask("SELECT count(*) FROM call_outcome WHERE outcome = 'unknown'"),
        }
