"""The verbs of a request. Approving lives one floor up (`agreements.actions.approve_request`)."""

from __future__ import annotations

import ipaddress
import uuid as uuids

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.audit import actions as audit
from apps.connections import clock
from apps.connections.announcements import (
    tell_asked,
    tell_consumer,
    tell_desks,
    tell_filers,
    tell_forwarded,
    tell_operators,
    tell_signers,
)
from apps.connections.choices import Channel, DecisionStatus, RequestKind, RequestStatus
from apps.connections.completeness import missing, unsigned_by
from apps.connections.content import is_too_far, request_hash
from apps.connections.models import ConnectionRequest, ProviderDecision, Remark, RequestSignature
from apps.connections.scope import replace_scope, replace_systems
from apps.connections.workflow import DECISION, REQUEST
from apps.core.changes import invalid
from apps.core.errors import FactMissing, InvalidFact, NotPermitted, StaleVersion
from apps.core.numbers import next_number
from apps.core.once import made_once
from apps.core.text import undisguised
from apps.core.workflow import came_second, require, stale
from apps.legal.models import RefusalGround
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids

EDITABLE = (RequestStatus.DRAFT, RequestStatus.RETURNED)
AMENDING = (RequestKind.CHANGE, RequestKind.RENEWAL)
"""Kinds that ask for another content of an agreement, and may say why."""
PLAIN = (
    "title", "purpose", "purpose_text", "solution", "legal_basis", "procedures", "method", "calls_per_day",
    "calls_per_second", "source_networks", "wanted_from", "wanted_to", "codes_day", "technician", "exemption_reason",
    "special_reason", "alternatives", "note", "change_reason",
)  # fmt: skip


@transaction.atomic
def draft_request(consumer: Organization, *, by, uuid: uuids.UUID | None = None, **content) -> ConnectionRequest:
    """Open a draft for `consumer`; `content` as in `save_draft`.

    `uuid`, chosen by the caller, makes the act repeatable: the same person gives it twice and has one draft
    (CC-05). Raises NotPermitted, InvalidFact, Conflict when the uuid is another person's, agency's or act's.
    """
    require(by, "connections.draft_request", consumer)
    kind = content.pop("kind", RequestKind.NEW)
    request, is_new = opened_once(uuid, consumer=consumer, created_by=by, kind=kind, channel=Channel.ONLINE)
    if is_new:
        write_content(request, by, content)
        audit.record("request.drafted", request, by=by, organizations=[consumer])
        if kind == RequestKind.NEW:  # what begins on an agreement is finished by the verb that begins it
            tell_signers(request)
    return request


def opened_once(uuid: uuids.UUID | None, *, more: dict | None = None, **facts) -> tuple[ConnectionRequest, bool]:
    """The row that the act of these `facts` made under this uuid, and whether it was made now, then with `more` beside them.

    Raises Conflict (`idempotency_key_reused`) when another act has used the uuid.
    """

    def make(key: uuids.UUID) -> ConnectionRequest:
        return ConnectionRequest.objects.create(uuid=key, number=next_number("YC"), **facts, **(more or {}))

    return made_once(ConnectionRequest, uuid, make, **facts)


def require_editable(request: ConnectionRequest) -> None:
    """Raise TransitionNotAllowed, with who was first, when nobody writes in the request any more: submitted, decided, withdrawn."""
    if request.status not in EDITABLE:
        said = _("The request can no longer be changed: its state is now “%(state)s”.") % {
            "state": request.get_status_display()
        }
        raise came_second(request, said, state=request.status)


@transaction.atomic
def save_draft(request: ConnectionRequest, *, by, version: int | None = None, **content) -> ConnectionRequest:
    """Write the parts named in `content`: plain fields, `systems` (InformationSystems), `scope` ({Operation: fields or paths}).

    Only a draft or a returned request can be written, and only as the caller saw it (`version`). Every
    signature over the former content is void from here on, because the hash is another.
    """
    require(by, "connections.edit_request", request)
    require_editable(request)
    if version is not None and version != request.version:
        raise stale(request)
    bump(request)
    write_content(request, by, content)
    audit.record("request.edited", request, by=by, organizations=request.consumer_uuids(), parts=sorted(content))
    tell_signers(request)
    return request


def bump(request: ConnectionRequest) -> None:
    """Take the next version of an editable request: it locks the row, so a submit at the same instant is refused.

    Raises StaleVersion when the row is no longer what was read.
    """
    rows = ConnectionRequest.objects.filter(pk=request.pk, version=request.version, status__in=EDITABLE)
    if rows.update(version=F("version") + 1) != 1:
        request.refresh_from_db()
        raise stale(request)
    request.version += 1


