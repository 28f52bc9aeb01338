import os

import pytest

from lgsp.dev.testing import has_pango
from tests.factories.agreements import special_world
from tests.factories.connections import World, world


@pytest.fixture
def w(db) -> World:
    """Two agencies, their people, one default-sharing service."""
    return world()


@pytest.fixture
def special(db) -> World:
    """The same with a service shared by special agreement only."""
    return special_world()


@pytest.fixture
def pango() -> None:
    """The PDF library's system parts. Without them a test is skipped with a plain word, unless LGSP_REQUIRE names them."""
    if has_pango():
        return
    if "pango" in os.environ.get("LGSP_REQUIRE", "").split(","):
        pytest.fail(
            "LGSP_REQUIRE names pango, and this machine has none (apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0)."
        )
    pytest.skip("no Pango on this machine: official documents as PDF are not covered")
