"""Requests that start from what runs: a change, a renewal, or an outsider's wish to join (NĐ 47/2020 Điều 36(4), 39)."""

from __future__ import annotations

import datetime
import uuid as uuids

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements.assessments import files_of, known
from apps.agreements.choices import AgreementStatus, Side, VersionState
from apps.agreements.content import last_day
from apps.agreements.grants import operation_of
from apps.agreements.models import Agreement, AgreementVersion, RequestBasis
from apps.audit import actions as audit
from apps.connections.actions import carry_files, draft_request
from apps.connections.announcements import tell_signers
from apps.connections.choices import Channel, RequestKind
from apps.connections.models import ConnectionRequest
from apps.connections.scope import systems_for
from apps.core.errors import Conflict, FactMissing, InvalidFact, NotPermitted
from apps.core.once import made_before
from apps.core.workflow import require
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import organization_ids
from apps.registry.models import Purpose


@transaction.atomic
def start_change(agreement: Agreement, *, by, uuid: uuids.UUID | None = None) -> ConnectionRequest:
    """A draft with all that runs for the drafting agency, to be changed; the agreement stays in force until the new version is.

    `uuid` makes this, as the other two beginnings, repeatable: see `draft_request` (CC-05).
    """
    return _start(agreement, consumer_for(agreement, by), RequestKind.CHANGE, by, uuid)


@transaction.atomic
def start_renewal(agreement: Agreement, *, by, uuid: uuids.UUID | None = None) -> ConnectionRequest:
    """The same, with the term moved on by its own length, at least by a year.

    Raises Conflict (`no_end`) for an agreement without an end: a renewal would set it one. Whoever wants that asks for a change.
    """
    return _start(agreement, consumer_for(agreement, by), RequestKind.RENEWAL, by, uuid)


@transaction.atomic
def start_join(agreement: Agreement, consumer: Organization, *, by, uuid: uuids.UUID | None = None) -> ConnectionRequest:
    """An outsider's draft: the same services and fields, its own systems to be named.

    Raises NotPermitted when the agreement is not open to others, InvalidFact for one who is a party already or is
    joining; whose joining was declined may ask again.
    """
    # Before anything is said of the agreement: who files for nobody learns nothing of it.
    require(by, "connections.draft_request", consumer)
    if agreement.present_parties().filter(organization=consumer).exists():
        raise InvalidFact(_("This organization is a party already."), code="already_party")
    if agreement.parties.bound().filter(organization=consumer).exists():
        # Its duties and its place in the history stay as they are.
        raise InvalidFact(_("This organization has left the agreement: it files a new request."), code="has_left")
    if not agreement.current_version.content.get("open_to_join"):
        raise NotPermitted(_("The agreement is not open to others."), code="not_open_to_join")
    return _start(agreement, consumer, RequestKind.JOIN, by, uuid)


def consumer_for(agreement: Agreement, by) -> Organization:
    """The consuming party for which `by` files. Raises NotPermitted; one whose joining is not signed by all yet is none."""
    mine = organization_ids(by, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER)
    if not mine:
        raise NotPermitted(code="not_a_party")
    return Organization.objects.get(pk=min(mine))


def _start(agreement: Agreement, consumer: Organization, kind: str, by, uuid: uuids.UUID | None) -> ConnectionRequest:
    require(by, "connections.draft_request", consumer)
    again = made_before(ConnectionRequest, uuid, consumer=consumer, created_by=by, kind=kind, channel=Channel.ONLINE)
    if again is not None:
        return _of(agreement, again)
    current = agreement.versions.filter(state=VersionState.CURRENT).first()
    if agreement.status != AgreementStatus.IN_FORCE or current is None:
        raise FactMissing(_("The agreement is not in force."), code="agreement_not_in_force")
    if kind == RequestKind.RENEWAL:
        require_renewable(agreement)
    request = draft_request(consumer, by=by, kind=kind, uuid=uuid, **beginning_facts(current, consumer, kind, by))
    basis, is_new = RequestBasis.objects.get_or_create(
        request=request, defaults={"agreement": agreement, "starts_from": current}
    )
    if is_new:
        own = known(current.content).get(consumer.code)
        if own is not None and kind != RequestKind.JOIN:
            carry_files(request, files_of(agreement, own), by=by)
        if kind != RequestKind.CHANGE:  # which is complete from the beginning and changes nothing yet
            tell_signers(request)
        audit.record(f"agreement.{kind}_begun", agreement, by=by, organizations=agreement.party_uuids(), request=request.number)
    return _of(agreement, request)


