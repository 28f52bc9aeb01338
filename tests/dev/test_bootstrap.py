"""The environment is built once, from the lock, and whatever goes wrong is one sentence."""

from __future__ import annotations

import json
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


OTHER = """#!{bash}
# A Python of its own: what is not answered here goes to the real one, in this file's name, which makes it the base of `.venv`.
echo "$*" >> "$0.log"
{case}
exec -a "$0" {real} "$@"
"""
FAST = 'case "$*" in *process_time*) echo 0.000001; exit;; esac'
BROKEN = {
    "slow": 'case "$*" in *process_time*) echo 9; exit;; esac',
    "fails": "exit 1",
    "talks": "echo Python",
    "fails when measured": 'case "$*" in *process_time*) exit 1;; esac',
    "of another kind": FAST
    + '\ncase "$*" in *cache_tag*) echo "{\\"path\\": \\"$0\\", \\"version\\": \\"3\\", \\"kind\\": [], \\"real\\": true}"; exit;; esac',
    "lacks ssl": 'case "$*" in *"ssl, sys"*) echo ModuleNotFoundError >&2; exit 1;; esac',
}


def _put(checkout: Path, case: str) -> Path:
    """One more Python in a folder of its own."""
    other = checkout / "other" / "python3"
    other.parent.mkdir()
    other.write_text(OTHER.format(bash=shutil.which("bash"), case=case, real=os.path.realpath(sys.executable)))
    other.chmod(0o755)
    return other


def _with(other: Path, **env: str) -> dict[str, str]:
    return {**NO_INDEX, "LGSP_PYTHON": "", "PATH": str(other.parent), **env}


def _made_by(checkout: Path) -> str:
    config = dict(line.split(" = ", 1) for line in (checkout / ".venv" / "pyvenv.cfg").read_text().splitlines())
    assert subprocess.run([checkout / ".venv/bin/python", "-c", "import ssl"]).returncode == 0
    return config["home"]


def test_the_clearly_faster_python_makes_the_environment_and_is_measured_once(checkout):
    other = _put(checkout, FAST)
    first = _bootstrap(checkout, **_with(other))
    assert first.returncode == 0, first.stderr
    assert _made_by(checkout) == str(other.parent)
    assert len(first.stderr.splitlines()) == 2
    assert f"{other} (it runs Python code" in first.stderr
    assert "times as fast as" in first.stderr
    asked = other.with_name("python3.log").read_text()
    assert "process_time" in asked
    second = _bootstrap(checkout, **_with(other))
    assert (second.returncode, second.stderr) == (0, "")
    (checkout / "requirements.txt").write_text("# changed\n")
    third = _bootstrap(checkout, **_with(other))
    assert third.returncode == 0
    assert "making .venv" not in third.stderr
    assert other.with_name("python3.log").read_text().count("process_time") == asked.count("process_time")


def _best(checkout: Path, **env: str) -> list[str]:
    """Path, version and reason of the Python that would make the environment."""
    code = "import bootstrap, json; print(json.dumps(bootstrap.best_python()))"
    command = [os.path.realpath(sys.executable), "-c", code]
    return json.loads(subprocess.check_output(command, cwd=checkout / "lgsp" / "dev", env={**os.environ, **env}, timeout=120))


def test_the_named_python_is_taken_without_a_choice(checkout):
    other = _put(checkout, FAST)
    assert _best(checkout, **_with(other))[0] == str(other)
    other.with_name("python3.log").unlink()
    path, _version, why = _best(checkout, **_with(other, LGSP_PYTHON=sys.executable))
    assert (path, why) == (os.path.realpath(sys.executable), "LGSP_PYTHON")
    assert not other.with_name("python3.log").exists()


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_a_python_that_is_slow_or_broken_or_of_another_kind_is_not_taken(checkout, case):
    other = _put(checkout, case)
    assert _best(checkout, **_with(other))[0] == os.path.realpath(sys.executable)
    assert other.with_name("python3.log").exists()


NOISE = """case "$*" in *process_time*)
    case $(grep -c process_time "$0.log") in {rounds}) echo {then};; *) echo {otherwise};; esac; exit;;
esac"""


@pytest.mark.parametrize(("then", "otherwise", "taken"), [("9", "0.000001", True), ("0.000001", "9", False)])
def test_what_some_rounds_say_alone_does_not_choose(checkout, then, otherwise, taken):
    """A neighbour on the same core slows one of the two in some rounds, or lets it alone be fast."""
    other = _put(checkout, NOISE.format(rounds="[2468]", then=then, otherwise=otherwise))
    assert (_best(checkout, **_with(other))[0] == str(other)) is taken


def test_an_environments_python_is_not_taken(checkout):
    """It would go when that environment goes."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--copies", checkout / "env"], check=True)
    why = _best(checkout, LGSP_PYTHON="", PATH=str(checkout / "env" / "bin"))[2]
    assert why == "the only one of its version on PATH"


def test_when_the_faster_one_does_not_do_the_one_that_started_makes_it(checkout):
    other = _put(checkout, FAST + '\ncase "$*" in *"-m venv"*) exit 1;; esac')
    result = _bootstrap(checkout, **_with(other))
    assert result.returncode == 0, result.stderr
    assert _made_by(checkout) != str(other.parent)
    assert f"{other} does not do: it made no .venv" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_python_without_a_pip_to_give_gets_its_packages_by_the_others_pip(checkout):
    """Debian without python3-venv: `venv` works only --without-pip."""
    other = _put(checkout, FAST + '\ncase "$*" in *without-pip*) ;; *"-m venv"*) echo no ensurepip; exit 1;; esac')
    result = _bootstrap(checkout, **_with(other))
    assert result.returncode == 0, result.stderr
    assert _made_by(checkout) == str(other.parent)
    assert not list((checkout / ".venv").rglob("pip"))
    assert "-m pip --python" in (checkout / "var" / "bootstrap.log").read_text()


def test_pips_settings_are_handed_on_to_uv(monkeypatch):
    listed = "global.index-url='https://index.example/simple'\n:env:.cert='/etc/x.pem'\nglobal.timeout='60'\nfreeze.find-links='/x'\n"
    done = subprocess.CompletedProcess([], 0, stdout=listed)
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *a, **k: done)
    assert bootstrap.pip_settings(["pip"]) == {"index-url": "https://index.example/simple", "cert": "/etc/x.pem"}


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