def write_content(request: ConnectionRequest, by, content: dict) -> None:
    """Write the parts named. Raises InvalidFact with `fields` for what no column takes."""
    strange = set(content) - {*PLAIN, "systems", "scope"}
    if strange:
        raise TypeError(f"not part of a request: {sorted(strange)}")
    plain = [name for name in PLAIN if name in content]
    for name in plain:
        setattr(request, name, undisguised(content[name]))
    request.source_networks = networks(request.source_networks)
    _check_period(request)
    _check_change_reason(request)
    try:
        request.clean_fields(exclude={field.name for field in request._meta.fields} - set(plain))
    except ValidationError as error:
        raise invalid(error) from None
    request.save(update_fields=[*plain, "updated_at"])
    if content.get("systems") is not None:
        replace_systems(request, content["systems"], by=by)
    if content.get("scope") is not None:
        replace_scope(request, content["scope"])
    request.preparers.add(by)


def networks(given: list[str]) -> list[str]:
    """The networks in one notation ("10.1.2.3" → "10.1.2.3/32"). Raises InvalidFact for what is none."""
    return [_network(text.strip()) for text in given]


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError as error:
        raise InvalidFact(
            code="invalid", fields={"source_networks": [_("Not an address or a network: %(text)s.") % {"text": text}]}
        ) from error


def _check_period(request: ConnectionRequest) -> None:
    if request.wanted_from and request.wanted_to and request.wanted_to <= request.wanted_from:
        raise InvalidFact(code="period", fields={"wanted_to": [_("The period ends before it begins.")]})
    for name in ("wanted_from", "wanted_to"):
        if is_too_far(getattr(request, name)):
            raise InvalidFact(
                code="period", fields={name: [_("Too far ahead: leave the last day empty where there is no end.")]}
            )


def _check_change_reason(request: ConnectionRequest) -> None:
    """Only what changes an agreement says why: elsewhere the text would be signed and shown to nobody."""
    if request.change_reason and request.kind not in AMENDING:
        raise InvalidFact(
            code="not_a_change",
            fields={"change_reason": [_("Only a change or renewal has this: write it under other information.")]},
        )


@transaction.atomic
def sign_request(request: ConnectionRequest, *, by, content_hash: str | None = None) -> list[RequestSignature]:
    """Sign the present content for every requesting organization in which `by` is the signer.

    `content_hash` is what the signer saw; another content is not signed (StaleVersion). The signer is nobody
    who wrote in the request (four eyes). Signing the same content twice is one signature.
    """
    require(by, "connections.sign_request", request)
    # One at a time: of two signers of one agency the second finds the first one's signature, and whoever waited for a
    # withdrawal or a submission finds what it left.
    request.refresh_from_db(from_queryset=ConnectionRequest.objects.select_for_update(no_key=True))
    if request.status not in EDITABLE:
        said = _("The request can no longer be signed: its state is now “%(state)s”.")
        raise came_second(request, said % {"state": request.get_status_display()}, state=request.status)
    present = request_hash(request)
    if content_hash is not None and content_hash != present:
        raise StaleVersion(content_hash=present)
    if request.preparers.filter(pk=by.pk).exists():
        raise NotPermitted(_("Who prepared a request does not sign it."), code="four_eyes")
    gaps = missing(request, signatures=False)
    if gaps:
        raise _incomplete(gaps)
    organizations = Organization.objects.filter(pk__in=organization_ids(by, Role.SIGNER) & request.consumer_ids())
    signatures = [_sign(request, organization, by, present) for organization in organizations]
    audit.record("request.signed", request, by=by, organizations=organizations, content_hash=present)
    if not unsigned_by(request, present):
        tell_consumer("signed", request, N_("Request %(number)s is signed; it can be submitted."))
    return signatures


def _sign(request: ConnectionRequest, organization: Organization, by, content_hash: str) -> RequestSignature:
    """The agency's signature that counts: one is enough, but not that of a signer who has written in the request since."""
    facts = {"request": request, "organization": organization, "content_hash": content_hash}
    counts = RequestSignature.objects.filter(**facts).exclude(signer__in=request.preparers.all()).first()
    if counts is None:
        counts, _new = RequestSignature.objects.get_or_create(**facts, signer=by, defaults={"prepared_by": request.created_by})
    return counts


