"""Builds `.venv` from the lock. Needs Python 3.11 and nothing else: run by file name, before anything is installed.

    python3 lgsp/dev/bootstrap.py run|test      build it for make run or make test
    python3 lgsp/dev/bootstrap.py pythons       only measure the Pythons it would choose from

Does nothing when the lock's stamp is the one of the last time, so a second start is quick and needs no network. Two at
once are safe: the second waits. A new `.venv` is made with the fastest Python of the same version on PATH (ADR 0025), unless
LGSP_PYTHON names one. uv is taken when it can be had (with pip's index and certificate settings handed on), pip otherwise.
Whatever goes wrong is one sentence.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from operator import truediv
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {"run": ["requirements.txt"], "test": ["requirements.txt", "requirements-dev.txt"]}
LOG = ROOT / "var" / "bootstrap.log"

PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "no-index": "UV_NO_INDEX",
}

CLEARLY_FASTER = 1.2
"""Between builds of one version with and without profile-guided optimization lie 1.3 to 1.6; noise stays below this."""
ROUNDS = 9
"""A neighbour on the same core slows whoever runs just then by half: the middle one of many rounds tells, the best one of three did not."""
LONGEST = 10.0
"""Seconds for which a Python is waited for."""
LOOP = """
import time

class Row:
    def __init__(self, number):
        self.number = number

    def text(self):
        return f"{self.number}"

def work():
    seen = {}
    for number in range(1000):
        row = Row(number)
        seen[row.number & 63] = len(row.text())
    return seen

best = 1e9
for _ in range(40):
    began = time.process_time()
    work()
    best = min(best, time.process_time() - began)
print(best)
"""
"""Prints the seconds of CPU that interpreted code takes at the best of many short runs (others may be at work here): calls,
attributes, dictionaries and texts, nothing that C code does alone."""
KIND = [sys.implementation.cache_tag, sys.abiflags, sysconfig.get_platform()]
ASK = """
import ctypes, json, platform, ssl, sys, sysconfig, venv, zlib
kind = [sys.implementation.cache_tag, sys.abiflags, sysconfig.get_platform()]
real = sys.prefix == sys.base_prefix
print(json.dumps({"path": sys.executable, "version": platform.python_version(), "kind": kind, "real": real}))
"""
"""What a Python says of itself; one that lacks what we need fails at the first line."""


class Python(NamedTuple):
    """An interpreter that can make `.venv`, and why it does."""

    path: str
    version: str
    why: str


class CannotContinue(Exception):
    """Its message is the sentence for the person at the keyboard."""


def main(purpose: str) -> int:
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    try:
        with only_one_at_a_time():
            if not is_current(purpose):
                build(purpose)
    except CannotContinue as problem:
        print(f"lgsp: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lgsp: interrupted; the next `make` goes on from here.", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def only_one_at_a_time():
    """Hold the lock of this checkout; say so when another one holds it."""
    LOG.parent.mkdir(exist_ok=True)
    with (LOG.parent / "bootstrap.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another make is building the environment; waiting for it …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_current(purpose: str) -> bool:
    """Whether `.venv` runs and was built from exactly these locks (one built for tests serves `make run` too)."""
    stamps = [VENV / f".lgsp-{name}" for name in ("run", "test")]
    texts = [stamp.read_text() if stamp.exists() else "" for stamp in stamps]
    fits = fingerprint(purpose) in texts if purpose == "run" else fingerprint("test") == texts[1]
    return fits and runs()


def fingerprint(purpose: str) -> str:
    """Changes with the interpreter's version and with any byte of the locks."""
    digest = hashlib.sha256(f"{purpose} {sys.version_info[:2]}".encode())
    for name in LOCKS[purpose]:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def runs() -> bool:
    return PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], capture_output=True).returncode == 0


def build(purpose: str) -> None:
    LOG.write_text("")
    files = [part for name in LOCKS[purpose] for part in ("-r", str(ROOT / name))]
    if runs():
        install(files)
    else:
        build_anew(files)
    (VENV / f".lgsp-{purpose}").write_text(fingerprint(purpose))
    if purpose == "test":
        (VENV / ".lgsp-run").write_text(fingerprint("run"))


def build_anew(files: list[str]) -> None:
    """With the best Python; with the one that started us when the other does not do."""
    best = best_python()
    try:
        make_venv(best)
        install(files)
    except CannotContinue as problem:
        if best.path == sys.executable:
            raise
        say(f"{best.path} does not do: {problem}")
        make_venv(starter("the one that started"))
        install(files)


def best_python() -> Python:
    """The Python of this machine that runs Python code clearly faster than the one that started us, or that one.

    Distributions build with profile-guided optimization, which pyenv and a plain `./configure` leave out; no setting of a
    build tells it truly (Debian's names no such flag), so it is measured, in turn: how much faster, in the middle one of the rounds.
    """
    if os.environ.get("LGSP_PYTHON"):
        return starter("LGSP_PYTHON")
    found = other_pythons()
    if not found:
        return starter("the only one of its version on PATH")
    seconds = measured([sys.executable, *found])
    ratios = {path: statistics.median(map(truediv, seconds[sys.executable], seconds[path])) for path in found}
    path = max(found, key=ratios.__getitem__)
    ratio = ratios[path]
    if ratio < CLEARLY_FASTER:
        return starter(f"{len(found)} more of its version on PATH, none of them clearly faster")
    return Python(path, found[path], f"it runs Python code {ratio:.1f} times as fast as {sys.executable}")


