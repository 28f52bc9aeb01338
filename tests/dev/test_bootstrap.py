"""The environment is built once, from the lock, and whatever goes wrong is one sentence."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lgsp.dev import bootstrap, secrets
from lgsp.dev.processes import ROOT

pytestmark = pytest.mark.embedded


@pytest.fixture
def checkout(tmp_path) -> Path:
    """Makefile and bootstrap with an empty lock: no package is asked for."""
    (tmp_path / "lgsp" / "dev").mkdir(parents=True)
    for name in ("Makefile", "lgsp/dev/bootstrap.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (tmp_path / name).write_text("")
    return tmp_path


def _bootstrap(checkout: Path, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "lgsp/dev/bootstrap.py", "run"],
        cwd=checkout,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull, "PIP_EXTRA_INDEX_URL": ""}


def test_a_second_start_does_nothing_until_the_lock_changes(checkout):
    first = _bootstrap(checkout, **NO_INDEX)
    assert first.returncode == 0, first.stderr
    assert "installing" in first.stderr
    second = _bootstrap(checkout, **NO_INDEX)
    assert (second.returncode, second.stderr) == (0, "")
    (checkout / "requirements.txt").write_text("django==5.2.8\n")
    third = _bootstrap(checkout, **NO_INDEX)
    assert third.returncode == 1
    assert "could not install the locked packages" in third.stderr
    assert "Traceback" not in third.stderr
    assert "django" in (checkout / "var" / "bootstrap.log").read_text()


def test_two_at_once_build_one_environment(checkout):
    both = [
        subprocess.Popen(
            [sys.executable, "lgsp/dev/bootstrap.py", "run"],
            cwd=checkout,
            env={**os.environ, **NO_INDEX},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("making .venv" in text for text in said) == 1


def test_an_old_python_is_one_sentence(checkout):
    folder = checkout / "bin"
    folder.mkdir()
    old = folder / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo "Python 3.9.2"; exit; }\nexit 1\n')
    old.chmod(old.stat().st_mode | stat.S_IXUSR)
    for name in ("make", "sh", "echo"):
        (folder / name).symlink_to(shutil.which(name))
    env = {"PATH": str(folder)}
    result = subprocess.run(["make", "run"], cwd=checkout, env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode != 0
    assert "Python 3.11 or newer is needed, and this machine has Python 3.9.2" in result.stderr
    assert "Traceback" not in result.stderr


def test_pips_settings_are_handed_on_to_uv(monkeypatch):
    listed = "global.index-url='https://index.example/simple'\n:env:.cert='/etc/x.pem'\nglobal.timeout='60'\nfreeze.find-links='/x'\n"
    done = subprocess.CompletedProcess([], 0, stdout=listed)
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *a, **k: done)
    assert bootstrap.pip_settings() == {"index-url": "https://index.example/simple", "cert": "/etc/x.pem"}


def test_secrets_are_made_once_and_are_private(tmp_path):
    path = tmp_path / "secrets.env"
    first = secrets.load_or_make(path)
    assert first == secrets.load_or_make(path) == secrets.read(path)
    assert set(first) == set(secrets.MAKERS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len({*first.values()}) == len(first)


def test_a_secret_added_later_leaves_the_others_alone(tmp_path):
    path = tmp_path / "secrets.env"
    path.write_text("SECRET_KEY=kept\n")
    assert secrets.load_or_make(path)["SECRET_KEY"] == "kept"
    assert set(secrets.read(path)) == set(secrets.MAKERS)