@transaction.atomic
def submit_request(request: ConnectionRequest, *, by, version: int | None = None) -> ConnectionRequest:
    """Send a complete, signed request to the operator; the clock starts, or goes on after a return.

    Raises FactMissing with everything that is missing, field by field.
    """
    REQUEST.check(request, "submit", by=by, version=version)
    gaps = missing(request)
    if gaps:
        raise _incomplete(gaps)
    facts = clock.receipt(request, timezone.now())
    REQUEST.move(request, "submit", by=by, version=version, submitted_by=by, **facts)
    audit.record(
        "request.submitted", request, by=by, organizations=request.party_uuids(), content_hash=request_hash(request),
        due_at=request.due_at.isoformat(), rule=str(request.deadline_rule.uuid),
    )  # fmt: skip
    tell_operators("submitted", request, N_("Request %(number)s is waiting to be checked."))
    return request


@transaction.atomic
def return_request(
    request: ConnectionRequest, *, by, remarks: list[tuple[str, str]], version: int | None = None
) -> ConnectionRequest:
    """Give the request back, saying field by field what is missing. The clock pauses, and another one runs to complete it.

    Raises FactMissing without a remark, InvalidFact for a remark on something that is no part of a request.
    """
    REQUEST.check(request, "return", by=by, version=version)
    _check_remarks(remarks)
    now = timezone.now()
    REQUEST.move(request, "return", by=by, version=version, **clock.pause(now))
    Remark.objects.bulk_create(Remark(request=request, author=by, field=field, text=text) for field, text in remarks)
    for decision in request.decisions.exclude(status=DecisionStatus.REFUSED):
        DECISION.move(decision, "reopen", by=by, decided_by=None, decided_at=None, comment="")
    audit.record(
        "request.returned", request, by=by, organizations=request.party_uuids(), fields=[field for field, _text in remarks],
        lapses_at=request.lapses_at.isoformat(),
    )  # fmt: skip
    tell_filers("returned", request, N_("Request %(number)s was returned for completion."), by=by)
    tell_asked("returned", request, N_("Request %(number)s was returned for completion."), by=by)
    return request


def _check_remarks(remarks: list[tuple[str, str]]) -> None:
    if not remarks or not all(text.strip() for _field, text in remarks):
        raise FactMissing(_("Say what is missing, field by field."), fields={"remarks": [_("This field is required.")]})
    known = {*PLAIN, "systems", "scope", "signatures", "attachments", "consumer"}
    strange = sorted({field for field, _text in remarks} - known)
    if strange:
        raise InvalidFact(
            _("Not a part of a request: %(fields)s.") % {"fields": ", ".join(strange)}, fields={"remarks": strange}
        )


@transaction.atomic
def forward_request(request: ConnectionRequest, *, by, version: int | None = None) -> ConnectionRequest:
    """The operator finds the request complete; each provider concerned is asked for its part."""
    REQUEST.check(request, "forward", by=by, version=version)
    gaps = missing(request)
    if gaps:
        raise _incomplete(gaps)
    REQUEST.move(request, "forward", by=by, version=version)
    request.decisions.exclude(provider_id__in=request.provider_ids()).delete()
    for provider_id in sorted(request.provider_ids()):
        ProviderDecision.objects.update_or_create(
            request=request, provider_id=provider_id, defaults={"requested_by": request.submitted_by}
        )
    audit.record("request.forwarded", request, by=by, organizations=request.party_uuids())
    tell_forwarded(request)
    tell_consumer("forwarded", request, N_("Request %(number)s was forwarded to the provider."))
    return request


