"""Requests that nobody can bring to an end: what they would change, renew or join is over, or the agency that drafts them is.

They are withdrawn by themselves, so that they lie on no desk and stand in nobody's way.
"""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_noop as N_

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import RequestBasis
from apps.audit import actions as audit
from apps.connections import clock
from apps.connections.announcements import tell_consumer, tell_desks
from apps.connections.choices import Channel, RequestStatus
from apps.connections.models import ConnectionRequest
from apps.connections.workflow import REQUEST
from apps.core.errors import FactMissing
from apps.organizations.choices import OrganizationStatus
from apps.organizations.models import Organization

ENDED = (AgreementStatus.ENDING, AgreementStatus.TERMINATED, AgreementStatus.EXPIRED)
"""There is no way back from these."""


def to_fall():
    """Open requests and drafts whose agreement is over."""
    steps = REQUEST.step("fall").sources
    return ConnectionRequest.objects.filter(status__in=steps, basis__agreement__status__in=ENDED).order_by("pk")


@transaction.atomic
def drop_amendment(request: ConnectionRequest, *, by) -> ConnectionRequest:
    """The clock withdraws an open request with the agreement it rests on. Raises FactMissing (`not_yet`) while that runs."""
    REQUEST.check(request, "fall", by=by)
    basis = RequestBasis.objects.select_related("agreement").filter(request=request, agreement__status__in=ENDED).first()
    if basis is None:
        raise FactMissing(code="not_yet")
    was = request.status
    REQUEST.move(request, "fall", by=by, **clock.stop())
    audit.record("request.fallen", request, by=by, organizations=request.party_uuids(), agreement=basis.agreement.number)
    told = N_("Request %(number)s was withdrawn by itself: agreement %(agreement)s is over.")
    tell_consumer("fallen", request, told, agreement=basis.agreement.number)
    tell_desks("fallen", request, told, by=by, was=was, agreement=basis.agreement.number)
    return request


def orphaned():
    """Drafts of agencies that were merged or closed: whoever could go on with them, or withdraw them, has no role any more.

    What came on paper is with the operator; what was submitted is finished before an agency ends.
    """
    return ConnectionRequest.objects.filter(
        status=RequestStatus.DRAFT, channel=Channel.ONLINE, consumer__status=OrganizationStatus.CLOSED
    ).order_by("pk")  # fmt: skip


def drafts_of(organization: Organization):
    """What falls when the agency ends, to be held in its turn (`locks`): before agreements, and before what raises the epoch."""
    return ConnectionRequest.objects.filter(consumer=organization, status=RequestStatus.DRAFT, channel=Channel.ONLINE)


@transaction.atomic
def drop_orphan(request: ConnectionRequest, *, by) -> ConnectionRequest:
    """Withdraw a draft whose agency is no more. Raises FactMissing (`not_yet`) while it is.

    Who runs its systems now reads it, and hears of it.
    """
    REQUEST.check(request, "fall", by=by)
    if not orphaned().filter(pk=request.pk).exists():
        raise FactMissing(code="not_yet")
    REQUEST.move(request, "fall", by=by, **clock.stop())
    audit.record("request.orphaned", request, by=by, organizations=request.party_uuids(), consumer=request.consumer.code)
    told = N_("Draft %(number)s was withdrawn by itself: %(agency)s, which began it, is no more.")
    tell_consumer("orphaned", request, told, agency=request.consumer.name)
    return request


def drop_orphans_of(organization: Organization, *, by) -> None:
    """The drafts of an agency that ends by the step of `by`."""
    for request in orphaned().filter(consumer=organization):
        drop_orphan(request, by=by)
