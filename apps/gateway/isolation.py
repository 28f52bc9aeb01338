"""Which providers the gateway gives a pause at this moment, as its processes last told (`heartbeat`)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from apps.gateway.models import GatewayProcess
from apps.gateway.refusals import TABLE
from apps.registry.models import DataService, Upstream


@dataclass(frozen=True)
class Pause:
    """One address whose circuit breaker is open in `processes` of `alive` gateway processes. `code` is the last failure's."""

    upstream: Upstream
    code: str
    since: datetime.datetime
    next_try: datetime.datetime
    processes: int
    alive: int

    @property
    def service(self) -> DataService:
        return self.upstream.version.service

    @property
    def reason(self) -> object:
        return TABLE[self.code].title if self.code in TABLE else self.code


def paused_providers(user) -> list[Pause]:
    """Pauses of services the person may see, longest first. Three queries."""
    processes = list(GatewayProcess.objects.alive())
    told: dict[int, list[dict]] = {}
    for process in processes:
        for row in process.pauses:
            told.setdefault(row["upstream"], []).append(row)
    visible = DataService.objects.visible_to(user).values("pk")
    upstreams = Upstream.objects.filter(pk__in=told, version__service__in=visible).select_related("version__service__provider")
    found = [_pause(upstream, told[upstream.pk], len(processes)) for upstream in upstreams]
    return sorted(found, key=lambda pause: (pause.since, pause.upstream.pk))


def _pause(upstream: Upstream, rows: list[dict], alive: int) -> Pause:
    first = min(rows, key=lambda row: row["since"])
    next_try = min(datetime.datetime.fromisoformat(row["next_try"]) for row in rows)
    return Pause(upstream, first["code"], datetime.datetime.fromisoformat(first["since"]), next_try, len(rows), alive)
