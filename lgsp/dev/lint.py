"""`make lint`: every static gate, each said by name; exit 1 when any fails."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lgsp.dev import secrets as demonstration
from lgsp.dev.postgres import Cluster, PostgresUnavailable

ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="lgsp-lint-") as folder:
        try:
            return _run(Path(folder))
        except PostgresUnavailable as error:
            print(f"lgsp: {error}")
            return 1


def _run(folder: Path) -> int:
    url = os.environ.get("TEST_DATABASE_URL", "")
    cluster = None if url else Cluster(folder / "postgres")
    try:
        url = url or cluster.start()
        with ThreadPoolExecutor(2) as two:  # each gate keeps one core busy
            failed = [name for name in two.map(lambda gate: "" if passes(*gate) else gate[0], gates(url, folder)) if name]
    finally:
        if cluster is not None:
            cluster.stop()
    print(f"lint: {', '.join(failed)} failed" if failed else "lint: all gates passed")
    return 1 if failed else 0


def gates(url: str, folder: Path) -> list[tuple[str, list[str], dict[str, str]]]:
    """(name, command, environment) of every gate."""
    python = sys.executable
    development = {"LGSP_ENV": "test", "DATABASE_URL": url, "LGSP_VAR": str(folder)}
    return [
        ("ruff check", [python, "-m", "ruff", "check", "."], {}),
        ("ruff format", [python, "-m", "ruff", "format", "--check", "."], {}),
        ("bandit", [python, "-m", "bandit", "-q", "-ll", "-c", "pyproject.toml", "-r", "apps", "lgsp"], {}),
        ("migrations", [python, "manage.py", "makemigrations", "--check", "--dry-run"], development),
        ("production settings", [python, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], production(url, folder)),
        ("messages", [python, "-m", "lgsp.dev.messages", "--check"], {}),
        ("hashes of the lock", [python, "-m", "lgsp.dev.lint", "hashes"], {}),
    ]


def production(url: str, folder: Path) -> dict[str, str]:
    """A complete production environment with secrets made for this run; it names no real host."""
    return {
        **{name: make() for name, make in demonstration.MAKERS.items()},
        "LGSP_ENV": "production",
        "LGSP_VAR": str(folder),
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": f"amqp://lgsp:{secrets.token_hex(8)}@broker.example:5672//",
        "ALLOWED_HOSTS": "lgsp.example",
        "LGSP_SITE_URL": "https://lgsp.example",
        "LGSP_GATEWAY_URL": "https://gateway.lgsp.example",
    }


def passes(name: str, command: list[str], env: dict[str, str]) -> bool:
    """Run one gate quietly; show what it said only when it fails."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LGSP_") and k not in ("DEBUG", "SECRET_KEY")}
    result = subprocess.run(command, cwd=ROOT, env={**inherited, **env}, capture_output=True, text=True)
    said = "" if result.returncode == 0 else f"{(result.stdout + result.stderr).rstrip()}\n"
    sys.stdout.write(f"{'FAILED' if said else 'ok    '} {name}\n{said}")
    sys.stdout.flush()
    return result.returncode == 0


def hashes() -> int:
    """Every pinned line of the locks must carry a hash (a hand-made lock loses them)."""
    bare = []
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (ROOT / name).read_text().splitlines()
        bare += [
            f"{name}: {line}" for line in lines if "==" in line and not line.startswith((" ", "#")) and not line.endswith("\\")
        ]
    print("\n".join([*bare, "run `make lock`"]) if bare else "")
    return 1 if bare else 0


if __name__ == "__main__":
    sys.exit(hashes() if "hashes" in sys.argv else main())
