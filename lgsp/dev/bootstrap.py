"""Builds `.venv` from the lock. Needs Python 3.11 and nothing else: run by file name, before anything is installed.

    python3 lgsp/dev/bootstrap.py run|test

Does nothing when the lock's stamp is the one of the last time, so a second start is quick and needs no network. Two at
once are safe: the second waits. uv is taken when it can be had (with pip's index and certificate settings handed on),
pip otherwise. Whatever goes wrong is one sentence.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

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
    if not runs():
        say(f"making .venv with Python {sys.version_info.major}.{sys.version_info.minor} …")
        make_venv()
    say("installing the locked packages (once; later starts need no network) …")
    files = [part for name in LOCKS[purpose] for part in ("-r", str(ROOT / name))]
    LOG.write_text("")
    if not install_with_uv(files):
        install_with_pip(files)
    (VENV / f".lgsp-{purpose}").write_text(fingerprint(purpose))
    if purpose == "test":
        (VENV / ".lgsp-run").write_text(fingerprint("run"))


def make_venv() -> None:
    target = VENV.resolve()  # a link to a shared environment stays a link
    result = subprocess.run([sys.executable, "-m", "venv", "--clear", str(target)], capture_output=True, text=True)
    if result.returncode == 0:
        return
    if "ensurepip" in result.stdout + result.stderr:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise CannotContinue(
            f"this Python lacks its venv module: install it (on Debian: apt-get install python{version}-venv)."
        )
    last = (result.stderr.strip() or result.stdout.strip()).splitlines()[-1:]
    raise CannotContinue(f"could not make .venv with {sys.executable}: {''.join(last)}")


def install_with_uv(files: list[str]) -> bool:
    """Install with uv, itself installed by pip. False when it cannot be had or fails: pip is the sure path."""
    if run_logged([PYTHON, "-m", "pip", "install", "--quiet", "--retries=1", "uv"]) != 0:
        return False
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1", "UV_NO_PROGRESS": "1"}
    for name, value in pip_settings().items():
        env.setdefault(PIP_TO_UV[name], value)
    if "UV_INDEX" in env or "UV_FIND_LINKS" in env:
        env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # as pip looks; the lock's hashes decide
    return run_logged([PYTHON, "-m", "uv", "pip", "install", "--compile-bytecode", "--python", str(PYTHON), *files], env) == 0


def install_with_pip(files: list[str]) -> None:
    if run_logged([PYTHON, "-m", "pip", "install", "--quiet", "--retries=2", *files]) != 0:
        raise CannotContinue(
            "could not install the locked packages: no package index answered, or it lacks one of them. The first start "
            f"needs a package index (set it up for pip as usual); what pip said is in {LOG.relative_to(ROOT)}."
        )


def pip_settings() -> dict[str, str]:
    """The settings of pip that uv must share: it reads neither pip's files nor its variables."""
    listed = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
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
    if len(sys.argv) != 2 or sys.argv[1] not in LOCKS:
        sys.exit("usage: bootstrap.py run|test")
    sys.exit(main(sys.argv[1]))
