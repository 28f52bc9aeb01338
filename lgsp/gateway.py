"""The data plane's process: `python -m lgsp.gateway --port 8001`, the ASGI application on uvicorn made strict.

A server that does not use `apps.gateway.server.StrictProtocol` gets 503 for every call: the boundary is part of the promise.

Its own process, any number of them on any number of machines; it needs PostgreSQL and nothing else.
"""

from __future__ import annotations

import argparse
import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lgsp.settings")
django.setup()

from django.conf import settings  # noqa: E402

from apps.catalogs import reader as catalogs  # noqa: E402
from apps.gateway.app import Gateway  # noqa: E402
from apps.gateway.ready import ReadyProtocol  # noqa: E402
from apps.gateway.runtime import Runtime  # noqa: E402
from lgsp.env import database_url, env  # noqa: E402

PROXIES = frozenset(env.list("LGSP_TRUSTED_PROXIES", default=[]))
READER = catalogs.CatalogReader(
    database_url(), per_minute=env.int("LGSP_CATALOG_READS_PER_MINUTE", default=6000), trusted_proxies=PROXIES
)
"""Ready catalog bytes: as an application below, and as the server's shortcut for plain requests."""
OTHERS: dict = {catalogs.PREFIX.decode(): READER}
"""Further applications by the beginning of their path."""
ReadyProtocol.reader = READER


def build() -> Gateway:
    """A gateway on the configured database; one a process."""
    return Gateway(Runtime(database_url(), trusted_proxies=PROXIES), OTHERS)


app = build()


def main() -> None:
    import uvicorn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=env.int("LGSP_GATEWAY_PORT", default=8001))
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    # Calls make no cycles that must be found soon; the policy's objects are frozen out of every collection (`Runtime`).
    gc.set_threshold(20_000, 20, 50)
    uvicorn.run(
        "lgsp.gateway:app", host=given.host, port=given.port, workers=given.workers, http=ReadyProtocol, ws="none",
        lifespan="on", access_log=False, server_header=False, date_header=True, proxy_headers=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=45, backlog=2048, log_config=None,
        log_level=settings.LOGGING["root"]["level"].lower(),
    )  # fmt: skip


if __name__ == "__main__":
    main()
