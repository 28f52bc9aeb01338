"""Verbs beside the decision: the thread, who handles the case, its files, and requests that came on paper."""

from __future__ import annotations

import datetime
import uuid as uuids
from collections.abc import Iterable

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop as N_

from apps.audit import actions as audit
from apps.connections import clock, files
from apps.connections.actions.request import EDITABLE, bump, opened_once, require_editable, write_content
from apps.connections.announcements import people, tell, tell_signers
from apps.connections.choices import AttachmentKind, Channel, DecisionStatus
from apps.connections.completeness import have_only_to_sign
from apps.connections.models import Attachment, Comment, ConnectionRequest
from apps.core.errors import FactMissing, InvalidFact
from apps.core.once import made_once
from apps.core.text import undisguised
from apps.core.workflow import require
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import has_role, is_operator, organization_ids

MAX_FILES = 20
AWAITS_SIGNATURES = Q(basis__agreement__status="awaiting_signatures") | Q(
    basis__agreement__status__in=("in_force", "suspended"), basis__version__state="draft"
)
"""Requests of which a content was made that lies with the signers: an agreement's first one, or the next of one in force."""


@transaction.atomic
def comment_request(
    request: ConnectionRequest, *, by, text: str, is_internal: bool = False, uuid: uuids.UUID | None = None
) -> Comment:
    """Say something in the thread. Internal words stay in the author's organization; shared ones are told to the others.

    Signers hear of them while it lies with them (`_asked_to_sign`): what is said then may be why they do not sign.

    `uuid` makes the act repeatable, as in `draft_request`.
    """
    require(by, "connections.comment_request", request)
    if not text.strip():
        raise FactMissing(fields={"text": [_("This field is required.")]})
    organization = _organization_in(request, by)
    same = {"request": request, "author": by, "is_internal": is_internal, "text": undisguised(text).strip()[:5000]}
    comment, is_new = made_once(
        Comment, uuid, lambda key: Comment.objects.create(uuid=key, organization=organization, **same), **same
    )
    if not is_new:
        return comment
    readers = [organization.uuid] if is_internal else request.party_uuids()
    audit.record("request.commented", request, by=by, organizations=readers, internal=is_internal)
    tell(
        [person for person in _readers(request, organization, is_internal) if person.pk != by.pk],
        f"commented-{comment.uuid}", request, N_("There is a new comment on request %(number)s."),
    )  # fmt: skip
    return comment


def _organization_in(request: ConnectionRequest, by) -> Organization:
    """For whom `by` speaks in this case: the consumer, a provider, or the operator."""
    sides = (request.consumer_ids() | request.provider_ids()) & organization_ids(by)
    mine = sides or organization_ids(by, Role.OPERATOR)
    return Organization.objects.get(pk=min(mine))


def _readers(request: ConnectionRequest, organization: Organization, is_internal: bool) -> list:
    roles, signing = (Role.CONSUMER_OFFICER, Role.PROVIDER_OFFICER), _asked_to_sign(request)
    if is_internal:
        inside = [person for role in (*roles, Role.OPERATOR) for person in people(role, [organization.pk])]
        return [*inside, *people(Role.SIGNER, signing & {organization.pk})]
    asked = set(request.decisions.values_list("provider_id", flat=True))
    return [
        *people(Role.CONSUMER_OFFICER, request.consumer_ids()),
        *people(Role.PROVIDER_OFFICER, asked),
        *people(Role.OPERATOR),
        *people(Role.SIGNER, signing),
    ]


def _asked_to_sign(request: ConnectionRequest) -> frozenset[int]:
    """The agencies whose signers have it on their desk: the request lacks only their signature, or what was made of it awaits signatures."""
    if request.status in EDITABLE:
        return have_only_to_sign(request)
    lies_there = ConnectionRequest.objects.filter(AWAITS_SIGNATURES, pk=request.pk).exists()
    return request.consumer_ids() | request.provider_ids() if lies_there else frozenset()


