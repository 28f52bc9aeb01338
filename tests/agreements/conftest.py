import pytest

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
