"""The demonstration's secrets: files under `var/`, mode 0600, written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from django.conf import settings

STATE = "demo.json"
TOKEN_CONFIG = "demo-token.curl"  # noqa: S105 -- a file name


def new_password() -> str:
    """A password a person can type: four groups of four letters and digits (about 80 bits)."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(4))


def keep(password: str, client_id: str, client_secret: str, token_url: str) -> None:
    """Write the password, and a curl configuration that asks for a token without showing the secret on a command line."""
    _write(settings.VAR_DIR / STATE, json.dumps({"password": password, "client_id": client_id}, indent=1))
    lines = [
        f'url = "{token_url}"',
        f'user = "{client_id}:{client_secret}"',
        'data = "grant_type=client_credentials"',
        "silent",
    ]
    _write(settings.VAR_DIR / TOKEN_CONFIG, "\n".join(lines) + "\n")


def kept() -> dict | None:
    """What `keep` wrote, or None."""
    path = settings.VAR_DIR / STATE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def point_token_config(token_url: str) -> Path:
    """Let the curl configuration name the gateway's present address (ports may change between starts)."""
    path = settings.VAR_DIR / TOKEN_CONFIG
    lines = path.read_text(encoding="utf-8").splitlines()
    if lines[0] != f'url = "{token_url}"':
        _write(path, "\n".join([f'url = "{token_url}"', *lines[1:]]) + "\n")
    return path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.chmod(0o600)
    partial.replace(path)
