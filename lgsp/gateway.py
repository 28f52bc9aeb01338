"""The data plane's process: `python -m lgsp.gateway --port 8001`, the ASGI application on uvicorn made strict.

A server that does not use `apps.gateway.server.StrictProtocol` gets 503 for every call: the boundary is part of the promise.

Its own process, any number of them on any number of machines; it needs PostgreSQL and nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os

import django
import uvicorn

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
django.setup()

from django.conf import settings  # noqa: E402

from apps.catalogs import reader as catalogs  # noqa: E402
from apps.gateway import descriptors  # noqa: E402
from apps.gateway.admission import OLDEST_ID_SECONDS  # noqa: E402
from apps.gateway.app import Gateway  # noqa: E402
from apps.gateway.endpoints import LONGEST_SECONDS  # noqa: E402
from apps.gateway.ready import ReadyProtocol  # noqa: E402
from apps.gateway.runtime import Runtime  # noqa: E402
from lgsp.env import database_url, env  # noqa: E402

PROXIES = settings.TRUSTED_PROXIES
READER = catalogs.CatalogReader(
    database_url(), per_minute=env.int("LGSP_CATALOG_READS_PER_MINUTE", default=6000), trusted_proxies=PROXIES
)
"""Ready catalog bytes: as an application below, and as the server's shortcut for plain requests."""
OTHERS: dict = {catalogs.PREFIX.decode(): READER}
"""Further applications by the beginning of their path."""
ReadyProtocol.reader = READER


def build() -> Gateway:
    """A gateway on the configured database; one a process."""
    runtime = Runtime(
        database_url(), trusted_proxies=PROXIES, most_running=env.int("LGSP_GATEWAY_MOST_CALLS", default=4000),
        watched_disks=settings.WATCHED_DISKS,
    )  # fmt: skip
    return Gateway(runtime, OTHERS)


app = build()
ReadyProtocol.calls = app.calls

LEAD_SECONDS = env.float("LGSP_GATEWAY_DRAIN_LEAD", default=0.0)
"""After SIGTERM: for so long /readyz is red while calls are still taken, so that a proxy that looks at it goes elsewhere."""
RECORD_SECONDS = 6
"""The record of the longest call, tried again where the commit was not confirmed (`Calls._record_again`)."""
DRAIN_SECONDS = OLDEST_ID_SECONDS + int(LONGEST_SECONDS) + RECORD_SECONDS
"""Then for so long the calls it has may finish: one that has just begun is admitted at the latest when its id is too old (its body comes
before that), then there is its provider's longest answer, then its record."""


class GatewayServer(uvicorn.Server):
    """uvicorn's server with a drain in two steps: say so and go on serving for a moment, then stop listening and finish."""

    async def shutdown(self, sockets=None) -> None:
        app.runtime.draining = ReadyProtocol.draining = True
        await asyncio.sleep(LEAD_SECONDS)
        await super().shutdown(sockets)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=env.int("LGSP_GATEWAY_PORT", default=8001))
    given = parser.parse_args()
    descriptors.raise_limit()
    # Calls make no cycles that must be found soon; the policy's objects are frozen out of every collection (`Runtime`).
    gc.set_threshold(20_000, 20, 50)
    config = uvicorn.Config(
        app, host=given.host, port=given.port, http=ReadyProtocol, ws="none", lifespan="on", access_log=False, server_header=False,
        date_header=True, proxy_headers=False, timeout_keep_alive=75, timeout_graceful_shutdown=DRAIN_SECONDS, backlog=2048,
        log_config=None, log_level=settings.LOGGING["root"]["level"].lower(),
    )  # fmt: skip
    GatewayServer(config).run()


if __name__ == "__main__":
    main()