def is_renewable(agreement: Agreement) -> bool:
    """Does it end some day? What runs without an end has nothing to be renewed."""
    return agreement.valid_to is not None


def require_renewable(agreement: Agreement) -> None:
    """Raises Conflict (`no_end`) for what runs without an end."""
    if not is_renewable(agreement):
        raise Conflict(_("The agreement has no end, so there is nothing to renew; ask for a change."), code="no_end")


def _of(agreement: Agreement, request: ConnectionRequest) -> ConnectionRequest:
    """`request`, begun on this agreement. Raises Conflict when its key was used for another one."""
    if request.basis.agreement_id != agreement.pk:
        raise Conflict(code="idempotency_key_reused")
    return request


def beginning_facts(version: AgreementVersion, consumer: Organization, kind: str, by) -> dict:
    """What a change, renewal or joining by `consumer` that starts from `version` holds before anybody writes in it."""
    content = request_facts(version, consumer)
    # Another consumer's systems are not the drafter's to name; they stay as they run (`amendment.keep_the_others`).
    content["systems"] = [system for system in content["systems"] if system in set(systems_for(by, consumer))]
    if kind == RequestKind.JOIN:
        # The joiner's own words and systems; the agreement's scope, limits and term.
        return {**content, "systems": [], "technician": "", "exemption_reason": "", "note": ""}
    if kind == RequestKind.RENEWAL:
        return {**content, "wanted_from": None, "wanted_to": _renewed_until(content["wanted_to"], version.agreement)}
    return content


def _renewed_until(last: datetime.date | None, agreement: Agreement) -> datetime.date | None:
    """The last day moved on by the length of the term, at least by a year; none where there is no end (any more)."""
    if last is None and agreement.valid_to is None:
        return None
    last = last or last_day(agreement.valid_to)
    length = last - timezone.localdate(agreement.valid_from)
    return last + max(length, datetime.timedelta(days=365))


def request_facts(version: AgreementVersion, consumer: Organization) -> dict:
    """What a request of `consumer` needs, read back from the content of a version; its own words from its own last request, else from the first."""
    content = version.content
    bases = version.agreement.bases.filter(version__number__lte=version.number).order_by("-version__number")
    source = (bases.filter(request__consumer=consumer).first() or bases.last()).request
    return {
        "title": content["title"],
        "systems": list(InformationSystem.objects.filter(code__in=[row["code"] for row in content["systems"]])),
        "scope": {operation_of(row): [field["path"] for field in row["fields"]] for row in content["scope"]},
        "purpose": Purpose.objects.get(code=content["purpose"]["code"]),
        "purpose_text": content["purpose"]["text"],
        "solution": content["post_processing"],
        "legal_basis": "\n".join(content["legal_bases"]),
        "procedures": content["procedures"],
        "method": content["method"]["method"],
        "calls_per_day": content["method"]["calls_per_day"],
        "calls_per_second": content["method"]["calls_per_second"],
        "source_networks": content["restrictions"]["source_networks"],
        "wanted_from": _day(content["term"]["valid_from"]),
        "wanted_to": _day(content["term"]["valid_to"]),
        "codes_day": _day(content["method"].get("codes_day")),
        "technician": source.technician,
        # Its own: what another consumer said of its own use is not this one's to repeat.
        "exemption_reason": known(content).get(consumer.code, {}).get("exemption", ""),
        "special_reason": source.special_reason,
        "alternatives": source.alternatives,
        # Terms that were negotiated are in no request: without them here a change would strike them out unsaid.
        "note": content["other_terms"],
    }


def _day(text: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None
