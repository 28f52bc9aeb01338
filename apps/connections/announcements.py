"""Who is told what about a request. Texts are msgids; they are made when read, in the reader's language."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.translation import gettext_noop as N_

from apps.connections.choices import Channel, RequestStatus
from apps.connections.completeness import have_only_to_sign
from apps.connections.models import ConnectionRequest
from apps.notices.actions import notify
from apps.organizations.choices import Role

HALF = N_("Half of the time for request %(number)s has passed; it is due on %(due)s.")
LATE = N_("Request %(number)s is late: it was due on %(due)s.")


def moment(at: datetime.datetime) -> str:
    """As a notice says it, the same in every language."""
    return timezone.localtime(at).strftime("%d/%m/%Y %H:%M")


def people(role: Role, organizations: Iterable[int] | None = None):
    """Active people who hold `role`, in the organizations given or anywhere."""
    # One filter, one membership: the role held here, not a role held elsewhere by somebody who was here once.
    there = {} if organizations is None else {"memberships__organization_id__in": list(organizations)}
    return (
        get_user_model()
        .objects.filter(
            is_active=True, memberships__role=role, memberships__ended_at__isnull=True, memberships__organization__status="active",
            **there,
        )
        .distinct()
    )  # fmt: skip


def case_url(request: ConnectionRequest) -> str:
    return f"/portal/requests/{request.uuid}/"


def tell(recipients, event: str, request: ConnectionRequest, message: str, **params) -> None:
    """Tell `recipients` once that `event` happened to `request` as it stands (its version is part of the key).

    What follows a hyphen in `event` names one of several that happen to the same version.
    """
    notify(
        recipients, f"request.{event.split('-')[0]}", key=f"request.{event}:{request.uuid}:{request.version}",
        message=message, url=case_url(request), number=request.number, **params,
    )  # fmt: skip


def tell_consumer(event: str, request: ConnectionRequest, message: str, **params) -> None:
    tell(people(Role.CONSUMER_OFFICER, request.consumer_ids()), event, request, message, **params)


def tell_filers(event: str, request: ConnectionRequest, message: str, *, by, **params) -> None:
    """Those who have the request in hand, but for the one who acted: the consumer side, and the operators where it came on paper (WF-17)."""
    filers = [*people(Role.CONSUMER_OFFICER, request.consumer_ids())]
    if request.channel == Channel.PAPER:
        filers += people(Role.OPERATOR)
    tell([person for person in filers if person.pk != by.pk], event, request, message, **params)


def tell_providers(event: str, request: ConnectionRequest, message: str, **params) -> None:
    tell(people(Role.PROVIDER_OFFICER, request.provider_ids()), event, request, message, **params)


def tell_forwarded(request: ConnectionRequest) -> None:
    """The providers' desks get the case with its clock: until when it is due, and what was said of it on the desk before.

    What the clock has not said yet it says to them itself.
    """
    request.refresh_from_db(fields=["reminded_at", "escalated_at"])  # the clock may have spoken since the row was read
    now, due = timezone.now(), moment(request.due_at)
    tell_providers("forwarded", request, N_("Request %(number)s awaits your decision by %(due)s."), due=due)
    if request.due_at <= now:
        if request.escalated_at is not None:
            tell_providers("late", request, LATE, due=due)
    elif request.reminded_at is not None and request.half_at <= now:
        tell_providers("half", request, HALF, due=due)


def tell_asked(event: str, request: ConnectionRequest, message: str, *, by, **params) -> None:
    """The officers of the providers with whom the case lies or lay, but for the one who acted: it leaves their desks unasked."""
    asked = people(Role.PROVIDER_OFFICER, request.decisions.values_list("provider_id", flat=True))
    tell(asked.exclude(pk=by.pk), event, request, message, **params)


def tell_operators(event: str, request: ConnectionRequest, message: str, **params) -> None:
    tell(people(Role.OPERATOR), event, request, message, **params)


def tell_desks(event: str, request: ConnectionRequest, message: str, *, by, was: str, **params) -> None:
    """Those whose desk the case leaves by itself: the providers asked, and the operators where it lay with them (`was`: its state before)."""
    tell_asked(event, request, message, by=by, **params)
    if was == RequestStatus.CHECKING:
        tell(people(Role.OPERATOR).exclude(pk=by.pk), event, request, message, **params)


def tell_signers(request: ConnectionRequest) -> None:
    """Who signs hears of a request that lacks only their signature: once, and again when a signature was given over what it no longer says."""
    waiting = have_only_to_sign(request)
    if waiting:
        notify(
            people(Role.SIGNER, waiting).exclude(pk__in=request.preparers.all()), "request.ready",
            key=f"request.ready:{request.uuid}:{request.signatures.count()}",
            message=N_("Request %(number)s is complete and awaits your signature."), url=case_url(request), number=request.number,
        )  # fmt: skip
