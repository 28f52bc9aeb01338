"""Approving a request: the verb that crosses floors, because the last approval makes the agreement."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.agreements import steps
from apps.agreements.actions.amendment import amend_agreement
from apps.agreements.actions.in_place import open_test
from apps.agreements.actions.standing import sign_by_standing
from apps.agreements.announcements import tell_parties
from apps.agreements.choices import AgreementStatus, Side, StepKind, VersionState
from apps.agreements.content import content_of, term_of
from apps.agreements.locks import hold, lock_agreement
from apps.agreements.models import Agreement, AgreementVersion, Consent, Party, RequestBasis
from apps.audit import actions as audit
from apps.connections import clock
from apps.connections.actions import open_parts, refuse_second_decision
from apps.connections.announcements import tell_consumer
from apps.connections.choices import DecisionStatus, RequestKind
from apps.connections.completeness import missing, services_of
from apps.connections.content import request_hash
from apps.connections.models import ConnectionRequest
from apps.connections.workflow import DECISION, REQUEST
from apps.core.canonical import content_hash
from apps.core.epoch import raise_epoch
from apps.core.errors import FactMissing
from apps.core.numbers import next_number
from apps.core.workflow import stale
from apps.organizations.choices import Role
from apps.organizations.locks import hold_organizations
from apps.organizations.roles import organization_ids
from apps.registry.choices import SharingForm


@transaction.atomic
def approve_request(request: ConnectionRequest, *, by, comment: str = "", version: int | None = None) -> Agreement | None:
    """Approve the part of `request` that is `by`'s to decide; the last provider's approval makes the agreement.

    Returns the agreement when it was made, None while another provider has still to decide. Default sharing:
    in force at once, with test grants and test accounts to collect; special: negotiating. Raises NotPermitted
    (also for anybody of the requesting side), FactMissing when the request is no longer complete, StaleVersion where other
    agencies than a moment ago take part.
    """
    # The locks make two providers' officers take turns: the second one is then the last, and makes the agreement.
    request = _locked(request)
    _hold_what_it_speaks_of(request)
    refuse_second_decision(request, "approve", by)
    REQUEST.check(request, "approve", by=by, version=version)
    parts = open_parts(request, by)
    # Once: nobody writes in what is held and submitted.
    signed = request_hash(request)
    gaps = missing(request, present=signed)
    if gaps:
        fields = {field: [text] for field, text in gaps}
        raise FactMissing(" ".join(text for _field, text in gaps), code="request_incomplete", fields=fields)
    now = timezone.now()
    others = request.decisions.exclude(status=DecisionStatus.APPROVED).exclude(pk__in=[part.pk for part in parts])
    is_last = not others.exists()
    if is_last:
        REQUEST.move(request, "approve", by=by, decided_at=now, **clock.stop())
    for part in parts:
        DECISION.move(part, "approve", by=by, decided_by=by, decided_at=now, comment=comment)
        audit.record("request.part_approved", request, by=by, organizations=[part.provider], provider=part.provider.code)
    if not is_last:
        return None
    audit.record("request.approved", request, by=by, organizations=request.party_uuids(), content_hash=signed)
    tell_consumer("approved", request, N_("Request %(number)s was approved."))
    if request.kind == RequestKind.NEW:
        return make_agreement(request, signed, by=by)
    return amend_agreement(request, signed, by=by)


def _locked(request: ConnectionRequest) -> ConnectionRequest:
    """The row as committed now, locked with the agencies that take part. The caller's object follows, so that a page shows what happened.

    One of them that is suspended at this instant is so before it is looked whether it is active, or after the commit.
    """
    agencies = _agencies(request)
    hold_organizations(agencies)
    ConnectionRequest.objects.select_for_update(no_key=True).only("pk").get(pk=request.pk)
    request.refresh_from_db()
    # A merge that was waited for may have put another in the place of one of them, which is not held.
    if not _agencies(request) <= agencies:
        raise stale(request)
    return request


def _agencies(request: ConnectionRequest) -> frozenset[int]:
    return request.consumer_ids() | request.provider_ids()


def _hold_what_it_speaks_of(request: ConnectionRequest) -> None:
    """The agreement that is amended, the services and the systems, before it is looked whether they still are what was asked for.

    What an amendment does not touch is held too: it follows the new version.
    """
    services = set(services_of(request).values_list("code", flat=True))
    systems = set(request.request_systems.values_list("system__code", flat=True))
    if request.kind != RequestKind.NEW:
        lock_agreement(request.basis.agreement)
        # Who has left it at this instant has put this request on the version without them.
        request.basis.refresh_from_db(fields=["starts_from"])
        running = request.basis.agreement.versions.filter(state=VersionState.CURRENT).first()
        services |= running.service_codes() if running else set()
        systems |= running.system_codes() if running else set()
    hold(services, systems)


def make_agreement(request: ConnectionRequest, signed: str, *, by) -> Agreement:
    """The agreement that an approved new request, whose hash is `signed`, makes, with parties and its first content."""
    form = request.sharing_form
    special = form == SharingForm.SPECIAL
    now = timezone.now()
    agreement = Agreement(number=next_number("TT"), title=request.title or _title(request), sharing_form=form)
    content = content_of(request, agreement, 1, signed=signed)
    starts, ends = term_of(content, now)
    agreement.status = AgreementStatus.NEGOTIATING if special else AgreementStatus.IN_FORCE
    agreement.in_force_at = None if special else now
    agreement.valid_from, agreement.valid_to = (None, ends) if special else (starts, ends)
    agreement.save()
    _add_parties(agreement, request)
    version = AgreementVersion.objects.create(
        agreement=agreement, number=1, content=content, content_hash=content_hash(content),
        state=VersionState.DRAFT if special else VersionState.CURRENT, drafted_by=by if special else request.created_by,
    )  # fmt: skip
    RequestBasis.objects.create(agreement=agreement, request=request, version=version)
    audit.record(
        "agreement.drafted" if special else "agreement.in_force", agreement, by=by, organizations=agreement.party_uuids(),
        request=request.number, content_hash=version.content_hash,
    )  # fmt: skip
    if special:
        _first_consent(version, by)
        steps.begin(agreement, StepKind.NEGOTIATE)
        tell_parties("negotiating", agreement, N_("The content of agreement %(number)s is to be agreed on."))
        return agreement
    sign_by_standing(version, request)
    open_test(version, by=by)
    raise_epoch("agreement", agreement.uuid)
    tell_parties("in_force", agreement, N_("Agreement %(number)s is in force. The test account can be collected."))
    return agreement


def _title(request: ConnectionRequest) -> str:
    """The title of the document, which is Vietnamese whatever the approver reads the portal in."""
    names = ", ".join(service.name for service in services_of(request))
    with translation.override("vi"):
        return (_("Sharing of data: %(services)s") % {"services": names})[:300]


def _add_parties(agreement: Agreement, request: ConnectionRequest) -> None:
    sides = [(Side.PROVIDER, request.provider_ids()), (Side.CONSUMER, request.consumer_ids())]
    Party.objects.bulk_create(
        Party(agreement=agreement, organization_id=pk, side=side) for side, ids in sides for pk in sorted(ids)
    )


def _first_consent(version: AgreementVersion, by) -> None:
    """Who approves a special request proposes its content, so that side has agreed to it."""
    mine = organization_ids(by, Role.PROVIDER_OFFICER)
    for party in version.agreement.parties.filter(side=Side.PROVIDER, organization_id__in=mine):
        Consent.objects.create(version=version, party=party, officer=by)
