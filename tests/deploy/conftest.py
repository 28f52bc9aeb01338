from tests.gateway.conftest import provider, shared_provider, world  # noqa: F401
