"""Requests that wait for a person's signature."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from apps.connections.actions import EDITABLE
from apps.connections.choices import Channel
from apps.connections.content import request_contents
from apps.connections.models import ConnectionRequest, RequestAudience, RequestedOperation, RequestSystem
from apps.core.canonical import content_hash
from apps.organizations.choices import Role
from apps.organizations.roles import organization_ids
from apps.registry.choices import SharingForm


def unsigned(user, most: int) -> list[ConnectionRequest]:
    """At most `most` drafts whose present content waits for the signature of an agency where `user` signs: it files, or a
    system of it reads. The number of queries does not grow with them."""
    mine = organization_ids(user, Role.SIGNER)
    if not mine:
        return []
    # The audience has the index; whoever only decides is in it too, and signs nothing here.
    known = Exists(RequestAudience.objects.filter(request=OuterRef("pk"), organization_id__in=mine))
    reads = RequestSystem.objects.filter(request=OuterRef("pk"), system__organization_id__in=mine)
    asked = RequestedOperation.objects.filter(request=OuterRef("pk"))
    special = asked.filter(operation__version__service__sharing_form=SharingForm.SPECIAL)  # signed as an agreement
    rows = ConnectionRequest.objects.filter(known, status__in=EDITABLE, purpose__isnull=False)
    rows = rows.filter(Q(consumer_id__in=mine) | Exists(reads), Exists(asked), ~Exists(special))
    rows = rows.exclude(channel=Channel.PAPER).exclude(preparers=user).select_related("consumer").order_by("due_at", "id")
    return _lacking(list(rows.prefetch_related("signatures", "preparers", "request_systems__system")[:most]), mine)


def _lacking(requests: list[ConnectionRequest], mine: frozenset[int]) -> list[ConnectionRequest]:
    """Those of which one of these agencies has not signed the present content, by somebody who wrote nothing in it."""
    signed = [row for row in requests if any(one.organization_id in mine for one in row.signatures.all())]
    present = {row.pk: content_hash(content) for row, content in zip(signed, request_contents(signed), strict=True)}
    return [row for row in requests if row.pk not in present or _lacks(row, present[row.pk], mine)]


def _lacks(request: ConnectionRequest, present: str, mine: frozenset[int]) -> bool:
    wrote = {person.pk for person in request.preparers.all()}
    valid = [row for row in request.signatures.all() if row.content_hash == present and row.signer_id not in wrote]
    asked = {request.consumer_id, *(row.system.organization_id for row in request.request_systems.all())}
    return not mine & asked <= {row.organization_id for row in valid}
