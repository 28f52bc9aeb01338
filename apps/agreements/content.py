"""The twenty items of an agreement (NĐ 47/2020 Điều 38 and regulations section 8) as canonical JSON.

Unlike a request's content, which names things by code, an agreement is a document of record: it carries the
names, classes and texts as they stood when it was made. What the gateway enforces is compiled from it
(`grants.py`), so the document and the policy cannot say different things.
"""

from __future__ import annotations

import datetime

from django.db.models import Prefetch
from django.utils import timezone

from apps.agreements import assessments
from apps.agreements.models import Agreement, StandardClause
from apps.agreements.representatives import representatives
from apps.connections.completeness import sensitive_fields, services_of
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest
from apps.organizations.models import FocalPoint, InformationSystem, Organization

FORMAT = 4
"""2: parties with the people who sign for them; when data is to be deleted; the addendum of one who joined.
3: what each consumer assessed, with its files, in place of one text (`assessments`).
4: the provision by which others join (a content without it was made under the first one); by what document each representative signs
(`representatives`); that calls are counted for each operation of a system (`counted_by`: documents of contents before say "for each
system", and read so as long as they are given out); the services each usage regulation is for, and how long it has logs kept."""
_POINTS = Prefetch("focal_points", FocalPoint.objects.filter(ended_at__isnull=True), to_attr="present_points")
NEGOTIABLE = (
    "scope", "systems", "place", "term", "method", "post_processing", "restrictions", "commitments", "security", "storage",
    "disposal", "other_terms", "service_level", "open_to_join",
)  # fmt: skip
"""What a proposal may change. Parties, legal bases, regulations and the personal-data note follow the request."""


def content_of(
    request: ConnectionRequest, agreement: Agreement, number: int, *, supersedes: str = "", note: str = "", signed: str = ""
) -> dict:
    """The content of version `number` of `agreement` as `request` asks for it; `signed` is its hash where it is known."""
    systems = [row.system for row in request.request_systems.select_related("system__organization").order_by("system__code")]
    providers, consumers = request.provider_ids(), frozenset({request.consumer_id, *(row.organization_id for row in systems)})
    clauses = StandardClause.objects.texts_on(timezone.localdate())
    services = list(services_of(request).select_related("provider", "usage_regulation__organization"))
    regulations = {service.usage_regulation_id: service.usage_regulation for service in services}.values()
    return {
        "format": FORMAT,
        "agreement": agreement.number,
        "version": number,
        "supersedes": supersedes,
        "change_note": note,
        "title": agreement.title,
        "sharing_form": agreement.sharing_form,
        "requests": [{"number": request.number, "content_hash": signed or request_hash(request)}],
        "providers": _parties(providers),
        "consumers": _parties(consumers),
        "systems": _systems(systems),
        "scope": _scope(request),
        "place": {
            "exchange_point": clauses.get("exchange_point", ""),
            "usage_location": sorted(row.name for row in systems),
            "networks": sorted({row.network for row in systems}),
        },
        "term": {
            "valid_from": request.wanted_from.isoformat() if request.wanted_from else None,
            "valid_to": request.wanted_to.isoformat() if request.wanted_to else None,
            "usage_duration": sorted({row.usage_duration for row in regulations if row.usage_duration}),
        },
        "method": {
            "method": request.method,
            "protocols": sorted({service.protocol for service in services}),
            "calls_per_day": request.calls_per_day,
            "calls_per_second": request.calls_per_second,
            "counted_by": "operation",
            **({"codes_day": request.codes_day.isoformat()} if request.codes_day else {}),
        },
        "purpose": {"code": request.purpose.code, "name": request.purpose.name, "text": request.purpose_text},
        "procedures": sorted(request.procedures),
        "post_processing": request.solution,
        "restrictions": {"text": clauses.get("restrictions", ""), "source_networks": sorted(request.source_networks), "hours": None},
        "commitments": clauses.get("commitments", ""),
        "security": {"text": clauses.get("security", ""), "levels": _levels(systems)},
        "storage": {"ground": clauses.get("storage", ""), "derived_data": clauses.get("derived_data", "")},
        "disposal": {"method": clauses.get("disposal", ""), "deadline": clauses.get("disposal_deadline", "")},
        "other_terms": request.note,
        "usage_regulations": [
            {"number": row.number, "title": row.title, "organization": row.organization.name, "terms": row.terms,
             "terms_hash": row.terms_hash, "log_retention_months": row.log_retention_months,
             "services": [service.code for service in services if service.usage_regulation_id == row.pk]} for row in regulations
        ],
        "log_retention_months": max((row.log_retention_months for row in regulations), default=None),
        "legal_bases": [line.strip() for line in request.legal_basis.splitlines() if line.strip()],
        "service_level": [{"service": service.code, "text": service.sla} for service in services],
        "contacts": _contacts(request, providers | consumers),
        "personal_data": {
            "sensitive_fields": sorted(field.path for field in sensitive_fields(request)),
            assessments.KEY: assessments.of_request(request),
        },
        "open_to_join": True,
        "joining": clauses.get("joining", ""),
    }  # fmt: skip


