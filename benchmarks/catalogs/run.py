"""Runs reads in interleaved rounds, then imports and translation, and prints the figures (`benchmarks.catalogs`)."""

from __future__ import annotations

import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson

from benchmarks.gateway import machine, targets
from benchmarks.gateway.targets import ROOT, Target, free_port, get, running

API = "/api/v1/catalogs/administrative-units"
ITEMS = 50
ROUNDS, SECONDS = 5, 3.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 2.0


def main(options: list[str]) -> int:
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if "--quick" in options else (ROUNDS, SECONDS)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lgsp-bench-")))
        folder.chmod(0o755)
        database = stack.enter_context(targets.database(folder))
        writes(database, ["--load-only"])
        machine.describe("catalogs", quick="--quick" in options)
        machine.durable(database)
        if missing := [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]:
            print(f"catalogs: {' and '.join(missing)} not found; reads are not measured")
        else:
            reads(stack, database, folder, rounds, seconds)
        writes(database, [option for option in options if option == "--quick"])
    return 0


def writes(database: targets.Database, options: list[str]) -> None:
    env = targets.environment(database.url)
    subprocess.run([sys.executable, "-m", "benchmarks.catalogs.writes", *options], cwd=ROOT, env=env, check=True)


def reads(stack: ExitStack, database: targets.Database, folder: Path, rounds: int, seconds: float) -> None:
    gateway = stack.enter_context(_gateway(database))
    paths = _paths(gateway)
    drf = stack.enter_context(_drf(database))
    nginx = stack.enter_context(_static(folder, gateway, paths))
    drf_paths = {
        "item": [f"/items/{path.rsplit('/', 1)[1]}" for path in paths["item"]],
        "page": ["/items"],
        "list": ["/items?page_size=5000"],
    }
    wanted = {"nginx": (nginx, paths), "ready": (gateway, paths), "drf": (drf, drf_paths)}
    _check(nginx, gateway, paths)
    found: dict = {kind: {name: [] for name in wanted} for kind in paths}
    for number in range(rounds):
        for kind in paths:
            for name, (target, mine) in wanted.items():
                if name == "drf" and kind != "item" and number:
                    continue  # told once, for the table
                found[kind][name].append(_load(target, folder, name, mine[kind], seconds))
        print(f"# round {number + 1} of {rounds}", file=sys.stderr)
    _report(found)


def _paths(gateway: Target) -> dict[str, list[str]]:
    page = orjson.loads(get(gateway, f"{API}/items?level=commune")[1])
    items = [f"{API}/items/{item['code']}" for item in page["items"][:ITEMS]]
    return {"item": items, "page": [f"{API}/items?level=commune"], "list": [f"{API}/snapshot?level=commune"]}


@contextlib.contextmanager
def _gateway(database: targets.Database) -> Iterator[Target]:
    port = free_port()
    env = targets.environment(database.url, LGSP_CATALOG_READS_PER_MINUTE="100000000")
    with running([sys.executable, "-m", "lgsp.gateway", "--port", str(port)], env) as process:
        target = Target("ready", port, [process.pid, database.pid])
        targets._wait(target, f"{API}/items")
        yield target


@contextlib.contextmanager
def _drf(database: targets.Database) -> Iterator[Target]:
    port = free_port()
    env = targets.environment(database.url, DJANGO_SETTINGS_MODULE="benchmarks.catalogs.drf_settings")
    command = [sys.executable, "-m", "gunicorn", "benchmarks.catalogs.drf:application", f"--bind=127.0.0.1:{port}", "--workers=2",
               "--threads=4", "--worker-class=gthread", "--keep-alive=75", "--log-level=warning"]  # fmt: skip
    with running(command, env) as process:
        target = Target("drf", port, [process.pid, database.pid])
        targets._wait(target, "/items/00004")
        yield target


@contextlib.contextmanager
def _static(folder: Path, gateway: Target, paths: dict[str, list[str]]) -> Iterator[Target]:
    """nginx with the same bytes as files, at the same paths (queries have a file of their own)."""
    root = folder / "static" / API.lstrip("/")
    (root / "items").mkdir(parents=True)
    for path in paths["item"]:
        (root / "items" / path.rsplit("/", 1)[1]).write_bytes(get(gateway, path)[1])
    (root / "page").write_bytes(get(gateway, paths["page"][0])[1])
    (root / "snapshot").write_bytes(get(gateway, paths["list"][0])[1])
    port = free_port()
    http = f"""
    server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}/static;
        location = {API}/items {{ try_files {API}/page =404; }}
    }}
    """
    config = folder / "static.conf"
    user = "user root;" if targets.os.geteuid() == 0 else ""
    config.write_text(targets._NGINX.format(folder=folder, name="static", http=http, user=user))
    with running(["nginx", "-e", "stderr", "-p", str(folder), "-c", str(config)]) as process:
        target = Target("nginx", port, [process.pid])
        targets._wait(target, paths["item"][0])
        yield target


def _check(nginx: Target, gateway: Target, paths: dict[str, list[str]]) -> None:
    """Refuse to time what does not answer with the same bytes."""
    for kind, some in paths.items():
        for path in some:
            ours, theirs = get(gateway, path), get(nginx, path)
            if ours != theirs or ours[0] != 200:
                raise SystemExit(f"{kind} {path}: {ours[0]} {len(ours[1])} bytes, nginx {theirs[0]} {len(theirs[1])} bytes")


def _load(target: Target, folder: Path, name: str, paths: list[str], seconds: float) -> tuple[float, float]:
    """(answers per CPU-second, answers per second)."""
    file = folder / f"paths-{name}.txt"
    file.write_text("\n".join(paths) + "\n")
    before, began = target.cpu(), time.monotonic()
    done = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(Path(__file__).with_name("paths.lua")),
         target.url, "--", str(file)], capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    used, took = target.cpu() - before, time.monotonic() - began
    if wrong := re.search(r"Non-2xx or 3xx responses: (\d+)", done):
        raise SystemExit(f"{name}: {wrong[1]} answers other than 2xx")
    answers = int(re.search(r"(\d+) requests in", done)[1])
    return answers / used, answers / took


def _report(found: dict) -> None:
    print("# answers per CPU-second (PostgreSQL counted) | answers per second")
    for kind, rows in found.items():
        for name, values in rows.items():
            print(
                f"# {kind:5} {name:6} {statistics.median(v[0] for v in values):9.0f} {statistics.median(v[1] for v in values):9.0f}"
            )
    for kind, rows in found.items():
        shares = [100 * ours[0] / theirs[0] for ours, theirs in zip(rows["ready"], rows["nginx"], strict=True)]
        print(f"# {kind}: {min(shares):.1f} to {max(shares):.1f} % of nginx")
        print(f"catalog_{kind}_vs_nginx_cpu {statistics.median(shares):.1f}")
    item = found["item"]
    print(
        f"catalog_item_vs_drf_cpu {statistics.median(o[0] / t[0] for o, t in zip(item['ready'], item['drf'], strict=True)):.1f}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
