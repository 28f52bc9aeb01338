"""A draft whose agreement moved on meanwhile is put on what stands now, without losing what its drafter changed.

Three contents meet: what it started from, what stands now, and what the drafter made of the first. What the drafter left alone
follows the agreement; what the drafter changed stays; sets (fields, systems, procedures, networks) take both. Where both changed one
thing the drafter's stays and is named, so that nothing goes unseen: the request's page shows it beside what stands now.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agreements.actions.beginnings import beginning_facts, is_renewable, require_renewable
from apps.agreements.choices import AgreementStatus, VersionState
from apps.agreements.models import AgreementVersion, RequestBasis
from apps.audit import actions as audit
from apps.connections.actions import require_editable, save_draft
from apps.connections.choices import OVER, RequestKind
from apps.connections.models import ConnectionRequest
from apps.core.errors import FactMissing
from apps.core.workflow import require

SETS = ("systems", "procedures", "source_networks", "alternatives")


@dataclass
class Merge:
    """`content` as for `save_draft`: the parts that follow the agreement. `kept`: parts that both changed, where the drafter's stay."""

    content: dict = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


def stands_now(request: ConnectionRequest) -> AgreementVersion | None:
    """The version that took the place of the one the request starts from; None when none did, or it is decided or withdrawn."""
    basis = RequestBasis.objects.filter(request=request, version__isnull=True).select_related("agreement").first()
    if basis is None or basis.starts_from_id is None or request.status in OVER:
        return None
    current = basis.agreement.versions.filter(state=VersionState.CURRENT).select_related("agreement").first()
    return current if current is not None and current.pk != basis.starts_from_id else None


@transaction.atomic
def follow_agreement(request: ConnectionRequest, *, by, version: int | None = None) -> Merge:
    """Put a draft or returned request on the content that stands now; it can then be signed, submitted and approved.

    Raises FactMissing (`nothing_moved`, `agreement_not_in_force`), StaleVersion, TransitionNotAllowed after submission, and
    Conflict (`no_end`) for a renewal of what has lost its end meanwhile: it is withdrawn.
    """
    require(by, "connections.edit_request", request)
    require_editable(request)
    current = stands_now(request)
    if current is None:
        raise FactMissing(_("The agreement has not changed since this request was begun."), code="nothing_moved")
    if current.agreement.status != AgreementStatus.IN_FORCE:
        raise FactMissing(_("The agreement is not in force."), code="agreement_not_in_force")
    if request.kind == RequestKind.RENEWAL:
        require_renewable(current.agreement)
    former = request.basis.starts_from
    merge = merged(request, former, current, by)
    save_draft(request, by=by, version=version, **merge.content)
    RequestBasis.objects.filter(request=request).update(starts_from=current)
    request.basis.starts_from = current
    audit.record(
        "request.put_on_current", request, by=by, organizations=request.consumer_uuids(), agreement=current.agreement.number,
        before=former.number, after=current.number, taken=sorted(merge.content), kept=sorted(merge.kept),
    )  # fmt: skip
    return merge


def has_lost_its_end(request: ConnectionRequest, current: AgreementVersion) -> bool:
    """A renewal under which the agreement's end was taken away: nothing is left to be renewed."""
    return request.kind == RequestKind.RENEWAL and not is_renewable(current.agreement)


def merged(request: ConnectionRequest, former: AgreementVersion, current: AgreementVersion, by) -> Merge:
    """What the request would hold on `current`; nothing of it where `follow_agreement` would answer `no_end`. Reads only."""
    if has_lost_its_end(request, current):
        return Merge()
    was, now = (beginning_facts(version, request.consumer, request.kind, by) for version in (former, current))
    mine = {name: getattr(request, name) for name in now if name not in ("systems", "scope")}
    mine["systems"] = [row.system for row in request.request_systems.select_related("system")]
    mine["scope"] = _asked(request)
    found = Merge()
    for name in now:
        before, after, own = (_comparable(name, facts[name]) for facts in (was, now, mine))
        value = _merge(name, before, after, own)
        if value != own:
            found.content[name] = _writable(name, value)
        if own not in (before, after) and before != after:
            found.kept.append(name)
    return found


def _asked(request: ConnectionRequest) -> dict:
    rows = request.requested_operations.select_related("operation__version").prefetch_related("fields")
    return {row.operation: [field.path for field in row.fields.all()] for row in rows}


def _comparable(name: str, value):
    if name == "scope":
        return {operation: frozenset(paths) for operation, paths in value.items()}
    return frozenset(value) if name in SETS else value


def _writable(name: str, value):
    if name == "scope":
        return {operation: sorted(paths) for operation, paths in value.items()}
    return sorted(value, key=str) if name in SETS else value


def _merge(name: str, before, after, own):
    if name == "scope":
        rows = {operation: _both(*(part.get(operation, frozenset()) for part in (before, after, own)))
                for operation in {**own, **after}}  # fmt: skip
        return {operation: paths for operation, paths in rows.items() if paths}
    if name in SETS:
        return _both(before, after, own)
    return after if own == before else own


def _both(before: frozenset, after: frozenset, own: frozenset) -> frozenset:
    """What the drafter has, without what was taken away under it, with what was added under it."""
    return own - (before - after) | (after - before)
