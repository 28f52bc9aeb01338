"""Production starts only when it is complete; `make lint` proves that a complete one is clean."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lgsp.dev.lint import ROOT, production
from lgsp.dev.processes import free_port

SECRETS = ("SECRET_KEY", "LGSP_FIELD_KEYS", "LGSP_PSEUDONYM_KEY")


def _check(tmp_path: Path, *arguments: str, **changes: str | None) -> subprocess.CompletedProcess:
    env = {
        **{k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
        **production(os.environ["DATABASE_URL"], tmp_path),
    }
    for name, value in changes.items():
        env.pop(name) if value is None else env.update({name: value})
    return subprocess.run(
        [sys.executable, "manage.py", "check", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )


def test_a_complete_production_environment_starts(tmp_path):
    result = _check(tmp_path)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", [*SECRETS, "DATABASE_URL", "CELERY_BROKER_URL"])
def test_production_refuses_to_start_without(name, tmp_path):
    result = _check(tmp_path, **{name: None})
    assert result.returncode != 0
    assert name in result.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_production_refuses_a_short_secret(name, tmp_path):
    result = _check(tmp_path, **{name: "short"})
    assert result.returncode != 0
    assert name in result.stderr


def test_production_refuses_the_secret_of_development(tmp_path):
    result = _check(tmp_path, SECRET_KEY="development-only-secret-key-never-used-in-production-000000")
    assert result.returncode != 0
    assert "SECRET_KEY" in result.stderr


def test_production_refuses_debug(tmp_path):
    assert _check(tmp_path, DEBUG="1").returncode != 0


def test_production_does_not_read_the_secrets_of_a_demonstration(tmp_path):
    (tmp_path / "secrets.env").write_text("SECRET_KEY=" + "x" * 64 + "\n")
    assert _check(tmp_path, SECRET_KEY=None).returncode != 0


def test_the_fast_password_hasher_is_for_tests_alone(tmp_path):
    code = "import django; django.setup(); from django.conf import settings; print(settings.PASSWORD_HASHERS[0])"
    env = {**os.environ, **production(os.environ["DATABASE_URL"], tmp_path), "DJANGO_SETTINGS_MODULE": "lgsp.settings"}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert "MD5" not in result.stdout
    assert "Hasher" in result.stdout


def test_dl_05_an_unreachable_database_is_no_clean_bill(tmp_path):
    result = _check(tmp_path, "--deploy", DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/lgsp")
    assert result.returncode != 0
    assert "lgsp.E006" in result.stderr
