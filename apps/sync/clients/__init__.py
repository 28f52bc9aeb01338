"""Adapters: each speaks one platform's wire and answers in plain rows. Pure I/O, no database, outside any transaction."""

from apps.core.outbound import TOTAL_SECONDS, Upstream
from apps.sync.choices import AdapterName
from apps.sync.clients.base import Client
from apps.sync.clients.envelope import EnvelopeClient
from apps.sync.clients.ngsp import NgspClient

ADAPTERS: dict[str, type[Client]] = {AdapterName.NGSP: NgspClient, AdapterName.ENVELOPE: EnvelopeClient}


def client_for(source) -> Client:
    """The adapter of a source with its address and authentication. Raises InvalidFact for a credential that does not fit."""
    adapter = source.settings.get("adapter") or {}
    upstream = Upstream(source.base_url, source.auth, total=adapter.get("total_seconds", TOTAL_SECONDS))
    return ADAPTERS[source.adapter](upstream, adapter)
