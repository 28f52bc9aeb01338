"""Changing, suspending and resuming a service: the registry's own verbs do it, and here those who have access to it are told.

Only this floor knows who has access; all doors of the two steps are here and above.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_noop as N_

from apps.agreements.choices import GrantStatus
from apps.agreements.locks import hold
from apps.agreements.models import Grant
from apps.connections.announcements import people
from apps.core.text import clean
from apps.notices.actions import notify
from apps.organizations.choices import Role
from apps.registry import actions as registry
from apps.registry.models import DataService

TOLD = {
    "sla": N_("service level"), "contact": N_("contact"), "capacity_rps": N_("capacity (calls per second)"),
    "daily_quota": N_("default quota (calls per day)"),
}  # fmt: skip
"""What consumers reckon with and no new version of an agreement tells them of (WF-12), as the service's page calls it."""


@transaction.atomic
def change_service(service: DataService, *, by, version: int | None = None, **facts) -> dict:
    """Write facts of a service, and tell its consumers which of those that concern them are others. Raises as `registry.change_service`."""
    # Whoever opens access holds the service's row too: a consumer of this very moment is told, or reads what stands now.
    hold([service.code])
    changed = registry.change_service(service, by=by, version=version, **facts)
    parts = [text for name, text in TOLD.items() if name in changed]
    if parts:
        notify(
            _consumers(service), "service.changed", key=f"service.changed:{service.uuid}:{service.version}",
            message=N_("Service %(name)s, which your agency uses, has changed: %(parts)s."),
            url=f"/portal/services/{service.code}/", name=service.name, parts=parts,
        )  # fmt: skip
    return changed


@transaction.atomic
def suspend_service(service: DataService, *, by, reason: str, version: int | None = None) -> DataService:
    """Stop every call of the service from the next one on, and tell its consumers, its provider and the operator why.

    What the operator suspends only the operator resumes. Raises as `registry.suspend_service`.
    """
    # Whoever opens access holds the service's row too: a consumer of this very moment is told, or sees it suspended.
    hold([service.code])
    registry.suspend_service(service, by=by, reason=reason, version=version)
    _tell(service, "suspended", N_("Service %(name)s is suspended: its calls are refused from now on. Reason: %(reason)s"),
          reason=clean(reason))  # fmt: skip
    return service


@transaction.atomic
def resume_service(service: DataService, *, by, reason: str = "", version: int | None = None) -> DataService:
    """Let calls pass again, and tell the same people. Raises as `registry.resume_service`."""
    hold([service.code])
    registry.resume_service(service, by=by, reason=reason, version=version)
    _tell(service, "resumed", N_("Service %(name)s is open again."))
    return service


def tell_of_service(service: DataService, event: str, message: str, *, key: str, **params) -> None:
    """The officers of those who have access to the service, those of its provider, and the operator, each once."""
    recipients = [
        *_consumers(service),
        *people(Role.PROVIDER_OFFICER, [service.provider_id]),
        *people(Role.OPERATOR),
    ]
    notify(recipients, event, key=f"{event}:{key}", message=message, url=f"/portal/services/{service.code}/", name=service.name,
           **params)  # fmt: skip


def _consumers(service: DataService):
    """The officers of the agencies that have access to it."""
    grants = Grant.objects.filter(operation__version__service=service).exclude(status=GrantStatus.ENDED)
    return people(Role.CONSUMER_OFFICER, set(grants.values_list("system__organization", flat=True)))


def _tell(service: DataService, event: str, message: str, **params) -> None:
    tell_of_service(service, f"service.{event}", message, key=f"{service.uuid}:{service.version}", **params)
