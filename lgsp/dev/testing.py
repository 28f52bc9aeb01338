"""Prepares a test run: a PostgreSQL of its own and an environment that touches nothing of the developer's.

`prepare()` runs while pytest loads the root `conftest.py`, before Django's settings are imported. Under pytest-xdist
the controller starts the one cluster and its workers inherit the address; each worker has its own database in it.
"""

from __future__ import annotations

import atexit
import ctypes.util
import os
import shutil
import tempfile
import uuid
from pathlib import Path

from lgsp.dev import template
from lgsp.dev.postgres import Cluster

_FOLDER = "LGSP_TEST_FOLDER"
_FORGET = [
    "ALLOWED_HOSTS",
    "CELERY_BROKER_URL",
    "CSRF_TRUSTED_ORIGINS",
    "DEBUG",
    "EMAIL_URL",
    "LGSP_BEHIND_PROXY",
    "LGSP_DB_POOL",
    "LGSP_EGRESS_ALLOW",
    "LGSP_FIELD_KEYS",
    "LGSP_GATEWAY_URL",
    "LGSP_MEDIA",
    "LGSP_PSEUDONYM_KEY",
    "LGSP_SITE_URL",
    "LOG_LEVEL",
    "SECRET_KEY",
]
"""Variables of a developer's own environment that must not change what a test sees."""

_cluster: Cluster | None = None


def prepare() -> None:
    """Set the environment of this test process; start the cluster in the process that comes first.

    `TEST_DATABASE_URL` names a PostgreSQL server to use instead of the embedded one (the role must be allowed to
    create databases), `TEST_CELERY_BROKER_URL` a broker instead of the filesystem one, `LGSP_TEST_FSYNC=1` keeps
    fsync on. Raises PostgresUnavailable.
    """
    inherited = os.environ.get(_FOLDER)
    if inherited is None:
        _prepare_first()
    folder = Path(os.environ[_FOLDER])
    var = folder / f"var-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
    var.mkdir(mode=0o700, exist_ok=True)
    (var / "static").mkdir(exist_ok=True)
    os.environ["LGSP_VAR"] = str(var)
    os.environ["DJANGO_SETTINGS_MODULE"] = "lgsp.settings"
    # Several test processes may share one broker: nobody may eat another's wake-ups.
    os.environ["LGSP_CELERY_QUEUE"] = f"lgsp-test-{uuid.uuid4().hex[:12]}"


def _prepare_first() -> None:
    global _cluster
    folder = Path(tempfile.mkdtemp(prefix=f"lgsp-tests-{os.getpid()}-"))
    os.environ[_FOLDER] = str(folder)
    atexit.register(clean_up)
    _sweep_dead_runs()
    for name in _FORGET:
        os.environ.pop(name, None)
    url = os.environ.get("TEST_DATABASE_URL", "")
    if not url:
        _cluster = Cluster(folder / "postgres", durable=os.environ.get("LGSP_TEST_FSYNC") == "1")
        url = _cluster.start()
    os.environ.update(LGSP_ENV="test", DATABASE_URL=url)
    os.environ["LGSP_TEST_DATABASE"] = f"test_lgsp_{os.getpid()}"
    if os.environ.get("TEST_CELERY_BROKER_URL"):
        os.environ["CELERY_BROKER_URL"] = os.environ["TEST_CELERY_BROKER_URL"]


def description() -> str:
    """One line for pytest's header."""
    database = "server at TEST_DATABASE_URL" if os.environ.get("TEST_DATABASE_URL") else "embedded cluster of this run"
    broker = os.environ.get("CELERY_BROKER_URL", "filesystem").partition("://")[0]
    return f"PostgreSQL: {database}; broker: {broker}"


def is_full() -> bool:
    """Whether this run plays the large numbers whole (`make test-full`)."""
    return os.environ.get("LGSP_FULL") == "1"


def share(whole: int, *, small: int | None = None) -> int:
    """`whole` under `make test-full`; otherwise `small`, or a hundredth, and at least one."""
    if is_full():
        return whole
    return small if small is not None else max(1, whole // 100)


def not_covered() -> list[str]:
    """What this run leaves out, for a person to read at its end; nothing is left out in silence."""
    lines = []
    if not os.environ.get("TEST_DATABASE_URL"):
        lines.append("a PostgreSQL server of its own (TEST_DATABASE_URL is not set; the embedded one was used)")
    used = os.environ.get("TEST_CELERY_BROKER_URL", "")
    brokers = [name for name, scheme in (("Redis", "redis"), ("RabbitMQ", "amqp")) if not used.startswith(scheme)]
    lines.append(f"the worker on {' and '.join(brokers)} (TEST_CELERY_BROKER_URL)")
    if chromium() is None:
        lines.append("browser tests (no Chromium on this machine)")
    if not has_pango():
        lines.append(
            "official documents as PDF (this machine lacks Pango; apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0)"
        )
    if shutil.which("nginx") is None:
        lines.append("the gateway behind nginx, and the nginx files (no nginx on this machine)")
    if shutil.which("systemd-analyze") is None:
        lines.append("the systemd units (no systemd-analyze on this machine)")
    if shutil.which("haproxy") is None:
        lines.append("the HAProxy file (no haproxy on this machine)")
    if not is_full():
        lines.append("the whole of the large numbers (make test-full)")
    return lines


def chromium() -> str | None:
    """The path of the system's Chromium (LGSP_CHROMIUM names another one), or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("LGSP_CHROMIUM") or next((path for name in names if (path := shutil.which(name))), None)


def has_pango() -> bool:
    """Whether the PDF library finds what it needs from the system."""
    return all(ctypes.util.find_library(name) for name in ("pango-1.0", "pangoft2-1.0", "harfbuzz-subset"))


def clean_up() -> None:
    """Stop the cluster and remove the run's folder; only the process that made them does it, and only once."""
    global _cluster
    if _cluster is not None:
        _cluster.stop()
        _cluster = None
    elif os.environ.get(_FOLDER, "").find(f"-{os.getpid()}-") >= 0 and os.environ.get("TEST_DATABASE_URL"):
        template.drop(os.environ["TEST_DATABASE_URL"])
    folder = os.environ.get(_FOLDER, "")
    if folder and f"-{os.getpid()}-" in folder:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep_dead_runs() -> None:
    """End the clusters of test runs of this user that were killed before they could."""
    import psutil

    for folder in Path(tempfile.gettempdir()).glob("lgsp-tests-*-*"):
        try:
            pid = int(folder.name.split("-")[2])
            if folder.stat().st_uid != os.getuid() or psutil.pid_exists(pid):
                continue
            if (folder / "postgres" / "postmaster.pid").exists():
                postmaster = psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().split()[0]))
                if "postgres" in postmaster.name():
                    postmaster.terminate()
                    postmaster.wait(5)
        except (OSError, ValueError, IndexError, psutil.Error):
            pass
        shutil.rmtree(folder, ignore_errors=True)
