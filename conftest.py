"""Loaded by pytest before everything else: the database of this run, then Django. Fixtures are in `tests/conftest.py`."""

import gc
import os
import re
from collections import Counter
from collections.abc import Iterable

import django
import hypothesis
import pytest

from lgsp.dev import testing
from lgsp.dev.postgres import PostgresUnavailable

try:
    testing.prepare()
except PostgresUnavailable as error:
    pytest.exit(str(error), returncode=3)
django.setup()
hypothesis.settings.register_profile("lgsp", deadline=None)  # that a machine has much to do is no fault of the code
hypothesis.settings.load_profile("lgsp")

pytest_plugins = ["tests.fixtures.database", "tests.fixtures.platform", "tests.fixtures.browser", "tests.fixtures.races"]


def pytest_report_header() -> str:
    return testing.description()


LONG = ("tests/agreements/test_walk.py", "tests/faults", "tests/access", "tests/browser", "tests/flows", "tests/gateway")
"""Begun first, so that no process is left alone with a long file while the others have nothing to do; one of each in turn,
because some mostly wait (faults) and others mostly work (access)."""
FOLDER_MARKS = {"browser": "browser", "faults": "faults", "flows": "flow"}


def pytest_configure(config: pytest.Config) -> None:
    """Workers of pytest-xdist read the settings when `prepare()` has given them their own folder and queue, not before."""
    if getattr(config.option, "numprocesses", None):
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their folder; leave out the large numbers unless LGSP_FULL=1 (`make test-full`)."""
    for item in items:
        for folder, mark in FOLDER_MARKS.items():
            if item.path.is_relative_to(config.rootpath / "tests" / folder):
                item.add_marker(mark)
    turns = _turns(item.path.relative_to(config.rootpath).as_posix() for item in items)
    items.sort(key=lambda item: turns[item.path.relative_to(config.rootpath).as_posix()])
    if not testing.is_full():
        left_out = [item for item in items if item.get_closest_marker("full")]
        items[:] = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector, which looked through all of it again and again, took a third of a test's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _turns(paths: Iterable[str]) -> dict[str, tuple[int, int]]:
    """File → its turn: the first file of each of `LONG`, the second of each, …, then all others as they are."""
    found: dict[str, tuple[int, int]] = {}
    places = Counter()
    for path in dict.fromkeys(paths):
        kind = next((number for number, start in enumerate(LONG) if path.startswith(start)), None)
        found[path] = (places[kind], kind) if kind is not None else (len(found) + 1_000, len(LONG))
        places[kind] += 1
    return found


COUNTED = re.compile(r"^[A-Z]{2}-[0-9.]+[: ].+$", re.MULTILINE)
"""What a test of large numbers prints when it has passed: the id of the check, then what was counted."""


def pytest_terminal_summary(terminalreporter) -> None:
    passed = [report for report in terminalreporter.stats.get("passed", ()) if report.when == "call"]
    for line in sorted(line for report in passed for line in COUNTED.findall(report.capstdout)):
        terminalreporter.write_line(f"counted: {line}")
    for line in testing.not_covered():
        terminalreporter.write_line(f"not covered: {line}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        testing.clean_up()