@transaction.atomic
def assign_request(request: ConnectionRequest, *, by, handler) -> ConnectionRequest:
    """Name who handles the case on `by`'s side: the operator's person, or the provider's for its part.

    Who has it already is not told again. Raises InvalidFact when `handler` does not hold the role there.
    """
    require(by, "connections.assign_request", request)
    if handler is None:
        raise InvalidFact(_("Choose a person."), code="wrong_handler")
    parts = request.decisions.filter(status=DecisionStatus.PENDING, provider_id__in=organization_ids(by, Role.PROVIDER_OFFICER))
    if parts.exists():
        for part in parts:
            if not has_role(handler, Role.PROVIDER_OFFICER, part.provider_id):
                raise InvalidFact(_("This person is not a provider officer of that organization."), code="wrong_handler")
        changed = parts.exclude(handler=handler).update(handler=handler)
    else:
        if not is_operator(handler):
            raise InvalidFact(_("This person is not an operator."), code="wrong_handler")
        changed = ConnectionRequest.objects.filter(pk=request.pk).exclude(handler=handler).update(handler=handler)
    request.refresh_from_db()
    if not changed:
        return request
    audit.record("request.assigned", request, by=by, organizations=request.party_uuids(), handler=str(handler.uuid))
    # A case that comes back is told anew: the content, and so the version, may be the same.
    tell([handler], f"assigned-{timezone.now():%Y%m%d%H%M%S%f}", request, N_("Request %(number)s was given to you."))
    return request


@transaction.atomic
def attach_file(request: ConnectionRequest, *, by, name: str, data: bytes, kind: str = AttachmentKind.OTHER) -> Attachment:
    """Add a file to a draft or returned request. It is part of what is signed: signatures before it are void.

    Raises InvalidFact (`file_*`) for what is not acceptable, TransitionNotAllowed after submission.
    """
    require(by, "connections.edit_request", request)
    require_editable(request)
    if request.attachments.present().count() >= MAX_FILES:
        raise InvalidFact(_("A request may have at most %(count)s files.") % {"count": MAX_FILES}, code="too_many_files")
    safe_name, media_type = files.judge(name, data)
    bump(request)
    attachment = Attachment.objects.create(
        request=request, kind=kind, name=safe_name, media_type=media_type, size=len(data), sha256=files.digest(data),
        uploaded_by=by,
    )  # fmt: skip
    files.keep(attachment, data)
    request.preparers.add(by)
    audit.record("attachment.added", request, by=by, organizations=request.consumer_uuids(), sha256=attachment.sha256)
    tell_signers(request)
    return attachment


def carry_files(request: ConnectionRequest, files_before: Iterable[Attachment], *, by) -> None:
    """Give a draft that its verb has just begun copies of files of an earlier request. The caller holds the transaction.

    One that is no longer in the store as it was handed in is left out: the draft then lacks it, and says so before it is submitted.
    """
    for row in files_before:
        try:
            data = files.read(row)
        except InvalidFact:
            continue
        copy = Attachment.objects.create(
            request=request, kind=row.kind, name=row.name, media_type=row.media_type, size=row.size, sha256=row.sha256,
            uploaded_by=by,
        )  # fmt: skip
        files.keep(copy, data)
        audit.record("attachment.added", request, by=by, organizations=request.consumer_uuids(), sha256=copy.sha256)


@transaction.atomic
def remove_file(attachment: Attachment, *, by) -> Attachment:
    """Take a file out of a draft. The row and the bytes stay for the record; the content no longer counts it."""
    request = attachment.request
    require(by, "connections.edit_request", request)
    require_editable(request)
    bump(request)
    if Attachment.objects.present().filter(pk=attachment.pk).update(removed_at=timezone.now()) != 1:
        raise InvalidFact(code="file_removed")
    attachment.refresh_from_db()
    request.preparers.add(by)
    audit.record("attachment.removed", request, by=by, organizations=request.consumer_uuids(), sha256=attachment.sha256)
    tell_signers(request)
    return attachment


@transaction.atomic
def enter_paper_request(
    consumer: Organization, *, by, received_on: datetime.date, paper_signer: str, uuid: uuids.UUID | None = None, **content
) -> ConnectionRequest:
    """The operator enters a request that came on paper (NĐ 47/2020 Điều 35(1), WF-17): the clock runs from its own day.

    It runs at once, not from the submission: a paper that was entered and forgotten is reminded of and becomes late.
    `paper_signer` is the name under the paper. The scan is attached before the request is submitted. `uuid` makes the
    act repeatable, as in `draft_request`.
    """
    require(by, "connections.enter_paper_request", consumer)
    if received_on > timezone.localdate():
        raise InvalidFact(code="received_in_future", fields={"received_on": [_("The day of receipt lies in the future.")]})
    if not paper_signer.strip():
        raise FactMissing(fields={"paper_signer": [_("This field is required.")]})
    request, is_new = opened_once(
        uuid, consumer=consumer, created_by=by, channel=Channel.PAPER,
        more={
            "paper_received_on": received_on, "paper_signer": paper_signer.strip(), **clock.receipt_of_paper(received_on),
        },
    )  # fmt: skip
    if is_new:
        write_content(request, by, content)
        audit.record(
            "request.entered_from_paper", request, by=by, organizations=[consumer], received_on=str(received_on),
            due_at=request.due_at.isoformat(),
        )  # fmt: skip
    return request
