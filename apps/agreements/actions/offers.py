"""Suspending and resuming a service: the registry's own verbs move it, and here those whose calls it stops are told.

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
    grants = Grant.objects.filter(operation__version__service=service).exclude(status=GrantStatus.ENDED)
    recipients = [
        *people(Role.CONSUMER_OFFICER, set(grants.values_list("system__organization", flat=True))),
        *people(Role.PROVIDER_OFFICER, [service.provider_id]),
        *people(Role.OPERATOR),
    ]
    notify(recipients, event, key=f"{event}:{key}", message=message, url=f"/portal/services/{service.code}/", name=service.name,
           **params)  # fmt: skip


def _tell(service: DataService, event: str, message: str, **params) -> None:
    tell_of_service(service, f"service.{event}", message, key=f"{service.uuid}:{service.version}", **params)
