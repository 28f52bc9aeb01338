"""The OpenAPI document describes the API as it is: no warnings, every endpoint in it, and the committed copy is current."""

from __future__ import annotations

from pathlib import Path

import yaml
from django.core.management import call_command

from tests.access.endpoints import endpoints

COMMITTED = Path(__file__).resolve().parents[1] / "docs" / "openapi.yaml"


def test_the_document_is_valid_and_the_committed_copy_is_current(tmp_path):
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", file=str(made))
    assert made.read_text(encoding="utf-8") == COMMITTED.read_text(encoding="utf-8"), (
        "run `make openapi` and read the difference"
    )


def test_every_endpoint_of_the_api_is_described():
    paths = yaml.safe_load(COMMITTED.read_text(encoding="utf-8"))["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    existing = {(method, path) for method, path in endpoints() if path.startswith("/api/v1/")}
    assert existing - described == set()
