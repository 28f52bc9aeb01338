"""The pieces of a case page: what is asked for, where it stands, what happened."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import asdict, dataclass

from django.db.models import Q
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.agreements.actions.following import has_lost_its_end, merged, stands_now
from apps.agreements.asked_changes import asked_changes
from apps.agreements.models import Agreement, AgreementVersion, RequestBasis
from apps.agreements.reading import as_read, changes
from apps.audit.models import AuditEvent
from apps.connections.actions import EDITABLE
from apps.connections.announcements import people
from apps.connections.choices import AttachmentKind, DecisionStatus, RequestStatus
from apps.connections.content import request_hash
from apps.connections.models import Comment, ConnectionRequest
from apps.connections.networks import is_everywhere
from apps.organizations.choices import Role
from apps.organizations.models import Organization
from apps.organizations.roles import organization_ids
from apps.portal import events
from apps.portal.forms import ThreadForm
from apps.registry.choices import PersonalDataClass
from apps.registry.models import DataService


@dataclass(frozen=True)
class Scope:
    """One operation asked for, its fields, and how many of each class."""

    operation: object
    fields: list
    counts: dict[str, int]


def scope(request) -> list[Scope]:
    rows = request.requested_operations.select_related("operation__version__service__provider").prefetch_related("fields")
    return [_scope(row.operation, list(row.fields.all())) for row in rows]


def _scope(operation, fields) -> Scope:
    counts = Counter(row.personal_data for row in fields)
    return Scope(operation, fields, {value: counts.get(value, 0) for value in PersonalDataClass.values})


def until(moment: datetime.datetime, user) -> Q:
    """For who has left: the events until then, and those later ones that concern its own agencies."""
    own = Organization.objects.filter(pk__in=organization_ids(user)).values_list("uuid", flat=True)
    return Q(at__lte=moment) | Q(organizations__overlap=list(own))


def timeline(*objects, limit: int = 100, without: tuple[str, ...] = (), reach: Q | None = None) -> list:
    """What happened to these objects, newest first, each event in words.

    `without` names events that the page shows in a place of their own, to those who may see them: comments in the thread.
    `reach` is what of it the reader reads; all of it without one.
    """
    about = Q()
    for obj in objects:
        about |= Q(object_type=obj._meta.label_lower, object_ref=str(obj.uuid))
    found = AuditEvent.objects.filter(about, reach or Q()).exclude(event__in=without).select_related("actor")
    rows = list(found.order_by("-id")[:limit]) if objects else []
    for row in rows:
        row.words = events.label(row.event)
        row.reason = row.facts.get("reason", "") if row.event in events.WITH_REASON else ""
    return _folded(rows)


def _folded(rows: list) -> list:
    """Saving a draft ten times in a row is one line with the last time and how often."""
    kept: list = []
    for row in rows:
        row.times = 1
        before = kept[-1] if kept else None
        same = before and (before.event, before.actor_id, before.outcome) == (row.event, row.actor_id, row.outcome)
        if same and row.event == "request.edited":
            before.times += 1
        else:
            kept.append(row)
    return kept


def totals(parts: list[Scope]) -> Counter:
    """Class → number of fields asked for."""
    found = Counter()
    for part in parts:
        found.update(part.counts)
    return found


def signatures(request) -> list:
    """Every signature, marked void when the content was changed after it, or its signer has written in the request since."""
    present, wrote = request_hash(request), set(request.preparers.values_list("pk", flat=True))
    rows = list(request.signatures.select_related("organization", "signer"))
    for row in rows:
        row.is_void = row.content_hash != present or row.signer_id in wrote
    return rows


def part_label(name: str) -> str:
    """The name of a part of a request, as forms and remarks call it."""
    extra = {
        "systems": _("Systems"),
        "scope": _("Data asked for"),
        "signatures": _("Signatures"),
        "attachments": _("Attachments"),
    }
    return str(extra.get(name) or capfirst(ConnectionRequest._meta.get_field(name).verbose_name))


def remarks(request) -> list:
    rows = list(request.remarks.select_related("author").order_by("-id"))
    for row in rows:
        row.field_label = part_label(row.field)
    return rows


def differences_of(request, user) -> dict:
    """A change, renewal or join beside the version it starts from, in words; nothing for a new connection."""
    rows = RequestBasis.objects.select_related("request__purpose", "agreement", "starts_from__agreement", "version__agreement")
    basis = rows.filter(request=request).first()
    if basis is None or basis.starts_from is None or request.purpose is None:
        return {}
    labels = dict(PersonalDataClass.choices)
    return {
        "starts_from": basis.starts_from,
        "differences": [
            {**asdict(row), "class_label": labels.get(row.personal_data, "")} for row in asked_changes(basis, user)
        ],
    }


def moved_under(request, user) -> dict:
    """What changed of the agreement under a change, renewal or joining that is not decided; nothing when nothing did."""
    current = stands_now(request)
    if current is None:
        return {}
    former = AgreementVersion.objects.select_related("agreement").get(pk=request.basis.starts_from_id)
    labels = dict(PersonalDataClass.choices)
    rows = changes(former, current, user)
    has_no_end = has_lost_its_end(request, current)
    edits = not has_no_end and request.status in EDITABLE and user.has_perm("connections.edit_request", request)
    merge = merged(request, former, current, user) if edits else None
    return {
        "moved": {
            "former": former, "current": current, "may_follow": edits, "has_no_end": has_no_end,
            "differences": [{**asdict(row), "class_label": labels.get(row.personal_data, "")} for row in rows],
            "kept": [part_label(name) for name in merge.kept] if merge else [],
        }
    }  # fmt: skip


def handling(request, user) -> dict:
    """Who handles the case on each side, and to whom `user` may give it."""
    names = [(_("operator"), request.handler)] if request.handler else []
    parts = request.decisions.filter(handler__isnull=False).select_related("handler", "provider")
    names += [(str(part.provider), part.handler) for part in parts]
    open_case = request.status in (RequestStatus.CHECKING, RequestStatus.AWAITING_PROVIDER)
    if not open_case or not user.has_perm("connections.assign_request", request):
        return {"handler_names": names, "handlers": []}
    mine = organization_ids(user, Role.PROVIDER_OFFICER)
    asked = request.decisions.filter(status=DecisionStatus.PENDING, provider_id__in=mine).values_list("provider_id", flat=True)
    colleagues = people(Role.PROVIDER_OFFICER, list(asked)) if asked else people(Role.OPERATOR)
    return {"handler_names": names, "handlers": sorted(colleagues, key=str)}


def considered(request, user) -> list[str]:
    """The default services that were looked at before special sharing was asked for (WF-33), by name, or by code where it may not be read."""
    rows = DataService.objects.visible_to(user).filter(code__in=request.alternatives)
    names = dict(rows.values_list("code", "name"))
    return [names.get(code, code) for code in request.alternatives]


def _agreement(request, user) -> Agreement | None:
    return Agreement.objects.visible_to(user).with_reach(user).filter(bases__request=request).first()


def pieces(request, user) -> dict:
    asked = scope(request)
    counts = totals(asked)
    return {
        "scope": asked,
        "totals": [(value, label, counts[value]) for value, label in PersonalDataClass.choices],
        "systems": [row.system for row in request.request_systems.select_related("system__organization")],
        "is_everywhere": is_everywhere(request.source_networks),
        "considered": considered(request, user),
        "decisions": list(request.decisions.select_related("provider", "decided_by")),
        "signatures": signatures(request),
        "remarks": remarks(request),
        "comments": list(Comment.objects.visible_to(user).filter(request=request).select_related("author", "organization")),
        "comment_form": ThreadForm() if user.has_perm("connections.comment_request", request) else None,
        "attachments": list(request.attachments.present().select_related("uploaded_by")),
        "may_attach": request.status in EDITABLE and user.has_perm("connections.edit_request", request),
        "attachment_kinds": AttachmentKind.choices,
        "timeline": timeline(request, without=("request.commented",)),
        **differences_of(request, user),
        **moved_under(request, user),
        **handling(request, user),
        "agreement": as_read(found) if (found := _agreement(request, user)) else None,
        "is_open": request.is_open,
    }
