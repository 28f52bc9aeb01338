import pytest

from tests.factories.connections import World, world


@pytest.fixture
def w(db) -> World:
    """Two agencies, their people, one default-sharing service."""
    return world()
