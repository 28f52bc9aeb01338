"""Requests that would change, renew or join an agreement that is over: nobody could approve them, so they do not lie on any desk."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_noop as N_

from apps.agreements.choices import AgreementStatus
from apps.agreements.models import RequestBasis
from apps.audit import actions as audit
from apps.connections import clock
from apps.connections.announcements import tell_consumer, tell_desks
from apps.connections.models import ConnectionRequest
from apps.connections.workflow import REQUEST
from apps.core.errors import FactMissing

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
