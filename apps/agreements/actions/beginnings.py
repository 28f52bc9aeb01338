"""Requests that start from what runs: a change, a renewal, or an outsider's wish to join (NĐ 47/2020 Điều 36(4), 39)."""

from __future__ import annotations

import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.agreements.choices import AgreementStatus, Side, VersionState
from apps.agreements.grants import operation_of
from apps.agreements.models import Agreement, AgreementVersion, RequestBasis
from apps.audit import actions as audit
from apps.connections.actions import draft_request, save_draft
from apps.connections.choices import RequestKind
from apps.connections.models import ConnectionRequest
from apps.connections.scope import systems_for
from apps.core.errors import FactMissing, InvalidFact, NotPermitted
from apps.core.workflow import require
from apps.organizations.choices import Role
from apps.organizations.models import InformationSystem, Organization
from apps.organizations.roles import organization_ids
from apps.registry.models import Purpose


@transaction.atomic
def start_change(agreement: Agreement, *, by) -> ConnectionRequest:
    """A draft with all that runs for the drafting agency, to be changed; the agreement stays in force until the new version is."""
    return _start(agreement, _consumer_of(agreement, by), RequestKind.CHANGE, by)


@transaction.atomic
def start_renewal(agreement: Agreement, *, by) -> ConnectionRequest:
    """The same, with the term moved on by its own length (a year where it had no end)."""
    request = _start(agreement, _consumer_of(agreement, by), RequestKind.RENEWAL, by)
    term = agreement.current_version.content["term"]
    last = datetime.date.fromisoformat(term["valid_to"]) if term["valid_to"] else timezone.localdate()
    first = timezone.localdate(agreement.valid_from)
    return save_draft(request, by=by, wanted_from=None, wanted_to=last + max(last - first, datetime.timedelta(days=365)))


@transaction.atomic
def start_join(agreement: Agreement, consumer: Organization, *, by) -> ConnectionRequest:
    """An outsider's draft: the same services and fields, its own systems to be named.

    Raises NotPermitted when the agreement is not open to others, InvalidFact for one who is a party already.
    """
    # Before anything is said of the agreement: who files for nobody learns nothing of it.
    require(by, "connections.draft_request", consumer)
    if consumer.pk in agreement.organization_ids():
        raise InvalidFact(_("This organization is a party already."), code="already_party")
    if not agreement.current_version.content.get("open_to_join"):
        raise NotPermitted(_("The agreement is not open to others."), code="not_open_to_join")
    return _start(agreement, consumer, RequestKind.JOIN, by)


def _consumer_of(agreement: Agreement, by) -> Organization:
    """The consuming party for which `by` files. One whose joining is not signed by all yet is none."""
    mine = organization_ids(by, Role.CONSUMER_OFFICER) & agreement.organization_ids(Side.CONSUMER) - agreement.joining_ids()
    if not mine:
        raise NotPermitted(code="not_a_party")
    return Organization.objects.get(pk=min(mine))


def _start(agreement: Agreement, consumer: Organization, kind: str, by) -> ConnectionRequest:
    current = agreement.versions.filter(state=VersionState.CURRENT).first()
    if agreement.status != AgreementStatus.IN_FORCE or current is None:
        raise FactMissing(_("The agreement is not in force."), code="agreement_not_in_force")
    content = request_facts(current)
    # Another consumer's systems are not the drafter's to name; they stay as they run (`approval.keep_the_others`).
    content["systems"] = [system for system in content["systems"] if system in set(systems_for(by, consumer))]
    if kind == RequestKind.JOIN:
        # The joiner's own words and systems; the agreement's scope, limits and term.
        content = {**content, "systems": [], "technician": "", "exemption_reason": ""}
    request = draft_request(consumer, by=by, kind=kind, **content)
    RequestBasis.objects.create(agreement=agreement, request=request, starts_from=current)
    audit.record(f"agreement.{kind}_begun", agreement, by=by, organizations=agreement.party_uuids(), request=request.number)
    return request


def request_facts(version: AgreementVersion) -> dict:
    """What a request needs, read back from the content of a version."""
    content = version.content
    source = version.agreement.bases.filter(version__isnull=False).order_by("-version__number").first().request
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
        "exemption_reason": content["personal_data"]["assessment_or_exemption"],
        "special_reason": source.special_reason,
        "alternatives": source.alternatives,
    }


def _day(text: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None
