"""The pieces of a version's page for whoever makes it: what is missing and where to mend it, who would break, how it lives."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import replace

from django.contrib import messages
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agreements.impact import grants_on, impact, users_of
from apps.gateway.models import CallIntent
from apps.registry import health
from apps.registry.choices import Environment, VersionStatus
from apps.registry.clock import publishing
from apps.registry.completeness import completeness
from apps.registry.models import Field, ServiceVersion, Upstream

_WHERE = {
    "description": "change", "contact": "change", "sla": "change", "capacity": "change", "usage_regulation": "change",
    "protocol": "change", "operations": "document", "fields": "document", "labels": "operation", "classes": "operation",
    "samples": "examples", "errors": "examples",
    "upstream_test": "address", "upstream_production": "address",
}  # fmt: skip
"""Item of the completeness → the page that mends it: of the service, or a step of the version."""


def tell_notes(request: HttpRequest, notes: Iterable[str]) -> None:
    """What could not be taken over from a document, as warnings; the rest is counted."""
    notes = list(notes)
    for note in notes[:12]:
        messages.warning(request, note)
    if len(notes) > 12:
        messages.warning(request, _("and %(count)d more notes") % {"count": len(notes) - 12})


def pieces(version: ServiceVersion, user) -> dict:
    """Everything the page shows, in a number of queries that does not grow with the contract."""
    is_draft = version.status == VersionStatus.DRAFT
    judged = completeness(version)
    found = impact(version) if is_draft else None
    breakages, unseen = found.visible_to(user) if found else ((), 0)
    if breakages:
        used = last_calls(grants_on(found.live))
        breakages = tuple(replace(row, last_called=used.get((row.agreement.pk, row.system.pk))) for row in breakages)
    return {
        "completeness": judged if is_draft else None,
        "checklist": [(item, _mend(item, version)) for item in judged.items] if is_draft else [],
        "impact": found,
        "breakages": breakages,
        "unseen": unseen,
        "may_publish": is_draft and judged.is_complete and not (found and found.breakages)
        and user.has_perm("registry.publish_version", version),
        "operations": operations(version),
        "upstreams": addresses(version, user),
        "health": health_of([version]),
        "consumers": consumers([version], user),
        "publishing": publishing(version) if is_draft else None,
        "samples": {row["operation"]: row for row in version.interface_spec.get("samples", [])},
        "errors": version.interface_spec.get("errors", []),
        "documents": version.interface_spec.get("documents", []),
    }  # fmt: skip


def _mend(item, version: ServiceVersion) -> str:
    """Where a missing item is mended; empty where it is not this person's page."""
    if item.done:
        return ""
    if item.code == "terms_signed":
        regulation = version.service.usage_regulation
        return reverse("portal:terms", args=[regulation.uuid]) if regulation else ""
    if item.code == "focal_point":
        return reverse("portal:agency", args=[version.service.provider.code])
    where = _WHERE.get(item.code, "")
    if where == "change":
        return reverse("portal:offer-step", args=[version.service.code, "change"])
    if not where or (where == "operation" and not version.operations.exists()):
        return ""
    environment = item.code.removeprefix("upstream_") if where == "address" else ""
    return reverse("portal:version-step", args=[version.uuid, where]) + (f"?environment={environment}" if environment else "")


def operations(version: ServiceVersion) -> list:
    """Operations with their parameters and fields, each field with its depth in the tree."""
    rows = list(version.operations.prefetch_related("parameters").order_by("id"))
    fields: dict[int, list] = {}
    for field in Field.objects.filter(operation__version=version).order_by("position", "id"):
        field.indent = min(field.path.count("."), 8)
        fields.setdefault(field.operation_id, []).append(field)
    samples = {row["operation"]: row for row in version.interface_spec.get("samples", [])}
    for row in rows:
        row.tree = fields.get(row.pk, [])
        row.unnamed = sum(field.is_leaf and not field.label for field in row.tree)
        row.unclassified = sum(field.is_leaf and not field.personal_data for field in row.tree)
        row.sample = samples.get(row.code)
    return rows


def addresses(version: ServiceVersion, user) -> list[tuple]:
    """(environment, label, upstream or None) for whoever may see where the provider answers."""
    known = {row.environment: row for row in Upstream.objects.visible_to(user).filter(version=version)}
    return [(value, label, known.get(value)) for value, label in Environment.choices]


def health_of(versions: Iterable[ServiceVersion]) -> list[dict]:
    """Of each address its state, its last day in figures and by the hour; never where it is."""
    found = []
    for version in versions:
        for upstream in version.upstreams.order_by("environment"):
            hours = health.hours(upstream)
            slowest = max((hour.average_ms or 0 for hour in hours), default=0) or 1
            bars = [
                {"x": 4 * n, "height": _height(hour, slowest), "y": 40 - _height(hour, slowest), "state": _state(hour)}
                for n, hour in enumerate(hours)
            ]
            found.append({"version": version, "upstream": upstream, "day": health.summary(upstream),
                          "hours": [hour for hour in reversed(hours) if hour.looks], "bars": bars})  # fmt: skip
    return found


def _height(hour, slowest: int) -> int:
    """Of forty: the average time; an hour without an answer is as tall as the drawing, one without a look a line."""
    if not hour.looks:
        return 1
    return 40 if hour.average_ms is None else max(3, round(38 * hour.average_ms / slowest))


def _state(hour) -> str:
    if not hour.looks:
        return "none"
    return "good" if hour.answered_percent == 100 else "part" if hour.answered_percent else "down"


def consumers(versions: Iterable[ServiceVersion], user) -> list:
    """Open access on these versions, as far as `user` may see it."""
    return [grant for version in versions for grant in users_of(version, user)]


def last_calls(grants) -> dict[tuple[int, int], datetime.datetime]:
    """(agreement, system) → when it last called by one of these grants: one look at the index of the log a grant."""
    last = CallIntent.objects.filter(grant=OuterRef("pk")).order_by("-call_id").values("admitted_at")[:1]
    found: dict[tuple[int, int], datetime.datetime] = {}
    for agreement, system, called in grants.order_by().values_list("agreement_id", "system_id", Subquery(last)):
        if called is not None:
            found[agreement, system] = max(called, found.get((agreement, system), called))
    return found


def environments(versions: Iterable[ServiceVersion]) -> list[tuple]:
    """(version, environment in words, longest wait in seconds, largest answer in bytes) of each address; never where it is."""
    return [
        (version, row.get_environment_display(), row.timeout_ms / 1000, row.max_response_bytes)
        for version in versions
        for row in version.upstreams.order_by("environment")
    ]
