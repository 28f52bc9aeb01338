"""A provider and a world for faults of the gateway; processes are started and killed by the tests."""

import pytest

from tests.gateway.conftest import provider, shared_provider, world  # noqa: F401


@pytest.fixture
def gateways(transactional_db, provider):  # noqa: F811
    """`gateways(n=1, **env)` starts n processes, ready unless `wait=False`; all are stopped at the end of the test."""
    from tests.gateway.processes import GatewayProcess, database_url

    started = []

    def start(number: int = 1, *, wait: bool = True, **env):
        made = [
            GatewayProcess(database_url(), allow=[f"127.0.0.1:{provider.port}"], **env).start(wait=False)
            for _n in range(number)
        ]
        started.extend(made)
        for process in made if wait else ():
            process.wait_ready()
        return made

    yield start
    for process in started:
        process.stop()
