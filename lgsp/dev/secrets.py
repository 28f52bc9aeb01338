"""The secrets of one checkout's demonstration: made once, kept in `var/secrets.env`, readable by their owner only.

Production never reads this file; its secrets come from its environment.
"""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from pathlib import Path


def load_or_make(path: Path) -> dict[str, str]:
    """Return the secrets in `path` as environment variables, adding those that are missing yet; mode 0600."""
    known = read(path)
    wanted = {name: make() for name, make in MAKERS.items() if name not in known}
    if wanted:
        known.update(wanted)
        _write(path, known)
    path.chmod(0o600)
    return known


def read(path: Path) -> dict[str, str]:
    """`NAME=value` lines as a dictionary; empty when there is no such file."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


MAKERS = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(64),
    "LGSP_FIELD_KEYS": _fernet_key,
    "LGSP_PSEUDONYM_KEY": lambda: secrets.token_urlsafe(48),
    "LGSP_SANDBOX_KEY": lambda: secrets.token_urlsafe(18),
    "LGSP_SANDBOX_SECRET": lambda: secrets.token_urlsafe(24),
}


def _write(path: Path, values: dict[str, str]) -> None:
    """Replace the file in one step; it is private from its first byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=".secrets-")
    with os.fdopen(number, "w") as file:
        file.write("# Secrets of this checkout's demonstration. Not for production; not for sharing.\n")
        file.writelines(f"{name}={value}\n" for name, value in sorted(values.items()))
    os.replace(temporary, path)
