"""The OpenAPI document describes the API as it is: no warnings, every endpoint in it, and the committed copy is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from apps.core.api.schema import OnceGenerator
from tests.access.endpoints import endpoints

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "docs" / "openapi.yaml"


def test_the_document_is_valid_and_the_committed_copy_is_current(tmp_path):
    # In a process of its own: some labels keep the language in which they were first asked for.
    made = tmp_path / "openapi.yaml"
    command = [sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn", f"--file={made}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert made.read_text(encoding="utf-8") == COMMITTED.read_text(encoding="utf-8"), (
        "run `make openapi` and read the difference"
    )


def test_every_endpoint_of_the_api_is_described():
    paths = yaml.safe_load(COMMITTED.read_text(encoding="utf-8"))["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    existing = {(method, path) for method, path in endpoints() if path.startswith("/api/v1/")}
    assert existing - described == set()


def test_the_document_is_made_once_for_each_language(client):
    """Everybody may ask for it; the next readers get what the first one waited for, in their own language."""

    def read(language: str) -> bytes:
        answer = client.get("/api/schema/", headers={"accept-language": language, "accept": "application/vnd.oai.openapi+json"})
        assert answer.status_code == 200
        return answer.content

    OnceGenerator.made.clear()
    vietnamese, english = read("vi"), read("en")
    made = dict(OnceGenerator.made)
    assert len(made) == 2
    assert (read("vi"), read("en")) == (vietnamese, english)
    assert [OnceGenerator.made[key] is made[key] for key in made] == [True, True]
    assert vietnamese != english