@transaction.atomic
def refuse_request(
    request: ConnectionRequest, *, by, ground: RefusalGround, reason: str, citation: str, version: int | None = None
) -> ConnectionRequest:
    """Refuse on a coded ground, with a reason and the legal provision (NĐ 194/2025 Điều 16(2)). One provider's no ends the request.

    Consumer and operator (who hears disputes) are told. Raises FactMissing naming what is not given.
    """
    # Taking turns with who approves: between two looks at the parts none might be left to refuse.
    request.refresh_from_db(from_queryset=ConnectionRequest.objects.select_for_update(no_key=True))
    refuse_second_decision(request, "refuse", by)
    REQUEST.check(request, "refuse", by=by, version=version)
    today = timezone.localdate()
    if ground is not None and not RefusalGround.objects.in_force(today).filter(pk=ground.pk).exists():
        raise InvalidFact(code="ground_not_in_force", fields={"ground": [_("This ground may not be chosen today.")]})
    given = {"ground": ground, "reason": reason.strip(), "citation": citation.strip()}
    absent = [name for name, value in given.items() if not value]
    if absent:
        raise FactMissing(
            _("A refusal needs a ground, a reason and the legal provision."),
            fields={name: [_("This field is required.")] for name in absent},
        )
    now = timezone.now()
    facts = {"refusal_ground": ground, "refusal_reason": reason.strip(), "refusal_citation": citation.strip()}
    REQUEST.move(request, "refuse", by=by, version=version, decided_at=now, **facts, **clock.stop())
    for decision in open_parts(request, by):
        DECISION.move(decision, "refuse", by=by, decided_by=by, decided_at=now, comment=reason.strip())
    audit.record(
        "request.refused", request, by=by, organizations=request.party_uuids(), ground=ground.code, citation=citation.strip()
    )
    tell_consumer("refused", request, N_("Request %(number)s was refused: ground %(ground)s, %(citation)s."),
                  ground=ground.code, citation=citation.strip())  # fmt: skip
    tell_operators("refused", request, N_("Request %(number)s was refused: ground %(ground)s, %(citation)s."),
                   ground=ground.code, citation=citation.strip())  # fmt: skip
    tell_asked("refused", request, N_("Request %(number)s was refused: ground %(ground)s, %(citation)s."), by=by,
               ground=ground.code, citation=citation.strip())  # fmt: skip
    return request


def refuse_second_decision(request: ConnectionRequest, verb: str, by) -> None:
    """Raise TransitionNotAllowed when every part that is `by`'s to decide is decided: a second click is told what the first did.

    Whoever has no part goes on, to be told what their role does not allow.
    """
    mine = organization_ids(by, Role.PROVIDER_OFFICER)
    parts = list(request.decisions.filter(provider_id__in=mine).select_related("request").order_by("pk"))
    if parts and not any(part.status == DecisionStatus.PENDING for part in parts):
        DECISION.check(parts[0], verb, by=by)


def open_parts(request: ConnectionRequest, by) -> list[ProviderDecision]:
    """The parts that `by`, as a provider officer, has still to decide. Read from memberships: no flag of a user opens them.

    Raises NotPermitted when there is none, whoever asks.
    """
    mine = organization_ids(by, Role.PROVIDER_OFFICER)
    parts = list(request.decisions.filter(status=DecisionStatus.PENDING, provider_id__in=mine).select_related("request"))
    if not parts:
        raise NotPermitted(_("No part of this decision is yours."), code="not_the_provider")
    return parts


@transaction.atomic
def withdraw_request(request: ConnectionRequest, *, by, version: int | None = None) -> ConnectionRequest:
    """The consumer gives the request up, any time before it is approved; the operator, one that was entered from paper.

    Whoever had it in hand or on the desk is told, but for the one who acted.
    """
    was = request.status
    REQUEST.move(request, "withdraw", by=by, version=version, **clock.stop())
    audit.record("request.withdrawn", request, by=by, organizations=request.party_uuids())
    told = N_("Request %(number)s was withdrawn by the operator, who had entered it from paper.")
    if organization_ids(by, Role.CONSUMER_OFFICER) & request.consumer_ids():
        told = N_("Request %(number)s was withdrawn by the consumer.")
    tell_desks("withdrawn", request, told, by=by, was=was)
    tell_filers("withdrawn", request, told, by=by)
    return request


@transaction.atomic
def lapse_request(request: ConnectionRequest, *, by) -> ConnectionRequest:
    """The clock withdraws a returned request that nobody completed in time. Raises FactMissing when it is not time yet."""
    REQUEST.check(request, "lapse", by=by)
    if request.lapses_at is None or request.lapses_at > timezone.now():
        raise FactMissing(code="not_yet")
    REQUEST.move(request, "lapse", by=by, **clock.stop())
    audit.record("request.lapsed", request, by=by, organizations=request.party_uuids())
    tell_filers("lapsed", request, N_("Request %(number)s was withdrawn by itself: it was not completed in time."), by=by)
    tell_asked("lapsed", request, N_("Request %(number)s was withdrawn by itself: it was not completed in time."), by=by)
    return request


def _incomplete(gaps: list[tuple[str, str]]) -> FactMissing:
    fields: dict[str, list[str]] = {}
    for field, text in gaps:
        fields.setdefault(field, []).append(str(text))
    return FactMissing(" ".join(text for _field, text in gaps), code="request_incomplete", fields=fields)
