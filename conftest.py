"""Loaded by pytest before everything else: the database of this run, then Django. Fixtures are in `tests/conftest.py`."""

import django
import pytest

from lgsp.dev import testing
from lgsp.dev.postgres import PostgresUnavailable

try:
    testing.prepare()
except PostgresUnavailable as error:
    pytest.exit(str(error), returncode=3)
django.setup()

pytest_plugins = ["tests.fixtures.database", "tests.fixtures.platform", "tests.fixtures.browser"]


def pytest_report_header() -> str:
    return testing.description()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        testing.clean_up()
