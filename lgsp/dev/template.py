"""A migrated database that test databases are copied from: migrations run once a server, not once a test process.

The copy is named by a digest of everything migrations are made from, so that a changed migration never meets an old copy.
On the cluster of one run it dies with the run. On a server named by `TEST_DATABASE_URL` it is dropped at the end of the run
that made it, unless `LGSP_TEST_KEEP_TEMPLATE=1` keeps it for the next one (comfort for who runs one test many times).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent.parent
_LOCK = 0x16C9_7E57
_SOURCES = ("apps/*/migrations/*.py", "apps/*/data/**/*", "apps/*/reference.py")


def ensure(url: str) -> str:
    """The name of a migrated database on the server at `url`; made now if it is not there. One maker at a time."""
    name = f"lgsp_template_{_digest()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            _make(server, url, name)
    return name


def drop(url: str) -> None:
    """Drop the copy this code would use, unless it is to be kept."""
    if os.environ.get("LGSP_TEST_KEEP_TEMPLATE") == "1":
        return
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(f"lgsp_template_{_digest()}")))


def _make(server: psycopg.Connection, url: str, name: str) -> None:
    """Migrate a database under another name and rename it when it is whole: a killed maker leaves no half copy in use."""
    draft = f"{name}_draft"
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(draft)))
    server.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(sql.Identifier(draft)))
    env = {**os.environ, "DATABASE_URL": _address(url, draft)}
    env.pop("LGSP_TEST_DATABASE", None)
    for command in (["migrate", "--noinput", "-v0"], ["createcachetable"]):
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
    server.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name)))


def _address(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _digest() -> str:
    found = hashlib.sha256((ROOT / "requirements.txt").read_bytes())
    for path in sorted(path for pattern in _SOURCES for path in ROOT.glob(pattern) if path.is_file()):
        found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]
