"""The content of a request that people sign, and its hash.

Organizations, systems, services and fields are named by their codes and paths, which never change; a renamed
agency voids no signature. Order does not matter to the reader, so it does not matter to the hash.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from django.db.models import Prefetch
from django.utils import timezone

from apps.connections.models import Attachment, ConnectionRequest, RequestedOperation, RequestSystem
from apps.core.canonical import content_hash

PLAIN = (
    "number", "kind", "title", "purpose_text", "solution", "legal_basis", "method", "calls_per_day", "calls_per_second",
    "technician", "exemption_reason", "special_reason", "note",
)  # fmt: skip


FARTHEST = 100
"""Years ahead that a term may end. Whoever means "without an end" leaves the day empty: 31/12/9999 has no day after it."""


def is_too_far(day: datetime.date | None) -> bool:
    return day is not None and day.year > timezone.localdate().year + FARTHEST


def request_hash(request: ConnectionRequest) -> str:
    """What the consumer's signer signs: 64 hex characters."""
    return content_hash(request_content(request))


def request_content(request: ConnectionRequest) -> dict:
    """JSON-ready content of NĐ 47/2020 Điều 35(2), read from the database as it is now."""
    return request_contents([request])[0]


def request_contents(requests: Iterable[ConnectionRequest]) -> list[dict]:
    """The content of each, in their order, with as many queries for all as for one. What was read with them before is not used."""
    rows = ConnectionRequest.objects.select_related("consumer", "purpose").prefetch_related(
        Prefetch("attachments", Attachment.objects.present()),
        Prefetch("request_systems", RequestSystem.objects.select_related("system__organization")),
        Prefetch("requested_operations", RequestedOperation.objects.select_related("operation__version__service__provider")),
        "requested_operations__fields",
    )  # fmt: skip
    wanted = [request.pk for request in requests]
    found = rows.in_bulk(wanted)
    return [_content(found[pk]) for pk in wanted]


def _content(request: ConnectionRequest) -> dict:
    return {
        **{name: getattr(request, name) for name in PLAIN},
        "consumer": request.consumer.code,
        "attachments": sorted(row.sha256 for row in request.attachments.all()),
        "systems": _systems(request),
        "scope": _scope(request),
        "purpose": request.purpose.code if request.purpose else None,
        "procedures": sorted(request.procedures),
        "source_networks": sorted(request.source_networks),
        # Only where something was said: what was signed before these parts existed keeps its hash.
        **({"alternatives": sorted(request.alternatives)} if request.alternatives else {}),
        **({"change_reason": request.change_reason} if request.change_reason else {}),
        "wanted_from": request.wanted_from.isoformat() if request.wanted_from else None,
        "wanted_to": request.wanted_to.isoformat() if request.wanted_to else None,
        **({"codes_day": request.codes_day.isoformat()} if request.codes_day else {}),
    }


def _systems(request: ConnectionRequest) -> list[dict]:
    found = [{"code": row.system.code, "organization": row.system.organization.code} for row in request.request_systems.all()]
    return sorted(found, key=lambda row: row["code"])


def _scope(request: ConnectionRequest) -> list[dict]:
    """One entry an operation, with the paths asked for and the class each had when it was asked for."""
    found = [
        {
            "service": row.operation.version.service.code,
            "version": f"{row.operation.version.major}.{row.operation.version.minor}",
            "operation": row.operation.code,
            "provider": row.operation.version.service.provider.code,
            "fields": sorted(
                ({"path": field.path, "personal_data": field.personal_data} for field in row.fields.all()),
                key=lambda field: field["path"],
            ),
        }
        for row in request.requested_operations.all()
    ]
    return sorted(found, key=lambda row: (row["service"], row["version"], row["operation"]))
