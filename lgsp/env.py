"""The one place that reads the process environment.

Everything a deployment may set is listed here with its meaning; `settings.py` only names
the results. In development (`LGSP_ENV=development`, the default) unsafe but working defaults
are filled in; in production each secret must be given and start-up refuses without it.
"""

from __future__ import annotations

import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("LGSP_VAR", BASE_DIR / "var"))

env = environ.Env()

ENVIRONMENTS = ("development", "test", "production")
LGSP_ENV = env.str("LGSP_ENV", default="development")
if LGSP_ENV not in ENVIRONMENTS:
    raise ImproperlyConfigured(f"LGSP_ENV must be one of {', '.join(ENVIRONMENTS)}, not {LGSP_ENV!r}.")
IS_PRODUCTION = LGSP_ENV == "production"
if LGSP_ENV == "development" and (VAR_DIR / "secrets.env").exists():
    env.read_env(VAR_DIR / "secrets.env")  # made by `make run`; the real environment wins


def secret(name: str, *, development: str) -> str:
    """Return the secret `name`; only outside production may the default stand in.

    Raises ImproperlyConfigured in production when it is missing, short or a known default.
    """
    value = env.str(name, default="")
    if not IS_PRODUCTION:
        return value or development
    if len(value) < 32 or value == development:
        raise ImproperlyConfigured(f"{name} must be set in production: at least 32 characters, not the default.")
    return value


def secrets_list(name: str, *, development: str) -> list[str]:
    """Return a comma-separated list of keys, newest first (rotation keeps the old ones at the end)."""
    return [part.strip() for part in secret(name, development=development).split(",") if part.strip()]


def private_folder(path: Path) -> str:
    """Make `path` readable by its owner only, whoever made it; return it as text."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return str(path)


def database_url() -> str:
    """Return DATABASE_URL. The supervisor and the test runner set it; there is no fallback engine."""
    url = env.str("DATABASE_URL", default="")
    if not url and LGSP_ENV == "development" and (VAR_DIR / "run" / "database.url").exists():
        url = (VAR_DIR / "run" / "database.url").read_text().strip()  # `make run` is running: share its database
    if not url:
        raise ImproperlyConfigured(
            "DATABASE_URL is not set. `make run` and `make test` start an embedded PostgreSQL and set it; "
            "otherwise give the URL of a PostgreSQL server, version 15 or newer."
        )
    return url


def broker_url() -> str:
    """Return CELERY_BROKER_URL; empty outside production means the embedded filesystem broker."""
    url = env.str("CELERY_BROKER_URL", default="")
    if not url and IS_PRODUCTION:
        raise ImproperlyConfigured("CELERY_BROKER_URL must be set in production (RabbitMQ or Redis).")
    return url