def term_of(content: dict, now: datetime.datetime) -> tuple[datetime.datetime, datetime.datetime | None]:
    """When the content is valid: from `now` or the first day wanted, if later; until the end of the last day, or without end."""
    first, last = content["term"]["valid_from"], content["term"]["valid_to"]
    starts = max(now, _midnight(datetime.date.fromisoformat(first))) if first else now
    ends = _midnight(datetime.date.fromisoformat(last) + datetime.timedelta(days=1)) if last else None
    return starts, ends


def last_day(ends: datetime.datetime) -> datetime.date:
    """The last day of a period that ends at `ends` (the first moment outside it): what people call its end."""
    return timezone.localdate(ends - datetime.timedelta(microseconds=1))


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), tzinfo=timezone.get_default_timezone())


def _parties(ids) -> list[dict]:
    """The agencies with the people who may sign for them today (item 1: representatives)."""
    rows = Organization.objects.filter(pk__in=ids).order_by("code")
    return [{"code": row.code, "name": row.name, "kind": row.kind, "representatives": representatives(row)} for row in rows]


def _systems(systems: list[InformationSystem]) -> list[dict]:
    return [{"code": row.code, "name": row.name, "organization": row.organization.code} for row in systems]


def _levels(systems: list[InformationSystem]) -> list[dict]:
    return [{"system": row.code, "level": row.security_level, "decision": row.security_decision} for row in systems]


def _scope(request: ConnectionRequest) -> list[dict]:
    rows = request.requested_operations.select_related("operation__version__service__provider").prefetch_related("fields")
    found = [
        {
            "service": row.operation.version.service.code,
            "service_name": row.operation.version.service.name,
            "version": f"{row.operation.version.major}.{row.operation.version.minor}",
            "operation": row.operation.code,
            "operation_name": row.operation.name,
            "call": f"{row.operation.method} {row.operation.path_template}",
            "provider": row.operation.version.service.provider.code,
            "fields": sorted(
                ({"path": f.path, "label": f.label, "personal_data": f.personal_data} for f in row.fields.all()),
                key=lambda field: field["path"],
            ),
        }
        for row in rows
    ]
    return sorted(found, key=lambda row: (row["service"], row["version"], row["operation"]))


def _contacts(request: ConnectionRequest, ids: frozenset[int]) -> list[dict]:
    """NĐ 47/2020 Điều 7: the focal points both sides have published, and the technician of the consumer."""
    parties = Organization.objects.filter(pk__in=ids).order_by("code").prefetch_related(_POINTS)
    rows = [
        {"organization": party.code, "name": point.name, "position": point.position, "phone": point.phone, "email": point.email}
        for party in parties
        for point in party.present_points
    ]
    return [*rows, {"organization": request.consumer.code, "technician": request.technician}]
