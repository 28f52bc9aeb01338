"""One running province for all journeys of a file: processes, agencies, people and services are made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.database import restore_seed
from tests.flows.province import Province


@pytest.fixture(scope="module")
def province(_platform, django_db_blocker) -> Iterator[Province]:
    """Portal, gateway and sandbox as processes. The journeys speak HTTP only: they have no database of their own to look into."""
    with django_db_blocker.unblock():
        founded = Province.found(_platform)
    running = [name for name in ("sandbox", "portal", "gateway") if not _is_running(_platform, name)]
    try:
        if running:
            _platform.start(*running)
        founded.publish_services()
        yield founded
    finally:
        _platform.stop("gateway", grace=2)
        with django_db_blocker.unblock():
            restore_seed()


def _is_running(platform, name: str) -> bool:
    return name in platform.processes and platform[name].is_running()
