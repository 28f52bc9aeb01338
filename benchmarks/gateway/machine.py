"""What must stand beside every figure: the machine, how busy it was, and that the database keeps its word."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import psycopg

from lgsp.dev import bootstrap


def missing(*tools: str) -> list[str]:
    return [tool for tool in tools if shutil.which(tool) is None]


def facts() -> dict[str, object]:
    """Commit, machine, milliseconds of CPU of one loop in this Python (half as many again without optimizations: ADR 0025) and
    of a sync of its disk."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())
    loop = statistics.median(bootstrap.measured([sys.executable])[sys.executable])
    return {
        "commit": commit, "cpus": psutil.cpu_count(), "cpu": cpu, "python": platform.python_version(),
        "python_loop_ms": round(loop * 1000, 2), "disk_sync_ms": round(_sync_ms(), 2),
        "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def describe(name: str, *, quick: bool) -> None:
    here = facts()
    print(f"# {name}: commit {here['commit']}, {here['cpus']} × {here['cpu']}, "
          f"Python {here['python']} (its loop {here['python_loop_ms']:.2f} ms), disk sync {here['disk_sync_ms']:.2f} ms{', QUICK: not figures' if quick else ''}")  # fmt: skip
    load("before")


def load(when: str) -> None:
    """With a load near or above the number of CPUs only ratios of one round mean anything."""
    one = os.getloadavg()[0]
    busy = " (others were at work: ratios only)" if when == "before" and one > 0.5 else ""
    print(f"# load average {when}: {one:.1f}{busy}")


def durable(database) -> None:
    with psycopg.connect(database.url) as connection:

        def ask(name):
            return connection.execute(f"SHOW {name}").fetchone()[0]

        facts = {name: ask(name) for name in ("server_version", "fsync", "synchronous_commit", "full_page_writes")}
    if {facts[name] for name in ("fsync", "synchronous_commit", "full_page_writes")} != {"on"}:
        raise SystemExit("the bench refuses to run without fsync, synchronous_commit and full_page_writes")
    print(f"# PostgreSQL {facts['server_version']}: fsync, synchronous_commit and full_page_writes on")


def _sync_ms(times: int = 40) -> float:
    """The median time of one write and fdatasync of 8 KB."""
    found = []
    with tempfile.NamedTemporaryFile() as file:
        for _n in range(times):
            began = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - began)
    return statistics.median(found) * 1000