def starter(why: str) -> Python:
    return Python(sys.executable, platform.python_version(), why)


def show_pythons() -> int:
    found = {sys.executable: platform.python_version(), **other_pythons()}
    middle = {path: statistics.median(seconds) for path, seconds in measured(list(found)).items()}
    for path, seconds in sorted(middle.items(), key=lambda row: row[1]):
        print(f"{seconds * 1000:.2f} ms   {found[path]}   {path}")
    return 0


def other_pythons() -> dict[str, str]:
    """Path → version of all other interpreters on PATH that our wheels fit: real ones, no environment's and no shim."""
    seen, found = {os.path.realpath(sys.executable)}, {}
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        for name in ("python3", f"python3.{sys.version_info.minor}"):
            path = os.path.realpath(os.path.join(folder, name))
            if os.path.isabs(folder) and os.access(path, os.X_OK) and path not in seen:
                seen.add(path)
                said = ask(path)
                if said and os.path.realpath(said["path"]) not in seen - {path}:
                    seen.add(os.path.realpath(said["path"]))
                    found[said["path"]] = said["version"]
    return found


def ask(path: str) -> dict | None:
    with contextlib.suppress(ValueError, TypeError, KeyError):
        said = json.loads(output_of([path, "-c", ASK]))
        if said["kind"] == KIND and said["real"] and said["path"]:
            return said
    return None


def measured(paths: list[str]) -> dict[str, list[float]]:
    """Path → the seconds of `LOOP` in each round; one that fails is asked no more and counts as slow as can be."""
    found: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(ROUNDS):
        for path, seconds in found.items():
            seconds.append(LONGEST if LONGEST in seconds else seconds_of(path))
    return found


def seconds_of(path: str) -> float:
    with contextlib.suppress(ValueError):
        return float(output_of([path, "-c", LOOP]))
    return LONGEST


def output_of(command: list[str]) -> str:
    """What it prints; nothing when it cannot be started, fails, or takes too long."""
    with contextlib.suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONGEST, check=True
        ).stdout
    return ""


def make_venv(python: Python) -> None:
    """Make `.venv` anew; without pip where the Python has none to give (Debian without python3-venv): see `find_pip`."""
    say(f"making .venv with Python {python.version} at {python.path} ({python.why}) …")
    command = [python.path, "-m", "venv", "--clear", str(VENV.resolve())]  # a link to a shared environment stays a link
    if run_logged(command) != 0 and run_logged([*command, "--without-pip"]) != 0:
        raise CannotContinue(f"it made no .venv; what it said is in {LOG.relative_to(ROOT)}.")


def find_pip() -> list[str]:
    """The pip that installs into `.venv`: its own, or the one of the Python that started us."""
    for command in ([PYTHON, "-m", "pip"], [sys.executable, "-m", "pip", "--python", PYTHON]):
        if subprocess.run([*command, "--version"], capture_output=True).returncode == 0:
            return [str(part) for part in command]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    raise CannotContinue(
        f"no pip for .venv: this Python lacks its venv module; install it (on Debian: apt-get install python{version}-venv)."
    )


def install(files: list[str]) -> None:
    say("installing the locked packages (once; later starts need no network) …")
    pip = find_pip()
    if not install_with_uv(pip, files):
        install_with_pip(pip, files)


def install_with_uv(pip: list[str], files: list[str]) -> bool:
    """Install with uv, itself installed by pip. False when it cannot be had or fails: pip is the sure path."""
    if run_logged([*pip, "install", "--quiet", "--retries=1", "uv"]) != 0:
        return False
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1", "UV_NO_PROGRESS": "1"}
    for name, value in pip_settings(pip).items():
        env.setdefault(PIP_TO_UV[name], value)
    if "UV_INDEX" in env or "UV_FIND_LINKS" in env:
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip looks; the lock's hashes decide
    return run_logged([PYTHON, "-m", "uv", "pip", "install", "--compile-bytecode", "--python", str(PYTHON), *files], env) == 0


def install_with_pip(pip: list[str], files: list[str]) -> None:
    if run_logged([*pip, "install", "--quiet", "--retries=2", *files]) != 0:
        raise CannotContinue(
            "could not install the locked packages: no package index answered, or it lacks one of them. The first start "
            f"needs a package index (set it up for pip as usual); what pip said is in {LOG.relative_to(ROOT)}."
        )


def pip_settings(pip: list[str]) -> dict[str, str]:
    """The settings of pip that uv must share: it reads neither pip's files nor its variables."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True).stdout
    found: dict[str, str] = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.strip().rpartition(".")
        if name in PIP_TO_UV and (section in ("global", "install") or section == ":env:"):
            found[name] = " ".join(value.strip().strip("'\"").replace("\\n", " ").split())
    return found


def run_logged(command: list, env: dict | None = None) -> int:
    """Run quietly, adding what it says to var/bootstrap.log; return its exit code."""
    with tempfile.TemporaryFile() as output:
        try:
            code = subprocess.run(
                [str(part) for part in command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            ).returncode
        except OSError as error:
            code = 127
            output.write(str(error).encode())
        output.seek(0)
        with LOG.open("ab") as log:
            log.write(("$ " + " ".join(str(part) for part in command) + "\n").encode() + output.read())
    return code


def say(sentence: str) -> None:
    print(f"lgsp: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in (*LOCKS, "pythons"):
        sys.exit("usage: bootstrap.py run|test|pythons")
    sys.exit(show_pythons() if sys.argv[1] == "pythons" else main(sys.argv[1]))
